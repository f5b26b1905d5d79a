// Magnifying what matters, as api_core/overlay/magnify.py and warp.py do it.

/** @typedef {{from: Float64Array, to: Float64Array}} Axis where each point of a picture is shown: straight pieces, rising */

/**
 * @param {Uint8ClampedArray} pixels red, green, blue, alpha @param {Float32Array} mask 0..1
 * @param {[number, number]} size @param {Record<string, any>} style @param {number} strength
 */
export function magnified(pixels, mask, [rows, columns], style, strength) {
  const down = weightsOf(axisMap(profileOf(mask, rows, columns, columns, 1, style), style, strength), rows);
  const across = weightsOf(axisMap(profileOf(mask, columns, rows, 1, columns, style), style, strength), columns);
  const half = new Float32Array(rows * columns * 4);
  for (let y = 0; y < rows; y++) {
    const { first, weights } = down[y];
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k];
      for (let x = 0, to = y * columns * 4, at = (first + k) * columns * 4; x < columns * 4; x++) half[to++] += weight * pixels[at++];
    }
  }
  const result = new Uint8ClampedArray(pixels.length);
  for (let x = 0; x < columns; x++) {
    const { first, weights } = across[x];
    for (let y = 0; y < rows; y++) {
      let [red, green, blue, alpha] = [0, 0, 0, 0];
      for (let k = 0, at = (y * columns + first) * 4; k < weights.length; k++, at += 4) {
        red += weights[k] * half[at];
        green += weights[k] * half[at + 1];
        blue += weights[k] * half[at + 2];
        alpha += weights[k] * half[at + 3];
      }
      const to = (y * columns + x) * 4;
      result[to] = red;
      result[to + 1] = green;
      result[to + 2] = blue;
      result[to + 3] = alpha;
    }
  }
  return result;
}

/**
 * What each of `count` rows or columns counts as: `step` cells apart, with `others` cells each, `next` apart.
 * @param {Float32Array} mask @param {number} count @param {number} others @param {number} step @param {number} next
 * @param {Record<string, any>} style
 */
function profileOf(mask, count, others, step, next, style) {
  return Float64Array.from({ length: count }, (_, i) => {
    let most = -Infinity;
    let sum = 0;
    for (let k = 0, at = i * step; k < others; k++, at += next) {
      sum += mask[at];
      most = Math.max(most, mask[at]);
    }
    return style.profile === "mean" ? sum / others : most;
  });
}

/** @param {Float64Array} profile @param {Record<string, any>} style @param {number} strength @returns {Axis} */
function axisMap(profile, style, strength) {
  const length = profile.length;
  const still = { from: Float64Array.of(0, length), to: Float64Array.of(0, length) };
  const least = Math.min(...profile);
  const excess = style.in_place ? profile.map((value) => value - least) : profile;
  const mean = excess.reduce((sum, value) => sum + value, 0) / length;
  if (!(mean > 0) || Math.max(...profile) === least) return still;
  const raised = excess.map((value) => value / mean);
  const anchor = style.in_place ? middleOf(raised) : 0;
  const edges = Float64Array.from(new Set([...Array(length + 1).keys(), anchor])).sort();
  const widths = Float64Array.from({ length: edges.length - 1 }, (_, i) => edges[i + 1] - edges[i]);
  const growth = widths.map((_, i) => raised[Math.min(Math.floor(edges[i]), length - 1)]);
  for (const side of [true, false]) {
    // each side of the anchor keeps its length, so that the anchor stays
    let sum = 0;
    let wide = 0;
    for (let i = 0; i < widths.length; i++) {
      if (edges[i] < anchor !== side) continue;
      sum += growth[i] * widths[i];
      wide += widths[i];
    }
    for (let i = 0; i < widths.length; i++) if (edges[i] < anchor === side) growth[i] -= sum / wide;
  }
  const [low, high] = [Math.min(...growth), Math.max(...growth)];
  if (!(high > 0 && low < 0)) return still;
  const scale = strength * Math.min(1, (style.zoom - 1) / high, (1 - style.keep) / -low);
  if (!scale) return still;
  const to = new Float64Array(edges.length);
  for (let i = 0; i < widths.length; i++) to[i + 1] = to[i] + widths[i] * (1 + scale * growth[i]);
  const last = to[to.length - 1];
  return { from: edges, to: to.map((value, i) => (i === to.length - 1 ? length : (value * length) / last)) };
}

/** @param {Float64Array} raised */
function middleOf(raised) {
  let sum = 0;
  let all = 0;
  raised.forEach((value, i) => {
    sum += value * value * (i + 0.5);
    all += value * value;
  });
  return sum / all;
}

/**
 * Of each pixel that is shown the first of the picture's pixels under it, and the weights of that and the next ones.
 * @param {Axis} axis @param {number} length
 */
function weightsOf({ from, to }, length) {
  const edges = new Float64Array(length + 1);
  for (let k = 0, piece = 0; k <= length; k++) {
    while (piece < to.length - 2 && to[piece + 1] < k) piece++;
    const share = (k - to[piece]) / (to[piece + 1] - to[piece]);
    edges[k] = from[piece] + share * (from[piece + 1] - from[piece]);
  }
  return Array.from({ length }, (_, k) => {
    const middle = (edges[k] + edges[k + 1]) / 2;
    const reach = Math.max(1, edges[k + 1] - edges[k]);
    const first = Math.max(0, Math.ceil(middle - reach - 0.5));
    const last = Math.min(length - 1, Math.floor(middle + reach - 0.5));
    const weights = new Float64Array(last - first + 1).map((_zero, i) => 1 - Math.abs(first + i + 0.5 - middle) / reach);
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / all) };
  });
}
