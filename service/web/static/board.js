// The leaderboard by keyboard, and how many trials are ticked. Without it every key has a link or a form that does the same.

const LEAST = 2;
const MOST = 6;
const BACK = "caviar.board.row";
const KEYS = [
  [["j", "↓"], "next trial"],
  [["k", "↑"], "trial before"],
  [["Enter"], "open the trial"],
  [["x"], "tick it, to compare"],
  [["c"], "compare what is ticked"],
  [["p"], "pin it to the top, or let it go"],
  [["/"], "filter"],
  [["?"], "this help"],
];

const section = document.getElementById("leaderboard");
const rows = () => [...section.querySelectorAll(".board tbody tr")];
const nameOf = (row) => row.querySelector(".trial a");
const rowOf = (element) => element?.closest?.("#leaderboard .board tbody tr") ?? null;

function ticked() {
  return section.querySelectorAll('.board .pick input:checked').length;
}

/** Say on the button how many trials are ticked, and whether so many can be compared. */
function count() {
  const words = document.getElementById("compare-words");
  if (!words) return;
  const number = ticked();
  const text = number ? `Compare ${number}` : "Compare";
  if (words.textContent !== text) words.textContent = text;
  const button = words.closest("button");
  const isPossible = number >= LEAST && number <= MOST;
  if (button.classList.contains("plain") === isPossible) button.classList.toggle("plain", !isPossible);
  const hint = number > MOST ? `At most ${MOST} trials can be compared` : `Tick ${LEAST} to ${MOST} trials`;
  if (button.title !== hint) button.title = hint;
}

function move(step, from) {
  const all = rows();
  if (!all.length) return;
  const at = from ? all.indexOf(from) + step : 0;
  const target = all[Math.min(Math.max(at, 0), all.length - 1)];
  nameOf(target).focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest" });
}

function pin(row) {
  sessionStorage.setItem(BACK, row.id);
  row.querySelector(".pin").click();
}

function focusFilter() {
  const field = document.getElementById("board-q");
  field?.focus();
  field?.select();
}

function helpDialog() {
  const made = document.createElement("dialog");
  made.className = "key-help";
  made.setAttribute("aria-labelledby", "key-help-title");
  const title = document.createElement("h2");
  title.id = "key-help-title";
  title.textContent = "Keys of the leaderboard";
  const list = document.createElement("dl");
  for (const [keys, words] of KEYS) {
    const term = document.createElement("dt");
    keys.forEach((key, at) => {
      const cap = document.createElement("kbd");
      cap.textContent = key;
      term.append(...(at ? [" ", cap] : [cap]));
    });
    const told = document.createElement("dd");
    told.textContent = words;
    list.append(term, told);
  }
  const form = document.createElement("form");
  form.method = "dialog";
  const close = document.createElement("button");
  close.textContent = "Close";
  form.append(close);
  made.append(title, list, form);
  document.body.append(made);
  return made;
}

function help() {
  const dialog = document.querySelector("dialog.key-help") ?? helpDialog();
  if (!dialog.open) dialog.showModal();
}

function isWriting(element) {
  return element.matches("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const row = rowOf(event.target);
  const actions = {
    j: () => move(1, row),
    k: () => move(-1, row),
    "/": focusFilter,
    "?": help,
  };
  if (row) {
    actions.ArrowDown = actions.j;
    actions.ArrowUp = actions.k;
    actions.x = () => row.querySelector(".pick input").click();
    actions.p = () => pin(row);
    // A row's tick box and pin are reached by tabulator and have keys of their own.
    if (event.target.matches(".pick input")) actions.Enter = () => nameOf(row).click();
  }
  if (ticked()) actions.c = () => document.getElementById("compare")?.requestSubmit();
  const act = actions[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** Go back to the row from which the page was left to be pinned. */
function comeBack() {
  const id = sessionStorage.getItem(BACK);
  sessionStorage.removeItem(BACK);
  const row = id && document.getElementById(id);
  if (row) nameOf(row).focus({ preventScroll: true });
}

/** Close menus when something else is pressed, or by Escape. */
function tendMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of section.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  section.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

function showHelpButton() {
  const button = section.querySelector("button.keys");
  if (!button?.hidden) return;
  button.hidden = false;
  button.addEventListener("click", help);
}

if (section) {
  document.addEventListener("keydown", onKey);
  section.addEventListener("change", count);
  section.addEventListener("caviar:swapped", () => (count(), showHelpButton()));
  // The browser goes to the place that the address names first, and takes the focus along.
  window.addEventListener("pageshow", () => (count(), requestAnimationFrame(comeBack)));
  tendMenus();
  showHelpButton();
  count();
}
