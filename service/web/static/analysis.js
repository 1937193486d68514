// The page of parallel coordinates: ranges drawn on axes or moved by key, the table below, and the address.

import { Fragment } from "./fragment.js";
import { Parallel } from "./parallel.js";
import { Axis } from "./scales.js";

const ADDRESS_PAUSE_MS = 120;
const LEAST_PAUSE_MS = 10000;
const ALL = 1000;
const section = document.getElementById("parallel");
const form = document.getElementById("brushes");
const picture = document.getElementById("picture");
const table = document.getElementById("selection");
const isMinimized = section.dataset.direction === "minimize";

/** One axis as the page has it: its form fields hold what is marked. */
class Field {
  constructor(fieldset) {
    const { axis, label, kind, scale, words, low, high, step, cells, from, to, ticks } = fieldset.dataset;
    Object.assign(this, { name: axis, label, kind, words, fieldset, numCells: Number(cells) });
    this.boxes = [...fieldset.querySelectorAll("input[type=checkbox]")];
    this.ends = [...fieldset.querySelectorAll("input[type=range]")];
    this.scale = kind === "choice" ? null : new Axis({ scale, low: Number(low), high: Number(high), step: Number(step) });
    // What the address says stays as it is until the slider is moved.
    this.said = [from, to].map((text, at) => (text ? [this.ends[at]?.value, Number(text)] : [null, null]));
    // On the metric's axis, better is up.
    this.isFlipped = kind === "value" && isMinimized;
    this.ticks = ticks.split("\t").filter(Boolean).map((tick) => {
      const cut = tick.indexOf("=");
      return { place: this.turned(Number(tick.slice(0, cut)) / 100), label: tick.slice(cut + 1) };
    });
    this.toggle = document.querySelector(`[data-show="${CSS.escape(axis)}"]`);
  }

  turned(place) {
    return this.isFlipped ? 1 - place : place;
  }

  /** What is marked, in natural values as the address has them; null for all of the axis. */
  get range() {
    if (!this.scale) {
      const chosen = this.boxes.filter((box) => box.checked);
      return chosen.length === this.boxes.length || !chosen.length ? null : chosen;
    }
    const low = this.#end(0, "0");
    const high = this.#end(1, String(ALL));
    if (low === null && high === null) return null;
    return low !== null && high !== null && low > high ? [high, low] : [low, high];
  }

  #end(at, open) {
    const { value } = this.ends[at];
    const [slid, natural] = this.said[at];
    if (value === slid) return natural;
    return value === open ? null : this.scale.value(Number(value) / ALL);
  }

  get text() {
    const range = this.range;
    if (!range) return null;
    return this.scale ? range.map((end) => (end === null ? "" : this.scale.text(end))).join("..") : range.map((box) => box.dataset.text).join("|");
  }

  /** What is marked, for the picture: places from below. */
  get mark() {
    if (!this.scale) return this.#choiceMark;
    if (!this.range) return null;
    return this.ends.map((input) => this.turned(Number(input.value) / ALL)).sort((a, b) => a - b);
  }

  get #choiceMark() {
    const range = this.range;
    if (!range) return null;
    const at = this.boxes.flatMap((box, position) => (box.checked ? [position] : []));
    const isRow = at.at(-1) - at[0] === at.length - 1;
    return isRow ? [at[0] / this.boxes.length, (at.at(-1) + 1) / this.boxes.length] : null;
  }

  /** Whether a natural value, or the place of a choice, is within the range. */
  accepts(value, range) {
    if (!range) return true;
    if (value === null) return false;
    if (!this.scale) return range.includes(this.boxes[Math.floor(value * this.boxes.length)]);
    return (range[0] === null || value >= range[0]) && (range[1] === null || value <= range[1]);
  }

  /** Mark from one place to another; with null in place of the first, all of the axis, or one choice. */
  set(low, high) {
    if (!this.scale) return this.#choose(low, high);
    const places = low === null ? [0, 1] : [this.turned(low), this.turned(high)].sort((a, b) => a - b);
    this.ends.forEach((input, at) => (input.value = Math.round(places[at] * ALL)));
  }

  #choose(low, high) {
    const count = this.boxes.length;
    const at = (place) => Math.min(Math.floor(place * count), count - 1);
    const wasOnly = this.boxes.filter((box) => box.checked).length === 1 && this.boxes[at(high)].checked;
    const isAll = low === null && wasOnly;
    const [first, last] = low === null ? [at(high), at(high)] : [at(low), at(high)];
    this.boxes.forEach((box, position) => (box.checked = isAll || (position >= first && position <= last)));
  }

  tell() {
    const small = this.fieldset.querySelector("[data-range]");
    const range = this.range;
    if (!range) small.textContent = "all";
    else small.textContent = this.scale ? this.text.replace("..", " … ") : this.text.replaceAll("|", ", ");
    this.fieldset.classList.toggle("marked", Boolean(range));
  }
}

const fields = [...form.querySelectorAll("fieldset[data-axis]")].map((fieldset) => new Field(fieldset));
const slider = document.getElementById("top");
const pruned = form.elements.hide;
let points = null;
let addressTimer = 0;
let loadedAt = 0;
const tableParts = new Fragment(table, 0);

const shown = () => fields.filter((field) => field.toggle.checked);

function values(field) {
  if (field.kind === "value") return points.values;
  return field.scale ? points.params[field.label] : points.units[field.label];
}

function places(field) {
  if (field.kind !== "value") return points.units[field.label];
  return points.values.map((value) => (value === null ? null : field.turned(field.scale.place(value))));
}

function topLimit() {
  const top = Number(slider.value);
  const sign = isMinimized ? 1 : -1;
  if (top >= 100) return null;
  const ranked = points.values.filter((value) => value !== null).map((value) => sign * value).sort((a, b) => a - b);
  return ranked[Math.max(0, Math.ceil((ranked.length * top) / 100) - 1)] ?? null;
}

function insides() {
  const limit = topLimit();
  const sign = isMinimized ? 1 : -1;
  const narrowed = fields.map((field) => [field, field.range, field.range && values(field)]).filter(([, range]) => range);
  return points.trial_ids.map((_, row) =>
    !(pruned.checked && points.states[row] === "pruned") &&
    (limit === null || (points.values[row] !== null && sign * points.values[row] <= limit)) &&
    narrowed.every(([field, range, column]) => field.accepts(column[row], range)));
}

const stage = picture && new Parallel(picture.querySelector(".stage"), {
  onMark: (name, low, high) => {
    fields.find((field) => field.name === name).set(low, high);
    changed();
  },
  onPoint: (row, x, y) => tell(row, x, y),
  onFollow: (row) => (location.href = `/trials/${points.trial_ids[row]}`),
});

function tell(row, x, y) {
  const tip = picture.querySelector(".tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const value = points.values[row];
  tip.textContent = `#${points.numbers[row]}, ${points.states[row]}, ${value === null ? "no value" : Number(value.toPrecision(4))}`;
  tip.style.left = `${Math.min(x + 12, stage.width - tip.offsetWidth - 4)}px`;
  tip.style.top = `${Math.max(y - 34, 0)}px`;
}

// The best trial is always in the sample; of equals, the earliest one leads.
function bestRow() {
  const sign = isMinimized ? 1 : -1;
  return points.values.reduce((best, value, row) => (value !== null && (best < 0 || sign * value < sign * points.values[best]) ? row : best), -1);
}

function draw() {
  const axes = shown();
  const columns = axes.map(places);
  const metric = fields.find((field) => field.kind === "value");
  const goods = metric ? places(metric) : points.values.map(() => null);
  const isIn = insides();
  const best = bestRow();
  stage.show(
    axes.map((field) => ({ name: field.name, label: field.label, words: field.words, ticks: field.ticks, numCells: field.numCells, mark: field.mark })),
    points.trial_ids.map((_, row) => ({ places: columns.map((column) => column[row]), good: goods[row], isBest: row === best, isIn: isIn[row] })),
  );
}

function query() {
  const parts = fields.flatMap((field) => (field.text === null ? [] : [["where", `${field.name}:${field.text}`]]));
  if (slider.value !== "100") parts.push(["top", slider.value]);
  if (pruned.checked) parts.push(["hide", "pruned"]);
  return parts;
}

function encoded(parts) {
  const text = parts.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%3A", ":").replaceAll("%7C", "|")}`).join("&");
  return text ? `?${text}` : "";
}

function changed() {
  fields.forEach((field) => field.tell());
  document.getElementById("top-words").textContent = `${slider.value}\u202f%`;
  if (points) draw();
  clearTimeout(addressTimer);
  addressTimer = setTimeout(settle, ADDRESS_PAUSE_MS);
}

function settle() {
  const parts = query();
  const isAll = shown().length === fields.length;
  const axes = isAll ? [] : [["axes", shown().map((field) => field.name).join(",") || "-"]];
  history.replaceState(null, "", section.dataset.here + encoded([...parts, ...axes]));
  const link = document.getElementById("board-link");
  link.href = link.dataset.board + encoded(parts.filter(([key]) => key === "where"));
  const wanted = section.dataset.selection + encoded(parts);
  if (table.dataset.fragment === wanted) return;
  table.dataset.fragment = wanted;
  tableParts.invalidate();
}

function chooseAxes(names) {
  fields.forEach((field) => (field.toggle.checked = names === null || names.includes(field.name)));
}

async function load() {
  const response = await fetch(section.dataset.points, { headers: { Accept: "application/json" } });
  if (response.ok) points = await response.json();
  loadedAt = performance.now();
}

// The table is fetched again when something has happened; the lines, which are many, follow it now and then.
async function renew() {
  if (!points || performance.now() - loadedAt < LEAST_PAUSE_MS || document.hidden) return;
  loadedAt = performance.now();
  await load();
  draw();
}

async function start() {
  await load();
  if (!points) return;
  const wanted = new URLSearchParams(location.search).get("axes");
  if (wanted) chooseAxes(wanted.split(","));
  picture.hidden = false;
  section.querySelector("[data-legend]").hidden = false;
  document.getElementById("axes-menu").hidden = false;
  document.getElementById("apply").hidden = true;
  table.dataset.fragment = section.dataset.selection + encoded(query());
  listen();
  changed();
}

// Without lines to draw, the form is one that is sent.
function listen() {
  table.addEventListener("caviar:swapped", renew);
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const [name, names] of [["all", null], ["none", []]]) {
    form.querySelector(`[data-${name}]`).addEventListener("click", () => (chooseAxes(names), changed()));
  }
  document.getElementById("clear").addEventListener("click", (event) => {
    event.preventDefault();
    fields.forEach((field) => (field.scale ? field.set(null) : field.boxes.forEach((box) => (box.checked = true))));
    slider.value = 100;
    pruned.checked = false;
    changed();
  });
  table.addEventListener("pointerover", (event) => {
    const id = Number(event.target.closest("[data-trial]")?.dataset.trial);
    stage.point(points.trial_ids.indexOf(id));
  });
  table.addEventListener("pointerleave", () => stage.point(-1));
}

if (picture) start();
