// The form of a new study: a preview while one types, rows that come and go at once, problems told at their inputs.
// Without it every button works by sending the form.

import { morph } from "./morph.js";

const DELAY_MS = 250;
const form = document.getElementById("study-form");
const preview = document.getElementById("preview");
const touched = new Set();
let timer = 0;
let running = null;

document.documentElement.classList.add("scripted");
prepare();
// The page may show a form that the browser has filled in again.
document.querySelectorAll("[aria-invalid]").forEach((input) => touched.add(input.id));

if ("refused" in form.dataset) document.getElementById("problems")?.focus();

form.addEventListener("input", later);
form.addEventListener("change", (event) => {
  if (event.target.name === "objective.name") return follow("objective");
  if (event.target.matches("[list], .pair input")) suggest(event.target);
  return later();
});
form.addEventListener("focusout", (event) => {
  // What is half typed is not wrong yet; what was left is.
  if (event.target.id && !touched.has(event.target.id)) {
    touched.add(event.target.id);
    mark();
  }
});
form.addEventListener("submit", (event) => {
  const act = event.submitter?.value ?? "preview";
  const [verb, table, key] = act.split(" ");
  if (act === "create") return form.querySelectorAll("[id^='f-']").forEach((input) => touched.add(input.id));
  if (act === "paste") return undefined;
  event.preventDefault();
  if (act === "defaults") return follow(act);
  if (verb === "add") addRow(table);
  else if (verb === "remove") removeRow(row(table, key));
  else if (verb === "up" || verb === "down") moveRow(row(table, key), verb, event.submitter);
  else if (verb === "set") setInput(table, act.slice(`set ${table} `.length));
  return refresh();
});
preview.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#f-']");
  if (link) {
    event.preventDefault();
    show(document.getElementById(decodeURIComponent(link.hash.slice(1))));
  }
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

/** Ask for a new preview once typing has paused. */
function later() {
  clearTimeout(timer);
  timer = setTimeout(refresh, DELAY_MS);
}

/** Fetch the preview of the form as it is. */
async function refresh() {
  clearTimeout(timer);
  running?.abort();
  const own = (running = new AbortController());
  try {
    const answer = await send(preview.dataset.address, "preview", own.signal);
    if (own !== running) return;
    const came = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (own === running) answer.ok ? take(came) : refuse(came);
  } catch (error) {
    if (error.name !== "AbortError") tell("The service does not answer; the preview may be out of date.");
  }
}

function send(address, act, signal) {
  const body = new URLSearchParams(new FormData(form));
  // The browser's list of inputs leaves out the button; what is pasted is for another button.
  body.delete("pasted");
  body.set("do", act);
  return fetch(address, { method: "POST", body, signal, headers: { Accept: "text/html" } });
}

function take(came) {
  const old = preview.querySelector(".drawn");
  if (old && !came.querySelector(".drawn")) {
    const kept = came.importNode(old, true);
    kept.classList.add("stale");
    kept.inert = true;
    came.body.append(kept);
  }
  for (const part of came.querySelectorAll("details.words")) {
    const shown = document.getElementById(part.id);
    if (shown) part.open = shown.open;
  }
  morph(preview, came.body);
  prepare();
  mark();
}

function refuse(came) {
  tell(came.querySelector(".detail")?.textContent ?? "The service refused this form; reload the page.");
}

function tell(words) {
  let note = document.getElementById("preview-note");
  if (!note) {
    note = Object.assign(document.createElement("p"), { id: "preview-note", className: "problem" });
    note.setAttribute("role", "status");
    preview.querySelector(".submit").append(note);
  }
  note.textContent = words;
}

/** Let the server follow a change that concerns many inputs, and take its rows. */
async function follow(act) {
  const answer = await send("/new", act);
  if (!answer.ok) return tell("The service does not answer; try again.");
  const came = new DOMParser().parseFromString(await answer.text(), "text/html");
  const old = form.querySelector(".parts");
  const focused = document.activeElement?.id;
  old.replaceWith(document.importNode(came.querySelector(".parts"), true));
  document.querySelectorAll("datalist").forEach((list) => list.remove());
  came.querySelectorAll("datalist").forEach((list) => form.after(document.importNode(list, true)));
  document.getElementById(focused)?.focus();
  return take(new DOMParser().parseFromString(came.getElementById("preview").innerHTML, "text/html"));
}

/** Tell at each input that was left what is wrong with it, and no longer what is mended. */
function mark() {
  const wrong = new Map();
  for (const link of preview.querySelectorAll("#problems a[data-at]")) wrong.set(link.dataset.at, link.dataset.says);
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    const name = input.id.slice(2);
    if (!wrong.has(name)) clear(input, name);
  }
  for (const [name, says] of wrong) {
    const input = document.getElementById(`f-${name}`);
    if (input && touched.has(input.id)) blame(input, name, says);
  }
}

function blame(input, name, says) {
  let note = document.getElementById(`p-${name}`);
  if (!note) {
    note = Object.assign(document.createElement("p"), { id: `p-${name}`, className: "problem" });
    const place = input.closest("[data-row]");
    (place?.querySelector(".wrong") ?? place ?? input.closest(".field") ?? input.parentElement).append(note);
  }
  if (note.textContent !== says) note.textContent = says;
  if (!input.matches("input, select, textarea")) return;
  input.setAttribute("aria-invalid", "true");
  const known = (input.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
  if (!known.includes(note.id)) input.setAttribute("aria-describedby", [...known, note.id].join(" "));
}

function clear(input, name) {
  document.getElementById(`p-${name}`)?.remove();
  input.removeAttribute("aria-invalid");
  const rest = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && id !== `p-${name}`);
  if (rest.length) input.setAttribute("aria-describedby", rest.join(" "));
  else input.removeAttribute("aria-describedby");
}

function show(named) {
  const input = named?.matches("fieldset") ? named.querySelector(":checked") : named;
  if (!input) return;
  for (let part = input.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  input.focus();
  input.scrollIntoView({ block: "center" });
}

function table(name) {
  return form.querySelector(`[data-table="${name}"]`);
}

function row(name, key) {
  return document.getElementById(`row-${name}.${key}`);
}

function addRow(name) {
  const keys = [...table(name).children].map((item) => Number(item.dataset.row.split(".")[1]));
  const template = form.querySelector(`template[data-row-of="${name}"]`);
  const holder = document.createElement("template");
  holder.innerHTML = template.innerHTML.replaceAll(`${name}.KEY`, `${name}.${Math.max(-1, ...keys) + 1}`).replaceAll(
    `${name} KEY`, `${name} ${Math.max(-1, ...keys) + 1}`,
  );
  const added = holder.content.firstElementChild;
  table(name).append(added);
  added.querySelector("input").focus();
}

function removeRow(item) {
  if (!item) return;
  const next = item.nextElementSibling ?? item.previousElementSibling;
  const after = next?.querySelector("button[value^='remove']") ?? item.closest(".part").querySelector(".add");
  item.remove();
  after.focus();
}

function moveRow(item, verb, button) {
  const other = verb === "up" ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return;
  if (verb === "up") other.before(item);
  else other.after(item);
  button.focus();
}

function setInput(name, value) {
  const input = document.getElementById(`f-${name}`);
  if (input) input.value = value;
}

/** Offer the values of the option whose name was typed. */
function suggest(input) {
  const value = input.closest(".pair")?.querySelector("input[name$='.value']");
  if (!value || input === value) return;
  const list = `values-${input.value}`;
  if (document.getElementById(list)) value.setAttribute("list", list);
  else value.removeAttribute("list");
}

function prepare() {
  if (navigator.clipboard) preview.querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
}

async function copy(button) {
  await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}
