import { beforeEach, expect, test, vi } from "vitest";
import { addFace, fetchFile, findNode, onEntry, outputsReplaced, refit } from "../../web/modules/node_widgets.mjs";
import { api } from "./host/api.mjs";
import { app } from "./host/app.mjs";

const FILE = { filename: "a b.bin", subfolder: "attention_prompting", type: "temp" };
const left = (entry) => ({ attention_prompting: [entry] });
const settle = () => new Promise((resolve) => setTimeout(resolve));

function graphOf(id, ...nodes) {
  const graph = { id, nodes, getNodeById: (wanted) => nodes.find((node) => node.id === wanted) };
  for (const node of nodes) node.graph = graph;
  return graph;
}

beforeEach(() => {
  sessionStorage.clear();
  app.nodeOutputs = {};
  app.rootGraph = graphOf("workflow");
});

test("nodes are found by execution id, inside of subgraphs too", () => {
  const inner = { id: 3 };
  const outer = { id: 5, subgraph: graphOf("inside", inner) };
  app.rootGraph = graphOf("workflow", outer);
  expect(findNode("5:3")).toBe(inner);
  expect(findNode(5)).toBe(outer);
  expect(findNode("5:4")).toBeUndefined();
  expect(findNode("9:3")).toBeUndefined();
});

test("a face is neither saved nor sent", () => {
  const widget = { options: {} };
  const node = { addDOMWidget: vi.fn((_name, _type, _element, options) => Object.assign(widget, { options })) };
  const element = document.createElement("div");
  addFace(node, "face", element, { minHeight: () => 50 });
  expect(widget.serialize).toBe(false);
  expect(widget.options).toMatchObject({ serialize: false, hideOnZoom: false });
  expect(widget.options.getMinHeight()).toBeGreaterThanOrEqual(50);
  expect(element.style.minHeight).toBe("50px");
});

test("each run is told once, and the hook that was there before still runs", () => {
  const before = vi.fn();
  const node = { id: 1, type: "T", onExecuted: before };
  app.rootGraph = graphOf("workflow", node);
  const heard = vi.fn();
  onEntry(node, heard);
  node.onExecuted(left({ heatmap: FILE }));
  node.onExecuted(left({ heatmap: FILE })); // the same from the cache
  node.onExecuted({ text: ["a warning alone"] });
  expect(heard.mock.calls).toEqual([[{ heatmap: FILE }]]);
  expect(before).toHaveBeenCalledTimes(3);
});

test("what was shown is found again after a reload, on this node of this workflow only", async () => {
  const first = { id: 1, type: "T" };
  app.rootGraph = graphOf("workflow", first);
  onEntry(first, () => {});
  first.onExecuted(left({ heatmap: FILE }));

  const seen = {};
  for (const [name, workflow, node] of [
    ["same", "workflow", { id: 1, type: "T" }],
    ["another node", "workflow", { id: 2, type: "T" }],
    ["another kind", "workflow", { id: 1, type: "U" }],
    ["another workflow", "other", { id: 1, type: "T" }],
  ]) {
    app.rootGraph = graphOf(workflow, node);
    onEntry(node, () => (seen[name] = true));
    node.onAdded();
    await settle();
  }
  expect(Object.keys(seen)).toEqual(["same"]);
});

test("of very many nodes, what was shown longest ago is forgotten first", async () => {
  vi.useFakeTimers({ now: 0, toFake: ["Date"] });
  const nodes = Array.from({ length: 230 }, (_, id) => ({ id, type: "T" }));
  app.rootGraph = graphOf("workflow", ...nodes);
  for (const node of nodes.toReversed()) {
    vi.advanceTimersByTime(1);
    onEntry(node, () => {});
    node.onExecuted(left({ heatmap: FILE }));
  }
  vi.useRealTimers();

  const again = nodes.map(({ id }) => ({ id, type: "T" }));
  app.rootGraph = graphOf("workflow", ...again);
  const found = [];
  for (const node of again) {
    onEntry(node, () => found.push(node.id));
    node.onAdded();
  }
  await settle();
  expect(found).toEqual(again.slice(0, 200).map(({ id }) => id));
});

test("a run after a reload is told, though it says the same: the files may have been gone until then", async () => {
  const entry = left({ heatmap: FILE });
  const node = { id: 1, type: "T" };
  app.rootGraph = graphOf("workflow", node);
  app.nodeOutputs = { 1: entry };
  const heard = vi.fn();
  onEntry(node, heard);
  node.onAdded();
  await settle();
  node.onExecuted(entry);
  outputsReplaced({ 1: entry });
  node.onExecuted(entry);
  expect(heard).toHaveBeenCalledTimes(2);
});

test("a node grows for its face, and keeps what a user has given it beyond that", () => {
  const node = { size: [300, 100], computeSize: () => [320, 250], setSize: (size) => (node.size = size) };
  const element = document.createElement("div");
  refit(node, element, 200);
  expect(node.size).toEqual([320, 250]);
  node.size = [500, 600];
  refit(node, element, 200); // the same workflow, opened again
  expect(node.size).toEqual([500, 600]);
  node.computeSize = () => [320, 70];
  refit(node, element, 20, 200); // folded
  expect(node.size).toEqual([500, 420]);
});

test("outputs that the page puts back reach nodes by either kind of key", () => {
  const inner = { id: 3, type: "T" };
  const outer = { id: 5, subgraph: graphOf("inside", inner) };
  app.rootGraph = { ...graphOf("workflow", outer), subgraphs: new Map([["inside", outer.subgraph]]) };
  const heard = vi.fn();
  onEntry(inner, heard);
  outputsReplaced({ "inside:3": left({ count: 1 }), 77: left({ count: 9 }), 5: { images: [] } });
  outputsReplaced({ "5:3": left({ count: 2 }) });
  outputsReplaced(null);
  expect(heard.mock.calls).toEqual([[{ count: 1 }], [{ count: 2 }]]);
});

test("a file that is gone is null, and names are quoted in the address", async () => {
  api.fetchApi = vi.fn(async () => new Response(null, { status: 404 }));
  expect(await fetchFile(FILE)).toBeNull();
  expect(api.fetchApi.mock.calls[0][0]).toBe("/view?filename=a+b.bin&subfolder=attention_prompting&type=temp");
});
