// Gives the nodes their faces in ComfyUI's page. No result needs it. The page loads web/dist, which `make web` builds of it.
import { app } from "../../../scripts/app.js";
import { compareAnswers } from "./compare_answers.mjs";
import { copyReport } from "./copy_report.mjs";
import { overlayLive, tuneLive } from "./live_tuning.mjs";
import { outputsReplaced } from "./node_widgets.mjs";
import { translateTooltips } from "./translated_tooltips.mjs";
import { insetHeatmap, insetWithHints, viewHeatmap } from "./viewer_nodes.mjs";
import { showWarnings } from "./warnings.mjs";

/**
 * What gives a new node its face, by the node's id.
 * @type {Record<string, (node: import("./node_widgets.mjs").FaceNode) => void>}
 */
const FACES = {
  AttnPromptCLIPHeatmap: insetHeatmap,
  AttnPromptCompareAnswers: compareAnswers,
  AttnPromptExplain: insetHeatmap,
  AttnPromptLVLMHeatmap: insetWithHints,
  AttnPromptOverlay: overlayLive,
  AttnPromptTuneMask: tuneLive,
  AttnPromptView: viewHeatmap,
};

app.registerExtension({
  name: "attention-prompting",
  commands: [copyReport],
  menuCommands: [{ path: ["Help"], commands: [copyReport.id] }],
  setup() {
    showWarnings();
  },
  nodeCreated(node) {
    FACES[node.comfyClass ?? ""]?.(node);
    if (node.comfyClass?.startsWith("AttnPrompt")) translateTooltips(node);
  },
  onNodeOutputsUpdated: outputsReplaced,
});
