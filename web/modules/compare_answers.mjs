// Compare Answers: the answers to a question below each other, with the words marked in which they differ.
import { make, useStyles } from "./dom.mjs";
import { pager } from "./live_preview.mjs";
import { addFace, onEntry } from "./node_widgets.mjs";

const HEIGHT = 160;
const SAME = "The answers are the same.";

/** @typedef {[string, boolean][]} Pieces of an answer: a text, and whether it differs */

/** @param {import("./node_widgets.mjs").FaceNode} node */
export function compareAnswers(node) {
  useStyles("../styles/viewer.css", import.meta.url);
  useStyles("../styles/live.css", import.meta.url);
  /** @type {{names: string[], cases: Pieces[][]}} */
  let shown = { names: [], cases: [] };
  let page = 0;
  const answers = make("div", { class: "ap-answers", tabIndex: 0 }, make("p", { class: "ap-group" }, "Run to compare."));
  const pages = pager((by) => turn(page + by));
  const turn = (/** @type {number} */ to) => {
    const count = shown.cases.length;
    page = (to + count) % count;
    pages.element.hidden = count < 2;
    pages.place.textContent = `${page + 1} / ${count}`;
    answers.replaceChildren(...sections(shown.names, shown.cases[page]));
  };
  const element = make("div", { class: "ap-face ap-compare" }, answers, pages.element);
  addFace(node, "attention_answers", element, { minHeight: HEIGHT });
  onEntry(node, (entry) => {
    const { comparison } = /** @type {any} */ (entry);
    if (!comparison?.cases.length) return;
    shown = comparison;
    turn(Math.min(page, shown.cases.length - 1));
  });
}

/** @param {string[]} names @param {Pieces[]} answers */
function sections(names, answers) {
  const same = !answers.flat().some(([, differs]) => differs);
  const made = answers.map((pieces, i) => {
    const text = pieces.map(([piece, differs]) => (differs ? make("mark", {}, piece) : piece));
    return make("section", {}, make("h4", {}, names[i]), make("p", {}, ...text));
  });
  return same ? [make("p", { class: "ap-group" }, SAME), ...made] : made;
}
