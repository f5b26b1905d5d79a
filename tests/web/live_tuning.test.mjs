import { beforeEach, expect, test, vi } from "vitest";
import { api } from "../../../scripts/api.js";
import { overlayLive, tuneLive } from "../../web/modules/live_tuning.mjs";

const SETTINGS = {
  contrast: -1, smoothing: 0, interpolation: "bilinear", words: "", threshold: 0, grow: 0, invert: false,
  smoothing_unit: "patches", feather: 0,
};
const FILE = { filename: "a.bin", subfolder: "attention_prompting", type: "temp" };

let painted;
let node;

/** A heatmap file of two pictures of 8 x 8 with a grid of 2 x 2. */
function file() {
  const view = (values) => ({ grid: [2, 2], box: [0, 0, 8, 8], values, valid: null });
  const picture = (values) => ({
    size: [8, 8], labels: [{ text: "red", role: "whole" }], reading: "precise", signed: false,
    defaults: { contrast: 2, smoothing: 1 }, parts: [{ name: "attention", views: [view(values)] }],
  });
  return packed({ pictures: [picture(0), picture(4)] }, [1, 2, 3, 4, 4, 3, 2, 1]);
}

/** A file of two masks of 1 x 2. */
function masks() {
  return packed({ masks: [{ size: [1, 2], values: 0 }, { size: [1, 2], values: 2 }] }, [0, 1, 1, 0]);
}

function packed(header, values) {
  let text = JSON.stringify(header);
  text += " ".repeat((4 - (text.length % 4)) % 4);
  const bytes = new Uint8Array(8 + text.length + 4 * values.length);
  bytes.set(new TextEncoder().encode("APM1"));
  new DataView(bytes.buffer).setUint32(4, text.length, true);
  bytes.set(new TextEncoder().encode(text), 8);
  new Float32Array(bytes.buffer, 8 + text.length).set(values);
  return bytes.buffer;
}

function makeNode() {
  return {
    inputs: [],
    size: [300, 200],
    widgets: Object.entries(SETTINGS).map(([name, value]) => ({ name, value, options: {} })),
    addDOMWidget: (name, type, element) => document.body.appendChild(element) && { name },
    computeSize: () => [300, 200],
    setSize() {},
  };
}

beforeEach(() => {
  document.body.replaceChildren();
  painted = [];
  globalThis.ImageData = class {
    constructor(data) {
      this.data = data;
    }
  };
  HTMLCanvasElement.prototype.getContext = () => ({ putImageData: ({ data }) => painted.push([...data]) });
  node = makeNode();
  tuneLive(node);
});

async function run(response, entry = { heatmap: FILE, settings: SETTINGS }) {
  api.fetchApi = vi.fn(async () => response);
  node.onExecuted({ attention_prompting: [entry] });
  await vi.waitFor(() => expect(painted.length + document.querySelector(".ap-note").textContent.length).toBeGreaterThan(0));
}

async function set(name, value) {
  const widget = node.widgets.find((one) => one.name === name);
  widget.value = value;
  const before = painted.length;
  widget.callback(value);
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  return painted.length - before;
}

const here = { ok: true, arrayBuffer: async () => file() };
const badge = () => document.querySelector(".ap-badge");
const note = () => document.querySelector(".ap-note").textContent;

test("frames that are measured together are not redrawn by guesswork", async () => {
  node.widgets.push({ name: "steady", value: 2, options: {} });
  await run(here);
  expect(note()).toContain("drawn by a run");
  expect(painted).toHaveLength(0);
});

test("frames that were measured together are shown as the run made them, until a setting moves", async () => {
  node.widgets.push({ name: "steady", value: 2, options: {} });
  api.fetchApi = vi.fn(async (path) => ({ ok: true, arrayBuffer: async () => (path.includes("b.bin") ? masks() : file()) }));
  const entry = { heatmap: FILE, masks: { ...FILE, filename: "b.bin" }, settings: { ...SETTINGS, steady: 2 } };
  node.onExecuted({ attention_prompting: [entry] });
  await vi.waitFor(() => expect(painted).toHaveLength(1));
  expect(note()).toBe("");
  expect(painted[0]).toEqual([0, 0, 0, 255, 255, 255, 255, 255]);
  document.querySelectorAll(".ap-pages button")[1].click();
  await vi.waitFor(() => expect(painted).toHaveLength(2));
  expect(painted[1]).toEqual([255, 255, 255, 255, 0, 0, 0, 255]);
  await set("steady", 1);
  expect(note()).toContain("drawn by a run");
  await set("steady", 2);
  expect(note()).toBe("");
});

test("a setting that moves redraws, and the badge says that the output lags behind", async () => {
  await run(here);
  expect(badge().hidden).toBe(true);
  const first = painted.at(-1);
  expect(first).toHaveLength(8 * 8 * 4);
  expect(await set("invert", true)).toBe(1);
  expect(painted.at(-1)[0]).toBe(255 - first[0]);
  expect(badge().hidden).toBe(false);
  await set("invert", false);
  expect(badge().hidden).toBe(true);
  expect(painted.at(-1)).toEqual(first);
});

test("many changes before a frame are drawn once, and nothing while idle", async () => {
  await run(here);
  const frames = vi.spyOn(globalThis, "requestAnimationFrame");
  for (const widget of node.widgets) widget.callback(widget.value);
  expect(frames).toHaveBeenCalledTimes(1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(frames).toHaveBeenCalledTimes(1);
});

test("a mistake is said over the preview, and goes when it is mended", async () => {
  await run(here);
  await set("words", "blue");
  expect(note()).toContain("no map for 'blue'");
  await set("words", "red");
  expect(note()).toBe("");
});

test("a file that is gone asks for a run", async () => {
  await run({ ok: false });
  expect(note()).toContain("Run once");
  expect(painted).toHaveLength(0);
});

test("a batch pages through", async () => {
  await run(here);
  const first = painted.at(-1);
  document.querySelector('button[title="next"]').click();
  await vi.waitFor(() => expect(painted.at(-1)).not.toEqual(first));
  expect(document.querySelector(".ap-pages span").textContent).toBe("2 / 2");
});

test("a linked setting is what the last run got", async () => {
  node.inputs = [{ name: "invert", widget: { name: "invert" }, link: 7 }];
  await run(here);
  const first = painted.at(-1);
  await set("invert", true); // the widget is not used
  expect(painted.at(-1)).toEqual(first);
  expect(badge().hidden).toBe(true);
});

test.each([
  ["in a graph", { setDirtyCanvas() {} }, true],
  ["removed while its redraw was due", null, false],
])("an overlay %s looks for the mask in front of it, or asks for nothing", async (_, graph, looks) => {
  api.fetchApi = vi.fn(async () => ({ ok: false }));
  const overlay = { ...makeNode(), inputs: [{ name: "mask" }], graph, getInputNode: vi.fn() };
  overlayLive(overlay);
  overlay.onExecuted({ attention_prompting: [{ masks: FILE, pictures: [FILE], size: [8, 8], settings: SETTINGS }] });
  await vi.waitFor(() => expect([...document.querySelectorAll(".ap-note")].at(-1).textContent).not.toBe(""));
  expect(overlay.getInputNode.mock.calls.length > 0).toBe(looks);
});
