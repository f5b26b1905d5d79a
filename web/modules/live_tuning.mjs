// Smooth & Enhance Mask and Overlay Attention redraw their preview while a setting moves, without a run.
import { readHeatmaps } from "./heatmap_file.mjs";
import { LiveFace, fitted } from "./live_preview.mjs";
import { tuneMask } from "./mask.mjs";
import { chain, fetchFile, fileUrl, GONE } from "./node_widgets.mjs";
import { overlay } from "./overlay.mjs";
import { place } from "./resample.mjs";

/**
 * @typedef {import("./node_widgets.mjs").FaceNode} FaceNode
 * @typedef {[number, number]} Size rows and columns
 */

const NAME = "attention_preview";
const HEIGHT = 200;
const AS_A_CLIP = "Frames that are measured together are drawn by a run: press Run to see them.";

/** @type {WeakMap<object, Tuner>} */
const tuners = new WeakMap();
/** @type {Set<Overlayer>} */
const overlayers = new Set();

class Tuner extends LiveFace {
  /** @type {any[]} */
  maps = [];
  /** @type {import("./heatmap_file.mjs").Mask[]} of frames that the last run measured together */
  masks = [];
  /** @type {{key: string, parts: object, tuned: ReturnType<typeof tuneMask>} | null} the mask made last */
  made = null;

  get count() {
    return this.maps.length;
  }

  /** @param {any} entry */
  async load(entry) {
    const [buffer, masks] = await Promise.all([entry.heatmap, entry.masks].map((file) => file && fetchFile(file)));
    if (entry !== this.entry) return; // another run was quicker
    this.maps = buffer ? readHeatmaps(buffer).pictures : [];
    this.masks = masks ? readHeatmaps(masks).masks : [];
    this.draw();
  }

  /**
   * The mask of a picture of the batch by the widgets.
   * @param {number} page
   * @returns {{values: Float32Array, size: Size, warning?: string}}
   */
  mask(page) {
    const picture = this.maps[Math.min(page, this.count - 1)];
    const settings = this.settings();
    if (this.count > 1 && (settings.steady || settings.scale === "whole batch")) {
      if (this.ahead || !this.masks.length) throw new Error(AS_A_CLIP);
      return this.masks[Math.min(page, this.masks.length - 1)];
    }
    const key = JSON.stringify([page, settings]);
    if (key !== this.made?.key || picture.parts !== this.made.parts) {
      const tuned = tuneMask(picture, settings, fitted(picture.size));
      this.made = { key, parts: picture.parts, tuned };
    }
    return this.made.tuned;
  }

  redraw() {
    for (const face of overlayers) if (face.tuner === this) face.soon();
    if (!this.count) return GONE;
    const { values, size, warning } = this.mask(this.page);
    const pixels = new Uint8ClampedArray(values.length * 4).fill(255);
    for (let i = 0; i < values.length; i++) {
      pixels[4 * i] = pixels[4 * i + 1] = pixels[4 * i + 2] = values[i] * 255;
    }
    this.paint(pixels, size);
    return warning;
  }
}

class Overlayer extends LiveFace {
  /** @type {import("./heatmap_file.mjs").Mask[]} */
  masks = [];
  /** @type {Map<number, Uint8ClampedArray | null | undefined>} each page's picture at the preview's size; null: gone */
  pictures = new Map();

  /** The node in front whose mask this one gets, where it can be tuned too. */
  get tuner() {
    if (!this.node.graph) return undefined; // removed since this was asked for
    const slot = this.node.inputs?.findIndex((/** @type {any} */ input) => input.name === "mask");
    let origin = this.node.getInputNode?.(slot);
    while (origin?.type === "Reroute") origin = origin.getInputNode(0);
    const found = origin?.mode === 0 ? tuners.get(origin) : undefined;
    return found?.count ? found : undefined;
  }

  get ahead() {
    return super.ahead || Boolean(this.tuner?.ahead);
  }

  get count() {
    return this.entry?.pictures?.length ?? 0;
  }

  /** @param {any} entry */
  async load(entry) {
    const buffer = entry.masks && (await fetchFile(entry.masks));
    if (entry !== this.entry) return;
    this.masks = buffer ? readHeatmaps(buffer).masks : [];
    this.pictures.clear();
    this.draw();
  }

  /** @param {number} page @param {Size} size */
  fetchPicture(page, size) {
    const { entry } = this;
    const image = new Image();
    this.pictures.set(page, undefined); // on its way
    const done = (/** @type {Uint8ClampedArray | null} */ pixels) => {
      if (entry !== this.entry) return;
      this.pictures.set(page, pixels);
      this.soon();
    };
    image.addEventListener("error", () => done(null));
    image.addEventListener("load", () => {
      const canvas = new OffscreenCanvas(size[1], size[0]);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      if (!context) return;
      context.drawImage(image, 0, 0, size[1], size[0]);
      done(context.getImageData(0, 0, size[1], size[0]).data);
    });
    image.src = fileUrl(entry.pictures[page]);
  }

  redraw() {
    if (!this.count || !this.masks.length) return GONE;
    const full = /** @type {Size} */ (this.entry.size);
    const size = fitted(full);
    const pixels = this.pictures.get(this.page);
    if (!this.pictures.has(this.page)) this.fetchPicture(this.page, size);
    if (!pixels) return pixels === null ? GONE : undefined;
    const mask = this.tuner?.mask(this.page) ?? this.masks[Math.min(this.page, this.masks.length - 1)];
    const [height, width] = size;
    const laid = place(mask.values, mask.size, [0, 0, width, height], size, "bilinear");
    const { strength, ...styles } = this.settings();
    const style = Object.fromEntries(Object.entries(styles).map(([name, value]) => [name.replace("style.", ""), value]));
    const drawn = overlay(pixels, laid, size, style, strength, Math.max(...size) / Math.max(...full));
    this.paint(/** @type {Uint8ClampedArray<ArrayBuffer>} */ (drawn), size);
    return undefined;
  }
}

/** @param {FaceNode} node */
export function tuneLive(node) {
  tuners.set(node, new Tuner(node, NAME, HEIGHT));
}

/** @param {FaceNode} node */
export function overlayLive(node) {
  const face = new Overlayer(node, NAME, HEIGHT);
  overlayers.add(face);
  chain(node, "onRemoved", () => overlayers.delete(face));
}
