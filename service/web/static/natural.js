// A parameter's range on its scale: maps between a natural value and its place in [0, 1], as the service has them.

const SCALES = {
  linear: { forward: (x) => x, backward: (t) => t },
  log: { forward: Math.log, backward: Math.exp },
  reverse_log: { forward: (x) => -Math.log1p(-x), backward: (t) => -Math.expm1(-t) },
  logit: { forward: (x) => Math.log(x) - Math.log1p(-x), backward: (t) => 1 / (1 + Math.exp(-t)) },
};
const DIGITS = 4;

/** A range, laid on [0, 1] in its scale's coordinate; each value of a step owns half a step to both sides. */
export class Range {
  /** @param {{scale: string, low: number, high: number, step: number}} parameter Step 0 for none. */
  constructor({ scale, low, high, step }) {
    Object.assign(this, { low, high, step });
    this.isNearOne = scale === "reverse_log" || scale === "logit";
    this.map = SCALES[scale];
    [this.start, this.end] = [low - step / 2, high + step / 2].map(this.map.forward);
  }

  place(value) {
    const unit = (this.map.forward(value) - this.start) / (this.end - this.start);
    return Math.min(1, Math.max(0, unit));
  }

  /** The natural value at a place, of those that the range has. */
  value(unit) {
    const natural = this.map.backward(this.start + unit * (this.end - this.start));
    const kept = Math.min(this.high, Math.max(this.low, natural));
    if (!this.step) return kept;
    return Math.min(this.high, this.low + Math.round((kept - this.low) / this.step) * this.step);
  }

  /** A value as it is typed: 4 digits, near 1 of the distance to 1. */
  text(value) {
    if (this.step) return String(Number(value.toPrecision(12)));
    if (value === this.low || value === this.high) return String(value);
    if (this.isNearOne && value > 0.9) {
      const places = Math.min(12, DIGITS - 1 - Math.floor(Math.log10(1 - value)));
      return String(Number(value.toFixed(places)));
    }
    return String(Number(value.toPrecision(DIGITS)));
  }
}
