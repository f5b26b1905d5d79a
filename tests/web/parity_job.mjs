// Run by test_parity.py: makes with the page's modules what the library made, and leaves it as float32 for comparison.
//   node parity_job.mjs FOLDER     reads FOLDER/jobs.json and FOLDER/values.bin, writes FOLDER/results.bin
import { readFileSync, writeFileSync } from "node:fs";
import { colour, COLORMAPS, wholeTable } from "../../web/modules/colormap.mjs";
import { tuneMask } from "../../web/modules/mask.mjs";
import { overlay } from "../../web/modules/overlay.mjs";

const folder = process.argv[2];
const { jobs, tables } = JSON.parse(readFileSync(`${folder}/jobs.json`, "utf8"));
const bytes = readFileSync(`${folder}/values.bin`);
const payload = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));

const at = (offset, count) => payload.subarray(offset, offset + count);

function unpacked(picture) {
  const parts = {};
  for (const [name, views] of Object.entries(picture.parts)) {
    parts[name] = views.map(({ grid, box, values, valid }) => {
      const cells = grid[0] * grid[1];
      const seen = valid === null ? null : Uint8Array.from(at(valid, cells));
      return { grid, box, values: at(values, picture.labels.length * cells), valid: seen };
    });
  }
  return { ...picture, parts };
}

const results = [];
const warnings = [];
for (const { picture, settings, size, style, strength, pixels, mask } of jobs) {
  if (style) {
    const count = size[0] * size[1];
    const drawn = overlay(Uint8ClampedArray.from(at(pixels, 4 * count)), at(mask, count), size, style, strength);
    results.push(Float32Array.from(drawn));
    continue;
  }
  const made = tuneMask(unpacked(picture), settings, size);
  results.push(made.values);
  warnings.push(made.warning ?? "");
}
if (tables) for (const name of COLORMAPS) results.push(Float32Array.from(wholeTable(name)), Float32Array.from(colour(name)));
const all = new Float32Array(results.reduce((sum, values) => sum + values.length, 0));
results.reduce((offset, values) => (all.set(values, offset), offset + values.length), 0);
writeFileSync(`${folder}/results.bin`, new Uint8Array(all.buffer));
process.stdout.write(JSON.stringify({ warnings, colormaps: COLORMAPS }));
