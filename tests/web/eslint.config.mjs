// Run from the repository's root (`npm run rules` does), so that what lies in web/ counts as inside.
import js from "@eslint/js";
import globals from "globals";

const QUOTED_MARKUP = "Markup from text lets a model's words run as code; use textContent and append.";
const PROTOTYPES = "Other packs patch the same prototype; use a node's own hooks, or the extension's.";

export default [
  { ignores: ["**/node_modules/**", "web/dist/**"] },
  js.configs.recommended,
  {
    files: ["web/**/*.mjs", "tests/web/**/*.mjs"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "max-lines": ["error", 300],
      "no-console": "error",
      "no-eval": "error",
      "no-implicit-globals": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: QUOTED_MARKUP },
        { property: "outerHTML", message: QUOTED_MARKUP },
        { property: "insertAdjacentHTML", message: QUOTED_MARKUP },
        { object: "document", property: "write", message: QUOTED_MARKUP },
        { property: "prototype", message: PROTOTYPES },
      ],
    },
  },
  {
    files: ["tests/web/**/*.mjs"],
    languageOptions: { globals: { ...globals.browser, ...globals.node } },
    rules: { "no-restricted-properties": "off" }, // doubles of the page stand in for its classes
  },
];
