import { expect, test } from "vitest";
import { colour } from "../../web/modules/colormap.mjs";
import { mapOf, paint, peakOf, pick, places, valueAt, within } from "../../web/modules/viewer_maps.mjs";

const role = "query word";
const PICTURE = {
  size: [40, 60],
  labels: [{ text: "all", role: "whole" }, { text: "left", role }, { text: "right", role }],
  method: "m",
  model: "tiny-clip",
  layer: null,
  reading: "precise",
  signed: false,
  defaults: { contrast: 1, smoothing: 1 },
  wordsLeftOut: 0,
  parts: { attention: [{ grid: [1, 2], box: [0, 0, 60, 40], values: Float32Array.of(0, 5, 9, 0, 0, 9), valid: null }] },
};

test("picking labels keeps their values", () => {
  const picked = pick(PICTURE, [2, 0]);
  expect(picked.labels.map(({ text }) => text)).toEqual(["right", "all"]);
  expect([...picked.parts.attention[0].values]).toEqual([0, 9, 0, 5]);
});

test("a word's map is strongest where the word is, and several are their mean", () => {
  const [left, right] = [mapOf(PICTURE, [1], 30), mapOf(PICTURE, [2], 30)];
  expect(left.size).toEqual([20, 30]);
  expect(valueAt(left, 0.1, 0.5)).toBeGreaterThan(0.9);
  expect(valueAt(left, 0.9, 0.5)).toBeLessThan(0.1);
  expect(peakOf(right).x).toBeGreaterThan(0.5);
  const both = mapOf(PICTURE, [1, 2], 30);
  expect(valueAt(both, 0.1, 0.5)).toBeCloseTo(valueAt(both, 0.9, 0.5));
});

test("the peak of a map, as shares of its sides", () => {
  expect(peakOf({ size: [2, 2], values: Float32Array.of(0, 0, 0.5, 0) })).toEqual({ x: 0.25, y: 0.75, value: 0.5 });
  expect(peakOf({ size: [1, 2], values: Float32Array.of(1, 1) })).toBeNull();
});

test("the value at a point, its edges included", () => {
  const map = { size: [2, 3], values: Float32Array.from([0, 1, 2, 3, 4, 5]) };
  expect([[0, 0], [0.34, 0.49], [1, 1], [-1, 0.5]].map(([x, y]) => valueAt(map, x, y))).toEqual([0, 1, 5, 3]);
});

test("sizes keep their shape", () => {
  expect(within([500, 1000], 100)).toEqual([50, 100]);
  expect(within([30, 20], 100)).toEqual([30, 20]);
  expect(within([1, 4000], 100)).toEqual([1, 100]);
});

test("places are shared by equal values", () => {
  expect(places([0.1, 0.9, 0.9, 0.5])).toEqual([4, 1, 1, 3]);
});

test("painting clips to the ends of the colour map", () => {
  const table = colour("viridis");
  const pixels = new Uint8ClampedArray(12);
  paint(Float32Array.of(-1, 0.5, 2), table, pixels);
  expect([...pixels]).toEqual([...table.slice(0, 3), 255, ...table.slice(384, 387), 255, ...table.slice(765), 255]);
});
