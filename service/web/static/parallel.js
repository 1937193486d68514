// Parallel coordinates: lines on a canvas, axes and marks above them in SVG.

import { onScheme, shades, token } from "./ramp.js";

const SVG = "http://www.w3.org/2000/svg";
const TOP = 52;
const BOTTOM = 44;
const ABSENT = 26;
const SIDE = 58;
const MIN_GAP = 104;
const GRIP = 7;
const REACH = 9;
const SPREAD = 0.56;

/** The picture of a sample of trials. It knows places on axes, 0 to 1; what they mean is told by `axes`. */
export class Parallel {
  #frame = 0;
  #grip = null;
  #pointed = -1;

  /**
   * @param {HTMLElement} stage Holds a canvas and an svg.
   * @param {{onMark: Function, onPoint: Function, onFollow: Function}} told `onMark(axis, low, high)` while a range is
   *   drawn, null for all of it; `onPoint(row, x, y)` for the line under the hand, -1 for none; `onFollow(row)`.
   */
  constructor(stage, told) {
    this.stage = stage;
    this.told = told;
    this.canvas = stage.querySelector("canvas");
    this.svg = stage.querySelector("svg");
    this.axes = [];
    this.lines = [];
    this.order = [];
    new ResizeObserver(() => this.layout()).observe(stage.parentElement);
    onScheme(() => this.redraw());
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", (event) => this.#up(event));
    stage.addEventListener("pointercancel", () => (this.#grip = null));
    stage.addEventListener("pointerleave", () => this.point(-1));
  }

  /**
   * @param {object[]} axes `name`, `label`, `words`, `ticks` (place, label), `numCells`, `mark` (low, high or null).
   * @param {{places: (number|null)[], good: number|null, isBest: boolean, isIn: boolean}[]} lines `good` is 1 for the
   *   best value; places are in the order of the axes.
   */
  show(axes, lines) {
    this.axes = axes;
    this.lines = lines;
    this.order = lines.map((_, at) => at).sort((a, b) => lines[a].isBest - lines[b].isBest || (lines[a].good ?? -1) - (lines[b].good ?? -1));
    this.layout();
  }

  /** Fit to the width that there is. */
  layout() {
    const frame = this.stage.parentElement;
    this.width = Math.max(frame.clientWidth, 2 * SIDE + (this.axes.length - 1) * MIN_GAP);
    this.height = frame.clientHeight;
    this.stage.style.width = `${this.width}px`;
    const gap = (this.width - 2 * SIDE) / Math.max(this.axes.length - 1, 1);
    this.xs = this.axes.map((_, at) => SIDE + at * gap);
    const ratio = devicePixelRatio || 1;
    this.canvas.width = this.width * ratio;
    this.canvas.height = this.height * ratio;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.#drawAxes();
    this.redraw();
  }

  /** Draw the lines again in the next frame. */
  redraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#drawLines();
      this.#drawMarks();
    });
  }

  /** Let one line stand out. */
  point(row) {
    if (row === this.#pointed) return;
    this.#pointed = row;
    this.redraw();
  }

  get #span() {
    return this.height - TOP - BOTTOM - ABSENT;
  }

  #y(place) {
    return place === null ? this.height - BOTTOM + 4 : TOP + (1 - place) * this.#span;
  }

  #placeAt(y) {
    return Math.min(Math.max(1 - (y - TOP) / this.#span, 0), 1);
  }

  #lineY(row, at) {
    const place = this.lines[row].places[at];
    const { numCells } = this.axes[at];
    // Lines through the same value of a few are spread, each by as much in every picture.
    return this.#y(place !== null && numCells ? place + ((((row * 0.618034) % 1) - 0.5) * SPREAD) / numCells : place);
  }

  #trace(context, row) {
    context.beginPath();
    for (let at = 0; at < this.xs.length; at += 1) {
      const y = this.#lineY(row, at);
      if (at === 0) context.moveTo(this.xs[at], y);
      else {
        const middle = (this.xs[at - 1] + this.xs[at]) / 2;
        context.bezierCurveTo(middle, this.#lineY(row, at - 1), middle, y, this.xs[at], y);
      }
    }
    context.stroke();
  }

  #drawLines() {
    const context = this.canvas.getContext("2d");
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.lineJoin = "round";
    const colors = shades();
    const chosen = this.order.filter((row) => this.lines[row].isIn);
    context.strokeStyle = token("line-strong");
    context.lineWidth = 1;
    context.globalAlpha = this.lines.length > 600 ? 0.16 : 0.3;
    if (chosen.length < this.lines.length) for (const row of this.order) if (!this.lines[row].isIn) this.#trace(context, row);
    context.globalAlpha = chosen.length > 800 ? 0.4 : chosen.length > 150 ? 0.62 : 0.85;
    context.lineWidth = chosen.length > 300 ? 1 : 1.4;
    for (const row of chosen) {
      const { good, isBest } = this.lines[row];
      if (isBest) continue;
      context.strokeStyle = good === null ? token("line-strong") : colors[Math.round((1 - good) * (colors.length - 1))];
      this.#trace(context, row);
    }
    context.globalAlpha = 1;
    const best = this.lines.findIndex((line) => line.isBest && line.isIn);
    if (best >= 0) this.#traceBold(context, best, token("roe"));
    if (this.#pointed >= 0) this.#traceBold(context, this.#pointed, this.#pointed === best ? token("roe") : token("ink"));
  }

  #traceBold(context, row, color) {
    context.strokeStyle = token("surface");
    context.lineWidth = 5;
    this.#trace(context, row);
    context.strokeStyle = color;
    context.lineWidth = 2.5;
    this.#trace(context, row);
  }

  #drawAxes() {
    const groups = this.axes.map((axis, at) => {
      const group = made("g", { class: "axis", transform: `translate(${this.xs[at].toFixed(1)} 0)` });
      const isAbsent = this.lines.some((line) => line.places[at] === null);
      group.append(
        made("text", { class: "name", y: 18, "text-anchor": "middle" }, shortened(axis.label, (this.xs[1] ?? 200) - this.xs[0] || 180)),
        made("text", { class: "words", y: 34, "text-anchor": "middle" }, axis.words),
        made("path", { d: `M0 ${TOP}V${TOP + this.#span}` }),
        ...axis.ticks.flatMap(({ place, label }) => {
          const y = this.#y(place).toFixed(1);
          return [made("path", { d: `M-4 ${y}H0` }), made("text", { class: "tick", x: -8, y, dy: "0.32em", "text-anchor": "end" }, shortened(label, 90))];
        }),
        ...(isAbsent ? [made("text", { class: "tick", y: this.height - BOTTOM + 24, "text-anchor": "middle" }, "does not apply")] : []),
        made("rect", { class: "mark", x: -8, width: 16, rx: 3 }),
        made("rect", { class: "hit", x: -22, width: 44, y: TOP - 8, height: this.#span + 16 }),
      );
      return group;
    });
    this.svg.replaceChildren(...groups);
  }

  #drawMarks() {
    this.axes.forEach((axis, at) => {
      const rect = this.svg.children[at]?.querySelector(".mark");
      rect?.toggleAttribute("hidden", !axis.mark);
      if (!rect || !axis.mark) return;
      rect.setAttribute("y", this.#y(axis.mark[1]).toFixed(1));
      rect.setAttribute("height", Math.max((axis.mark[1] - axis.mark[0]) * this.#span, 2).toFixed(1));
    });
  }

  #spot(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #down(event) {
    const at = [...this.svg.children].indexOf(event.target.closest?.(".hit")?.parentElement);
    if (at < 0 || event.button !== 0) return;
    const place = this.#placeAt(this.#spot(event).y);
    const { mark } = this.axes[at];
    const near = GRIP / this.#span;
    const end = mark?.findIndex((one) => Math.abs(one - place) <= near) ?? -1;
    const isInside = mark && place > mark[0] && place < mark[1];
    this.#grip = { at, from: place, mark, end, isMoving: end < 0 && isInside, hasMoved: false };
    this.stage.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  #move(event) {
    const { x, y } = this.#spot(event);
    if (!this.#grip) return this.#hover(event, x, y);
    const grip = this.#grip;
    const place = this.#placeAt(y);
    if (Math.abs(place - grip.from) * this.#span > 3) grip.hasMoved = true;
    if (!grip.hasMoved) return;
    let low, high;
    if (grip.isMoving) {
      const width = grip.mark[1] - grip.mark[0];
      low = Math.min(Math.max(grip.mark[0] + place - grip.from, 0), 1 - width);
      high = low + width;
    } else {
      const other = grip.end < 0 ? grip.from : grip.mark[1 - grip.end];
      [low, high] = [Math.min(place, other), Math.max(place, other)];
    }
    this.told.onMark(this.axes[grip.at].name, low, high);
  }

  #up(event) {
    const grip = this.#grip;
    this.#grip = null;
    if (grip && !grip.hasMoved) this.told.onMark(this.axes[grip.at].name, null, this.#placeAt(this.#spot(event).y));
    if (!grip && this.#pointed >= 0) this.told.onFollow(this.#pointed);
  }

  #hover(event, x, y) {
    const row = event.target.closest?.(".hit") || event.pointerType === "touch" ? -1 : this.#nearest(x, y);
    this.stage.classList.toggle("pointed", row >= 0);
    this.point(row);
    this.told.onPoint(row, x, y);
  }

  #nearest(x, y) {
    const at = this.xs.findIndex((right) => right >= x);
    if (at < 1) return -1;
    const t = bezierTime((x - this.xs[at - 1]) / (this.xs[at] - this.xs[at - 1]));
    const share = t * t * (3 - 2 * t);
    let [found, least] = [-1, REACH];
    this.lines.forEach((line, row) => {
      if (!line.isIn) return;
      const left = this.#lineY(row, at - 1);
      const away = Math.abs(left + (this.#lineY(row, at) - left) * share - y);
      if (away < least) [found, least] = [row, away];
    });
    return found;
  }
}

// The curves' horizontal course, with both inner points in the middle, is 1.5 t (1 - t) + t³; solved by halving.
function bezierTime(share) {
  let [low, high] = [0, 1];
  for (let round = 0; round < 20; round += 1) {
    const t = (low + high) / 2;
    if (1.5 * t * (1 - t) + t ** 3 < share) low = t;
    else high = t;
  }
  return (low + high) / 2;
}

function made(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function shortened(text, width) {
  const most = Math.floor(width / 7);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
