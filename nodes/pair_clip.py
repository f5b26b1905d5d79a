"""The node that makes one CLIP of ComfyUI's own two halves of it."""

from typing import Any

from comfy_api.latest import io

from . import page, sockets
from .entrance import checked
from .native.clip_pair import pair


class PairCLIP(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptPairCLIP",
            display_name="Pair CLIP Vision and CLIP",
            category=sockets.CATEGORY,
            description=(
                "Makes one model for CLIP Heatmap of a CLIP Vision and a CLIP that ComfyUI has loaded already. "
                "Whether the two belong together is tried on five coloured squares."
            ),
            search_aliases=["attention prompting", "clip vision", "clip heatmap", "ip-adapter", "unclip", "load clip"],
            inputs=[
                sockets.CoreClipVision.Input(
                    "clip_vision",
                    tooltip="From Load CLIP Vision: the picture half of a CLIP, such as CLIP Vision G or H.",
                ),
                sockets.CoreClip.Input(
                    "clip",
                    tooltip="The text half that was trained with it: SDXL's CLIP for G, SD 2's for H, for L a clip_l "
                    "that has its text projection.",
                ),
            ],
            outputs=[sockets.output(sockets.Clip, "clip", "The model, for CLIP Heatmap; it is no CLIP for prompts.")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(cls, clip_vision: Any, clip: Any) -> io.NodeOutput:
        model = pair(clip_vision, clip, page.NodeProgress(cls.hidden.unique_id))
        return io.NodeOutput(sockets.PairedClip(clip_vision.patcher, model, clip.patcher))
