import { describe, expect, test } from "vitest";
import { readHeatmaps } from "../../web/modules/heatmap_file.mjs";
import { fileOf } from "./files.mjs";

describe("heatmap files", () => {
  test("pictures come with their views", () => {
    const views = [{ grid: [1, 2], box: [-1, 0, 8, 6], values: 1, valid: 5 }];
    const picture = { size: [6, 8], labels: [{ text: "größe <b>", role: "whole" }, { text: "ß", role: "query word" }] };
    const header = { pictures: [{ ...picture, signed: true, parts: [{ name: "attention", views }] }] };
    const { pictures, masks } = readHeatmaps(fileOf(header, [99, 0.5, -2, 3, 4, 1, 0]));
    expect(masks).toEqual([]);
    expect(pictures[0].labels[0].text).toBe("größe <b>");
    expect(pictures[0].wordsLeftOut).toBe(0);
    const [view] = pictures[0].parts.attention;
    expect([...view.values]).toEqual([0.5, -2, 3, 4]);
    expect(view.valid).toEqual(Uint8Array.of(1, 0));
    expect(view.box).toEqual([-1, 0, 8, 6]);
  });

  test("cells may all be valid, and words left out", () => {
    const views = [{ grid: [1, 1], box: [0, 0, 1, 1], values: 0, valid: null }];
    const picture = { size: [1, 1], labels: [{ text: "a", role: "whole" }], words_left_out: 7 };
    const { pictures } = readHeatmaps(fileOf({ pictures: [{ ...picture, parts: [{ name: "patch", views }] }] }, [1]));
    expect(pictures[0].parts.patch[0].valid).toBeNull();
    expect(pictures[0].wordsLeftOut).toBe(7);
  });

  test("masks know the size that they were made smaller from", () => {
    const header = { masks: [{ size: [1, 2], values: 0 }, { size: [1, 1], full: [4, 4], values: 2 }] };
    const { masks } = readHeatmaps(fileOf(header, [0, 0.25, 1]));
    expect(masks.map(({ full }) => full)).toEqual([[1, 2], [4, 4]]);
    expect([...masks[0].values]).toEqual([0, 0.25]);
  });

  test("anything else is refused in words", () => {
    expect(() => readHeatmaps(new TextEncoder().encode("PNG...........").buffer)).toThrow('starts with "PNG."');
    expect(() => readHeatmaps(new ArrayBuffer(2))).toThrow("no heatmap file");
  });
});
