// The precise reading, as api_core/masks/precise.py: valid cells only, float to the end, laid where the model looked.
import { clamp } from "./morphology.mjs";
import { changed, compose, minMax, pick, statistics, trim } from "./views.mjs";

/** @typedef {import("./views.mjs").View} View */

const round = Math.fround; // Python calculates in float32; of a map that is nearly levelled out, that is all one sees

/**
 * The mean mask of some labels, 0..1, or null when these settings level the map out.
 * @param {any} picture @param {number[]} labels that vary @param {number} contrast @param {number} smoothing
 * @param {string} interpolation @param {[number, number]} size
 * @returns {Float32Array | null}
 */
export function preciseMask(picture, labels, contrast, smoothing, interpolation, size) {
  /** @type {Record<string, View[]>} */
  const parts = {};
  for (const [name, views] of Object.entries(picture.parts)) parts[name] = pick(views, labels).map(trim);
  let merged = merge(parts, contrast, smoothing, picture.signed);
  if (labels.some((_, label) => statistics(merged, label).constant)) return null;
  if (labels.length > 1) {
    merged = minMax(merged).map((view) => ({ ...view, maps: [mean(view.maps)] }));
    if (statistics(merged, 0).constant) return null;
  }
  const [scaleY, scaleX] = [size[0] / picture.size[0], size[1] / picture.size[1]];
  const laid = minMax(merged).map(({ box, ...view }) => ({
    ...view,
    box: [box[0] * scaleX, box[1] * scaleY, box[2] * scaleX, box[3] * scaleY],
  }));
  return clamp(compose(laid, size, interpolation));
}

/** @param {Float32Array[]} maps */
function mean(maps) {
  return maps[0].map((_, i) => maps.reduce((sum, map) => sum + map[i], 0) / maps.length);
}

/**
 * Contrast, smooth and merge the parts.
 * @param {Record<string, View[]>} parts @param {number} contrast @param {number} smoothing @param {boolean} signed
 * @returns {View[]}
 */
function merge(parts, contrast, smoothing, signed) {
  const names = Object.keys(parts);
  if (names.length === 1) return smooth(enhance(parts[names[0]], contrast, signed), smoothing);
  if (names.sort().join() !== "class_token,patch") {
    throw new Error(`Heatmaps of one part, or of class_token and patch, can be used here, not of ${names.join(", ")}.`);
  }
  const queried = smooth(enhance(parts.class_token, contrast, signed), smoothing);
  const content = smooth(minMax(parts.patch, true), smoothing);
  return queried.map((view, v) => ({
    ...view,
    maps: view.maps.map((map, label) => {
      const other = content[v].maps[label];
      return map.map((a, i) => round(a + other[i]) - round(a * other[i]));
    }),
  }));
}

/** sigmoid(contrast * z-score); a signed map keeps its own zero. @param {View[]} views @param {number} contrast */
function enhance(views, contrast, /** @type {boolean} */ signed) {
  const scaled = changed(views, (label) => {
    const found = statistics(views, label);
    const centre = signed ? 0 : found.mean;
    const spread = found.constant ? Infinity : signed ? found.rootMeanSquare : found.deviation;
    return (value) => (value - centre) / spread;
  });
  // Cells that saw nothing get the sigmoid of 0, as in Python.
  return scaled.map((view) => ({
    ...view,
    maps: view.maps.map((map) => map.map((value) => 1 / round(1 + round(Math.exp(-round(contrast * value)))))),
  }));
}

/**
 * Box means on each view's grid: edge cells go on beyond it, cells that saw nothing do not count.
 * @param {View[]} views @param {number} width
 */
function smooth(views, width) {
  if (width === 1) return views;
  return views.map((view) => {
    const [rows, columns] = view.grid;
    const [down, across] = [boxWeights(rows, width), boxWeights(columns, width)];
    const seen = view.valid ?? new Uint8Array(rows * columns).fill(1);
    const count = boxSum(seen, view.grid, down, across);
    const maps = view.maps.map((map) => {
      const total = boxSum(
        map.map((value, i) => value * seen[i]),
        view.grid,
        down,
        across,
      );
      return map.map((value, i) => (seen[i] ? total[i] / count[i] : value));
    });
    return { ...view, maps };
  });
}

/** @param {number} cells @param {number} width @returns {Float64Array} cells * cells */
function boxWeights(cells, width) {
  const weights = new Float64Array(cells * cells);
  for (let middle = 0; middle < cells; middle++) {
    for (let cell = 0; cell < cells; cell++) {
      const start = cell === 0 ? -Infinity : cell - 0.5;
      const end = cell === cells - 1 ? Infinity : cell + 0.5;
      const covered = Math.min(end, middle + width / 2) - Math.max(start, middle - width / 2);
      weights[middle * cells + cell] = Math.max(covered, 0) / width;
    }
  }
  return weights;
}

/** down @ values @ across.T. @param {ArrayLike<number>} values @param {[number, number]} grid */
function boxSum(values, [rows, columns], /** @type {Float64Array} */ down, /** @type {Float64Array} */ across) {
  const between = new Float64Array(rows * columns);
  const result = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let j = 0; j < rows; j++) sum += down[y * rows + j] * values[j * columns + x];
      between[y * columns + x] = sum;
    }
  }
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += between[y * columns + i] * across[x * columns + i];
      result[y * columns + x] = sum;
    }
  }
  return result;
}
