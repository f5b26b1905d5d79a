import { expect, test } from "vitest";
import { chosenLabels, tuneMask } from "../../web/modules/mask.mjs";

const LABELS = [
  { text: "the red star", role: "whole" },
  { text: "red", role: "query word" },
  { text: "star", role: "query word" },
  { text: "Red", role: "query word" },
];

function picture(fields = {}) {
  const values = Float32Array.from({ length: LABELS.length * 16 }, (_, i) => Math.sin(i * 1.7));
  return {
    size: [32, 32],
    labels: LABELS,
    reading: "precise",
    signed: false,
    defaults: { contrast: 4, smoothing: 3 },
    parts: { attention: [{ grid: [4, 4], box: [0, 0, 32, 32], values, valid: null }] },
    ...fields,
  };
}

const PLAIN = { contrast: 4, smoothing: 3 };

test("words choose every label of that text, in any case; a phrase stands for its words", () => {
  expect(chosenLabels(LABELS, "")).toEqual([0]);
  expect(chosenLabels(LABELS, " RED , ,star")).toEqual([1, 3, 2]);
  expect(chosenLabels(LABELS, ["star red"])).toEqual([2, 1, 3]);
  expect(chosenLabels(LABELS.slice(1))).toEqual([0, 1, 2]);
});

test("an unknown word is named, with the words that there are", () => {
  expect(() => chosenLabels(LABELS, "blue")).toThrow("no map for 'blue'. It has maps for: 'the red star', 'red'");
});

test("contrast below 0 and smoothing 0 are the heatmap's own", () => {
  const own = tuneMask(picture(), { contrast: -1, smoothing: 0, smoothing_unit: "pixels" });
  expect(own.values).toEqual(tuneMask(picture(), PLAIN).values);
  expect(own.values).not.toEqual(tuneMask(picture(), { contrast: 5, smoothing: 3 }).values);
});

test("a map of one value leaves the picture as it is and says so", () => {
  const flat = picture();
  flat.parts.attention[0].values.fill(0.5);
  const made = tuneMask(flat, { ...PLAIN, threshold: 0.5, grow: 3 });
  expect(made.values.every((value) => value === 1)).toBe(true);
  expect(made.warning).toContain("'the red star' is the same everywhere");
  expect(tuneMask(flat, { ...PLAIN, invert: true }).values.every((value) => value === 0)).toBe(true);
});

test("numbers that are not finite are refused, as in Python", () => {
  const broken = picture();
  broken.parts.attention[0].values[3] = NaN;
  expect(() => tuneMask(broken, PLAIN)).toThrow("not finite");
});

test("the upstream reading takes odd widths in patches and one look only", () => {
  const upstream = picture({ reading: "upstream" });
  expect(() => tuneMask(upstream, { contrast: 1, smoothing: 2 })).toThrow("odd whole number of patches, not by 2 patches");
  expect(() => tuneMask(upstream, { ...PLAIN, smoothing_unit: "pixels" })).toThrow("not by 3 pixels");
  const tiled = picture({ reading: "upstream" });
  tiled.parts.attention.push(tiled.parts.attention[0]);
  expect(() => tuneMask(tiled, PLAIN)).toThrow("has 2 views");
});

test("parts that nothing says how to merge are refused", () => {
  const { attention } = picture().parts;
  for (const reading of ["precise", "upstream"]) {
    const odd = picture({ reading, parts: { one: attention, other: attention } });
    expect(() => tuneMask(odd, PLAIN)).toThrow("not of one, other");
  }
});

test("a preview is the picture's mask seen smaller, with what counts pixels scaled", () => {
  const settings = { ...PLAIN, threshold: 0.6, grow: 4, feather: 6, interpolation: "bilinear" };
  const large = tuneMask(picture({ size: [256, 256], parts: scaled(8) }), settings, [256, 256]);
  const small = tuneMask(picture({ size: [256, 256], parts: scaled(8) }), settings, [128, 128]);
  let apart = 0;
  for (let y = 0; y < 128; y++) {
    for (let x = 0; x < 128; x++) {
      const at = 2 * y * 256 + 2 * x;
      const mean = (large.values[at] + large.values[at + 1] + large.values[at + 256] + large.values[at + 257]) / 4;
      apart += Math.abs(mean - small.values[y * 128 + x]) / 128 ** 2;
    }
  }
  expect(apart).toBeLessThan(0.01);
});

function scaled(by) {
  const view = picture().parts.attention[0];
  return { attention: [{ ...view, box: view.box.map((edge) => edge * by) }] };
}
