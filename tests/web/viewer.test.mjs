import { beforeEach, describe, expect, test, vi } from "vitest";
import { GONE } from "../../web/modules/node_widgets.mjs";
import { Viewer } from "../../web/modules/viewer.mjs";
import { api } from "./host/api.mjs";
import { fileOf } from "./files.mjs";

const SPOILED = "<img src=x onerror=alert(1)>";
const WORDS = ["left", "right", SPOILED];
const heatmap = { filename: "h", subfolder: "s", type: "temp" };
const picture = { filename: "p", subfolder: "s", type: "temp" };
const chipsOf = (viewer) => [...viewer.element.querySelectorAll(".ap-chip")];
const isPressed = (chip) => chip.getAttribute("aria-pressed") === "true";
const pressed = (viewer) => chipsOf(viewer).filter(isPressed).map((chip) => chip.textContent);
const shown = (viewer) => viewer.parts.shown.textContent;
const click = (chip, keys = {}) => chip.dispatchEvent(new MouseEvent("click", { bubbles: true, ...keys }));
const key = (chip, name, keys = {}) =>
  chip.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...keys }));
const pointer = (chip, type, pointerType) => chip.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerType }));

function heatmapFile(role = "query word", pictures = 1, presence = []) {
  const labels = [{ text: "all of it", role: "whole" }, ...WORDS.map((text) => ({ text, role }))];
  const views = [{ grid: [1, 2], box: [0, 0, 8, 4], values: 0, valid: null }];
  const made = { method: "m", model: "tiny-clip", layer: 3, reading: "precise", signed: false };
  const defaults = { contrast: 1, smoothing: 1 };
  const all = { size: [4, 8], labels, ...made, defaults, presence, parts: [{ name: "attention", views }] };
  return fileOf({ pictures: Array(pictures).fill(all) }, [1, 1.5, 5, 0, 0, 5, 1, 2]);
}

beforeEach(() => {
  globalThis.ImageData ??= class {
    constructor(width, height) {
      this.data = new Uint8ClampedArray(4 * width * height);
    }
  };
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue({ putImageData() {} });
  api.apiURL = (route) => `/api${route}`;
  api.fetchApi = async () => new Response(heatmapFile());
});

async function opened(view, hints) {
  const kept = { view };
  const store = (now) => (kept.view = { ...now });
  const viewer = new Viewer({ load: () => kept.view, store }, hints);
  await viewer.show({ heatmap, pictures: [picture] });
  return { viewer, kept };
}

describe("presence", () => {
  test("is said of what is shown, of several words the least", async () => {
    api.fetchApi = async () => new Response(heatmapFile("query word", 1, [4.25, -1, 2.04, 7]));
    const { viewer } = await opened();
    expect(shown(viewer)).toBe("all of it · presence 4.3");
    const [left, right] = chipsOf(viewer);
    click(right);
    expect(shown(viewer)).toBe("right · presence 2.0");
    click(left, { ctrlKey: true });
    expect(shown(viewer)).toBe("right + left – the same everywhere · presence -1.0");
  });
});

describe("words", () => {
  test("are text, whatever a model wrote", async () => {
    const { viewer } = await opened();
    expect(chipsOf(viewer).map((chip) => chip.textContent)).toEqual(WORDS);
    expect(viewer.element.querySelectorAll("img")).toHaveLength(1);
    expect(shown(viewer)).toBe("all of it");
  });

  test("pointing shows, a click pins, ctrl adds, clicking again lets go", async () => {
    const { viewer, kept } = await opened();
    const [left, right] = chipsOf(viewer);
    pointer(left, "pointerover", "mouse");
    expect([shown(viewer), pressed(viewer)]).toEqual(["left", []]);
    viewer.parts.words.dispatchEvent(new PointerEvent("pointerleave"));
    expect(shown(viewer)).toBe("all of it");
    click(left);
    click(right, { ctrlKey: true });
    expect([shown(viewer), pressed(viewer)]).toEqual(["left + right – the same everywhere", ["left", "right"]]);
    expect(kept.view.pins).toEqual([{ index: 1, text: "left" }, { index: 2, text: "right" }]);
    click(left);
    expect(pressed(viewer)).toEqual(["left"]);
    click(left);
    expect([shown(viewer), pressed(viewer)]).toEqual(["all of it", []]);
  });

  test("a long press of a finger adds, a short one pins", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { viewer } = await opened();
    const [left, right] = chipsOf(viewer);
    pointer(left, "pointerdown", "touch");
    pointer(left, "pointerup", "touch");
    click(left);
    expect(pressed(viewer)).toEqual(["left"]);
    pointer(right, "pointerdown", "touch");
    vi.advanceTimersByTime(500);
    pointer(right, "pointerup", "touch");
    click(right); // the browser makes one of every press
    expect(pressed(viewer)).toEqual(["left", "right"]);
    vi.useRealTimers();
  });

  test("keys: shift and Enter add, Escape lets go, other keys are left to the page", async () => {
    const { viewer } = await opened();
    const [left, right] = chipsOf(viewer);
    key(left, "Enter", { shiftKey: true });
    key(right, "Enter", { ctrlKey: true });
    expect(pressed(viewer)).toEqual(["left", "right"]);
    expect(key(left, "Escape")).toBe(false);
    expect(pressed(viewer)).toEqual([]);
    expect(key(left, "x")).toBe(true);
  });

  test("pins find their words again when their places change, and vanish with them", async () => {
    const { viewer } = await opened({ pins: [{ index: 1, text: "right" }, { index: 2, text: "gone" }] });
    expect(pressed(viewer)).toEqual(["right"]);
  });

  test("the strongest under the pointer is marked", async () => {
    const { viewer } = await opened();
    viewer.point({ x: 0.9, y: 0.5 });
    expect(chipsOf(viewer).map((chip) => chip.dataset.place)).toEqual([undefined, "1", "1"]);
    expect(viewer.parts.value.textContent).toMatch(/^1\.00 at 7, 2$/);
    viewer.point(null);
    expect(viewer.element.querySelector("[data-place]")).toBeNull();
  });

  test("a word whose map is the same everywhere says so, and nothing at any point", async () => {
    const { viewer } = await opened();
    viewer.source.parts.attention[0].values.set([0, 0], 2);
    viewer.ranked.clear();
    viewer.point({ x: 0.1, y: 0.5 });
    expect(chipsOf(viewer)[0].dataset.place).toBeUndefined();
    viewer.hover(1);
    expect(shown(viewer)).toBe("left – the same everywhere");
  });
});

test("words of the answer are picked as hints where a node takes them", async () => {
  api.fetchApi = async () => new Response(heatmapFile("answer word"));
  const named = new Set();
  const hints = { named: () => named, toggle: vi.fn((word) => named.add(1 + WORDS.indexOf(word))) };
  const { viewer, kept } = await opened(undefined, () => hints);
  click(chipsOf(viewer)[1]);
  expect(hints.toggle).toHaveBeenCalledWith("right");
  expect([shown(viewer), pressed(viewer), kept.view.pins]).toEqual(["right", ["right"], []]);
});

test("masks have no words, and batches page around", async () => {
  const { viewer } = await opened();
  const masks = [0, 1].map((values) => ({ size: [1, 1], values }));
  api.fetchApi = async () => new Response(fileOf({ masks }, [0, 1]));
  await viewer.show({ masks: heatmap, pictures: [picture, { ...picture, filename: "q" }], count: 70 });
  expect(chipsOf(viewer)).toEqual([]);
  expect(viewer.parts.place.textContent).toBe("1 / 2 of 70");
  viewer.turn(-1);
  expect(viewer.parts.place.textContent).toBe("2 / 2 of 70");
  expect(viewer.parts.picture.src).toContain("filename=q");
});

test("one map serves a batch of pictures", async () => {
  const { viewer } = await opened();
  await viewer.show({ heatmap, pictures: [picture, picture] });
  viewer.turn(1);
  expect(shown(viewer)).toBe("all of it");
});

test("lost files and maps that cannot be drawn are said in words", async () => {
  const { viewer } = await opened();
  api.fetchApi = async () => new Response(null, { status: 404 });
  await viewer.show({ heatmap });
  expect(viewer.parts.note.textContent).toBe(GONE);
  expect(viewer.parts.frame.hidden).toBe(true);

  api.fetchApi = async () => new Response(heatmapFile());
  await viewer.show({ heatmap, pictures: [] });
  expect(viewer.parts.frame.hidden).toBe(false);
  viewer.source.reading = "upstream";
  viewer.source.defaults.smoothing = 2;
  viewer.redraw();
  expect(viewer.parts.note.textContent).toContain("odd");
  viewer.source.defaults.smoothing = 1;
  viewer.redraw();
  expect(viewer.parts.frame.hidden).toBe(false);
});

test("a slower answer to an older run is not shown", async () => {
  const { viewer } = await opened();
  let answer;
  api.fetchApi = () => new Promise((resolve) => (answer = resolve));
  const old = viewer.show({ heatmap });
  api.fetchApi = async () => new Response(heatmapFile("query word", 3));
  await viewer.show({ heatmap, pictures: [] });
  answer(new Response(heatmapFile()));
  await old;
  expect(viewer.count).toBe(3);
});
