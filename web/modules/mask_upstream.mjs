// The upstream reading, as api_core/masks/upstream.py: one grid over the whole picture, cut to 8 bits before resizing.
import { resizeLevels } from "./resample.mjs";

const round = Math.fround; // the official code calculates in float32, and its floor shows it

/**
 * The mean mask of some labels in steps of 1/255, or null when these settings level the map out.
 * @param {any} picture @param {number[]} labels that vary @param {number} contrast @param {number} smoothing odd
 * @param {string} interpolation @param {[number, number]} size
 * @returns {Float32Array | null}
 */
export function upstreamMask(picture, labels, contrast, smoothing, interpolation, size) {
  const names = Object.keys(picture.parts);
  const views = names.map((name) => onlyView(picture, name));
  const grid = views[0].grid;
  const maps = labels.map((label) => {
    const [one, other] = views.map(({ values }) => values.subarray(label * grid[0] * grid[1], (label + 1) * grid[0] * grid[1]));
    if (names.length === 1) return boxFilter(enhance(one, contrast), grid, smoothing);
    const [query, patch] = names[0] === "class_token" ? [one, other] : [other, one];
    const queried = boxFilter(enhance(query, contrast), grid, smoothing);
    const content = boxFilter(minMax(patch, true), grid, smoothing);
    return minMax(queried.map((a, i) => round(a + content[i]) - round(a * content[i])));
  });
  const merged = maps[0].map((_, i) => maps.reduce((sum, map) => round(sum + map[i]), 0) / maps.length);
  if (!merged.every(Number.isFinite)) return null;
  const levels = Uint8Array.from(merged, (value) => Math.floor(round(value * 255)));
  const mask = new Float32Array(resizeLevels(levels, grid, size, interpolation));
  for (let i = 0; i < mask.length; i++) mask[i] /= 255;
  return mask;
}

/** @param {any} picture @param {string} name */
function onlyView(picture, name) {
  const views = picture.parts[name];
  const names = Object.keys(picture.parts).sort();
  if (names.length > 1 && names.join() !== "class_token,patch") {
    throw new Error(`Heatmaps of one part, or of class_token and patch, can be used here, not of ${names.join(", ")}.`);
  }
  if (views.length !== 1) {
    throw new Error(
      `The upstream reading knows one grid per picture; part '${name}' has ${views.length} views. ` +
        "Make the heatmap with the precise reading, or with a fit that looks once.",
    );
  }
  return views[0];
}

/** @param {Float32Array} values @param {boolean} [upsideDown] */
function minMax(values, upsideDown = false) {
  const low = values.reduce((least, value) => Math.min(least, value));
  const high = values.reduce((most, value) => Math.max(most, value));
  const spread = round(high - low);
  return values.map((value) => round(upsideDown ? high - value : value - low) / spread);
}

/** @param {Float32Array} values @param {number} contrast */
function enhance(values, contrast) {
  const scaled = minMax(values);
  const mean = scaled.reduce((sum, value) => sum + value, 0) / scaled.length;
  const squares = scaled.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const [centre, spread] = [round(mean), round(Math.sqrt(squares / (scaled.length - 1)))];
  return scaled.map((value) => {
    const score = round(contrast * round(round(value - centre) / spread));
    return 1 / round(1 + round(Math.exp(-score)));
  });
}

/**
 * The mean over `width` x `width` cells, the edge going on.
 * @param {Float32Array} values @param {[number, number]} grid @param {number} width
 */
function boxFilter(values, [rows, columns], width) {
  const reach = Math.floor(width / 2);
  const weight = round(1 / width ** 2);
  return values.map((_, cell) => {
    const [y, x] = [Math.floor(cell / columns), cell % columns];
    let sum = 0;
    for (let j = y - reach; j <= y + reach; j++) {
      const row = Math.min(Math.max(j, 0), rows - 1) * columns;
      for (let i = x - reach; i <= x + reach; i++) {
        sum = round(sum + round(weight * values[row + Math.min(Math.max(i, 0), columns - 1)]));
      }
    }
    return sum;
  });
}
