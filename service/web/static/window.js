// The window of the next round: two handles on a track, which write into the fields that the form sends.

import { Range } from "./natural.js";

const STEP = 0.01;
const LEAP = 0.1;
const LEAST = 0.004;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The ends of one parameter's window, moved by pointer, by keyboard or by typing. */
export class Window {
  /**
   * @param {HTMLFieldSetElement} fieldset Has the range and the scale, and the two fields.
   * @param {Function} onChange Called after every change by hand.
   */
  constructor(fieldset, onChange) {
    this.fieldset = fieldset;
    this.onChange = onChange;
    const { low, high, scale, step } = fieldset.dataset;
    this.range = new Range({ scale, low: Number(low), high: Number(high), step: Number(step || 0) });
    this.inputs = [...fieldset.querySelectorAll("input")];
    this.units = [0, 1];
    this.#build(fieldset.id.replace(/^next-/, ""));
    this.read();
    this.inputs.forEach((input) => input.addEventListener("input", () => (this.read(), this.onChange())));
  }

  /** Put the handles where the fields say. */
  read() {
    const values = this.inputs.map((input) => (input.value.trim() === "" ? NaN : Number(input.value)));
    const margin = this.range.step / 2;
    const edges = [values[0] - margin, values[1] + margin];
    edges.forEach((edge, at) => {
      const isUsable = Number.isFinite(edge) && values[at] >= this.range.low && values[at] <= this.range.high;
      if (isUsable) this.units[at] = this.range.place(edge);
    });
    this.#draw();
  }

  #build(name) {
    this.span = element("div", { class: "span" });
    this.handles = ["Lower", "Upper"].map((end) =>
      element("div", {
        class: "handle", role: "slider", tabindex: "0", "aria-label": `${end} end of ${name}`,
        "aria-orientation": "horizontal", "aria-valuemin": "0", "aria-valuemax": "100",
      }));
    this.track = element("div", { class: "track" }, this.span, ...this.handles);
    this.fieldset.querySelector(".boxes").before(this.track);
    this.handles.forEach((handle, at) => {
      handle.addEventListener("keydown", (event) => this.#onKey(event, at));
      this.#follow(handle, (unit) => this.#move(at, unit));
    });
    let grip = 0;
    let width = 0;
    this.#follow(this.span, (unit) => this.#slide(unit - grip, width), (unit) => {
      grip = unit - this.units[0];
      width = this.units[1] - this.units[0];
    });
  }

  #follow(target, onMove, onStart = () => {}) {
    const unitOf = (event) => {
      const box = this.track.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    target.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      target.setPointerCapture(event.pointerId);
      target.focus({ preventScroll: true });
      onStart(unitOf(event));
    });
    target.addEventListener("pointermove", (event) => target.hasPointerCapture(event.pointerId) && onMove(unitOf(event)));
  }

  #onKey(event, at) {
    const steps = { ArrowRight: STEP, ArrowUp: STEP, ArrowLeft: -STEP, ArrowDown: -STEP, PageUp: LEAP, PageDown: -LEAP };
    if (event.key === "Home" || event.key === "End") this.#move(at, event.key === "Home" ? 0 : 1);
    else if (event.key in steps) this.#nudge(at, steps[event.key] * (event.shiftKey ? 10 : 1));
    else return;
    event.preventDefault();
  }

  // Where values lie further apart than a step of the keys, a key moves by one value.
  #nudge(at, by) {
    const before = this.inputs[at].value;
    const start = this.units[at];
    for (let unit = start + by; unit > -Math.abs(by) && unit < 1 + Math.abs(by); unit += by) {
      this.#move(at, unit);
      if (this.inputs[at].value !== before || !this.range.step) return;
    }
  }

  #slide(low, width) {
    const start = Math.min(1 - width, Math.max(0, low));
    this.units = [start, start + width];
    this.#write();
  }

  #move(at, unit) {
    const other = this.units[1 - at];
    const kept = at === 0 ? Math.min(unit, other - LEAST) : Math.max(unit, other + LEAST);
    this.units[at] = Math.min(1, Math.max(0, kept));
    this.#write();
  }

  #write() {
    this.units.forEach((unit, at) => (this.inputs[at].value = this.range.text(this.range.value(unit))));
    this.#draw();
    this.onChange();
  }

  #draw() {
    const [low, high] = this.units;
    this.span.style.left = `${100 * low}%`;
    this.span.style.width = `${100 * (high - low)}%`;
    this.handles.forEach((handle, at) => {
      handle.style.left = `${100 * this.units[at]}%`;
      handle.setAttribute("aria-valuenow", (100 * this.units[at]).toFixed(1));
      handle.setAttribute("aria-valuetext", this.inputs[at].value);
    });
  }
}
