// Fails where web/dist is not what web/modules make: node check_built.mjs
import { readFileSync } from "node:fs";
import { rolldown } from "rolldown";
import config from "./rolldown.config.mjs";

const bundle = await rolldown(config);
const { output } = await bundle.generate(config.output);
if (output[0].code !== readFileSync(config.output.file, "utf8")) throw new Error("web/dist is old: run `make web`");
