// The timeline under the hand: what a bar is, and a window of time chosen by dragging.

const LEAST_PX = 6;

const view = document.getElementById("timeline");
const tip = document.body.appendChild(Object.assign(document.createElement("div"), { className: "bar-tip", hidden: true }));
let begin = null;
let hasDragged = false;

function spot(event) {
  const gantt = view.querySelector(".gantt");
  const box = gantt.querySelector(".lane svg").getBoundingClientRect();
  return { gantt, box, x: Math.min(box.right, Math.max(box.left, event.clientX)) };
}

function mark({ gantt, x }) {
  const chosen = gantt.querySelector(".chosen");
  const left = gantt.getBoundingClientRect().left;
  chosen.hidden = false;
  chosen.style.left = `${Math.min(begin, x) - left}px`;
  chosen.style.width = `${Math.abs(x - begin)}px`;
}

function showTip(event) {
  const words = event.target.closest?.(".bar")?.querySelector("title")?.textContent;
  tip.hidden = !words || begin !== null;
  if (tip.hidden) return;
  tip.textContent = words;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(innerWidth - box.width - 8, event.clientX + 12))}px`;
  tip.style.top = `${event.clientY + 20 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 20}px`;
}

view.addEventListener("pointerdown", (event) => {
  if (event.button || !event.target.closest(".lane svg")) return;
  begin = spot(event).x;
  hasDragged = false;
});
window.addEventListener("pointermove", (event) => {
  showTip(event);
  if (begin === null) return;
  const at = spot(event);
  hasDragged ||= Math.abs(at.x - begin) > LEAST_PX;
  if (hasDragged) mark(at);
});
window.addEventListener("pointerup", (event) => {
  if (begin === null) return;
  const { gantt, box, x } = spot(event);
  const [from, to] = [Number(gantt.dataset.from), Number(gantt.dataset.to)];
  const moment = (at) => new Date(1000 * (from + ((at - box.left) / box.width) * (to - from))).toISOString();
  const ends = [begin, x].sort((a, b) => a - b).map(moment);
  begin = null;
  if (hasDragged) location.search = new URLSearchParams({ from: ends[0], to: ends[1] });
});
// Bars are links: a drag that ends on one is no click.
view.addEventListener("click", (event) => hasDragged && event.target.closest(".lane svg") && event.preventDefault(), true);
view.addEventListener("dragstart", (event) => event.preventDefault());
