// Which nodes carry the viewer, and how: View Heatmap is one, nodes that make heatmaps get an inset once they have run.
import { app } from "../../../scripts/app.js";
import { COLORMAPS } from "./colormap.mjs";
import { named, toggled } from "./hint_words.mjs";
import { addFace, chain, onEntry, refit } from "./node_widgets.mjs";
import { Viewer } from "./viewer.mjs";

/**
 * @typedef {import("./node_widgets.mjs").FaceNode} FaceNode
 * @typedef {import("./heatmap_file.mjs").Label} Label
 */

const NAME = "attention_view"; // of the widget, and of the property that keeps what a user has set
const HINT_WORDS = "hint_words"; // the ordinary widget of LVLM Heatmap
const WHOLE_NODE = [360, 460]; // width and height that View Heatmap has at least when it is new
const WHOLE = 300; // least heights of the viewer
const INSET = 280;
const INSET_WITH_HINTS = 330;
const FOLDED = 22;

/**
 * View Heatmap: the viewer in place of the page's own preview of the same pictures.
 * @param {FaceNode} node
 */
export function viewHeatmap(node) {
  const viewer = viewerOf(node);
  node.hideOutputImages = true; // the newer renderer asks this
  node.onDrawBackground = () => {}; // where the older one puts its preview
  addFace(node, NAME, viewer.element, { minHeight: WHOLE });
  node.setSize(node.size.map((/** @type {number} */ side, /** @type {number} */ i) => Math.max(side, WHOLE_NODE[i])));
  onEntry(node, (entry) => viewer.show(entry));
}

/**
 * A node that makes a heatmap: the viewer comes with the first result, and can be folded away.
 * @param {FaceNode} node
 */
export function insetHeatmap(node) {
  addInset(node, viewerOf(node), INSET);
}

/**
 * LVLM Heatmap: the same, and a click on a word of the answer writes it into the hint words.
 * @param {FaceNode} node
 */
export function insetWithHints(node) {
  const widget = node.widgets?.find((/** @type {{name: string}} */ { name }) => name === HINT_WORDS);
  if (!widget) return insetHeatmap(node);
  const viewer = viewerOf(node, (labels) => ({
    named: () => named(String(widget.value), labels),
    toggle: (word) => write(node, widget, toggled(String(widget.value), word)),
  }));
  chain(widget, "callback", () => viewer.reload()); // typed there
  addInset(node, viewer, INSET_WITH_HINTS);
}

/**
 * @param {FaceNode} node
 * @param {(labels: Label[]) => import("./viewer.mjs").Hints} [hints]
 */
function viewerOf(node, hints) {
  const viewer = new Viewer(
    {
      load: () => saved(node.properties?.[NAME]),
      store: (view) => {
        node.properties[NAME] = { ...view };
      },
    },
    hints,
  );
  chain(node, "onConfigure", () => viewer.reload());
  return viewer;
}

/**
 * A view as a workflow holds it; one that says something else, or is of another version, must not keep it from opening.
 * @param {any} given
 * @returns {Partial<import("./viewer.mjs").View>}
 */
function saved(given) {
  const { colours, pins, ...view } = given ?? {};
  const isPin = (/** @type {any} */ pin) => Number.isInteger(pin?.index) && typeof pin.text === "string";
  return {
    ...view,
    ...(COLORMAPS.includes(colours) && { colours }),
    ...(Array.isArray(pins) && { pins: pins.filter(isPin) }),
  };
}

/**
 * @param {FaceNode} node
 * @param {Viewer} viewer
 * @param {number} height its least
 */
function addInset(node, viewer, height) {
  const { element, fold, body } = viewer.parts;
  const least = () => (viewer.view.folded ? FOLDED : height);
  const applyFold = () => {
    body.hidden = viewer.view.folded;
    fold.setAttribute("aria-expanded", String(!viewer.view.folded));
    fold.textContent = viewer.view.folded ? "▸ map" : "▾ map";
  };
  fold.hidden = false;
  fold.addEventListener("click", () => {
    const before = least();
    viewer.change({ folded: !viewer.view.folded });
    applyFold();
    refit(node, element, least(), before);
  });
  let added = false;
  onEntry(node, (entry) => {
    if (!added) {
      added = true;
      addFace(node, NAME, element, { minHeight: least });
      refit(node, element, least());
    }
    applyFold();
    viewer.show(entry);
  });
  chain(node, "onConfigure", applyFold);
}

/**
 * Write into a widget as a user's own typing would: seen by the page, and undone with one step.
 * @param {FaceNode} node
 * @param {any} widget
 * @param {string} text
 */
function write(node, widget, text) {
  const canvas = /** @type {any} */ (app.canvas);
  canvas.emitBeforeChange?.();
  widget.value = text;
  widget.callback?.(text, canvas, node);
  canvas.emitAfterChange?.();
  node.graph?.setDirtyCanvas(true, true);
}
