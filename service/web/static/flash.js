// Shows calmly what is new: numbers that changed, rows that came.

const FLASH_MS = 1400;
const ARRIVAL_MS = 700;
// When a whole page of rows is new, nothing of it is news.
const MAX_NEWS = 400;
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Show changes that `morph` has noted.
 * @param {{added: Element[], changed: Element[]}} noted New elements, and parents of changed texts.
 */
export function flash({ added, changed }) {
  if (isCalm.matches) return;
  const rows = added.filter((element) => element.isConnected && element.matches("tbody tr, li, article"));
  const spots = new Set(changed.map((element) => element.closest("td, .figure, [data-flash]")).filter(Boolean));
  if (rows.length + spots.size > MAX_NEWS) return;
  const tone = getComputedStyle(document.documentElement).getPropertyValue("--running");
  const news = [{ backgroundColor: `color-mix(in srgb, ${tone} 20%, transparent)` }, {}];
  for (const row of rows) {
    row.classList.add("arrived");
    setTimeout(() => row.classList.remove("arrived"), ARRIVAL_MS);
    for (const cell of row.children) cell.animate(news, { duration: FLASH_MS, easing: "ease-out" });
  }
  for (const spot of spots) spot.animate(news, { duration: FLASH_MS, easing: "ease-out" });
}
