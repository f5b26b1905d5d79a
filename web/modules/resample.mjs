// Pillow's resampling, as api_core/geometry.py does it: its kernels, pixel centres, support and normalised weights.

/** @param {number} x */
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** @type {Record<string, [number, (x: number) => number]>} support in source pixels, and weight by distance */
const KERNELS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0)],
  bicubic: [
    2,
    (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  ],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** @typedef {{width: number, first: Int32Array, weights: Float64Array}} Taps `width` weights for each point */

const MOST_HELD = 64;
/** @type {Map<string, Taps>} */
const held = new Map();

/**
 * For `count` points at start + (i + 1/2) step along `cells` cells: the first cell of each and its weights.
 * @param {number} cells @param {number} start @param {number} step @param {number} count @param {string} name
 * @returns {Taps}
 */
export function taps(cells, start, step, count, name) {
  const key = [cells, start, step, count, name].join();
  let found = held.get(key);
  if (!found) {
    if (name !== "nearest" && !Object.hasOwn(KERNELS, name)) throw new Error(`There is no interpolation '${name}'.`);
    found = name === "nearest" ? nearest(cells, start, step, count) : kernel(cells, start, step, count, name);
    if (held.size >= MOST_HELD) held.delete(/** @type {string} */ (held.keys().next().value));
    held.set(key, found);
  }
  return found;
}

/** @param {number} cells @param {number} start @param {number} step @param {number} count @returns {Taps} */
function nearest(cells, start, step, count) {
  const first = new Int32Array(count);
  // Pillow adds up the steps; on a border between two cells the rounding of that sum decides.
  for (let i = 0, at = start + step / 2; i < count; i++, at += step) {
    first[i] = Math.min(Math.max(Math.floor(at), 0), cells - 1);
  }
  return { width: 1, first, weights: new Float64Array(count).fill(1) };
}

/** @param {number} cells @param {number} start @param {number} step @param {number} count @param {string} name */
function kernel(cells, start, step, count, name) {
  const [support, weight] = KERNELS[name];
  const widening = Math.max(step, 1);
  const reach = support * widening;
  const width = Math.min(cells, Math.ceil(2 * reach) + 1);
  const first = new Int32Array(count);
  const weights = new Float64Array(count * width);
  for (let i = 0; i < count; i++) {
    const centre = Math.min(Math.max(start + (i + 0.5) * step, 0), cells * (1 - Number.EPSILON / 2));
    const from = Math.max(0, Math.trunc(centre - reach + 0.5));
    const to = Math.min(cells, Math.trunc(centre + reach + 0.5));
    first[i] = Math.min(from, cells - width); // all its cells exist; those before `from` weigh nothing
    const offset = i * width - first[i];
    let total = 0;
    for (let cell = from; cell < to; cell++) {
      weights[offset + cell] = weight((cell - centre + 0.5) / widening);
      total += weights[offset + cell];
    }
    for (let cell = from; cell < to; cell++) weights[offset + cell] /= total;
  }
  return { width, first, weights };
}

/**
 * Sample rows of `across` values, or columns, at the points of `points`.
 * @param {ArrayLike<number>} values @param {[number, number]} grid rows and columns @param {Taps} points
 * @param {boolean} down along the columns (else along the rows)
 */
export function sampled(values, [rows, columns], points, down) {
  const { width, first, weights } = points;
  const count = first.length;
  const result = new Float32Array(down ? count * columns : rows * count);
  if (down) {
    const sums = new Float64Array(columns);
    for (let y = 0; y < count; y++) {
      sums.fill(0);
      for (let tap = 0; tap < width; tap++) {
        const weight = weights[y * width + tap];
        if (weight === 0) continue;
        const from = (first[y] + tap) * columns;
        for (let x = 0; x < columns; x++) sums[x] += weight * values[from + x];
      }
      result.set(sums, y * columns);
    }
    return result;
  }
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < count; x++) {
      const from = y * columns + first[x];
      let sum = 0;
      for (let tap = 0; tap < width; tap++) sum += weights[x * width + tap] * values[from + tap];
      result[y * count + x] = sum;
    }
  }
  return result;
}

/**
 * Draw a grid that covers `box` of a picture at the picture's size; outside the box the grid's edge goes on.
 * @param {ArrayLike<number>} values @param {[number, number]} grid @param {number[]} box left, top, right, bottom
 * @param {[number, number]} size @param {string} name
 */
export function place(values, grid, [left, top, right, bottom], size, name) {
  const stepY = grid[0] / (bottom - top);
  const stepX = grid[1] / (right - left);
  const whole = (/** @type {number} */ start, /** @type {number} */ step, /** @type {number} */ axis) =>
    start === 0 && step === 1 && grid[axis] === size[axis];
  let drawn = values;
  if (!whole(-left * stepX, stepX, 1)) {
    drawn = sampled(drawn, grid, taps(grid[1], -left * stepX, stepX, size[1], name), false);
  }
  if (!whole(-top * stepY, stepY, 0)) {
    drawn = sampled(drawn, [grid[0], size[1]], taps(grid[0], -top * stepY, stepY, size[0], name), true);
  }
  return drawn instanceof Float32Array ? drawn : Float32Array.from(drawn);
}

const FIXED_POINT = 2 ** 22;

/**
 * Resize 8-bit levels as Pillow does: weights in fixed point, rounded to 8 bits after the rows and after the columns.
 * @param {Uint8Array} values @param {[number, number]} grid @param {[number, number]} size @param {string} name
 * @returns {Uint8Array | Float32Array} whole levels 0..255
 */
export function resizeLevels(values, grid, size, name) {
  /** @type {Uint8Array | Float32Array} */
  let drawn = values;
  for (const axis of [1, 0]) {
    if (grid[axis] === size[axis]) continue;
    const points = taps(grid[axis], 0, grid[axis] / size[axis], size[axis], name);
    drawn = sampled(drawn, [grid[0], axis ? grid[1] : size[1]], fixedPoint(points), !axis);
    for (let i = 0; i < drawn.length; i++) drawn[i] = Math.min(Math.max(Math.floor(drawn[i] + 0.5), 0), 255);
  }
  return drawn;
}

/** @param {Taps} points @returns {Taps} */
function fixedPoint({ width, first, weights }) {
  const rounded = weights.map((weight) => Math.trunc(weight * FIXED_POINT + (weight < 0 ? -0.5 : 0.5)) / FIXED_POINT);
  return { width, first, weights: rounded };
}
