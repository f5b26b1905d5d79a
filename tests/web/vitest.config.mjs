import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const folder = fileURLToPath(new URL(".", import.meta.url));

export default defineConfig({
  root: folder,
  // ComfyUI's own scripts are not here: `host/` imitates what the pack uses of them.
  resolve: { alias: [{ find: /^.*\/scripts\/(app|api)\.js$/, replacement: `${folder}host/$1.mjs` }] },
  server: { fs: { allow: ["../.."] } },
  test: { environment: "jsdom", include: ["**/*.test.mjs"], restoreMocks: true },
});
