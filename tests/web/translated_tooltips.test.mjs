import { readdirSync } from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { TRANSLATED, translateTooltips } from "../../web/modules/translated_tooltips.mjs";
import { app } from "./host/app.mjs";

const ENGLISH = "What irrelevant parts fade to.";

function makeNode() {
  const node = {
    widgets: [{ name: "strength", tooltip: "How much." }],
    addCustomWidget(widget) {
      this.widgets.push(widget);
      return widget;
    },
  };
  node.addCustomWidget({ name: "style.level", tooltip: ENGLISH });
  return node;
}

const speak = (language) => app.extensionManager.setting.set("Comfy.Locale", language);

beforeEach(() => speak("en"));

test("tooltips of inputs that a choice brought along are left to the page in a language that it can translate to", () => {
  const node = makeNode();
  translateTooltips(node);
  speak("pt-BR");
  expect(node.widgets.map(({ tooltip }) => tooltip)).toEqual(["How much.", undefined]);
});

test("so are those of inputs that another choice brings later, to which the page gives their tooltip afterwards", () => {
  const node = makeNode();
  translateTooltips(node);
  speak("ja");
  const added = node.addCustomWidget({ name: "style.radius" });
  added.tooltip = "How far.";
  expect(added.tooltip).toBeUndefined();
  speak("en");
  expect(added.tooltip).toBe("How far.");
});

test.each(["en", "de"])("in a language without a translation of ours (%s) they are English", (locale) => {
  const node = makeNode();
  translateTooltips(node);
  speak(locale);
  expect(node.widgets[1].tooltip).toBe(ENGLISH);
});

test("the languages are those of locales/", () => {
  const folders = readdirSync(`${import.meta.dirname}/../../locales`).filter((name) => name !== "en");
  expect([...TRANSLATED].sort()).toEqual(folders.sort());
});
