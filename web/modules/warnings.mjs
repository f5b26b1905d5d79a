// Keeps a node's warning in sight: the page itself takes the text off the node as soon as the run ends.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { findNode } from "./node_widgets.mjs";

const OWN_NODES = "AttnPrompt";
const SECONDS = 20;

/** Show each warning of a run once, as a message that stays a while. */
export function showWarnings() {
  const shown = new Set(); // nodes pass warnings on; one message is enough
  api.addEventListener("execution_start", () => shown.clear());
  api.addEventListener("attention_prompting.warning", ({ detail }) => {
    const node = findNode(detail?.node);
    if (!detail?.text || !node?.type?.startsWith(OWN_NODES) || shown.has(detail.text)) return;
    shown.add(detail.text);
    app.extensionManager.toast.add({
      severity: "warn",
      summary: node.title,
      detail: detail.text,
      life: SECONDS * 1000,
    });
  });
}
