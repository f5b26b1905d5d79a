// Hint words: plain text, words or phrases of the answer with commas between, as LVLM Heatmap reads it.

/**
 * @typedef {import("./heatmap_file.mjs").Label} Label
 */

// Words as api_core/models/lvlm/words.py finds them: of scripts without spaces between words, every character.
const UNSPACED = "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff";
const LETTERS = `(?:(?![${UNSPACED}])[\\p{L}\\p{N}_])+`;
const WORD = new RegExp(`[${UNSPACED}]|${LETTERS}(?:(?:['’-]|(?<=\\d)[.,](?=\\d))${LETTERS})*`, "gu");

/** @param {string} text */
const entries = (text) => text.split(",").map((entry) => entry.trim()).filter(Boolean);

/** @param {string} text */
const words = (text) => text.toLowerCase().match(WORD) ?? [text.toLowerCase()];

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
  const wanted = word.toLowerCase();
  if (!before.some((entry) => words(entry).includes(wanted))) return [...before, word].join(", ");
  return before.flatMap((entry) => (words(entry).includes(wanted) ? around(entry, wanted) : [entry])).join(", ");
}

/**
 * What stands before, between and after a word in a phrase: entries of their own, as the answer has no phrase without it.
 * @param {string} phrase
 * @param {string} word in small letters
 */
function around(phrase, word) {
  const parts = [];
  let from = 0;
  for (const { 0: text, index } of phrase.matchAll(WORD)) {
    if (text.toLowerCase() !== word) continue;
    parts.push(phrase.slice(from, index));
    from = index + text.length;
  }
  return [...parts, phrase.slice(from)].map((part) => part.trim()).filter((part) => part.match(WORD));
}
