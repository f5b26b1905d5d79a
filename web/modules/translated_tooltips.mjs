// Lets the page translate the tooltips of inputs that a choice brings along, such as "style.level": it puts their English
// on the widget, which goes before what it finds in locales/.
import { app } from "../../../scripts/app.js";
import { chain } from "./node_widgets.mjs";

/** The languages of locales/ besides English, whose tooltips say what each of several choices means by an input. */
export const TRANSLATED = new Set(["zh", "zh-TW", "ja", "ko", "fr", "es", "ru", "pt-BR", "tr"]);

/** @param {import("./node_widgets.mjs").FaceNode} node */
export function translateTooltips(node) {
  for (const widget of node.widgets ?? []) translate(widget);
  chain(node, "addCustomWidget", () => translate(node.widgets.at(-1)));
}

/** @param {{name: string, tooltip?: string}} widget */
function translate(widget) {
  if (!widget.name.includes(".")) return;
  let english = widget.tooltip;
  Object.defineProperty(widget, "tooltip", {
    configurable: true,
    enumerable: true,
    get: () => (TRANSLATED.has(String(app.extensionManager.setting.get("Comfy.Locale"))) ? undefined : english),
    set: (text) => {
      english = text;
    },
  });
}
