// The numbers of the viewer: which map is shown, its peak, its value at a point, which word says most there.
import { tuneMask } from "./mask.mjs";

/**
 * @typedef {import("./heatmap_file.mjs").PictureMap} PictureMap
 * @typedef {import("./heatmap_file.mjs").Pair} Pair
 * @typedef {{values: Float32Array, size: Pair, warning?: string}} Grid values 0..1, row by row
 */

/**
 * The same map with some of its labels only, in that order.
 * @param {PictureMap} picture
 * @param {number[]} indices
 * @returns {PictureMap}
 */
export function pick(picture, indices) {
  /** @type {PictureMap["parts"]} */
  const parts = {};
  for (const [name, views] of Object.entries(picture.parts)) {
    parts[name] = views.map((view) => {
      const cells = view.grid[0] * view.grid[1];
      const values = new Float32Array(indices.length * cells);
      indices.forEach((index, i) => values.set(view.values.subarray(index * cells, (index + 1) * cells), i * cells));
      return { ...view, values };
    });
  }
  const presence = picture.presence?.length ? indices.map((index) => picture.presence?.[index] ?? 0) : [];
  return { ...picture, labels: indices.map((index) => picture.labels[index]), parts, presence };
}

/**
 * A size of the same shape whose longer side is no more than `longest`.
 * @param {Pair} size
 * @param {number} longest
 * @returns {Pair}
 */
export function within([height, width], longest) {
  const scale = Math.min(1, longest / Math.max(height, width));
  return [Math.max(1, Math.round(height * scale)), Math.max(1, Math.round(width * scale))];
}

/**
 * The map of some labels (of several: their mean) as View Heatmap's picture shows it.
 * @param {PictureMap} picture
 * @param {number[]} indices
 * @param {number} longest longer side of the result in pixels
 * @returns {Grid}
 */
export function mapOf(picture, indices, longest) {
  return tuneMask(pick(picture, indices), {}, within(picture.size, longest));
}

/**
 * Where a map is strongest, as shares of its width and height; null for one that is the same everywhere.
 * @param {Grid} map
 */
export function peakOf({ values, size: [height, width] }) {
  let best = 0;
  let least = 0;
  for (let i = 1; i < values.length; i++) {
    if (values[i] > values[best]) best = i;
    if (values[i] < values[least]) least = i;
  }
  if (values[best] === values[least]) return null;
  return { x: ((best % width) + 0.5) / width, y: (Math.floor(best / width) + 0.5) / height, value: values[best] };
}

/**
 * @param {Grid} map
 * @param {number} x share of the width, 0..1
 * @param {number} y share of the height, 0..1
 */
export function valueAt({ values, size: [height, width] }, x, y) {
  const cell = (/** @type {number} */ share, /** @type {number} */ count) =>
    Math.min(count - 1, Math.max(0, Math.floor(share * count)));
  return values[cell(y, height) * width + cell(x, width)];
}

/**
 * How much a word's map says at a point: nothing where it is the same everywhere, though such a map is 1.
 * @param {Grid} map
 * @param {number} x share of the width, 0..1
 * @param {number} y share of the height, 0..1
 */
export function strengthAt(map, x, y) {
  return map.warning ? 0 : valueAt(map, x, y);
}

/**
 * The places of values, the largest first: 1 for it, 2 for the next; equal ones share a place.
 * @param {number[]} values
 */
export function places(values) {
  return values.map((value) => 1 + values.filter((other) => other > value).length);
}

/**
 * @param {Float32Array} values 0..1
 * @param {Uint8ClampedArray} table 256 * 3 levels
 * @param {Uint8ClampedArray} pixels as many * 4 levels, written to
 */
export function paint(values, table, pixels) {
  for (let i = 0; i < values.length; i++) {
    const at = 3 * Math.min(255, Math.max(0, Math.round(values[i] * 255)));
    pixels[4 * i] = table[at];
    pixels[4 * i + 1] = table[at + 1];
    pixels[4 * i + 2] = table[at + 2];
    pixels[4 * i + 3] = 255;
  }
}
