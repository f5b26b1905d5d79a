"""The shipped workflows, told node by node; `build.py` lays them out in the frontend and saves them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

Pictures = Mapping[str, list[Image.Image]]
BEFORE, AFTER = "The picture", "The prompted picture"
NOTE_COLUMN = -420
VIT_L = {
    "name": "vit_large_patch14_clip_336.openai/open_clip_model.safetensors",
    "url": "https://huggingface.co/timm/vit_large_patch14_clip_336.openai/resolve/main/open_clip_model.safetensors",
    "directory": "clip_vision",
}
"""The weights of the paper's CLIP."""


@dataclass(frozen=True)
class Node:
    """One node: `values` are widget values by name."""

    key: str
    type: str
    pos: tuple[int, int]
    size: tuple[int, int] | None = None
    title: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """A workflow: `links` are (from node, output, to node, input); `models` are the files to fetch, by node type."""

    name: str
    id: str
    nodes: tuple[Node, ...]
    links: tuple[tuple[str, str, str, str], ...]
    thumbnail: Callable[[Pictures], Image.Image]
    models: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    groups: tuple[Mapping[str, Any], ...] = ()
    core_version: str = "0.30.0"

    def layout(self) -> dict[str, Any]:
        """What the page needs to lay the workflow out."""
        nodes = [
            {
                "key": node.key,
                "type": node.type,
                "pos": node.pos,
                "size": node.size,
                "title": node.title,
                "values": node.values,
            }
            for node in self.nodes
        ]
        return {"nodes": nodes, "links": self.links, "groups": self.groups}


def before_and_after(pictures: Pictures) -> Image.Image:
    """The picture on the left, the prompted picture on the right of a split down its middle."""
    before, after = pictures[BEFORE][0], pictures[AFTER][0]
    joined = before.copy()
    half = before.width // 2
    joined.paste(after.crop((half, 0, after.width, after.height)), (half, 0))
    joined.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return joined


def note(key: str, pos: tuple[int, int], size: tuple[int, int], text: str) -> Node:
    return Node(key, "MarkdownNote", pos, size, values={"text": text.strip()})


def _chain(query: str, model: str) -> tuple[Node, ...]:
    """From a model to the prompted picture; the picture comes from the node `picture`."""
    return (
        Node(
            "clip",
            "AttnPromptLoadCLIP",
            (0, 0),
            (360, 130),
            values={"model": model, "precision": "auto", "allow_download": False},
        ),
        Node("heatmap", "AttnPromptCLIPHeatmap", (420, 0), (400, 300), values={"query": query}),
        Node("mask", "AttnPromptTuneMask", (420, 360), (400, 240)),
        Node("overlay", "AttnPromptOverlay", (880, 0), (460, 160), values={"style": "fade to grey"}),
        Node("view", "AttnPromptView", (880, 250), (460, 300), title="Where the model looked"),
        Node("before", "PreviewImage", (1400, 0), (420, 320), title=BEFORE),
        Node("save", "SaveImage", (1400, 380), (420, 340), title=AFTER, values={"filename_prefix": "attention-prompt"}),
    )


LINKS = (
    ("clip", "clip", "heatmap", "clip"),
    ("picture", "IMAGE", "heatmap", "image"),
    ("heatmap", "heatmap", "mask", "heatmap"),
    ("picture", "IMAGE", "overlay", "image"),
    ("mask", "mask", "overlay", "mask"),
    ("picture", "IMAGE", "view", "image"),
    ("heatmap", "heatmap", "view", "map"),
    ("picture", "IMAGE", "before", "images"),
    ("overlay", "image", "save", "images"),
)

WHAT_TO_CHANGE = """
### What to change first

1. **query** (CLIP Heatmap): {query_hint}
2. **contrast** (Smooth & Enhance Mask): -1 is the model's own. Higher means a harder edge between what matters and
   what does not; 1 is gentle, 10 is nearly black and white.
3. **smoothing**: 0 is the model's own. 1 shows single patches, 5 and more spread the light.
4. **style** (Overlay Attention): *fade to grey* with level 0 is the paper's; for text or documents try a level of
   150 to 200, or *blur*, so that the surroundings stay readable.
5. **strength**: 1 is the full effect, 0 the untouched picture.

The model encodes the picture once; after that a new query or another slider takes a moment.
"""

QUICK_START = Story(
    name="Attention prompt - quick start",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d01",
    nodes=(
        Node(
            "picture",
            "AttnPromptDemoScene",
            (0, 200),
            (360, 210),
            values={"seed": 739, "control_after_generate": "fixed"},
        ),
        Node("there", "PreviewAny", (0, 460), (360, 160), title="What is in the scene"),
        *_chain("the red star", "tiny-clip"),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 230),
            """
## Attention prompting, in one picture

You ask for something; **tiny-clip** says which parts of the picture matter to it; the rest is faded. Hand the faded
picture to a vision-language model together with the question, and it looks where it should.

Press **Run**. Nothing is downloaded: tiny-clip ships with the pack and knows *drawn shapes* only. For photographs open
*Attention prompt - photographs*.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 290),
            (380, 340),
            WHAT_TO_CHANGE.format(query_hint="ask for another shape. Demo Scene's *description* says what is there."),
        ),
    ),
    links=tuple(
        (origin, {"IMAGE": "image"}.get(slot, slot), to, entry)
        for origin, slot, to, entry in (*LINKS, ("picture", "description", "there", "source"))
    ),
    thumbnail=before_and_after,
)

PHOTOGRAPHS = Story(
    name="Attention prompt - photographs",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d02",
    nodes=(
        Node("picture", "LoadImage", (0, 220), (360, 360), values={"image": "example.png"}),
        *_chain("the eyes", "ViT-L-14-336/openai"),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 280),
            """
## Attention prompting for photographs

The same chain with the paper's own model, **ViT-L-14-336** by OpenAI (1.7 GB).

To fetch it once, switch on *allow_download* in **Load CLIP**: progress is shown, Stop cancels, and a later run goes on
where it stopped. A copy you already have goes into a folder of its own in `models/clip_vision`; refresh the page and
choose it in **Load CLIP**.

**Choose your picture** in *Load Image*, write your question into *query*, and press **Run**.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 340),
            (380, 340),
            WHAT_TO_CHANGE.format(query_hint="a thing (*the dog's collar*) works better than a long question."),
        ),
    ),
    links=LINKS,
    thumbnail=before_and_after,
    models={
        "AttnPromptLoadCLIP": [VIT_L],
    },
)

STORIES = (QUICK_START, PHOTOGRAPHS)
