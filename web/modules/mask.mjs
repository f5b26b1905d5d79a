// From raw heatmaps to masks, by the arithmetic of api_core/masks, for redrawing a preview while a slider moves.
import { boxMean, clamp, grow, inverted } from "./morphology.mjs";
import { preciseMask } from "./mask_precise.mjs";
import { upstreamMask } from "./mask_upstream.mjs";
import { pick, statistics } from "./views.mjs";

/**
 * What the widgets of Smooth & Enhance Mask say, by their names; what is left out does nothing. contrast below 0 and
 * smoothing 0, or none of them: the heatmap's own.
 * @typedef {object} MaskSettings
 * @property {number} [contrast]
 * @property {number} [smoothing]
 * @property {string} [interpolation]
 * @property {string | string[]} [words] separated by commas, or a list
 * @property {number} [threshold]
 * @property {number} [grow] picture pixels
 * @property {boolean} [invert]
 * @property {string} [smoothing_unit] "patches" or "pixels"
 * @property {number} [feather] picture pixels
 * @property {number} [least_presence] 0: off
 */

const LEFT_AS_IT_IS = "the mask is 1 everywhere and leaves the picture as it is.";

/**
 * The mask of one picture at `outSize`, which may be a preview's: what counts pixels is scaled with it.
 * Throws an Error with a sentence for the user where Python would.
 * @param {any} picture of a heatmap file, see heatmap_file.mjs
 * @param {MaskSettings} settings
 * @param {[number, number]} [outSize] rows and columns; the picture's own when left out
 * @returns {{values: Float32Array, size: [number, number], warning?: string}}
 */
export function tuneMask(picture, settings, outSize = picture.size) {
  const size = /** @type {[number, number]} */ ([outSize[0], outSize[1]]);
  const scale = Math.max(size[0], size[1]) / Math.max(picture.size[0], picture.size[1]);
  const own = { contrast: 1, smoothing: 1, ...picture.defaults };
  const contrast = settings.contrast !== undefined && settings.contrast >= 0 ? settings.contrast : own.contrast;
  const smoothing = settings.smoothing || own.smoothing;
  const pixels = Boolean(settings.smoothing) && settings.smoothing_unit === "pixels";
  const chosen = chosenLabels(picture.labels, settings.words);
  const { kept, flat } = informative(picture, chosen);
  const absence = absent(picture, chosen, settings.least_presence ?? 0);
  const notes = flat.length
    ? [`the map of ${flat.join(", ")} is the same everywhere: ${kept.length ? "it is left out of the mean." : LEFT_AS_IT_IS}`]
    : [];
  const cells = pixels ? 1 : smoothing;
  /** @type {Float32Array | null} */
  let mask = null;
  if (picture.reading === "upstream") {
    requireOddPatches(smoothing, pixels);
    mask = kept.length ? upstreamMask(picture, kept, contrast, smoothing, settings.interpolation ?? "lanczos", size) : null;
  } else if (kept.length) {
    mask = preciseMask(picture, kept, contrast, cells, settings.interpolation ?? "lanczos", size);
  }
  if (!mask && kept.length) {
    notes.push(`nothing of the map is left at contrast ${contrast} and smoothing ${cells}: ${LEFT_AS_IT_IS}`);
  }
  if (absence) notes.push(absence);
  mask = mask && !absence ? shaped(mask, size, settings, pixels ? smoothing : 1, scale) : new Float32Array(size[0] * size[1]).fill(1);
  const values = settings.invert && !absence ? inverted(mask) : mask;
  return notes.length ? { values, size, warning: notes.join("\n") } : { values, size };
}

/**
 * How far what some labels ask for stands out among other things, the least of theirs; undefined: the map does not say.
 * @param {any} picture @param {number[]} chosen
 * @returns {number | undefined}
 */
export function presenceOf(picture, chosen) {
  return picture.presence?.length ? Math.min(...chosen.map((label) => picture.presence[label])) : undefined;
}

/**
 * What is said where the chosen labels have less presence than `least`; nothing otherwise.
 * @param {any} picture @param {number[]} chosen @param {number} least
 */
function absent(picture, chosen, least) {
  if (!least) return "";
  const found = presenceOf(picture, chosen);
  if (found === undefined) {
    throw new Error(`The map by '${picture.method}' of ${picture.model} does not say whether the thing is there.`);
  }
  if (found >= least) return "";
  const texts = chosen.map((label) => `'${picture.labels[label].text}'`).join(", ");
  return (
    `the presence of ${texts}, ${found.toFixed(2)}, is less than ${Number(least.toPrecision(6))}, ` +
    `so it is taken not to be there: ${LEFT_AS_IT_IS}`
  );
}

/**
 * Smoothing in pixels, threshold, growing and the soft edge.
 * @param {Float32Array} mask @param {[number, number]} size @param {MaskSettings} settings
 * @param {number} width @param {number} scale preview pixels for each picture pixel
 */
function shaped(mask, size, settings, width, scale) {
  const smooth = (/** @type {Float32Array} */ values, /** @type {number} */ pixels) =>
    pixels * scale > 1 ? clamp(boxMean(values, size, pixels * scale)) : values;
  let result = width > 1 ? smooth(mask, width) : mask;
  if (settings.threshold) {
    const least = Math.fround(settings.threshold);
    result = result.map((value) => (value >= least ? 1 : 0));
  }
  result = grow(result, size, Math.round((settings.grow ?? 0) * scale));
  return smooth(result, settings.feather ?? 0);
}

/** @param {number} smoothing @param {boolean} pixels */
function requireOddPatches(smoothing, pixels) {
  if (pixels || smoothing % 2 !== 1) {
    throw new Error(
      `The upstream reading smooths by an odd whole number of patches, not by ${smoothing} ` +
        `${pixels ? "pixels" : "patches"}. Use 1, 3, 5 ..., or make the heatmap with the precise reading.`,
    );
  }
}

/** Any case, as Python's casefold. @param {string} text */
function folded(text) {
  return text.toUpperCase().toLowerCase();
}

/**
 * The labels that words choose: every occurrence of each; a phrase that is no label stands for its words. Without words
 * the whole text's, or all of a heatmap that holds words only.
 * @param {{text: string, role: string}[]} labels @param {string | string[]} [words]
 * @returns {number[]}
 */
export function chosenLabels(labels, words = "") {
  const wanted = (Array.isArray(words) ? words : words.split(",")).map((word) => word.trim()).filter(Boolean);
  if (!wanted.length) return labels[0]?.role === "whole" ? [0] : labels.map((_, i) => i);
  const found = (/** @type {string} */ text) =>
    labels.flatMap((label, i) => (folded(label.text) === folded(text) ? [i] : []));
  /** @type {Set<number>} */
  const chosen = new Set();
  for (const text of wanted) {
    for (const part of found(text).length ? [text] : text.split(/\s+/)) {
      if (!found(part).length) {
        const known = labels.map((label) => `'${label.text}'`).join(", ");
        throw new Error(`The heatmap has no map for '${part}'. It has maps for: ${known}.`);
      }
      for (const i of found(part)) chosen.add(i);
    }
  }
  return [...chosen];
}

/**
 * Which of the chosen labels vary over the picture in every part, and the texts of those that do not.
 * @param {any} picture @param {number[]} chosen
 */
function informative(picture, chosen) {
  /** @type {any[][]} */
  const parts = Object.values(picture.parts);
  const constant = (/** @type {number} */ label) =>
    parts.some((views) => statistics(pick(views, [label]), 0).constant);
  const flat = chosen.filter(constant);
  return {
    kept: chosen.filter((label) => !flat.includes(label)),
    flat: flat.map((label) => `'${picture.labels[label].text}'`),
  };
}
