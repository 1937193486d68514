// What the stream tells of learning curves, as a chart takes it.

/**
 * Draw what happened, in the order in which it did.
 * @param {object} chart Has `append(points)`, `begin(trialId, number, firstEpoch)` and `end(trialId, state, reason)`.
 * @param {{steps?: Array[], reload?: boolean}} news See service/web/live/curves.py.
 * @returns {boolean} False if the curves must be fetched anew.
 */
export function draw(chart, { steps = [], reload = false }) {
  let isDrawn = !reload;
  let points = [];
  const flush = () => {
    if (points.length && chart.append(points) === false) isDrawn = false;
    points = [];
  };
  for (const [kind, trialId, ...rest] of steps) {
    if (kind === "point") {
      const [number, epoch, value] = rest;
      points.push({ trial_id: trialId, number, epoch, value });
      continue;
    }
    flush();
    if (kind === "begin" && chart.begin?.(trialId, ...rest) === false) isDrawn = false;
    if (kind === "end" && chart.end(trialId, ...rest) === false) isDrawn = false;
  }
  flush();
  return isDrawn;
}
