// What makes the pages live. Without it they are complete, and stand still.
//
// How a page takes part, by attributes:
//   <main data-live="/studies/NAME/live" data-seq="N">
//     The service sends what has changed: sections that it renders as blocks (found by their id), and steps of curves.
//     The page's own query is added. With `?only=curves` it tells of curves alone. A section `data-fragment` is fetched
//     only while there is no stream; one with `data-every="5"` also after changes, at most every five seconds.
//   <main data-changes="/studies/NAME/live?only=changes" data-seq="N">          (with &trial=ID: of one trial, at once)
//     The service says, at most every two seconds, that something happened; sections are fetched again then.
//   <main data-poll>
//     Nothing is told: sections are fetched every few seconds.
//   <section id="…" data-fragment="ADDRESS" data-kinds="round_opened study_edited">
//     ADDRESS answers the content of the section. With `data-kinds` it is fetched only after events of these kinds.
// Within sections: elements with an `id` are recognised wherever they go; what carries `data-client` belongs to scripts.
// Scripts of a view may listen: the section gets `caviar:swapped` after its content has changed, and <main> gets
// `caviar:news` with what the stream told.

import { applyChange } from "./blocks.js";
import { Chart } from "./chart.js";
import { startClock } from "./clock.js";
import { flash } from "./flash.js";
import { Fragment } from "./fragment.js";
import { Poll, Stream, indicate, whileWatched } from "./live.js";
import { draw } from "./steps.js";

// Parts that several people see are sent without the token of a session; the page's own form has it.
document.addEventListener(
  "submit",
  ({ target }) => {
    const input = target.querySelector('input[name="csrf"]');
    const own = document.querySelector('.leave input[name="csrf"]');
    if (input && own) input.value = own.value;
  },
  { capture: true },
);

const main = document.getElementById("main");
const USUAL_PAUSE_MS = 1000;
const SPREAD_MS = 1000;
const POLL_MS = 5000;

/** The sections that can be fetched, by id. */
function fragmentsOf(onOutcome, onSwap = () => {}) {
  const sections = [...main.querySelectorAll("[data-fragment]")];
  return new Map(
    sections.map((element) => {
      const swapped = (noted, begun) => {
        flash(noted);
        onSwap(element, begun);
        element.dispatchEvent(new CustomEvent("caviar:swapped", { bubbles: true }));
      };
      const pause = Number(element.dataset.every ?? 0) * 1000 || USUAL_PAUSE_MS;
      return [element.id, new Fragment(element, pause, { onOutcome, onSwap: swapped })];
    }),
  );
}

/** What to do once the service has answered a fetch. */
function verdict(stream) {
  return (outcome) => {
    if (outcome === "signed-out") stream().end("signed out: reload to sign in");
    if (outcome === "gone") stream().end("deleted: there is nothing to follow");
  };
}

function startView() {
  const section = document.getElementById("curves");
  const chart = section && new Chart(section);
  const fragments = fragmentsOf(verdict(() => stream), (element, begun) => element === section && chart.swapped(begun));
  const onNews = ({ blocks = {}, curves, frame }) => {
    for (const [id, change] of Object.entries(blocks)) show(id, change);
    const isFramed = !frame || !chart || chart.frame(frame) !== false;
    const isDrawn = !curves || !chart || draw(chart, curves);
    if (!isFramed || !isDrawn) fragments.get("curves")?.invalidate(SPREAD_MS);
    for (const fragment of fragments.values()) {
      if (fragment.element.dataset.every) fragment.invalidate(SPREAD_MS);
    }
    main.dispatchEvent(new CustomEvent("caviar:news", { detail: { blocks, curves, frame } }));
  };
  const show = (id, change) => {
    const element = document.getElementById(id);
    if (!element) return;
    const done = applyChange(element, change);
    fragments.get(id)?.forget();
    if (!done.isWhole) stream.again();
    // After a gap a page shows the newest state at once; nothing in it is news.
    else if (change.skeleton === undefined) flash(done);
    element.dispatchEvent(new CustomEvent("caviar:swapped", { bubbles: true }));
  };
  const onGap = () => fragments.forEach((fragment) => fragment.invalidate());
  const stream = new Stream(main.dataset.live, Number(main.dataset.seq), { onNews, onGap });
}

function startChanges() {
  const chart = new Chart(main);
  const fragments = fragmentsOf(verdict(() => stream), (element, begun) => element.querySelector(".chart") && chart.swapped(begun));
  const isOneTrial = main.dataset.changes.includes("trial=");
  const onChanged = (kinds) => {
    for (const fragment of fragments.values()) {
      const wanted = fragment.element.dataset.kinds?.split(" ");
      if (!wanted || !kinds.length || kinds.some((kind) => wanted.includes(kind) || kind === "study_deleted")) {
        fragment.invalidate(isOneTrial ? 0 : SPREAD_MS);
      }
    }
  };
  const onGap = () => fragments.forEach((fragment) => fragment.invalidate());
  const stream = new Stream(main.dataset.changes, Number(main.dataset.seq), { onChanged, onGap });
}

function startPolling() {
  new Chart(main);
  let isOver = false;
  const onOutcome = (outcome) => {
    if (outcome === "ok") return indicate("live", "updates by itself");
    if (outcome !== "signed-out") return indicate("polling", "reconnecting");
    isOver = true;
    poll.stop();
    return indicate("lost", "signed out: reload to sign in");
  };
  const fragments = fragmentsOf(onOutcome);
  const all = () => fragments.forEach((fragment) => fragment.invalidate());
  const poll = new Poll(all, POLL_MS);
  whileWatched(() => isOver || (all(), poll.start()), () => poll.stop());
}

startClock(document.documentElement.dataset.now);
if (main.dataset.events && !main.dataset.changes) {
  // An address of the events themselves: the same study's signal serves.
  const trial = main.dataset.trial ? `&trial=${main.dataset.trial}` : "";
  main.dataset.changes = `${main.dataset.events.replace(/^\/api\/v1/, "").replace(/\/events$/, "/live")}?only=changes${trial}`;
}
if (main.dataset.live) startView();
else if (main.dataset.changes) startChanges();
else if (main.hasAttribute("data-poll")) startPolling();
else new Chart(main);
