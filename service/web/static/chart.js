// Learning curves under the hand: which trial a line is, where it leads to, and its next point.

const REACH_PX = 28;
const parsed = new WeakMap();

/** What a script adds to the curves that the server has drawn within an element. */
export class Chart {
  #frame = 0;
  #recent = [];

  /** @param {HTMLElement} section Holds a `.chart`, now or later. */
  constructor(section) {
    this.section = section;
    section.addEventListener("pointermove", (event) => this.#hover(event));
    section.addEventListener("pointerleave", () => this.#point(null));
    section.addEventListener("click", (event) => this.#follow(event));
    section.addEventListener("focusin", (event) => this.#point(event.target.closest(".line")));
    section.addEventListener("focusout", () => this.#point(null));
    section.addEventListener("keydown", (event) => this.#step(event));
  }

  /**
   * Lengthen a curve.
   * @param {{trial_id: number, epoch: number, value: number}} measured
   * @returns {boolean} False if the picture must be drawn anew: an unknown trial, another axis, an earlier epoch.
   */
  append(measured) {
    this.#recent.push({ measured, at: performance.now() });
    return this.#draw(measured);
  }

  /** Draw again what came while a newer picture was loading, which may or may not have it already. */
  swapped(begun) {
    this.#recent = this.#recent.filter(({ at }) => at >= begun);
    for (const { measured } of this.#recent) this.#draw(measured);
    const focused = document.activeElement?.closest?.(".line");
    if (focused && this.section.contains(focused)) this.#rove(focused);
  }

  /** The address of the trial that is drawn as the best. */
  get best() {
    return this.section.querySelector(".line.best")?.getAttribute("href") ?? null;
  }

  #draw({ trial_id: trial, epoch, value }) {
    const chart = this.section.querySelector(".chart");
    const line = chart?.querySelector(`#curve-${Number(trial)}`);
    if (!line) return false;
    const points = pointsOf(line);
    const last = points.length / 2 - 1;
    if (epoch <= points[2 * last]) return false;
    const y = position(chart, value);
    const polyline = line.querySelector("polyline");
    polyline.setAttribute("points", `${polyline.getAttribute("points")} ${epoch},${y.toFixed(2)}`);
    for (const mark of line.querySelectorAll("path")) mark.setAttribute("d", `M${epoch},${y.toFixed(2)}h0`);
    return y >= 0 && y <= 1000 && epoch <= Number(chart.dataset.right);
  }

  #hover(event) {
    const plot = event.target.closest?.(".plot");
    if (!plot) return this.#point(null);
    const { clientX, clientY } = event;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const box = plot.getBoundingClientRect();
      this.#point(nearest(plot, clientX - box.left, clientY - box.top), clientX - box.left);
    });
  }

  #point(line, x = null) {
    for (const pointed of this.section.querySelectorAll(".pointed")) pointed.classList.remove("pointed");
    const chart = this.section.querySelector(".chart");
    const tip = chart?.querySelector(".tip");
    if (!tip) return;
    tip.hidden = !line;
    if (!line) return;
    line.classList.add("pointed");
    line.closest(".plot").classList.add("pointed");
    this.#describe(chart, line, tip, x);
  }

  #describe(chart, line, tip, x) {
    const plot = chart.querySelector(".plot");
    const points = pointsOf(line);
    const epochs = Array.from({ length: points.length / 2 }, (_, i) => points[2 * i]);
    const wanted = x === null ? epochs.at(-1) : epochAt(chart, x / plot.clientWidth);
    const index = epochs.reduce((best, epoch, i) => (Math.abs(epoch - wanted) < Math.abs(epochs[best] - wanted) ? i : best), 0);
    const { number, state, best, name } = line.dataset;
    const title = document.createElement("b");
    title.textContent = name ?? `Trial ${number}`;
    const here = `epoch ${epochs[index]}: ${valueAt(chart, points[2 * index + 1])}`;
    const rest = name ? `\n${here}` : ` ${state}${line.classList.contains("best") ? ", the best" : ""}\n${here}\nbest ${best}`;
    tip.replaceChildren(title, ...rest.split("\n").flatMap((text, i) => (i ? [document.createElement("br"), text] : [text])));
    place(tip, chart, plot, epochs[index], points[2 * index + 1]);
  }

  #follow(event) {
    const line = event.target.closest?.(".plot") && this.section.querySelector("a.line.pointed");
    if (!line || event.target.closest("a")) return;
    line.dispatchEvent(new MouseEvent("click", { bubbles: false, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey }));
  }

  #step(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const line = event.target.closest?.("a.line");
    if (!line || !(event.key in steps)) return;
    event.preventDefault();
    const lines = [...this.section.querySelectorAll("a.line")].sort((a, b) => a.dataset.number - b.dataset.number);
    const next = lines.at((lines.indexOf(line) + steps[event.key]) % lines.length);
    this.#rove(next);
    next.focus();
  }

  #rove(line) {
    for (const other of this.section.querySelectorAll("a.line")) other.setAttribute("tabindex", other === line ? "0" : "-1");
  }
}

function pointsOf(line) {
  const polyline = line.querySelector("polyline");
  const text = polyline.getAttribute("points");
  const known = parsed.get(polyline);
  if (known?.text === text) return known.points;
  const points = Float64Array.from(text.split(/[ ,]/), Number);
  parsed.set(polyline, { text, points });
  return points;
}

function position(chart, value) {
  const { high, low, log } = chart.dataset;
  if (log !== undefined && value <= 0) return 2000;
  const coordinate = log === undefined ? value : Math.log10(value);
  return Math.min(Math.max(((high - coordinate) / (high - low)) * 1000, -1000), 2000);
}

function valueAt(chart, y) {
  if (y <= -1000 || y >= 2000) return "beyond the axis";
  const { high, low, log } = chart.dataset;
  const coordinate = high - (y / 1000) * (high - low);
  const value = log === undefined ? coordinate : 10 ** coordinate;
  return String(Number(value.toPrecision(4)));
}

function epochAt(chart, share) {
  const left = Number(chart.dataset.left);
  return left + share * (Number(chart.dataset.right) - left);
}

function nearest(plot, x, y) {
  const chart = plot.closest(".chart");
  const epoch = epochAt(chart, x / plot.clientWidth);
  const pixels = plot.clientWidth / (Number(chart.dataset.right) - Number(chart.dataset.left));
  let found = null;
  let least = REACH_PX;
  for (const line of plot.querySelectorAll(".line")) {
    const [height, beside] = heightAt(pointsOf(line), epoch);
    const distance = Math.hypot((height / 1000) * plot.clientHeight - y, beside * pixels);
    // Of equally near lines the last one is on top.
    if (distance <= least) [found, least] = [line, distance];
  }
  return found;
}

/** Height of a line at an epoch, and how many epochs beside its nearer end that is. */
function heightAt(points, epoch) {
  const end = points.length - 2;
  if (epoch <= points[0]) return [points[1], points[0] - epoch];
  if (epoch >= points[end]) return [points[end + 1], epoch - points[end]];
  let low = 0;
  let high = end / 2;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[2 * middle] <= epoch) low = middle;
    else high = middle;
  }
  const share = (epoch - points[2 * low]) / (points[2 * high] - points[2 * low]);
  return [points[2 * low + 1] + share * (points[2 * high + 1] - points[2 * low + 1]), 0];
}

function place(tip, chart, plot, epoch, y) {
  const left = Number(chart.dataset.left);
  const x = ((epoch - left) / (Number(chart.dataset.right) - left)) * plot.clientWidth + plot.offsetLeft;
  const top = Math.min(Math.max((y / 1000) * plot.clientHeight, 0), plot.clientHeight) + plot.offsetTop;
  const isRight = x > chart.clientWidth / 2;
  tip.style.left = `${Math.round(isRight ? x - tip.offsetWidth - 12 : x + 12)}px`;
  tip.style.top = `${Math.round(Math.max(4, top - tip.offsetHeight - 10))}px`;
}
