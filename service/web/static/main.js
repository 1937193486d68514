// What makes the pages live. Without it they are complete, and stand still.

import { Chart } from "./chart.js";
import { startClock } from "./clock.js";
import { Fragment } from "./fragment.js";
import { Poll, Stream, indicate } from "./live.js";

const main = document.getElementById("main");
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
// At most about four updates a second; the picture, which is large, grows by itself and is seldom drawn anew.
const PAUSE_MS = { curves: 1000, studies: 1000 };
const USUAL_PAUSE_MS = 250;
const STUDIES_POLL_MS = 5000;
// Some facts change without an event: workers come and go, the study is deleted.
const QUIET_POLL_MS = 15000;

function flash({ added, changed }) {
  if (isCalm.matches) return;
  const tone = getComputedStyle(document.documentElement).getPropertyValue("--running");
  const news = [{ backgroundColor: `color-mix(in srgb, ${tone} 22%, transparent)` }, {}];
  const rows = added.filter((element) => element.matches("tbody tr"));
  const cells = changed.map((element) => element.closest(".board td:is(.value, .epochs, .status)"));
  const touched = new Set([...rows.flatMap((row) => [...row.children]), ...cells.filter(Boolean)]);
  // When a whole page of rows is new, nothing of it is news.
  if (touched.size > 600) return;
  for (const cell of touched) cell.animate(news, { duration: 1400, easing: "ease-out" });
}

function startStudy() {
  const chart = new Chart(document.getElementById("curves") ?? main);
  const fragments = new Map();
  let stream = null;
  const onOutcome = (outcome) => {
    if (outcome === "signed-out") stream.end("signed out: reload to sign in");
    if (outcome === "gone") stream.end("deleted: there is nothing to follow");
  };
  for (const element of main.querySelectorAll("[data-fragment]")) {
    const onSwap = (noted, begun) => {
      flash(noted);
      if (element.querySelector(".chart")) chart.swapped(begun);
      const seq = Number(element.querySelector("[data-seq]")?.dataset.seq ?? 0);
      const best = element.querySelector(".summary .lead a")?.getAttribute("href") ?? null;
      if (element.id === "summary" && best !== chart.best) fragments.get("curves").invalidate();
      if (seq && document.hidden) stream.reached(seq);
    };
    fragments.set(element.id, new Fragment(element, PAUSE_MS[element.id] ?? USUAL_PAUSE_MS, { onSwap, onOutcome }));
  }
  const all = () => fragments.forEach((fragment) => fragment.invalidate());
  const onEvent = (kind, data) => {
    if (main.dataset.trial && data.trial_id !== Number(main.dataset.trial)) return;
    if (main.dataset.trial) return all();
    if (kind !== "measured" || !chart.append(data)) fragments.get("curves").invalidate();
    if (kind === "round_opened" || kind === "study_edited") fragments.get("rounds").invalidate();
    fragments.get("summary").invalidate();
    fragments.get("leaderboard").invalidate();
  };
  stream = new Stream(main.dataset.events, Number(main.dataset.seq), { onEvent, onGap: all });
  const head = fragments.get("summary") ?? fragments.get("trial");
  new Poll(() => document.hidden || head.invalidate(), QUIET_POLL_MS).start();
}

function startStudies() {
  const fragment = new Fragment(main.querySelector("[data-fragment]"), PAUSE_MS.studies, {
    onOutcome: (outcome) => {
      if (outcome === "ok") return indicate("live", "updates by itself");
      return outcome === "signed-out" ? indicate("lost", "signed out: reload to sign in") : indicate("polling", "reconnecting");
    },
  });
  const poll = new Poll(() => fragment.invalidate(), STUDIES_POLL_MS);
  const follow = () => (document.hidden ? poll.stop() : (fragment.invalidate(), poll.start()));
  document.addEventListener("visibilitychange", follow);
  follow();
}

startClock(document.documentElement.dataset.now);
if (main.dataset.events) startStudy();
else {
  new Chart(main);
  if (main.hasAttribute("data-poll")) startStudies();
}
