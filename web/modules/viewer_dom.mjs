// The elements of the viewer. What they do is in viewer.mjs.
import { colour, COLORMAPS } from "./colormap.mjs";
import { make } from "./dom.mjs";

/**
 * @typedef {import("./heatmap_file.mjs").Label} Label
 * @typedef {ReturnType<typeof buildViewer>} Parts
 */

/** @type {Record<string, string>} */
const GROUPS = { "query word": "query", "question word": "question", "answer word": "answer" };
const LEGEND_STEPS = 16;

/** Everything that the viewer consists of, empty. */
export function buildViewer() {
  const picture = make("img", { class: "ap-picture", alt: "", draggable: false, decoding: "async" });
  const canvas = make("canvas", { class: "ap-map" });
  const peak = make("i", { class: "ap-peak", hidden: true });
  const split = slider("ap-split", "Before and after: how much of the picture is shown without the map");
  const back = make("button", { type: "button", "aria-label": "Previous picture" }, "‹");
  const next = make("button", { type: "button", "aria-label": "Next picture" }, "›");
  const place = make("span", { "aria-live": "polite" });
  const pages = make("div", { class: "ap-pages", hidden: true }, back, place, next);
  const frame = make("div", { class: "ap-frame", hidden: true }, picture, canvas, peak, split, pages);
  const note = make("p", { class: "ap-note", role: "status" });
  const stage = make("div", { class: "ap-stage" }, frame, note);

  const shown = make("span", { class: "ap-shown" });
  const value = make("output", { class: "ap-value" });
  const legend = make("div", { class: "ap-legend", "aria-hidden": "true" }, make("i"));
  const reading = make("div", { class: "ap-reading" }, shown, value);
  const words = make("div", { class: "ap-words", role: "toolbar", "aria-label": "Words: each has a map of its own" });

  const opacity = slider("ap-opacity", "How strongly the map covers the picture");
  const names = COLORMAPS.map((name) => make("option", { value: name }, name));
  const colours = make("select", { title: "Colour map", "aria-label": "Colour map" }, ...names);
  const clear = make("button", { type: "button", class: "ap-clear", hidden: true }, "clear");
  const controls = make("div", { class: "ap-controls" }, make("label", {}, "map", opacity), colours, clear);
  const body = make("div", { class: "ap-body" }, stage, legend, reading, words, controls);
  const fold = make("button", { type: "button", class: "ap-fold", "aria-expanded": "true", hidden: true });
  const element = make("div", { class: "ap-face ap-viewer" }, fold, body);
  return {
    element, body, fold, stage, frame, picture, canvas, peak, split, pages, back, next, place, note, shown, value,
    legend, words, opacity, colours, clear,
  };
}

/**
 * @param {string} name class
 * @param {string} says
 */
function slider(name, says) {
  return make("input", { type: "range", min: "0", max: "100", class: name, title: says, "aria-label": says });
}

/**
 * A button for every word, behind the name of its group.
 * @param {Label[]} labels
 * @param {boolean} pickable whether words of the answer can be picked as hint words
 * @returns {{elements: HTMLElement[], chips: Map<number, HTMLButtonElement>}} chips: by the label's index
 */
export function buildChips(labels, pickable) {
  /** @type {Map<number, HTMLButtonElement>} */
  const chips = new Map();
  /** @type {HTMLElement[]} */
  const elements = [];
  let group = "";
  labels.forEach((label, index) => {
    if (label.role === "whole") return;
    if (label.role !== group) {
      if (group) elements.push(make("i", { class: "ap-break" }));
      group = label.role;
      const says = pickable && group === "answer word" ? "answer · pick hint words" : GROUPS[group];
      elements.push(make("span", { class: "ap-group" }, says));
    }
    const chip = make("button", { type: "button", class: "ap-chip", "aria-pressed": "false" }, label.text);
    chip.dataset.index = String(index);
    chip.tabIndex = chips.size ? -1 : 0; // arrow keys go on from there
    chips.set(index, chip);
    elements.push(chip);
  });
  return { elements, chips };
}

/**
 * A colour map as the background of the legend.
 * @param {string} name
 */
export function legendColours(name) {
  const table = colour(name);
  const stops = Array.from({ length: LEGEND_STEPS + 1 }, (_, step) => {
    const at = 3 * Math.round((step / LEGEND_STEPS) * 255);
    return `rgb(${table.subarray(at, at + 3).join(" ")})`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/**
 * Where a map comes from, in a sentence.
 * @param {import("./heatmap_file.mjs").PictureMap | import("./heatmap_file.mjs").Mask} source
 * @param {string[]} texts of the labels that are shown
 */
export function about(source, texts) {
  if (!("labels" in source)) return "A mask.";
  const { method, model, layer, wordsLeftOut } = source;
  const left = wordsLeftOut ? ` The maps of ${wordsLeftOut} words are left out: the batch is too large.` : "";
  return `${texts.join(" + ")}: ${method}, ${model}${layer === null ? "" : `, layer ${layer}`}.${left}`;
}
