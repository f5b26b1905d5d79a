// Neighbourhoods of a mask's pixels, as in api_core/morphology.py: box means of any width, growing and shrinking.

/** @typedef {[number, number]} Size rows and columns */

/**
 * Mean over `width` x `width` around each pixel; beyond the border the edge pixels go on, a pixel counts by its part.
 * @param {Float32Array} values @param {Size} size @param {number} width
 */
export function boxMean(values, size, width) {
  if (width === 1) return values;
  return meanAlong(meanAlong(values, size, width, true), size, width, false);
}

/** @param {Float32Array} values @param {Size} size @param {number} width @param {boolean} down */
function meanAlong(values, [rows, columns], width, down) {
  const count = down ? rows : columns;
  const [step, across, lines] = down ? [columns, 1, columns] : [1, columns, rows];
  const result = new Float32Array(values.length);
  const areas = new Float64Array(count); // running sums, each with its own cell
  const ends = [width / 2, -width / 2].map((shift) => {
    const cells = new Int32Array(count);
    const beyond = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const position = i + 0.5 + shift;
      cells[i] = Math.min(Math.max(Math.floor(position), 0), count - 1);
      beyond[i] = position - cells[i] - 1;
    }
    return { cells, beyond };
  });
  const [last, first] = ends;
  for (let line = 0; line < lines; line++) {
    const origin = line * across;
    for (let i = 0, sum = 0; i < count; i++) areas[i] = sum += values[origin + i * step];
    for (let i = 0; i < count; i++) {
      const to = last.cells[i];
      const from = first.cells[i];
      const upTo = areas[to] + last.beyond[i] * values[origin + to * step];
      const before = areas[from] + first.beyond[i] * values[origin + from * step];
      result[origin + i * step] = (upTo - before) / width;
    }
  }
  return result;
}

/**
 * Grow the bright parts by an octagon that reaches `pixels`, or shrink them when negative; soft masks stay soft.
 * @param {Float32Array} mask @param {Size} size @param {number} pixels
 * @returns {Float32Array}
 */
export function grow(mask, size, pixels) {
  if (pixels === 0) return mask;
  if (pixels < 0) return inverted(grow(inverted(mask), size, -pixels));
  const [rows, columns] = size;
  const reach = Math.min(pixels, Math.max(rows, columns));
  const square = roundHalfToEven(reach * (Math.SQRT2 - 1));
  const diamond = reach - square;
  const width = columns + 2 * reach;
  const padded = new Float32Array(width * (rows + 2 * reach));
  for (let y = 0; y < rows; y++) padded.set(mask.subarray(y * columns, (y + 1) * columns), (y + reach) * width + reach);
  greatest(padded, 2 * square + 1, 0, width);
  greatest(padded, 2 * square + 1, 0, 1);
  if (diamond) {
    // Two diagonal lines reach every second pixel of a diamond; the cross adds those between.
    greatest(padded, diamond, 0, width + 1);
    greatest(padded, diamond, 1, width);
    cross(padded, width);
  }
  const result = new Float32Array(mask.length);
  for (let y = 0; y < rows; y++) result.set(padded.subarray(y * width, y * width + columns), y * columns);
  return result;
}

/** @param {Float32Array} values */
export function inverted(values) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = 1 - values[i];
  return result;
}

/** To 0..1, in place. @param {Float32Array} values */
export function clamp(values) {
  for (let i = 0; i < values.length; i++) values[i] = Math.min(Math.max(values[i], 0), 1);
  return values;
}

/** As Python rounds. @param {number} value */
export function roundHalfToEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/**
 * In place, the greatest of `count` values in a line, doubling the reach: out[i] = max(in[i + first], in[i + second]).
 * Only the pixels on which the whole line fits keep a meaning; they shrink to the top left.
 * @param {Float32Array} values @param {number} count @param {number} first @param {number} second
 */
function greatest(values, count, first, second) {
  for (let have = 1; have < count; ) {
    const step = Math.min(have, count - have);
    const one = step * first;
    const other = step * second;
    const end = values.length - Math.max(one, other);
    for (let i = 0; i < end; i++) {
      const a = values[i + one];
      const b = values[i + other];
      values[i] = a > b ? a : b;
    }
    have += step;
  }
}

/** @param {Float32Array} values @param {number} width */
function cross(values, width) {
  const end = values.length - 2 * width - 1;
  for (let i = 0; i < end; i++) {
    values[i] = Math.max(
      values[i + 1],
      values[i + width],
      values[i + width + 1],
      values[i + width + 2],
      values[i + 2 * width + 1],
    );
  }
}
