// Reads the files that nodes leave for their faces; nodes/ui_files.py writes them and describes the format.

/**
 * @typedef {[number, number]} Pair
 * @typedef {{text: string, role: "whole" | "query word" | "question word" | "answer word"}} Label
 * @typedef {{grid: Pair, box: [number, number, number, number], values: Float32Array, valid: Uint8Array | null}} View
 *   values: one grid per label, one after the other
 * @typedef {{size: Pair, labels: Label[], method: string, model: string, layer: number | null,
 *   reading: "precise" | "upstream", signed: boolean, defaults: {contrast: number, smoothing: number},
 *   presence?: number[], parts: Record<string, View[]>, wordsLeftOut: number}} PictureMap
 *   size: height and width of the picture; presence: of each label, where the method says it
 * @typedef {{size: Pair, full: Pair, values: Float32Array}} Mask
 *   size: as in the file; full: of the mask that it was made smaller from
 * @typedef {(offset: number, count: number) => Float32Array} Floats
 */

const MAGIC = "APM1";
const BEFORE_HEADER = 8;

/**
 * The heatmaps or masks of a file.
 * @param {ArrayBuffer} buffer
 * @returns {{pictures: PictureMap[], masks: Mask[]}}
 */
export function readHeatmaps(buffer) {
  const { header, floats } = open(buffer);
  return {
    pictures: (header.pictures ?? []).map((/** @type {any} */ picture) => readPicture(picture, floats)),
    masks: (header.masks ?? []).map((/** @type {any} */ { size, full, values }) => ({
      size,
      full: full ?? size,
      values: floats(values, size[0] * size[1]),
    })),
  };
}

/**
 * @param {ArrayBuffer} buffer
 * @returns {{header: any, floats: Floats}}
 */
function open(buffer) {
  const start = new Uint8Array(buffer, 0, Math.min(BEFORE_HEADER, buffer.byteLength));
  const magic = String.fromCharCode(...start.subarray(0, MAGIC.length));
  if (start.length < BEFORE_HEADER || magic !== MAGIC) {
    throw new Error(`This is no heatmap file: it starts with "${magic}", not "${MAGIC}".`);
  }
  const length = new DataView(buffer).getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, BEFORE_HEADER, length)));
  const payload = BEFORE_HEADER + length;
  return { header, floats: (offset, count) => new Float32Array(buffer, payload + 4 * offset, count) };
}

/**
 * @param {any} described
 * @param {Floats} floats
 * @returns {PictureMap}
 */
function readPicture({ parts, words_left_out: wordsLeftOut = 0, ...picture }, floats) {
  /** @type {Record<string, View[]>} */
  const read = {};
  for (const { name, views } of parts) {
    read[name] = views.map((/** @type {any} */ view) => readView(view, picture.labels.length, floats));
  }
  return { ...picture, wordsLeftOut, parts: read };
}

/**
 * @param {{grid: Pair, box: View["box"], values: number, valid: number | null}} described
 * @param {number} count of labels
 * @param {Floats} floats
 * @returns {View}
 */
function readView({ grid, box, values, valid }, count, floats) {
  const cells = grid[0] * grid[1];
  return {
    grid,
    box,
    values: floats(values, count * cells),
    valid: valid === null ? null : Uint8Array.from(floats(valid, cells)),
  };
}
