// What the page loads: one file of all modules, without comments. ComfyUI would import every .js below web/, so there is
// no other; beside it, as beside the modules, ../ leads to web/ and ../../../ to what ComfyUI serves.
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("../../web/", import.meta.url));

export default {
  input: `${web}modules/main.mjs`,
  external: /\/scripts\/(app|api)\.js$/,
  output: {
    file: `${web}dist/attention_prompting.js`,
    format: "esm",
    minify: true,
    comments: false,
    postBanner: "// Built from web/modules by `make web`: read and change those.",
  },
};
