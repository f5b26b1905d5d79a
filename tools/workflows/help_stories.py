"""What the pictures of the help pages show: each node at work, with what comes of it beside it."""

from collections.abc import Mapping
from typing import Any

from shared_nodes import FIXED
from workflow_spec import Node

SEED = 739
QUESTION = "What colour is the cross?"
WIDTH = 340  # the help panel shows a picture of this width about as large as it is
ROW = 2000  # no node of one picture reaches into the next one
AS_LOW_AS_IT_GETS = 60


class Column:
    """The nodes of one picture, one below the other, and on both sides of it what feeds them and makes them run."""

    def __init__(self, number: int) -> None:
        self.top = number * ROW
        self.nodes: list[Node] = []
        self.unseen: list[Node] = []

    def add(self, key: str, kind: str, height: int = AS_LOW_AS_IT_GETS, **values: Any) -> "Column":
        at = (0, self.top + 300 * len(self.nodes))
        self.nodes.append(Node(key, kind, at, (WIDTH, height), values=values))
        return self

    def fed_by(self, key: str, kind: str, **values: Any) -> "Column":
        return self._beside(-2 * WIDTH, key, kind, values)

    def run_by(self, key: str, kind: str) -> "Column":
        return self._beside(2 * WIDTH, key, kind, {})

    def _beside(self, x: int, key: str, kind: str, values: Mapping[str, Any]) -> "Column":
        self.unseen.append(Node(key, kind, (x, self.top), (WIDTH, AS_LOW_AS_IT_GETS), values=values))
        return self


PICTURES: Mapping[str, Column] = {
    "AttnPromptDemoScene": Column(0)
    .add("scene", "AttnPromptDemoScene", seed=SEED, **FIXED)
    .add("scene shown", "PreviewImage", 280)
    .add("scene told", "PreviewAny"),
    "AttnPromptLoadCLIP": Column(1)
    .add("clip", "AttnPromptLoadCLIP")
    .add("clip used", "AttnPromptCLIPHeatmap", query="the red star"),
    "AttnPromptLoadLVLM": Column(2)
    .add("lvlm", "AttnPromptLoadLVLM")
    .add("lvlm used", "AttnPromptAsk", question=QUESTION, **FIXED),
    "AttnPromptConnectServer": Column(3)
    .add("server", "AttnPromptConnectServer", profile="ollama", model="qwen2.5vl:7b")
    .add("server used", "AttnPromptAsk", question="What does the sign say?", **FIXED),
    "AttnPromptCLIPHeatmap": Column(4)
    .add("star", "AttnPromptCLIPHeatmap", query="the red star")
    .run_by("star shown", "AttnPromptView"),
    "AttnPromptCombineHeatmaps": Column(5)
    .fed_by("one", "AttnPromptCLIPHeatmap", query="the red star")
    .fed_by("other", "AttnPromptCLIPHeatmap", query="the yellow cross")
    .add("both", "AttnPromptCombineHeatmaps", mode="max")
    .add("both shown", "AttnPromptView", 260),
    "AttnPromptLVLMHeatmap": Column(6)
    .add("looked", "AttnPromptLVLMHeatmap", question=QUESTION)
    .run_by("looked shown", "AttnPromptView"),
    "AttnPromptTuneMask": Column(7)
    .add("mask", "AttnPromptTuneMask", contrast=4.0, smoothing=3)
    .run_by("mask shown", "MaskPreview"),
    "AttnPromptOverlay": Column(8)
    .add("faded", "AttnPromptOverlay", strength=1.0)
    .run_by("faded shown", "PreviewImage"),
    "AttnPromptFindRegions": Column(9)
    .add("regions", "AttnPromptFindRegions", threshold=0.8, max_regions=3)
    .add("crops shown", "PreviewImage", 220)
    .add("boxes", "DrawBBoxes")
    .add("boxes shown", "PreviewImage", 280),
    "AttnPromptView": Column(10).add("view", "AttnPromptView", 300),
    "AttnPromptAsk": Column(11)
    .add("asked about", "PreviewImage", 280)
    .add("asked", "AttnPromptAsk", question=QUESTION, **FIXED)
    .add("asked said", "PreviewAny"),
    "AttnPromptExplain": Column(12)
    .add("explained", "AttnPromptExplain", question=QUESTION, **FIXED)
    .add("explained judged", "PreviewImage", 300),
    "AttnPromptCompareAnswers": Column(13)
    .add("plain", "PrimitiveString", value="A red square left of a pink star")
    .add("prompted", "PrimitiveString", value="A red star right of a pink star")
    .add("compared", "AttnPromptCompareAnswers", names="plain, prompted"),
    "AttnPromptSurerAnswer": Column(14)
    .fed_by("cross mask", "AttnPromptTuneMask")
    .fed_by("magnified", "AttnPromptOverlay", strength=1.0, style="magnify")
    .add("surer", "AttnPromptSurerAnswer", question=QUESTION, skip_above=1.0)
    .add("surer said", "PreviewAny")
    .add("surer shown", "PreviewImage", 280),
    "AttnPromptMapBack": Column(15)
    .fed_by("larger", "AttnPromptOverlay", strength=1.0, style="magnify")
    .fed_by("again", "AttnPromptCLIPHeatmap", query="the red star")
    .fed_by("again mask", "AttnPromptTuneMask")
    .fed_by("found", "AttnPromptFindRegions", threshold=0.9, max_regions=1)
    .add("back", "AttnPromptMapBack")
    .add("back drawn", "DrawBBoxes")
    .add("back shown", "PreviewImage", 280),
    "AttnPromptPairCLIP": Column(16)
    .add("eyes", "CLIPVisionLoader", clip_name="CLIP-ViT-bigG-14-laion2B-39B-b160k.safetensors")
    .add("words", "CLIPLoader", clip_name="clip_g.safetensors", type="stable_diffusion")
    .add("paired", "AttnPromptPairCLIP")
    .add("paired used", "AttnPromptCLIPHeatmap", query="the red star"),
}

LINKS = (
    ("scene", "image", "scene shown", "images"),
    ("scene", "description", "scene told", "source"),
    ("clip", "clip", "clip used", "clip"),
    ("scene", "image", "clip used", "image"),
    ("lvlm", "lvlm", "lvlm used", "model"),
    ("scene", "image", "lvlm used", "image"),
    ("server", "server", "server used", "model"),
    ("scene", "image", "server used", "image"),
    ("clip", "clip", "star", "clip"),
    ("scene", "image", "star", "image"),
    ("star", "heatmap", "star shown", "map"),
    ("scene", "image", "star shown", "image"),
    ("clip", "clip", "one", "clip"),
    ("scene", "image", "one", "image"),
    ("clip", "clip", "other", "clip"),
    ("scene", "image", "other", "image"),
    ("one", "heatmap", "both", "heatmaps.heatmap0"),
    ("other", "heatmap", "both", "heatmaps.heatmap1"),
    ("both", "heatmap", "both shown", "map"),
    ("scene", "image", "both shown", "image"),
    ("lvlm", "lvlm", "looked", "lvlm"),
    ("scene", "image", "looked", "image"),
    ("looked", "heatmap", "looked shown", "map"),
    ("scene", "image", "looked shown", "image"),
    ("star", "heatmap", "mask", "heatmap"),
    ("mask", "mask", "mask shown", "mask"),
    ("scene", "image", "faded", "image"),
    ("mask", "mask", "faded", "mask"),
    ("faded", "image", "faded shown", "images"),
    ("mask", "mask", "regions", "mask"),
    ("scene", "image", "regions", "image"),
    ("scene", "image", "boxes", "image"),
    ("regions", "bboxes", "boxes", "bboxes"),
    ("boxes", "out_image", "boxes shown", "images"),
    ("regions", "crop", "crops shown", "images"),
    ("scene", "image", "view", "image"),
    ("star", "heatmap", "view", "map"),
    ("lvlm", "lvlm", "asked", "model"),
    ("scene", "image", "asked", "image"),
    ("scene", "image", "asked about", "images"),
    ("asked", "answer", "asked said", "source"),
    ("lvlm", "lvlm", "explained", "lvlm"),
    ("scene", "image", "explained", "image"),
    ("explained", "curves", "explained judged", "images"),
    ("plain", "STRING", "compared", "answers.answer0"),
    ("prompted", "STRING", "compared", "answers.answer1"),
    ("scene", "image", "magnified", "image"),
    ("other", "heatmap", "cross mask", "heatmap"),
    ("cross mask", "mask", "magnified", "mask"),
    ("lvlm", "lvlm", "surer", "model"),
    ("scene", "image", "surer", "image"),
    ("magnified", "image", "surer", "prompted.prompted0"),
    ("surer", "answer", "surer said", "source"),
    ("surer", "image", "surer shown", "images"),
    ("scene", "image", "larger", "image"),
    ("mask", "mask", "larger", "mask"),
    ("clip", "clip", "again", "clip"),
    ("larger", "image", "again", "image"),
    ("again", "heatmap", "again mask", "heatmap"),
    ("again mask", "mask", "found", "mask"),
    ("larger", "image", "found", "image"),
    ("larger", "mapping", "back", "mapping"),
    ("found", "bboxes", "back", "bboxes"),
    ("back", "bboxes", "back drawn", "bboxes"),
    ("scene", "image", "back drawn", "image"),
    ("back drawn", "out_image", "back shown", "images"),
    ("eyes", "CLIP_VISION", "paired", "clip_vision"),
    ("words", "CLIP", "paired", "clip"),
    ("paired", "clip", "paired used", "clip"),
)
