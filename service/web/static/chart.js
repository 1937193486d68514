// Learning curves that grow: the server draws them, and from then on points are added as they are measured.
//
// Lines are drawn in coordinates of their own (the epoch, and the value or its decimal logarithm), so another range of
// the axes is another frame and nothing else. The marks at their ends keep their size and are placed in percent.

import { watchLegends } from "./legend.js";
import { follow, pointsOf, rove, shortened } from "./pointing.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_LINES = 600;
const FAR = 1000;
const STATES = ["waiting", "running", "paused", "complete", "pruned", "failed", "cancelled"];
const followed = new WeakSet();

/** The curves within an element. */
export class Chart {
  #recent = [];
  #notBefore = 0;

  /** @param {HTMLElement} section Holds a `.chart`, now or later. */
  constructor(section) {
    this.section = section;
    const root = section.closest("main") ?? section;
    if (followed.has(root)) return;
    followed.add(root);
    follow(root);
    watchLegends(root);
  }

  /**
   * Lengthen curves, and begin those of trials that have none.
   * @param {Array<{trial_id: number, number: number, epoch: number, value: number}>} measured In the order of time.
   * @returns {boolean} False if the picture must be fetched: there is none yet, or it shows what events do not tell.
   */
  append(measured) {
    const at = performance.now();
    for (const one of measured) this.#recent.push({ draw: () => this.#draw(one), at });
    this.#recent = this.#recent.filter((kept) => kept.at > at - 30000).slice(-2000);
    const chart = this.#chart;
    if (!chart) return false;
    if (chart.dataset.grows === undefined) return this.#isTooSoon();
    for (const one of measured) this.#draw(one);
    this.#tidy();
    return true;
  }

  /** An attempt begins: what earlier ones measured from its first epoch on is trained again. */
  begin(trial, number, firstEpoch) {
    const act = () => this.#begin(trial, firstEpoch);
    this.#recent.push({ draw: act, at: performance.now() });
    act();
    return true;
  }

  /** A trial has ended or rests. */
  end(trial, state, reason) {
    const act = () => this.#end(trial, state, reason);
    this.#recent.push({ draw: act, at: performance.now() });
    act();
    return true;
  }

  /** Make a trial's line the best one. */
  best(trial) {
    const chart = this.#chart;
    const line = this.#line(trial);
    if (!line || line.matches(".best")) return;
    const focus = document.activeElement;
    chart.querySelectorAll(".line.best").forEach((old) => old.classList.remove("best"));
    line.classList.add("best");
    line.parentElement.append(line);
    if (!chart.contains(focus)) rove(chart, line);
    else if (focus === line) line.focus({ preventScroll: true });
    this.#markBest(line);
  }

  /**
   * Show another part of the plane.
   * @param {string} html Rendered `curve_frame.html`.
   * @returns {boolean} False if it does not fit the picture, which must be fetched then.
   */
  frame(html) {
    const chart = this.#chart;
    const wanted = new DOMParser().parseFromString(html, "text/html").querySelector(".frame");
    if (!chart || !wanted || wanted.dataset.metric !== chart.dataset.metric) return true;
    // Lines on another scale are other lines.
    if ((wanted.dataset.log === undefined) !== (chart.dataset.log === undefined)) return false;
    const { left, right, low, high } = chart.dataset;
    if (wanted.dataset.best) this.best(Number(wanted.dataset.best));
    if ([left, right, low, high].join() === ["left", "right", "low", "high"].map((key) => wanted.dataset[key]).join()) return true;
    const before = { left, right, low, high };
    for (const key of ["left", "right", "low", "high"]) chart.dataset[key] = wanted.dataset[key];
    chart.querySelector(".lines").setAttribute("viewBox", wanted.dataset.viewBox);
    for (const part of ["values", "grid", "epochs"]) {
      chart.querySelector(`.${part}`).replaceChildren(...document.importNode(wanted.querySelector(`.${part}`), true).childNodes);
    }
    for (const mark of chart.querySelectorAll(".marks > svg")) replace(mark, before, chart.dataset);
    return true;
  }

  /** Draw again what came while a newer picture was loading, which may or may not have it already. */
  swapped(begun) {
    this.#recent = this.#recent.filter(({ at }) => at >= begun);
    for (const { draw } of this.#recent) draw();
    const line = document.activeElement?.closest?.("a.line");
    if (line && this.section.contains(line)) rove(this.#chart, line);
  }

  get #chart() {
    return this.section.querySelector(".chart[data-across=epoch]");
  }

  #line(trial) {
    return this.#chart?.querySelector(`#curve-${Number(trial)}`) ?? null;
  }

  #isTooSoon() {
    const now = performance.now();
    if (now < this.#notBefore) return true;
    this.#notBefore = now + 10000;
    return false;
  }

  #draw({ trial_id: trial, number, epoch, value }) {
    const chart = this.#chart;
    const line = chart && (this.#line(trial) ?? this.#create(chart, trial, number));
    if (!line) return;
    const points = pointsOf(line);
    if (points.length && epoch <= points.at(-2)) return;
    const y = coordinate(chart, value);
    const polyline = line.querySelector("polyline");
    polyline.setAttribute("points", `${polyline.getAttribute("points")} ${epoch},${Number(y.toPrecision(9))}`.trim());
    this.#tell(chart, line, value);
    this.#mark(line, "running", epoch, y);
  }

  #create(chart, trial, number) {
    if (chart.dataset.grows !== "more") return null;
    const line = document.createElementNS(SVG, "a");
    line.id = `curve-${Number(trial)}`;
    line.setAttribute("class", "line running");
    line.setAttribute("href", `/trials/${Number(trial)}`);
    line.setAttribute("tabindex", "-1");
    line.dataset.number = number;
    const polyline = document.createElementNS(SVG, "polyline");
    polyline.setAttribute("points", "");
    line.append(polyline);
    const lines = chart.querySelector(".lines g");
    lines.insertBefore(line, lines.querySelector(".line.best"));
    return line;
  }

  /** Keep the sentence about a line true, and note a new best. */
  #tell(chart, line, value) {
    const isFalling = chart.dataset.direction === "minimize";
    const isBetter = (a, b) => (isFalling ? a < b : a > b);
    const known = line.dataset.best ?? /best \S+ (\S+)$/.exec(line.getAttribute("aria-label") ?? "")?.[1];
    const best = known === undefined || isBetter(value, Number(known)) ? value : Number(known);
    line.dataset.best = best;
    const state = STATES.find((one) => line.classList.contains(one)) ?? "running";
    const sentence = `Trial ${line.dataset.number}, ${state}, best ${chart.dataset.metric} ${shortened(best)}`;
    line.setAttribute("aria-label", sentence);
    const leader = chart.querySelector(".line.best:not(.beside)");
    if (leader === line) return this.#markBest(line);
    const record = leader && (leader.dataset.best ?? /best \S+ (\S+)$/.exec(leader.getAttribute("aria-label"))?.[1]);
    if (!leader || isBetter(best, Number(record))) this.best(line.id.slice("curve-".length));
  }

  #begin(trial, firstEpoch) {
    const line = this.#line(trial);
    if (!line) return;
    state(line, "running");
    const points = pointsOf(line);
    const kept = [];
    for (let i = 0; i < points.length && points[i] < firstEpoch; i += 2) kept.push(`${points[i]},${points[i + 1]}`);
    if (kept.length * 2 === points.length) return;
    line.querySelector("polyline").setAttribute("points", kept.join(" "));
    delete line.dataset.best;
    line.setAttribute("aria-label", `Trial ${line.dataset.number}, running`);
    this.#chart.querySelectorAll(`.mark[data-of="${Number(trial)}"]`).forEach((mark) => mark.remove());
  }

  #end(trial, ending, reason) {
    const line = this.#line(trial);
    if (!line || !STATES.includes(ending)) return;
    state(line, ending);
    const word = ending === "failed" && reason ? `failed (${reason.replaceAll("_", " ")})` : ending;
    const sentence = line.getAttribute("aria-label");
    line.setAttribute("aria-label", sentence.replace(/^(Trial \d+, )[^,]+/, `$1${word}`));
    const points = pointsOf(line);
    if (points.length) this.#mark(line, ending, points.at(-2), points.at(-1));
  }

  #mark(line, kind, epoch, y) {
    const chart = this.#chart;
    const of = line.id.slice("curve-".length);
    let mark = chart.querySelector(`.mark[data-of="${of}"]:not(.best)`);
    const shape = this.section.querySelector(`.key .mark.${kind} path:not(.stroke-of)`)?.getAttribute("d");
    if (!shape && kind !== "running") return void mark?.remove();
    if (!mark) {
      mark = document.createElementNS(SVG, "svg");
      mark.dataset.of = of;
      mark.append(document.createElementNS(SVG, "path"));
      chart.querySelector(".marks").append(mark);
    }
    mark.setAttribute("class", `mark ${kind}`);
    mark.firstElementChild.setAttribute("d", shape ?? "M0-3.5a3.5 3.5 0 1 0 .01 0z");
    set(mark, chart.dataset, epoch, y);
  }

  #markBest(line) {
    const chart = this.#chart;
    const mark = chart.querySelector(".marks .mark.best");
    if (!mark) return;
    const points = pointsOf(line);
    const isFalling = chart.dataset.direction === "minimize";
    let index = 0;
    for (let i = 2; i < points.length; i += 2) {
      if (isFalling ? points[i + 1] < points[index + 1] : points[i + 1] > points[index + 1]) index = i;
    }
    mark.dataset.of = line.id.slice("curve-".length);
    set(mark, chart.dataset, points[index], points[index + 1]);
  }

  /** A page that stays open for days must not grow without end: the oldest faint lines go. */
  #tidy() {
    const chart = this.#chart;
    const lines = chart.querySelectorAll("a.line");
    let surplus = lines.length - MAX_LINES;
    for (const line of surplus > 0 ? [...lines].sort((a, b) => a.dataset.number - b.dataset.number) : []) {
      if (surplus <= 0) break;
      if (line.matches(".best, .chosen, .running, .pointed, :focus")) continue;
      chart.querySelectorAll(`.mark[data-of="${line.id.slice("curve-".length)}"]`).forEach((mark) => mark.remove());
      line.remove();
      surplus -= 1;
    }
    chart.querySelector(".lines").classList.toggle("many", lines.length > 80);
  }
}

function state(line, wanted) {
  line.classList.remove(...STATES);
  line.classList.add(wanted);
}

function coordinate(chart, value) {
  const { high, low, log } = chart.dataset;
  const far = FAR * (high - low);
  if (log !== undefined && value <= 0) return Number(low) - far;
  const natural = log === undefined ? value : Math.log10(value);
  return Math.min(Math.max(natural, low - far), Number(high) + far);
}

function set(mark, frame, epoch, y) {
  mark.setAttribute("x", `${(((epoch - frame.left) / (frame.right - frame.left)) * 100).toFixed(3)}%`);
  mark.setAttribute("y", `${(((frame.high - y) / (frame.high - frame.low)) * 100).toFixed(2)}%`);
}

function replace(mark, before, after) {
  const epoch = Number(before.left) + (parseFloat(mark.getAttribute("x")) / 100) * (before.right - before.left);
  const y = before.high - (parseFloat(mark.getAttribute("y")) / 100) * (before.high - before.low);
  set(mark, after, epoch, y);
}
