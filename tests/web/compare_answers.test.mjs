import { beforeEach, expect, test } from "vitest";
import { compareAnswers } from "../../web/modules/compare_answers.mjs";

const COMPARISON = {
  names: ["plain", "prompted"],
  cases: [
    [[["It is ", false], ["<img src=x>", true]], [["It is ", false], ["blue", true]]],
    [[["yes", false]], [["yes", false]]],
  ],
};

let node;

beforeEach(() => {
  document.body.replaceChildren();
  node = {
    widgets: [],
    addDOMWidget(name, type, element) {
      document.body.append(element);
      return { name, element };
    },
  };
  compareAnswers(node);
});

const button = (title) => document.querySelector(`button[title="${title}"]`);

test("the words that differ are marked, and a model's words are text", () => {
  node.onExecuted({ attention_prompting: [{ comparison: COMPARISON }] });
  const marks = [...document.querySelectorAll("mark")].map((mark) => mark.textContent);
  expect(marks).toEqual(["<img src=x>", "blue"]);
  expect(document.querySelector("img")).toBeNull();
  expect([...document.querySelectorAll("h4")].map((name) => name.textContent)).toEqual(["plain", "prompted"]);
});

test("a batch pages through, round and round", () => {
  node.onExecuted({ attention_prompting: [{ comparison: COMPARISON }] });
  expect(document.querySelector(".ap-pages").hidden).toBe(false);
  button("next").click();
  expect(document.body.textContent).toContain("The answers are the same.");
  expect(document.querySelector("mark")).toBeNull();
  button("next").click();
  expect(document.querySelector(".ap-pages span").textContent).toBe("1 / 2");
  button("previous").click();
  expect(document.querySelector(".ap-pages span").textContent).toBe("2 / 2");
});

test("before the first run it says what to do", () => {
  expect(document.body.textContent).toContain("Run to compare.");
  expect(document.querySelector(".ap-pages").hidden).toBe(true);
});
