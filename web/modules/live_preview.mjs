// What the faces that redraw at once share: their elements, pages of a batch, the badge, and watching the widgets.
import { make, useStyles } from "./dom.mjs";
import { addFace, chain, onEntry, refit } from "./node_widgets.mjs";

/** @typedef {import("./node_widgets.mjs").FaceNode} FaceNode */

const SIDE = 400; // pixels of a preview's longer side
const AHEAD = "preview – run to apply";
const CLASSES = "ap-face ap-stage ap-live";

/** Rows and columns of a preview. @param {[number, number]} size @returns {[number, number]} */
export function fitted([height, width]) {
  const scale = Math.min(1, SIDE / Math.max(height, width));
  return [Math.max(1, Math.round(height * scale)), Math.max(1, Math.round(width * scale))];
}

/** Back and forth through a batch. @param {(by: number) => void} turn */
export function pager(turn) {
  const place = make("span");
  const back = make("button", { type: "button", textContent: "‹", title: "previous" });
  const next = make("button", { type: "button", textContent: "›", title: "next" });
  back.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  return { element: make("div", { class: "ap-pages", hidden: true }, back, place, next), place };
}

/** A node's face that comes with its first result. */
export class LiveFace {
  /** @param {FaceNode} node @param {string} name of the widget @param {number} height the least */
  constructor(node, name, height) {
    useStyles("../styles/viewer.css", import.meta.url);
    useStyles("../styles/live.css", import.meta.url);
    this.node = node;
    this.canvas = make("canvas", { width: 1, height: 1 });
    this.badge = make("span", { class: "ap-badge", textContent: AHEAD, hidden: true });
    this.note = make("span", { class: "ap-note", hidden: true });
    this.pages = pager((by) => this.turn(by));
    this.element = make("div", { class: CLASSES }, this.canvas, this.badge, this.note, this.pages.element);
    /** @type {any} */
    this.entry = null;
    this.page = 0;
    this.waiting = false;
    this.watched = new WeakSet();
    chain(node, "onConfigure", () => this.soon());
    chain(node, "onConnectionsChange", () => this.soon());
    onEntry(node, (entry) => {
      if (!this.entry) {
        addFace(node, name, this.element, { minHeight: height });
        refit(node, this.element, height);
      }
      this.entry = entry;
      this.load(entry);
    });
    this.watch();
  }

  /** A setting that is linked is what the last run got; any other is what its widget says. @param {string} name */
  setting(name) {
    const linked = this.node.inputs?.some((/** @type {any} */ input) => input.widget?.name === name && (input.link ?? null) !== null);
    const widget = this.node.widgets.find((/** @type {any} */ one) => one.name === name);
    return linked || !widget ? this.entry?.settings?.[name] : widget.value;
  }

  /** All settings by the widgets' names. @returns {Record<string, any>} */
  settings() {
    const names = this.node.widgets.filter(isSetting).map((/** @type {any} */ { name }) => name);
    return Object.fromEntries(names.map((/** @type {string} */ name) => [name, this.setting(name)]));
  }

  /** Whether the widgets say something else than what gave the node's output. */
  get ahead() {
    const ran = this.entry?.settings ?? {};
    return Object.entries(this.settings()).some(([name, value]) => value !== ran[name]);
  }

  /** Dynamic inputs come and go with a choice. */
  watch() {
    for (const widget of (this.node.widgets ?? []).filter(isSetting)) {
      if (this.watched.has(widget)) continue;
      this.watched.add(widget);
      chain(widget, "callback", () => this.soon());
    }
  }

  /** Draw at the next frame, however much changes until then. */
  soon() {
    if (this.waiting || !this.entry) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    this.watch();
    this.page = Math.max(0, Math.min(this.page, this.count - 1));
    const started = performance.now();
    try {
      this.say(this.redraw() ?? "");
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
    this.badge.hidden = !this.ahead;
    this.pages.element.hidden = this.count < 2;
    this.pages.place.textContent = `${this.page + 1} / ${this.count}`;
    performance.measure("attention_prompting.redraw", { start: started });
  }

  /** @param {string} text */
  say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  /** @param {number} by */
  turn(by) {
    this.page = (this.page + by + this.count) % this.count;
    this.soon();
  }

  /** @param {Uint8ClampedArray<ArrayBuffer>} pixels @param {[number, number]} size */
  paint(pixels, [height, width]) {
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d")?.putImageData(new ImageData(pixels, width, height), 0, 0);
  }

  get count() {
    return 1;
  }

  /** Take what a run has left, then draw. @param {any} _entry */
  load(_entry) {}

  /** @returns {string | undefined} what to say over the preview */
  redraw() {
    return undefined;
  }
}

/** @param {any} widget */
function isSetting(widget) {
  return widget.serialize !== false && widget.options?.serialize !== false && widget.type !== "button";
}
