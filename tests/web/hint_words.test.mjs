import { expect, test } from "vitest";
import { named, toggled } from "../../web/modules/hint_words.mjs";

const LABELS = [
  { text: "red star, blue star", role: "whole" },
  { text: "red", role: "question word" },
  ...["Red", "star", "blue", "star"].map((text) => ({ text, role: "answer word" })),
];

test.each([
  ["", []],
  [" , ", []],
  ["red", [2]], // any case; the question's word is not one of the answer
  ["star", [3, 5]],
  ["blue  STAR", [4, 5]], // a phrase: its words one after the other
  ["star blue, red", [3, 4, 2]],
  ["blue red", []],
  ["tomato", []],
])("%j names the words %j", (text, expected) => {
  expect([...named(text, LABELS)]).toEqual(expected);
});

test.each([
  ["", "red", "red"],
  ["red", "star", "red, star"],
  ["red, star", "Red", "star"],
  ["Red star, blue", "star", "Red, blue"], // the rest of a phrase stays
  ["tomato, red", "red", "tomato"], // so does what is no word of the answer
  ["redder", "red", "redder, red"],
])("%j with %j toggled is %j", (text, word, expected) => {
  expect(toggled(text, word)).toBe(expected);
});
