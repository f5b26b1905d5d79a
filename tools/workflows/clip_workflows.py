"""The shipped workflows that show where a CLIP looks."""

from PIL import Image
from shared_nodes import NOTE_COLUMN, PICTURE, VIT_L, demo_scene, load_clip, overlay_links, scene_text, shown, tune
from workflow_spec import Link, Node, Pictures, Story, half_and_half, note

BEFORE, AFTER = "The picture", "The prompted picture"


def before_and_after(pictures: Pictures) -> Image.Image:
    return half_and_half(pictures[BEFORE][0], pictures[AFTER][0])


def _chain(query: str, model: str) -> tuple[Node, ...]:
    """From a model to the prompted picture; the picture comes from the node `picture`."""
    return (
        load_clip((0, 0), model, width=360),
        Node("heatmap", "AttnPromptCLIPHeatmap", (420, 0), (400, 300), values={"query": query}),
        tune("mask", (880, 0), width=400),
        Node("overlay", "AttnPromptOverlay", (1340, 0), (460, 160), values={"strength": 1.0, "style": "fade to grey"}),
        Node("view", "AttnPromptView", (1340, 480), (460, 420), title="Where the model looked"),
        shown("before", (1860, 0), (420, 320), BEFORE),
        Node("save", "SaveImage", (1860, 380), (420, 340), title=AFTER, values={"filename_prefix": "attention-prompt"}),
    )


def _links(picture: tuple[str, str]) -> tuple[Link, ...]:
    return (
        ("clip", "clip", "heatmap", "clip"),
        (*picture, "heatmap", "image"),
        *overlay_links("heatmap", "mask", "overlay", picture),
        (*picture, "view", "image"),
        ("heatmap", "heatmap", "view", "map"),
        (*picture, "before", "images"),
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
        demo_scene((0, 200), 739, (360, 210)),
        scene_text((0, 460), (360, 160)),
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
    links=(*_links(PICTURE), ("picture", "description", "there", "source")),
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
    links=_links(("picture", "IMAGE")),
    thumbnail=None,
    models={"AttnPromptLoadCLIP": [VIT_L]},
)

STORIES = (QUICK_START, PHOTOGRAPHS)
