// The views of one picture's map, their valid cells, and drawing them: api_core/geometry.py and api_core/scales.py.
import { place } from "./resample.mjs";

/**
 * One grid with the rectangle of the picture it covers.
 * @typedef {{grid: [number, number], box: number[], maps: Float32Array[], valid: Uint8Array | null}} View
 * maps: one per label. valid: 1 where the cell saw the picture; null when all did.
 */

// A map whose values differ by less than a few float32 roundings has no information to enhance, only noise.
const NOISE = 1e-6;

/**
 * The labels `indices` of a part of a heatmap file.
 * @param {any[]} views @param {number[]} indices
 * @returns {View[]}
 */
export function pick(views, indices) {
  return views.map(({ grid, box, values, valid }) => {
    const cells = grid[0] * grid[1];
    return { grid, box, valid, maps: indices.map((i) => values.subarray(i * cells, (i + 1) * cells)) };
  });
}

/**
 * Least and greatest, mean and spread of one label over the valid cells of all views.
 * @param {View[]} views @param {number} label
 */
export function statistics(views, label) {
  let [low, high, sum, squares, count] = [Infinity, -Infinity, 0, 0, 0];
  const each = (/** @type {(value: number) => void} */ visit) => {
    for (const { maps, valid } of views) {
      maps[label].forEach((value, i) => (!valid || valid[i]) && visit(value));
    }
  };
  each((value) => {
    low = Math.min(low, value); // NaN stays NaN
    high = Math.max(high, value);
    sum += value;
    squares += value * value;
    count++;
  });
  if (!count) throw new Error("The heatmap has no valid cell; there is nothing to scale.");
  if (!Number.isFinite(low) || !Number.isFinite(high)) throw new Error("The heatmap holds values that are not finite.");
  const mean = sum / count;
  let deviations = 0;
  each((value) => (deviations += (value - mean) ** 2));
  return {
    low,
    high,
    mean,
    deviation: count > 1 ? Math.sqrt(deviations / (count - 1)) : 0,
    rootMeanSquare: Math.sqrt(squares / count),
    constant: high - low <= NOISE * Math.max(Math.abs(low), Math.abs(high)),
  };
}

/**
 * Each label's values by `change`; cells that saw nothing become 0.
 * @param {View[]} views
 * @param {(label: number) => (value: number) => number} change
 * @returns {View[]}
 */
export function changed(views, change) {
  return views.map((view) => ({
    ...view,
    maps: view.maps.map((map, label) => {
      const by = change(label);
      return map.map((value, i) => (!view.valid || view.valid[i] ? by(value) : 0));
    }),
  }));
}

/** @param {View[]} views @param {boolean} [upsideDown] */
export function minMax(views, upsideDown = false) {
  return changed(views, (label) => {
    const { low, high, constant } = statistics(views, label);
    if (constant) return () => 0;
    return upsideDown ? (value) => (high - value) / (high - low) : (value) => (value - low) / (high - low);
  });
}

/** Cut a view down to the rectangle of its valid cells. @param {View} view @returns {View} */
export function trim(view) {
  const { grid, box, maps, valid } = view;
  if (!valid || valid.every(Boolean)) return { ...view, valid: null };
  const [rows, columns] = grid;
  let [top, bottom, left, right] = [rows, 0, columns, 0];
  valid.forEach((seen, i) => {
    if (!seen) return;
    const [y, x] = [Math.floor(i / columns), i % columns];
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y + 1), Math.min(left, x), Math.max(right, x + 1)];
  });
  if (!bottom) throw new Error("None of the cells of a view saw the picture.");
  const cut = (/** @type {any} */ cells) => {
    const kept = new cells.constructor((bottom - top) * (right - left));
    for (let y = top; y < bottom; y++) {
      kept.set(cells.subarray(y * columns + left, y * columns + right), (y - top) * (right - left));
    }
    return kept;
  };
  const [cellY, cellX] = [(box[3] - box[1]) / rows, (box[2] - box[0]) / columns];
  return {
    grid: [bottom - top, right - left],
    box: [box[0] + left * cellX, box[1] + top * cellY, box[0] + right * cellX, box[1] + bottom * cellY],
    maps: maps.map(cut),
    valid: cut(valid),
  };
}

/** Give cells that saw nothing the mean of the nearest ones that did. @param {View} view @returns {View} */
function withoutHoles(view) {
  if (!view.valid || view.valid.every(Boolean)) return view;
  const [rows, columns] = view.grid;
  const maps = view.maps.map((map) => map.slice());
  let valid = view.valid.slice();
  while (!valid.every(Boolean)) {
    const next = valid.slice();
    valid.forEach((seen, cell) => {
      if (seen) return;
      const [y, x] = [Math.floor(cell / columns), cell % columns];
      const near = [];
      for (let j = Math.max(y - 1, 0); j <= Math.min(y + 1, rows - 1); j++) {
        for (let i = Math.max(x - 1, 0); i <= Math.min(x + 1, columns - 1); i++) {
          if (valid[j * columns + i]) near.push(j * columns + i);
        }
      }
      if (!near.length) return;
      next[cell] = 1;
      for (const map of maps) map[cell] = near.reduce((sum, i) => sum + map[i], 0) / near.length;
    });
    valid = next;
  }
  return { ...view, maps, valid: null };
}

/**
 * Draw the first map of the views over each other at a picture's size. Overlaps are blended with weights that fall to
 * nothing at each view's edge; a pixel that no view covers goes on from the nearest one.
 * @param {View[]} views boxes in pixels of `size` @param {[number, number]} size @param {string} interpolation
 */
export function compose(views, size, interpolation) {
  const trimmed = views.map((view) => withoutHoles(trim(view)));
  if (trimmed.length === 1) return place(trimmed[0].maps[0], trimmed[0].grid, trimmed[0].box, size, interpolation);
  const [height, width] = size;
  const total = new Float32Array(height * width);
  const weights = new Float32Array(height * width);
  for (const { grid, box, maps } of trimmed) {
    const [down, across] = [tent(box[1], box[3], height), tent(box[0], box[2], width)];
    const inner = [box[0] - across.first, box[1] - down.first, box[2] - across.first, box[3] - down.first];
    if (!down.weights.length || !across.weights.length) continue;
    const drawn = place(maps[0], grid, inner, [down.weights.length, across.weights.length], interpolation);
    down.weights.forEach((weightY, y) => {
      const row = (down.first + y) * width + across.first;
      across.weights.forEach((weightX, x) => {
        weights[row + x] += weightY * weightX;
        total[row + x] += weightY * weightX * drawn[y * across.weights.length + x];
      });
    });
  }
  /** @type {Map<View, Float32Array>} */
  const beyond = new Map();
  for (let i = 0; i < total.length; i++) {
    if (weights[i]) {
      total[i] /= weights[i];
      continue;
    }
    const view = nearestView(trimmed, Math.floor(i / width) + 0.5, (i % width) + 0.5);
    if (!beyond.has(view)) beyond.set(view, place(view.maps[0], view.grid, view.box, size, interpolation));
    total[i] = /** @type {Float32Array} */ (beyond.get(view))[i];
  }
  return total;
}

/** Weights under a raised-cosine tent, where they are not zero. @param {number} from @param {number} to */
function tent(from, to, /** @type {number} */ count) {
  const inside = [];
  let first = 0;
  for (let i = 0; i < count; i++) {
    const position = (i + 0.5 - from) / (to - from);
    const weight = position > 0 && position < 1 ? Math.fround(Math.sin(Math.PI * position) ** 2) : 0;
    if (weight && !inside.length) first = i;
    if (weight) inside.push(weight);
  }
  return { first, weights: inside };
}

/** @param {View[]} views @param {number} y @param {number} x */
function nearestView(views, y, x) {
  const round = Math.fround; // as in Python, where roundings decide between views that are equally near
  let [best, least] = [views[0], Infinity];
  for (const view of views) {
    const [left, top, right, bottom] = view.box.map(round);
    const [down, across] = [Math.max(top - y, y - bottom, 0), Math.max(left - x, x - right, 0)];
    const distance = round(Math.hypot(round(down), round(across)));
    if (distance < least) [best, least] = [view, distance];
  }
  return best;
}
