// Colours for values, from the best to the worst: of falling contrast to the page, so that they are told apart without hue.

const NUM_STOPS = 6;
const NUM_SHADES = 48;

/** The ramp's colours as they are now, the best first. They change with the colour scheme. */
export function stops() {
  const style = getComputedStyle(document.documentElement);
  return Array.from({ length: NUM_STOPS }, (_, at) => style.getPropertyValue(`--ramp-${at}`).trim());
}

/** Many shades of the ramp, the best first. */
export function shades() {
  const known = stops().map(parsed);
  return Array.from({ length: NUM_SHADES }, (_, at) => {
    const along = (at / (NUM_SHADES - 1)) * (NUM_STOPS - 1);
    const from = Math.min(Math.floor(along), NUM_STOPS - 2);
    const mixed = known[from].map((part, i) => Math.round(part + (known[from + 1][i] - part) * (along - from)));
    return `rgb(${mixed.join(" ")})`;
  });
}

/** A colour of the page by the name of its token. */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Call a function whenever the colour scheme changes. */
export function onScheme(call) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", call);
}

function parsed(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}
