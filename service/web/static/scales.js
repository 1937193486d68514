// The scales of parameters, as `caviar/contract/scales.py` has them, and numbers as people and addresses write them.

const SCALES = {
  linear: [(x) => x, (t) => t],
  log: [Math.log, Math.exp],
  reverse_log: [(x) => -Math.log1p(-x), (t) => -Math.expm1(-t)],
  logit: [(x) => Math.log(x) - Math.log1p(-x), (t) => 1 / (1 + Math.exp(-t))],
};
const DIGITS = 4;

/** A range, laid on 0 to 1 in its scale; each value of a grid owns half a step to both sides. */
export class Axis {
  /** @param {{scale: string, low: number, high: number, step: number}} range `step` is 0 without a grid. */
  constructor({ scale, low, high, step }) {
    Object.assign(this, { scale, low, high, step });
    [this.forward, this.backward] = SCALES[scale];
    this.start = this.forward(low - step / 2);
    this.end = this.forward(high + step / 2);
  }

  /** The place of a natural value, 0 to 1. */
  place(value) {
    const place = (this.forward(value) - this.start) / (this.end - this.start);
    return Number.isNaN(place) ? 0 : Math.min(Math.max(place, 0), 1);
  }

  /** The natural value at a place: the next one of the grid, or one with as many digits as a hand can mean. */
  value(place) {
    const natural = this.backward(this.start + place * (this.end - this.start));
    if (!this.step) return Math.min(Math.max(this.#rounded(natural), this.low), this.high);
    const last = Math.round((this.high - this.low) / this.step);
    const position = Math.min(Math.max(Math.round((natural - this.low) / this.step), 0), last);
    return Number((this.low + position * this.step).toPrecision(12));
  }

  /** A value as it is typed. */
  text(value) {
    const size = Math.abs(value);
    return value !== 0 && (size < 1e-4 || size >= 1e6) && !this.step ? value.toExponential().replace("+", "") : String(value);
  }

  // On the scales that resolve the way to 1, the digits are those of the distance to 1.
  #rounded(value) {
    const isNearOne = (this.scale === "reverse_log" || this.scale === "logit") && value > 0.9 && value < 1;
    if (!isNearOne) return Number(value.toPrecision(DIGITS));
    return Number(value.toFixed(Math.min(DIGITS - 1 - Math.floor(Math.log10(1 - value)), 15)));
  }
}
