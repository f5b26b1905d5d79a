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
  ["red star shape star, big", "star", "red, shape, big"], // what is left of it are phrases of the answer each
  ["红色星形", "星", "红色, 形"], // where words have no spaces between them, every character is one
  ["tomato, red", "red", "tomato"], // so does what is no word of the answer
  ["redder", "red", "redder, red"],
])("%j with %j toggled is %j", (text, word, expected) => {
  expect(toggled(text, word)).toBe(expected);
});

test("scripts without spaces are read character by character, as the labels are", () => {
  const labels = [..."红星形"].map((text) => ({ text, role: "answer word" }));
  expect([...named("星形", labels)]).toEqual([1, 2]);
});
