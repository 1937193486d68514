// Times that go on: how long ago, how long since. The words are those of the server.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const THIN = "\u202f";

function ago(seconds) {
  if (seconds < 5) return "just now";
  const [size, unit] = UNITS.find(([least]) => seconds >= least);
  return `${Math.floor(seconds / size)}${THIN}${unit} ago`;
}

function lasting(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)}${THIN}s`;
  const whole = Math.round(seconds);
  const first = UNITS.findIndex(([size]) => whole >= size);
  return UNITS.slice(first, first + 2)
    .map(([size, unit], i) => [Math.floor((i ? whole % UNITS[first][0] : whole) / size), unit])
    .filter(([amount]) => amount)
    .map(([amount, unit]) => `${amount}${THIN}${unit}`)
    .join(" ");
}

function tick(skew) {
  const now = Date.now() + skew;
  const since = (text) => Math.max(0, (now - Date.parse(text)) / 1000);
  for (const element of document.querySelectorAll("[data-ago]")) write(element, ago(since(element.dateTime)));
  for (const element of document.querySelectorAll("[data-since]")) write(element, lasting(since(element.dataset.since)));
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Keep all times of the page up to date.
 * @param {string} now The server's time when it made the page, because this machine's clock may be wrong.
 */
export function startClock(now) {
  const skew = Date.parse(now) - Date.now();
  setInterval(() => document.hidden || tick(skew), 1000);
}
