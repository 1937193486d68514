// The metric over two parameters: a landscape by Plotly, with the trials on it.

import { onScheme, stops, token } from "./ramp.js";

const section = document.getElementById("pairs");
const form = document.getElementById("pair");
const panel = document.getElementById("landscape");
const place = document.getElementById("plot");
const problem = document.getElementById("pair-problem");
const isMinimized = section.dataset.direction === "minimize";
const SPREAD = 0.5;
const SEAM = 0.002;
const MARGIN = 0.015;
const LONGEST_WAIT_MS = 1200;
let contour = null;
let points = null;
let turns = 0;

function ticksOf(select) {
  const told = select.selectedOptions[0].dataset.ticks.split("\t").filter(Boolean).map((tick) => {
    const cut = tick.indexOf("=");
    return [Number(tick.slice(0, cut)) / 100, tick.slice(cut + 1)];
  });
  return { tickvals: told.map(([at]) => at), ticktext: told.map(([, label]) => label) };
}

function axisOf(select) {
  return {
    ...ticksOf(select), title: { text: select.value, font: { size: 13, color: token("ink") } }, range: [-MARGIN, 1 + MARGIN], tickmode: "array",
    gridcolor: token("line"), zeroline: false, linecolor: token("line-strong"), ticks: "outside", tickcolor: token("line-strong"),
    tickfont: { size: 11, color: token("ink-2") }, automargin: true, fixedrange: true,
  };
}

// Trials of the same value are set apart, each by as much in every picture.
function spread(select, column) {
  const cells = cellsOf(select);
  return cells ? column.map((unit, row) => (unit === null ? null : unit + ((((points.numbers[row] * 0.618034) % 1) - 0.5) * SPREAD) / cells)) : column;
}

function cellsOf(select) {
  return Number(select.selectedOptions[0].dataset.cells);
}

// Between the few values of a grid there is nothing: each fills its share of the axis, with a seam to the next.
function widened(select, units) {
  if (!cellsOf(select)) return units.map((unit, at) => [unit, at]);
  const middles = units.slice(1).map((unit, at) => (unit + units[at]) / 2);
  return units.flatMap((_, at) => [[(middles[at - 1] ?? 0) + SEAM, at], [(middles[at] ?? 1) - SEAM, at]]);
}

function landscape(colors) {
  const [across, up] = [widened(form.x, contour.x.units), widened(form.y, contour.y.units)];
  return {
    type: "contour", x: across.map(([unit]) => unit), y: up.map(([unit]) => unit),
    z: up.map(([, row]) => across.map(([, column]) => contour.grid[row][column])), connectgaps: false, showscale: false,
    colorscale: colors.map((color, at) => [at / (colors.length - 1), color]), ncontours: 14,
    line: { width: 0.5, color: token("surface"), smoothing: cellsOf(form.x) || cellsOf(form.y) ? 0 : 1 }, hovertemplate: `${section.dataset.metric} about %{z:.4g}<extra></extra>`,
  };
}

function traces() {
  const best = Number(section.dataset.best);
  const rows = points.values.flatMap((value, row) =>
    value === null || points.units[form.x.value][row] === null || points.units[form.y.value][row] === null ? [] : [row]);
  const colors = isMinimized ? stops() : stops().reverse();
  const [xs, ys] = [spread(form.x, points.units[form.x.value]), spread(form.y, points.units[form.y.value])];
  const dots = (some, marker) => ({
    type: "scatter", mode: "markers", x: some.map((row) => xs[row]), y: some.map((row) => ys[row]), marker,
    text: some.map((row) => `#${points.numbers[row]}: ${Number(points.values[row].toPrecision(4))}`),
    customdata: some.map((row) => points.trial_ids[row]), hovertemplate: "%{text}<extra></extra>",
  });
  return [
    landscape(colors),
    dots(rows.filter((row) => points.trial_ids[row] !== best), { size: rows.length > 600 ? 3.5 : 5.5, color: token("surface"), opacity: 0.85, line: { width: 1, color: token("ink-2") } }),
    dots(rows.filter((row) => points.trial_ids[row] === best), { size: 12, color: token("roe"), line: { width: 2, color: token("surface") } }),
  ];
}

function draw() {
  if (!contour) return;
  const layout = {
    xaxis: axisOf(form.x), yaxis: axisOf(form.y), margin: { l: 60, r: 14, t: 10, b: 50 }, showlegend: false, dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily },
    hoverlabel: { bgcolor: token("ink"), bordercolor: token("ink"), font: { color: token("surface"), size: 12 } },
  };
  place.querySelector(".heat")?.remove();
  globalThis.Plotly.react(place, traces(), layout, { displayModeBar: false, responsive: true }).then(() => {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    place.on("plotly_click", (event) => {
      const id = event.points.find((point) => point.customdata)?.customdata;
      if (id) location.href = `/trials/${id}`;
    });
  });
}

async function asked(path) {
  const response = await fetch(section.dataset.api + path, { headers: { Accept: "application/json" } });
  return [response.ok, await response.json()];
}

async function show() {
  const turn = ++turns;
  const pair = `x=${encodeURIComponent(form.x.value)}&y=${encodeURIComponent(form.y.value)}`;
  const [[isGood, answer], [, sample]] = await Promise.all([asked(`/contour?${pair}`), points ? [true, points] : asked("/points")]);
  // Of two choices in quick succession, the answer to the first may come last.
  if (turn !== turns) return;
  points = sample;
  problem.textContent = isGood ? "" : form.x.value === form.y.value ? "Choose two different parameters." : answer.detail;
  panel.hidden = !isGood;
  document.getElementById("twin").href = `${section.dataset.api}/contour?${pair}`;
  if (!isGood) return;
  contour = answer;
  document.getElementById("pairs-words").textContent = `${section.dataset.metric} over two parameters, each in its scale: ${contour.how}; empty where no trial is near.`;
  panel.setAttribute("aria-label", `${section.dataset.metric} over ${form.x.value} and ${form.y.value}, ${contour.num_trials} trials`);
  draw();
}

async function choose() {
  // In a study of very many trials they take seconds, which nobody should wait for here.
  const late = new Promise((resolve) => setTimeout(() => resolve([false]), LONGEST_WAIT_MS));
  const [isGood, answer] = await Promise.race([asked("/importances"), late]);
  if (!isGood || answer.items.length < 2) return;
  [form.x.value, form.y.value] = answer.items.slice(0, 2).map((item) => item.name);
}

if (form) {
  form.dataset.live = "";
  form.addEventListener("change", () => {
    history.replaceState(null, "", `?x=${encodeURIComponent(form.x.value)}&y=${encodeURIComponent(form.y.value)}`);
    show();
  });
  onScheme(draw);
  if ("unchosen" in section.dataset) await choose();
  await show();
}
