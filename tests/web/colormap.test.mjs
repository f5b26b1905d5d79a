import { expect, test } from "vitest";
import { COLORMAPS, colour } from "../../web/modules/colormap.mjs";

test("a colour map has 256 colours from its first anchor to its last", () => {
  const table = colour("Viridis");
  expect(table).toHaveLength(768);
  expect([...table.slice(0, 3)]).toEqual([0x44, 0x01, 0x54]);
  expect([...table.slice(-3)]).toEqual([0xfd, 0xe7, 0x25]);
});

test("an unknown colour map is named, with those that there are", () => {
  expect(() => colour("parula")).toThrow("There is no colour map 'parula'. Choose one of viridis, magma");
  expect(() => colour("constructor")).toThrow("Choose one of");
  expect(COLORMAPS).toContain("coldhot");
});
