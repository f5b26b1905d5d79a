import { expect, test } from "vitest";
import { insetHeatmap } from "../../web/modules/viewer_nodes.mjs";

function nodeWith(view) {
  const node = { properties: { attention_view: view } };
  insetHeatmap(node);
  return node;
}

test.each([
  { colours: "of another version", pins: [{ index: 1, text: "star" }] },
  { colours: 7, pins: "star" },
  { pins: [null, { index: "1" }] },
  "none",
  null,
])("a workflow opens with the view %j", (view) => {
  const node = nodeWith(undefined);
  node.properties.attention_view = view;
  expect(() => [nodeWith(view), node.onConfigure()]).not.toThrow();
});
