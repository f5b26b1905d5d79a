// Keeps a node's warning in sight: the page itself takes the text off the node as soon as the run ends.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const OWN_NODES = "AttnPrompt";
const SECONDS = 20;

/**
 * The node of an id such as "7", or "5:3" for node 3 inside the subgraph of node 5.
 * @param {unknown} executionId
 */
function findNode(executionId) {
  /** @type {any} */
  let graph = app.rootGraph ?? app.graph;
  let node;
  for (const id of String(executionId).split(":")) {
    node = graph?.getNodeById(id) ?? graph?.getNodeById(Number(id));
    graph = node?.subgraph;
  }
  return node;
}

app.registerExtension({
  name: "attention-prompting.warnings",
  setup() {
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
  },
});
