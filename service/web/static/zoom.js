// The zoom map under the hand: reasons of windows, one trial in all panels, and the next round's windows.

import { Window } from "./window.js";

const SVG = "http://www.w3.org/2000/svg";
const REACH_PX = 14;
const EMPTY = { numbers: [] };

const map = document.getElementById("zoom");
const tip = document.body.appendChild(Object.assign(document.createElement("div"), { className: "zoom-tip", hidden: true }));
tip.setAttribute("role", "status");
let trials = null;
let pointed = null;
const windows = new Map();
const started = new WeakSet();

function words(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value);
}

function showTip(title, text, x, y) {
  const bold = document.createElement("b");
  bold.textContent = title;
  tip.replaceChildren(bold, text);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(innerWidth - box.width - 8, x + 14))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18}px`;
}

function draw(overlay, marks) {
  overlay.replaceChildren(...marks.map(([name, attributes]) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }));
}

function clear() {
  tip.hidden = true;
  pointed = null;
  map.querySelectorAll(".overlay").forEach((overlay) => overlay.replaceChildren());
  map.querySelectorAll(".band.pointed").forEach((band) => band.classList.remove("pointed"));
}

// The trials behind the dots are fetched when a pointer first comes by: who only looks does not need them.
async function load() {
  if (trials) return;
  trials = EMPTY;
  const response = await fetch(map.dataset.points, { headers: { Accept: "application/json" } }).catch(() => null);
  trials = response?.ok ? await response.json() : null;
}

function xOf(strip, at) {
  const unit = trials.units[strip.dataset.name]?.[at];
  if (unit === null || unit === undefined) return null;
  const columns = Number(strip.dataset.columns);
  if (!columns) return unit * 1000;
  // As the picture sets neighbours within a column apart.
  return (unit + (((trials.numbers[at] ** 2 * 0.618034) % 1) - 0.5) * 0.56 / columns) * 1000;
}

function yOf(at) {
  return ((trials.numbers[at] + 0.5) / Number(map.querySelector(".panels").dataset.last)) * 1000;
}

function nearest(strip, box, event) {
  let found = null;
  let least = REACH_PX;
  for (let at = 0; at < (trials?.numbers.length ?? 0); at += 1) {
    const x = xOf(strip, at);
    if (x === null) continue;
    const distance = Math.hypot((x / 1000) * box.width + box.left - event.clientX, (yOf(at) / 1000) * box.height + box.top - event.clientY);
    if (distance < least) [found, least] = [at, distance];
  }
  return found;
}

function pointTrial(at, event) {
  clear();
  pointed = at;
  for (const strip of map.querySelectorAll(".strip")) {
    const x = xOf(strip, at);
    const path = { d: `M${x} ${yOf(at)}h0` };
    draw(strip.querySelector(".overlay"), x === null ? [] : [["path", { ...path, class: "twin" }], ["path", { ...path, class: "twin-core" }]]);
  }
  const value = trials.values[at] === null ? "no value yet" : `${trials.metric.name} ${words(trials.values[at])}`;
  const params = Object.entries(trials.params).filter(([, column]) => column[at] !== null).map(([name, column]) => `${name} ${words(column[at])}`);
  showTip(`Trial ${trials.numbers[at]}, ${trials.states[at]}, ${value}`, params.join(", "), event.clientX, event.clientY);
}

function pointBand(band, x, y) {
  clear();
  const { words: title, text, reason, height } = band.dataset;
  for (const overlay of map.querySelectorAll(".overlay")) {
    draw(overlay, [["rect", { class: "row", x: 0, width: 1000, y: band.dataset.y, height }]]);
  }
  band.classList.add("pointed");
  showTip(`${title[0].toUpperCase()}${title.slice(1)}: ${text}`, reason, x, y);
}

function bandAt(plot, box, clientY) {
  const y = ((clientY - box.top) / box.height) * 1000;
  return [...plot.querySelectorAll(".band")].findLast((band) => Number(band.dataset.y) <= y);
}

map.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.(".zoom-plot");
  if (!plot) return clear();
  load();
  const box = plot.getBoundingClientRect();
  const at = nearest(plot.closest(".strip"), box, event);
  plot.classList.toggle("linked", at !== null);
  if (at !== null) return at === pointed || pointTrial(at, event);
  const band = bandAt(plot, box, event.clientY);
  return band ? pointBand(band, event.clientX, event.clientY) : clear();
});
map.addEventListener("pointerleave", clear);
map.addEventListener("click", (event) => {
  if (event.target.closest(".zoom-plot") && pointed !== null) location.assign(`/trials/${trials.trial_ids[pointed]}`);
});

// By keyboard, arrows walk over the rounds of the panel that has the focus.
map.addEventListener("keydown", (event) => {
  const plot = event.target.closest(".zoom-plot");
  if (event.key === "Escape") clear();
  if (!plot || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  const bands = [...plot.querySelectorAll(".band")];
  if (!bands.length) return;
  event.preventDefault();
  const before = bands.findIndex((band) => band.classList.contains("pointed"));
  const next = before < 0 ? bands.length - 1 : before + (event.key === "ArrowDown" ? 1 : -1);
  const band = bands[Math.min(bands.length - 1, Math.max(0, next))];
  const box = plot.getBoundingClientRect();
  pointBand(band, box.left + box.width / 3, box.top + ((Number(band.dataset.y) + Number(band.dataset.height) / 2) / 1000) * box.height);
});
map.addEventListener("focusout", clear);

// What the fields held when the page came says which of them were changed since.
function isChanged(fieldset) {
  return [...fieldset.querySelectorAll("input")].some((input) => input.value.trim() !== input.defaultValue);
}

function count() {
  const names = [];
  for (const fieldset of map.querySelectorAll(".next")) {
    fieldset.classList.toggle("changed", isChanged(fieldset));
    if (isChanged(fieldset)) names.push(fieldset.id.replace(/^next-/, ""));
  }
  const number = map.querySelector(".opening button").textContent.replace(/\D+/, "");
  map.querySelector(".opening .words").textContent = names.length
    ? `Round ${number} draws ${names.join(", ")} anew; the rest stays as it is.`
    : `Round ${number} by hand: drag the ends of what it draws from. What is left alone stays as it is.`;
}

// After a new round, fields that nobody has touched hold what it draws from.
function follow(fieldset, isTouched) {
  const standing = fieldset.closest(".strip").dataset.standing?.split("|") ?? [];
  [...fieldset.querySelectorAll("input")].forEach((input, at) => {
    const typed = input.value;
    input.defaultValue = standing[at] ?? input.defaultValue;
    input.value = isTouched ? typed : input.defaultValue;
  });
  windows.get(fieldset)?.read();
}

function startForm() {
  for (const fieldset of map.querySelectorAll(".next")) {
    const isNew = !started.has(fieldset);
    if (isNew && fieldset.dataset.scale) windows.set(fieldset, new Window(fieldset, count));
    if (isNew) fieldset.addEventListener("input", count);
    started.add(fieldset);
    // What a refused form held is what was typed, however the page came by it.
    follow(fieldset, isNew || isChanged(fieldset));
  }
  if (map.querySelector(".opening")) count();
}

startForm();
map.addEventListener("caviar:swapped", () => {
  trials = null;
  startForm();
});
