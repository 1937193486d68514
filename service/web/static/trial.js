// The page of one trial: copying its configuration, and logs that stay at their newest line.

const SAID_MS = 1600;
const NEAR_PX = 24;

function startCopying(button) {
  const panel = button.closest(".texts");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const shown = [...panel.querySelectorAll(".text")].find((text) => text.checkVisibility());
    const words = (await written(shown)) ? "Copied" : "Press Ctrl+C";
    button.textContent = words;
    setTimeout(() => { button.textContent = "Copy"; }, SAID_MS);
  });
}

async function written(element) {
  // Pages without TLS have no clipboard; then the text is at least selected.
  getSelection().selectAllChildren(element);
  if (!navigator.clipboard) return false;
  return navigator.clipboard.writeText(element.textContent).then(() => true, () => false);
}

/** Keep a log at its end, unless the reader has scrolled up. */
function follow(log) {
  let isAtEnd = true;
  const toEnd = () => { if (isAtEnd) log.scrollTop = log.scrollHeight; };
  log.addEventListener("scroll", () => { isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX; });
  log.closest("details")?.addEventListener("toggle", toEnd);
  new MutationObserver(toEnd).observe(log, { characterData: true, childList: true, subtree: true });
  toEnd();
}

const followed = new WeakSet();
function followAll() {
  for (const log of document.querySelectorAll("[data-follow]")) {
    if (followed.has(log)) continue;
    followed.add(log);
    follow(log);
  }
}

for (const button of document.querySelectorAll("[data-copy]")) startCopying(button);
followAll();
const live = document.getElementById("trial");
if (live) new MutationObserver(followAll).observe(live, { childList: true, subtree: true });
