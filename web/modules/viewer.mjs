// The viewer: a picture with its map, word by word.
import { colour } from "./colormap.mjs";
import { useStyles } from "./dom.mjs";
import { readHeatmaps } from "./heatmap_file.mjs";
import { presenceOf } from "./mask.mjs";
import { fetchFile, fileUrl, GONE } from "./node_widgets.mjs";
import { mapOf, paint, peakOf, places, strengthAt, valueAt } from "./viewer_maps.mjs";
import { about, buildChips, buildViewer, legendColours } from "./viewer_dom.mjs";
import { onChips, onFrame } from "./viewer_input.mjs";

/**
 * @typedef {import("./heatmap_file.mjs").PictureMap} PictureMap
 * @typedef {import("./heatmap_file.mjs").Mask} Mask
 * @typedef {import("./heatmap_file.mjs").Label} Label
 * @typedef {import("./node_widgets.mjs").Entry} Entry
 * @typedef {import("./viewer_maps.mjs").Grid} Grid
 * @typedef {{opacity: number, colours: string, split: number, pins: {index: number, text: string}[], folded: boolean}}
 *   View what a user has set, in percent; it lies in the node's properties, so that it is saved and can be undone
 * @typedef {{named: () => Set<number>, toggle: (word: string) => void}} Hints the words of the answer that are picked
 */

/** @type {View} */
const AT_FIRST = { opacity: 50, colours: "turbo", split: 0, pins: [], folded: false };
const MAP_SIDE = 384; // pixels of the longer side; the page makes it larger, smoothly
const RANK_SIDE = 64; // the same for the maps that only say which word is strongest at a point
const MOST_RANKED = 3; // words that are marked under the pointer
const NOTHING_YET = "Run to see the map.";
const FLAT = " – the same everywhere";

export class Viewer {
  /**
   * @param {{load: () => Partial<View> | undefined, store: (view: View) => void}} kept where the view is kept
   * @param {(labels: Label[]) => Hints} [hints] on a node whose answer words can be picked
   */
  constructor(kept, hints) {
    useStyles("../styles/viewer.css", import.meta.url);
    this.kept = kept;
    this.hintsOf = hints;
    this.parts = buildViewer();
    this.element = this.parts.element;
    /** @type {View} */
    this.view = { ...AT_FIRST, ...kept.load() };
    /** @type {Entry} */
    this.entry = {};
    /** @type {(PictureMap | Mask)[]} */
    this.maps = [];
    this.page = 0;
    /** @type {Map<number, HTMLButtonElement>} */
    this.chips = new Map();
    /** @type {number | null} */
    this.hovered = null;
    /** @type {Grid | null} */
    this.map = null;
    /** @type {Map<number, Grid>} */
    this.ranked = new Map();
    this.failed = false; // the map that was last asked for could not be drawn
    this.listen();
    this.applyView();
    this.say(NOTHING_YET);
  }

  listen() {
    const { opacity, colours, split, clear, back, next, picture } = this.parts;
    onFrame(this);
    onChips(this);
    opacity.addEventListener("input", () => this.change({ opacity: Number(opacity.value) }));
    split.addEventListener("input", () => this.change({ split: Number(split.value) }));
    colours.addEventListener("change", () => this.change({ colours: colours.value }));
    clear.addEventListener("click", () => this.change({ pins: [] }));
    back.addEventListener("click", () => this.turn(-1));
    next.addEventListener("click", () => this.turn(1));
    picture.addEventListener("error", () => this.say(GONE));
  }

  /**
   * Show what a node has left.
   * @param {Entry} entry
   */
  async show(entry) {
    this.entry = entry;
    const file = entry.heatmap ?? entry.masks;
    const buffer = file ? await fetchFile(file) : null;
    if (this.entry !== entry) return; // another run was quicker
    if (!buffer) {
      this.say(GONE);
      return;
    }
    const { pictures, masks } = readHeatmaps(buffer);
    this.maps = entry.heatmap ? pictures : masks;
    this.page = Math.min(this.page, this.count - 1);
    this.open();
  }

  get count() {
    return Math.max(this.maps.length, this.entry.pictures?.length ?? 0);
  }

  /** The map of the picture that is open; one map serves a whole batch. */
  get source() {
    return this.maps[this.maps.length === 1 ? 0 : this.page];
  }

  /** @returns {Label[]} */
  get labels() {
    return "labels" in this.source ? this.source.labels : [];
  }

  /** Open the picture of this page. */
  open() {
    const { frame, picture, pages, place, words } = this.parts;
    const [height, width] = "labels" in this.source ? this.source.size : this.source.full;
    frame.style.setProperty("--ratio", String(width / height));
    const file = this.entry.pictures?.[this.page];
    picture.hidden = !file;
    if (file) picture.src = fileUrl(file);
    pages.hidden = this.count < 2;
    const all = this.entry.count ? ` of ${this.entry.count}` : "";
    place.textContent = `${this.page + 1} / ${this.count}${all}`;
    this.hovered = null;
    this.ranked.clear();
    this.hints = this.labels.length ? this.hintsOf?.(this.labels) : undefined;
    const { elements, chips } = buildChips(this.labels, Boolean(this.hints));
    this.chips = chips;
    words.replaceChildren(...elements);
    words.hidden = !chips.size;
    this.say("");
    this.redraw();
  }

  /** @param {number} by pages */
  turn(by) {
    this.page = (this.page + by + this.count) % this.count;
    this.open();
  }

  /**
   * A change that the user has made to the view.
   * @param {Partial<View>} changed
   */
  change(changed) {
    Object.assign(this.view, changed);
    this.kept.store(this.view);
    this.applyView();
    if (this.source && ("pins" in changed || "colours" in changed)) this.redraw();
  }

  /** The view was changed from outside: by an undo, or by opening a workflow. */
  reload() {
    this.view = { ...AT_FIRST, ...this.kept.load() };
    this.applyView();
    if (this.source) this.redraw();
  }

  applyView() {
    const { opacity, colours, split, frame, legend } = this.parts;
    opacity.value = String(this.view.opacity);
    split.value = String(this.view.split);
    colours.value = this.view.colours;
    frame.style.setProperty("--opacity", String(this.view.opacity / 100));
    frame.style.setProperty("--split", `${this.view.split}%`);
    legend.style.background = legendColours(this.view.colours);
  }

  /** The labels that are pinned and still there. */
  pinned() {
    const at = (/** @type {number} */ index, /** @type {string} */ text) => this.labels[index]?.text === text;
    const found = this.view.pins.map(({ index, text }) =>
      at(index, text) ? index : this.labels.findIndex((label) => label.role !== "whole" && label.text === text),
    );
    return [...new Set(found)].filter((index) => this.chips.has(index));
  }

  /** The labels whose map is shown: the word that is pointed at, else those that are chosen, else the whole text. */
  chosen() {
    if (this.hovered !== null) return [this.hovered];
    const pins = this.pinned();
    const picked = [...(this.hints?.named() ?? [])];
    return pins.length ? pins : picked.length ? picked : [0];
  }

  /**
   * Choose a word, as a click does.
   * @param {number} index
   * @param {boolean} add beside those that are chosen
   */
  choose(index, add) {
    const { text, role } = this.labels[index];
    if (this.hints && role === "answer word") {
      this.change({ pins: [] });
      this.hints.toggle(text);
      this.redraw();
      return;
    }
    const pins = this.pinned();
    const others = pins.filter((pin) => pin !== index);
    const kept = add ? others : [];
    const now = pins.includes(index) && (add || !others.length) ? kept : [...kept, index];
    this.change({ pins: now.map((pin) => ({ index: pin, text: this.labels[pin].text })) });
  }

  /** @param {number | null} index the label whose map is shown while it is pointed at */
  hover(index) {
    if (index === this.hovered) return;
    this.hovered = index;
    this.redraw();
  }

  /** Compute and paint the map of what is chosen. */
  redraw() {
    const chosen = this.chosen();
    const { canvas, shown, peak } = this.parts;
    try {
      this.map = this.gridOf(chosen, MAP_SIDE);
    } catch (error) {
      this.failed = true;
      this.say(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.failed) this.say("");
    this.failed = false;
    const [height, width] = this.map.size;
    const image = new ImageData(width, height);
    paint(this.map.values, colour(this.view.colours), image.data);
    Object.assign(canvas, { width, height });
    canvas.getContext("2d")?.putImageData(image, 0, 0);
    const best = peakOf(this.map);
    peak.hidden = !best;
    if (best) {
      peak.style.left = `${100 * best.x}%`;
      peak.style.top = `${100 * best.y}%`;
    }
    const texts = [...new Set(chosen.map((index) => this.labels[index]?.text ?? "mask"))];
    const found = "labels" in this.source ? presenceOf(this.source, chosen) : undefined;
    shown.textContent = texts.join(" + ") + (best ? "" : FLAT) + (found === undefined ? "" : ` · presence ${found.toFixed(1)}`);
    shown.title = about(this.source, texts);
    this.markChips();
  }

  /**
   * @param {number[]} indices
   * @param {number} side
   * @returns {Grid}
   */
  gridOf(indices, side) {
    return "labels" in this.source ? mapOf(this.source, indices, side) : this.source;
  }

  markChips() {
    const pins = new Set(this.pinned());
    const picked = this.hints?.named() ?? new Set();
    for (const [index, chip] of this.chips) {
      chip.setAttribute("aria-pressed", String(pins.has(index) || picked.has(index)));
      chip.classList.toggle("ap-hint", picked.has(index));
    }
    this.parts.clear.hidden = !pins.size;
  }

  /**
   * Say what is at a point of the picture, and which words say most about it; null: nothing is pointed at.
   * @param {{x: number, y: number} | null} point shares of the width and the height
   */
  point(point) {
    const { value, legend } = this.parts;
    const at = point && this.map ? valueAt(this.map, point.x, point.y) : null;
    legend.style.setProperty("--at", at === null ? "-1" : String(at));
    value.textContent = "";
    if (point && at !== null) {
      const [height, width] = "labels" in this.source ? this.source.size : this.source.full;
      value.textContent = `${at.toFixed(2)} at ${Math.floor(point.x * width)}, ${Math.floor(point.y * height)}`;
    }
    const indices = [...this.chips.keys()];
    const strengths = point ? indices.map((index) => strengthAt(this.rankGrid(index), point.x, point.y)) : [];
    const ranks = places(strengths);
    indices.forEach((index, i) => {
      const chip = /** @type {HTMLButtonElement} */ (this.chips.get(index));
      chip.style.setProperty("--says", String(strengths[i] ?? 0));
      if (ranks[i] <= MOST_RANKED && strengths[i] > 0) chip.dataset.place = String(ranks[i]);
      else delete chip.dataset.place;
    });
  }

  /** @param {number} index */
  rankGrid(index) {
    const grid = this.ranked.get(index) ?? this.gridOf([index], RANK_SIDE);
    this.ranked.set(index, grid);
    return grid;
  }

  /** @param {string} text shown in place of the picture; nothing: the picture */
  say(text) {
    this.parts.note.textContent = text;
    this.parts.note.hidden = !text;
    this.parts.frame.hidden = Boolean(text);
    this.element.classList.toggle("ap-empty", Boolean(text));
  }
}
