// Lines and dots under the hand: which trial they are, what it measured there, and where they lead to.

const REACH_PX = 28;
const parsed = new WeakMap();
let frame = 0;
let touched = null;

/** Coordinates of a line, epoch and height in turn. */
export function pointsOf(line) {
  const polyline = line.querySelector("polyline");
  const text = polyline.getAttribute("points");
  const known = parsed.get(polyline);
  if (known?.text === text) return known.points;
  const points = text ? Float64Array.from(text.split(/[ ,]/), Number) : new Float64Array(0);
  parsed.set(polyline, { text, points });
  return points;
}

/** The value that a coordinate stands for, as text; null for what lies too far beyond the axis to be known. */
export function valueAt(chart, coordinate) {
  const { high, low, log } = chart.dataset;
  const far = 900 * (high - low);
  if (coordinate > Number(high) + far || coordinate < Number(low) - far) return null;
  return shortened(log === undefined ? coordinate : 10 ** coordinate);
}

/** A number with four significant digits. */
export function shortened(value) {
  return String(Number(value.toPrecision(4)));
}

/** Begin to follow the pointer, the focus and the keys on all charts of the page, those included that come later. */
export function follow(root) {
  root.addEventListener("pointermove", hover);
  root.addEventListener("pointerdown", (event) => (touched = event.pointerType === "mouse" ? null : at(event)));
  root.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && point(root, null));
  root.addEventListener("click", open);
  root.addEventListener("focusin", (event) => focused(root, event));
  root.addEventListener("focusout", (event) => event.target.closest?.("a.line, a.dot") && point(root, null));
  root.addEventListener("keydown", step);
}

/** Make one of the lines or dots the one that the Tab key reaches. */
export function rove(chart, chosen) {
  for (const other of reachable(chart)) other.setAttribute("tabindex", other === chosen ? "0" : "-1");
}

function focused(root, event) {
  const target = event.target.closest?.("a.line, a.dot") ?? null;
  // What the pointer has named already stays as it named it.
  if (target && !target.classList.contains("pointed")) point(root, target);
}

function hover(event) {
  const plot = event.target.closest?.(".chart .plot");
  const { currentTarget: root, clientX, clientY } = event;
  cancelAnimationFrame(frame);
  if (!plot) return void (root.querySelector(".pointed") && point(root, null));
  const dot = event.target.closest(".dot");
  frame = requestAnimationFrame(() => {
    const box = plot.getBoundingClientRect();
    const x = clientX - box.left;
    point(root, dot ?? nearest(plot, x, clientY - box.top), x / box.width);
  });
}

function at(event) {
  const plot = event.target.closest?.(".chart .plot");
  if (!plot) return null;
  const box = plot.getBoundingClientRect();
  const found = event.target.closest(".dot") ?? nearest(plot, event.clientX - box.left, event.clientY - box.top);
  const isKnown = found?.classList.contains("pointed");
  point(plot, found, (event.clientX - box.left) / box.width);
  return { isKnown };
}

function open(event) {
  const plot = event.target.closest?.(".chart .plot");
  if (!plot) return;
  const line = plot.querySelector("a.line.pointed, a.dot.pointed");
  // A finger names the trial first, and opens it with the second touch.
  if (touched && !touched.isKnown) return event.preventDefault();
  if (!line || event.target.closest("a") === line) return;
  event.preventDefault();
  line.dispatchEvent(new MouseEvent("click", { bubbles: false, cancelable: true, ctrlKey: event.ctrlKey, metaKey: event.metaKey }));
}

function step(event) {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  const present = event.target.closest?.("a.line, a.dot");
  if (!present || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const all = reachable(present.closest(".chart"));
  const by = steps[event.key];
  const place = Number.isFinite(by) ? (all.indexOf(present) + by) % all.length : by < 0 ? 0 : -1;
  const next = all.at(place);
  rove(present.closest(".chart"), next);
  next.focus();
}

/** Lines that lead to trials and are not hidden, by number; of a history its dots. */
function reachable(chart) {
  const dots = [...chart.querySelectorAll("a.dot")];
  if (dots.length) return dots;
  const lines = [...chart.querySelectorAll("a.line")].filter((line) => line.checkVisibility?.() ?? true);
  return lines.sort((a, b) => a.dataset.number - b.dataset.number);
}

/** Make a line stand out and say what it is; with null, none. `share` is where the pointer is, of the width. */
function point(root, target, share = null) {
  const charts = root.closest?.(".chart") ? [root.closest(".chart")] : root.querySelectorAll(".chart");
  for (const chart of charts) {
    for (const old of chart.querySelectorAll(".pointed")) old.classList.remove("pointed");
    const tip = chart.querySelector(".tip");
    tip.hidden = !target || !chart.contains(target);
    if (tip.hidden) continue;
    target.classList.add("pointed");
    if (!target.matches(".steps")) target.closest(".plot").classList.add("pointed");
    if (target.matches(".dot")) describeDot(chart, target, tip);
    else describeLine(chart, target, tip, share);
  }
}

function describeDot(chart, dot, tip) {
  const [title, ...rest] = dot.getAttribute("aria-label").split(", ");
  say(tip, title, [rest.join(", ")]);
  const circle = dot.querySelector("circle");
  place(tip, chart, parseFloat(circle.getAttribute("cx")), parseFloat(circle.getAttribute("cy")));
}

function describeLine(chart, line, tip, share) {
  const points = pointsOf(line);
  const { left, right, high, low, across } = chart.dataset;
  const wanted = share === null ? points.at(-2) : Number(left) + share * (right - left);
  let index = 0;
  for (let i = 0; i < points.length; i += 2) {
    if (Math.abs(points[i] - wanted) < Math.abs(points[index] - wanted)) index = i;
  }
  const value = valueAt(chart, points[index + 1]);
  const here = across === "epoch" ? `epoch ${points[index]}: ${value ?? "beyond the axis"}` : value;
  const [name, ...facts] = line.getAttribute("aria-label").split(", ");
  if (line.dataset.name) say(tip, line.dataset.name, [here]);
  else say(tip, name, [here, facts.at(-1)], ` ${facts.slice(0, -1).join(", ")}${line.matches(".best") ? ", the best" : ""}`);
  const y = ((high - points[index + 1]) / (high - low)) * 100;
  place(tip, chart, ((points[index] - left) / (right - left)) * 100, Math.min(Math.max(y, 0), 100));
}

function say(tip, title, lines, beside = "") {
  const head = document.createElement("b");
  head.textContent = title;
  tip.replaceChildren(head, beside, ...lines.filter(Boolean).flatMap((text) => [document.createElement("br"), text]));
}

function place(tip, chart, x, y) {
  const plot = chart.querySelector(".plot");
  const left = (x / 100) * plot.clientWidth + plot.offsetLeft;
  const top = (y / 100) * plot.clientHeight + plot.offsetTop;
  const wanted = left > chart.clientWidth / 2 ? left - tip.offsetWidth - 12 : left + 12;
  tip.style.left = `${Math.round(Math.min(Math.max(wanted, 4), Math.max(4, chart.clientWidth - tip.offsetWidth - 4)))}px`;
  tip.style.top = `${Math.round(Math.max(4, top - tip.offsetHeight - 10))}px`;
}

function nearest(plot, x, y) {
  const { left, right, high, low } = plot.closest(".chart").dataset;
  const at = Number(left) + (x / plot.clientWidth) * (right - left);
  const pixels = plot.clientWidth / (right - left);
  const scale = plot.clientHeight / (high - low);
  let found = null;
  let least = REACH_PX;
  for (const line of plot.querySelectorAll(".line")) {
    const points = pointsOf(line);
    if (!points.length) continue;
    const [height, beside] = heightAt(points, at);
    const distance = Math.hypot((high - height) * scale - y, beside * pixels);
    // Of equally near lines the last one is on top.
    if (distance <= least && getComputedStyle(line).display !== "none") [found, least] = [line, distance];
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
  const width = points[2 * high] - points[2 * low];
  const share = width ? (epoch - points[2 * low]) / width : 1;
  return [points[2 * low + 1] + share * (points[2 * high + 1] - points[2 * low + 1]), 0];
}
