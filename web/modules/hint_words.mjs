// Hint words: plain text, words or phrases of the answer with commas between, as LVLM Heatmap reads it.

/**
 * @typedef {import("./heatmap_file.mjs").Label} Label
 */

/** @param {string} text */
const entries = (text) => text.split(",").map((entry) => entry.trim()).filter(Boolean);

/** @param {string} text */
const words = (text) => text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+(?:['’.-][\p{L}\p{M}\p{N}]+)*/gu) ?? [text.toLowerCase()];

/**
 * Where a phrase's words stand one after the other among `texts`.
 * @param {string} phrase
 * @param {string[]} texts in small letters
 */
function found(phrase, texts) {
  const wanted = words(phrase);
  const places = new Set();
  for (let start = 0; start + wanted.length <= texts.length; start++) {
    if (wanted.every((word, i) => texts[start + i] === word)) wanted.forEach((_, i) => places.add(start + i));
  }
  return places;
}

/**
 * The labels that a text of hint words names, by index; only words of the answer can be.
 * @param {string} text
 * @param {Label[]} labels
 * @returns {Set<number>}
 */
export function named(text, labels) {
  const answer = labels.flatMap((label, index) => (label.role === "answer word" ? [index] : []));
  const texts = answer.map((index) => labels[index].text.toLowerCase());
  return new Set(entries(text).flatMap((entry) => [...found(entry, texts)].map((place) => answer[place])));
}

/**
 * The text with a word added, or taken away where it is named; what else is typed there stays.
 * @param {string} text
 * @param {string} word
 */
export function toggled(text, word) {
  const before = entries(text);
  const is = (/** @type {string} */ part) => words(part).includes(word.toLowerCase());
  const kept = before.flatMap((entry) => (is(entry) ? entry.split(/\s+/).filter((part) => !is(part)) : [entry]));
  return (before.some(is) ? kept : [...kept, word]).join(", ");
}
