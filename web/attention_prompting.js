// The one script that ComfyUI's page loads of this pack: it gives the nodes their faces. No result needs it.
import { app } from "../../scripts/app.js";
import { compareAnswers } from "./modules/compare_answers.mjs";
import { overlayLive, tuneLive } from "./modules/live_tuning.mjs";
import { outputsReplaced } from "./modules/node_faces.mjs";
import { translateTooltips } from "./modules/translated_tooltips.mjs";
import { insetHeatmap, insetWithHints, viewHeatmap } from "./modules/viewer_faces.mjs";
import { showWarnings } from "./modules/warnings.mjs";

/**
 * What gives a new node its face, by the node's id.
 * @type {Record<string, (node: import("./modules/node_faces.mjs").FaceNode) => void>}
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
  setup() {
    showWarnings();
  },
  nodeCreated(node) {
    FACES[node.comfyClass ?? ""]?.(node);
    if (node.comfyClass?.startsWith("AttnPrompt")) translateTooltips(node);
  },
  onNodeOutputsUpdated: outputsReplaced,
});
