// A mask drawn over a picture, as api_core/overlay does it, on 8-bit pixels at a preview's size.
import { STEPS, wholeTable } from "./colormap.mjs";
import { magnified } from "./magnify.mjs";
import { grow, inverted, roundHalfToEven } from "./morphology.mjs";
import { place } from "./resample.mjs";

/**
 * @typedef {[number, number]} Size rows and columns
 * @typedef {Record<string, any>} Style the `style` widget's value under "style", and that style's own settings
 * @typedef {{cover: Float32Array, behind: ArrayLike<number>}} Layer behind: levels of one colour, or of every pixel
 */

const LUMA = [0.2126, 0.7152, 0.0722];
const DIRECT_BLUR = 3; // a wider blur works on a smaller picture
const RESIZE_BLUR = 0.6; // what making it smaller and larger again adds by itself

/**
 * @param {Uint8ClampedArray} pixels red, green, blue, alpha of each pixel @param {Float32Array} mask 0..1
 * @param {Size} size of both @param {Style} style @param {number} strength 0..1
 * @param {number} [scale] preview pixels for each picture pixel
 * @returns {Uint8ClampedArray}
 */
export function overlay(pixels, mask, size, style, strength, scale = 1) {
  if (style.style === "magnify") return magnified(pixels, mask, size, style, strength);
  if (!Object.hasOwn(LAYERS, style.style)) {
    throw new Error(`Overlay Attention does not know the style '${style.style}'.`);
  }
  const { cover, behind } = LAYERS[style.style](style, pixels, mask, size, scale);
  const result = new Uint8ClampedArray(pixels);
  if (!strength) return result;
  const step = behind.length === 3 ? 0 : 3;
  const truncate = style.style === "fade to grey" && style.rounding === "truncate";
  for (let i = 0, at = 0, back = 0; i < mask.length; i++, at += 4, back += step) {
    const keep = truncate ? officialKeep(cover[i], strength) : 1 - cover[i] * strength;
    for (let c = 0; c < 3; c++) {
      const value = pixels[at + c] * keep;
      const rest = behind[back + c] * (1 - keep);
      result[at + c] = truncate ? Math.floor(Math.fround(value) + rest) : value + rest; // else to the nearest level
    }
  }
  return result;
}

/** The official code's mix of precisions, which its cut to whole levels shows. @param {number} cover @param {number} strength */
function officialKeep(cover, strength) {
  const round = Math.fround;
  const level = round(1 - cover) * 255;
  const whole = Math.floor(level + 0.5);
  const alpha = round((Math.abs(level - whole) < 1e-3 ? whole : level) / 255);
  return strength < 1 ? round(1 - round(round(strength) * round(1 - alpha))) : alpha;
}

/** @param {string} colour #rgb or #rrggbb */
export function levels(colour) {
  const digits = colour.trim().replace("#", "");
  const all = digits.length === 3 ? [...digits].map((digit) => digit + digit).join("") : digits;
  if (!/^[0-9a-f]{6}$/i.test(all)) throw new Error(`A colour must be written as #rrggbb, for example #808080, not '${colour}'.`);
  return [0, 2, 4].map((i) => parseInt(all.slice(i, i + 2), 16));
}

/**
 * What each style lays over a picture.
 * @type {Record<string, (style: Style, pixels: Uint8ClampedArray, mask: Float32Array, size: Size, scale: number) => Layer>}
 */
const LAYERS = {
  "fade to grey": ({ level }, _, mask) => ({ cover: inverted(mask), behind: [level, level, level] }),
  "fade to colour": ({ colour }, _, mask) => ({ cover: inverted(mask), behind: levels(colour) }),
  blur: ({ radius }, pixels, mask, size, scale) => ({
    cover: inverted(mask),
    behind: blurred(pixels, size, radius * scale),
  }),
  desaturate: (_, pixels, mask) => ({ cover: inverted(mask), behind: grey(pixels) }),
  "heat colours": (style, _, mask) => heat(mask, style),
  outline: (style, _, mask, size, scale) => ({ cover: line(mask, size, style, scale), behind: levels(style.colour) }),
};

/** @param {Uint8ClampedArray} pixels */
function grey(pixels) {
  const result = new Float32Array((pixels.length / 4) * 3);
  for (let at = 0, to = 0; at < pixels.length; at += 4, to += 3) {
    const level = LUMA[0] * pixels[at] + LUMA[1] * pixels[at + 1] + LUMA[2] * pixels[at + 2];
    result[to] = result[to + 1] = result[to + 2] = level;
  }
  return result;
}

/** @param {Float32Array} mask @param {Style} style @returns {Layer} */
function heat(mask, style) {
  const table = wholeTable(style.colormap);
  const behind = new Uint8ClampedArray(mask.length * 3);
  for (let i = 0, to = 0; i < mask.length; i++) {
    const from = 3 * Math.floor(mask[i] * STEPS + 0.5);
    for (let c = 0; c < 3; c++) behind[to++] = table[from + c];
  }
  return { cover: mask.map((value) => (style.weighted ? value : 1) * style.opacity), behind };
}

/** @param {Float32Array} mask @param {Size} size @param {Style} style @param {number} scale */
function line(mask, size, style, scale) {
  const width = Math.max(1, Math.round(style.width * scale));
  const outwards = Math.ceil(width / 2);
  const least = Math.fround(style.threshold);
  const region = mask.map((value) => (value >= least ? 1 : 0));
  const inner = grow(region, size, outwards - width);
  return grow(region, size, outwards).map((value, i) => value - inner[i]);
}

/** @type {WeakMap<Uint8ClampedArray, {radius: number, made: Float32Array}>} of each picture the blur made last */
const blurs = new WeakMap();

/** A Gaussian blur of all three colours. @param {Uint8ClampedArray} pixels @param {Size} size @param {number} radius */
function blurred(pixels, size, radius) {
  const held = blurs.get(pixels);
  if (held?.radius === radius) return held.made;
  const [rows, columns] = size;
  const made = new Float32Array(rows * columns * 3);
  for (let c = 0; c < 3; c++) {
    const plane = new Float32Array(rows * columns);
    for (let i = 0; i < plane.length; i++) plane[i] = pixels[4 * i + c];
    const soft = blurPlane(plane, size, radius);
    for (let i = 0; i < plane.length; i++) made[3 * i + c] = soft[i];
  }
  blurs.set(pixels, { radius, made });
  return made;
}

/** @param {Float32Array} plane @param {Size} size @param {number} radius */
function blurPlane(plane, size, radius) {
  if (radius < DIRECT_BLUR) return gaussian(gaussian(plane, size, radius, true), size, radius, false);
  const small = /** @type {Size} */ (size.map((side) => Math.max(1, roundHalfToEven(side / (radius / 1.5)))));
  const reduced = place(plane, size, [0, 0, small[1], small[0]], small, "bilinear");
  const [down, across] = small.map((side, axis) => {
    const factor = size[axis] / side;
    return Math.sqrt(Math.max((radius / factor) ** 2 - RESIZE_BLUR ** 2, 0.01));
  });
  const soft = gaussian(gaussian(reduced, small, down, true), small, across, false);
  return place(soft, small, [0, 0, size[1], size[0]], size, "bicubic");
}

/** Along one axis; the edge pixels go on. @param {Float32Array} values @param {Size} size @param {number} deviation */
function gaussian(values, [rows, columns], deviation, /** @type {boolean} */ down) {
  const reach = Math.ceil(3 * deviation);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / deviation) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const result = new Float32Array(values.length);
  const sums = new Float64Array(columns);
  const padded = new Float32Array(columns + 2 * reach);
  for (let y = 0; y < rows; y++) {
    sums.fill(0);
    if (!down) {
      padded.fill(values[y * columns], 0, reach);
      padded.set(values.subarray(y * columns, (y + 1) * columns), reach);
      padded.fill(values[(y + 1) * columns - 1], reach + columns);
    }
    for (let tap = 0; tap <= 2 * reach; tap++) {
      const weight = weights[tap] / total;
      const row = Math.min(Math.max(y + tap - reach, 0), rows - 1);
      const from = down ? values.subarray(row * columns) : padded.subarray(tap);
      for (let x = 0; x < columns; x++) sums[x] += weight * from[x];
    }
    result.set(sums, y * columns);
  }
  return result;
}
