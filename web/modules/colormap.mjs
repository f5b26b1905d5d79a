// The colour maps of api_core/colormaps.py: evenly spaced anchors with straight lines between them.

/** @type {Record<string, string>} */
const ANCHORS = {
  viridis: `440154 470d60 48186a 482374 472d7b 453681 424086 3f4989 3b528b 375a8d 33638d 2f6a8e 2c728e 297a8e 26818e
    23898e 21908c 1f988b 1f9f88 21a685 28ae80 31b57b 3ebc74 4cc26c 5dc963 6ece58 82d34c 96d83f abdc32 c0df24 d5e21a
    eae51a fde725`,
  magma: `000004 030311 0a0822 130d33 1d1146 28115a 36106a 430f76 50127c 5d177f 691c81 762181 822681 8f2a81 9c2e7f
    a9327d b63779 c33b75 cf4170 db486a e65163 ee5c5e f5695c f9785d fb8761 fd9668 fea571 feb47b fec387 fed194 fde0a2
    fceeb0 fcfdbf`,
  inferno: `000004 040312 0b0724 150b37 210c4a 2e0a5a 3c0965 4a0c6b 57106d 63146e 70196e 7d1e6d 89226a 962766 a32b61
    af315c bb3755 c63e4d d14644 db4f3b e35932 eb6528 f1711e f67f14 f98d0a fb9c06 fcab0f fbba1f f9ca32 f5d949 f2e865
    f3f586 fcffa4`,
  turbo: `30123b 392a73 4040a1 4456c7 466be3 467ff6 4293ff 37a7fa 29bbec 1dcdd8 18dcc3 1ee8b0 31f299 4cf97e 6bfd64
    8aff4d a3fd3c b8f735 cced34 dee037 edd03a f8c03a fdae35 fe982c fb8022 f56817 ec520f e04009 d23105 c02302 ac1701
    950d01 7a0403`,
  jet: "000080 0000ff 0080ff 00ffff 80ff80 ffff00 ff8000 ff0000 800000",
  coldhot: "00ffff 0080ff 0000ff 000080 000000 800000 ff0000 ff8000 ffff00",
};

export const COLORMAPS = Object.keys(ANCHORS);

/** Steps of a whole table, as in Python; it has one entry more. */
export const STEPS = 1024;

/** @type {Map<string, Uint8ClampedArray>} */
const tables = new Map();

/**
 * The whole table of a colour map, evenly spaced from value 0 to value 1.
 * @param {string} name
 * @returns {Uint8ClampedArray} (STEPS + 1) * 3 levels
 */
export function wholeTable(name) {
  const key = String(name).trim().toLowerCase();
  const made = tables.get(key);
  if (made) return made;
  if (!Object.hasOwn(ANCHORS, key)) {
    throw new Error(`There is no colour map '${name}'. Choose one of ${COLORMAPS.join(", ")}.`);
  }
  const colours = ANCHORS[key].split(/\s+/).map((code) => [0, 2, 4].map((i) => parseInt(code.slice(i, i + 2), 16)));
  const table = new Uint8ClampedArray((STEPS + 1) * 3);
  for (let step = 0; step <= STEPS; step++) {
    const position = (step / STEPS) * (colours.length - 1);
    const below = Math.min(Math.floor(position), colours.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const from = colours[below][channel];
      table[step * 3 + channel] = from + (colours[below + 1][channel] - from) * (position - below);
    }
  }
  tables.set(key, table);
  return table;
}

/**
 * A colour map of 256 steps.
 * @param {string} name
 * @returns {Uint8ClampedArray} 256 * 3 levels
 */
export function colour(name) {
  const table = wholeTable(name);
  const result = new Uint8ClampedArray(256 * 3);
  for (let level = 0; level < 256; level++) {
    const step = Math.floor((level / 255) * STEPS + 0.5);
    result.set(table.subarray(step * 3, step * 3 + 3), level * 3);
  }
  return result;
}
