"""The shipped workflows in which a vision-language model answers."""

from PIL import Image
from shared_nodes import (
    LVLM,
    NOTE_COLUMN,
    PICTURE,
    QUESTION,
    ask,
    ask_links,
    compare,
    compare_links,
    demo_scene,
    fade,
    load_clip,
    load_lvlm,
    overlay_links,
    question,
    scene_text,
    shown,
    text,
    tune,
)
from workflow_spec import Link, Node, Pictures, Story, half_and_half, note

COMPARED = "Plain and prompted: drag the line"
PROMPTED = "Prompted by its own words"
REGION = "The part that is shown alone"
WHOLE = "The whole picture"


def compared(pictures: Pictures) -> Image.Image:
    """Of a workflow whose two pictures are shown by one node that compares them."""
    return half_and_half(*pictures[COMPARED][:2])


def whole_and_part(pictures: Pictures) -> Image.Image:
    """The whole picture above, and the part under it, as large as the whole is high."""
    whole, part = pictures[WHOLE][0], pictures[REGION][0]
    side = whole.height
    joined = Image.new("RGB", (whole.width, 2 * side), (24, 24, 24))
    joined.paste(whole, (0, 0))
    part = part.resize((part.width * side // part.height, side), Image.Resampling.LANCZOS)
    joined.paste(part, ((whole.width - part.width) // 2, side))
    joined.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return joined


def _row(key: str, by: str, y: int) -> tuple[Node, ...]:
    """From a heatmap, which stands left of it, to the prompted picture and what is answered about it."""
    return (
        tune(f"{key} mask", (880, y)),
        Node(f"{key} view", "AttnPromptView", (880, y + 660), (340, 420), title=f"Where {by} looked"),
        fade(f"{key} overlay", (1260, y)),
        shown(f"{key} shown", (1260, y + 480), (340, 290), f"Prompted by {by}"),
        ask(f"{key} ask", (1640, y), f"Ask: prompted by {by}"),
        text(f"{key} answer", (2060, y), f"Answer: prompted by {by}"),
    )


def _row_links(key: str) -> tuple[Link, ...]:
    return (
        *overlay_links(f"{key} heatmap", f"{key} mask", f"{key} overlay", PICTURE),
        (f"{key} heatmap", "heatmap", f"{key} view", "map"),
        (*PICTURE, f"{key} view", "image"),
        (f"{key} overlay", "image", f"{key} shown", "images"),
        *ask_links(f"{key} ask", (f"{key} overlay", "image"), LVLM),
        (f"{key} ask", "answer", f"{key} answer", "source"),
    )


WITH_AND_WITHOUT = Story(
    name="Attention prompt - ask with and without",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d03",
    nodes=(
        demo_scene((0, 0), 724),
        scene_text((0, 270)),
        question((0, 470), "What colour is the triangle?"),
        load_lvlm((0, 650)),
        load_clip((0, 910)),
        ask("ask", (1640, -440), "Ask: the plain picture"),
        text("answer", (2060, -440), "Answer: the plain picture"),
        Node("clip heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the pink triangle"}),
        *_row("clip", "the CLIP", 0),
        Node("own heatmap", "AttnPromptLVLMHeatmap", (440, 1180), (380, 440)),
        *_row("own", "its own attention", 1180),
        Node("compare", "ImageCompare", (2060, 240), (360, 330), title=COMPARED),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 330),
            """
## Ask with and without

One question, asked three times of the same vision-language model: about the plain picture, about the picture prompted
by a **CLIP**, and about the picture prompted by the model's **own attention** while it first answered. The scene holds
two triangles, and the question does not say which; the CLIP is asked for the pink one.

Press **Run**: *Compare Answers* marks the words that differ. Nothing is downloaded: *tiny-clip* and *tiny-lvlm*
ship with the pack and know *drawn shapes* only. They show how it works, not how well.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 390),
            (380, 400),
            """
### What to change first

1. **The question**, and with it the *query* of CLIP Heatmap: the thing that the question is about.
2. **seed** of Demo Scene, for another scene. *What is in the scene* says what can be asked.
3. **model** in Load LVLM: with *Qwen3-VL-2B* or *llava-1.5-7b* and a *Load Image* in place of Demo Scene it works on
   photographs. *allow_download* fetches a model once.
4. **template**: *masked hint* tells the model why parts are faded; *evaluate* shows it an earlier answer as well.
5. **strength** and **style** of Overlay Attention.

To show the model both pictures at once, connect the prompted one to **more_images** of the plain Ask.
""",
        ),
        compare((2480, -440), "plain, by the CLIP, by itself"),
    ),
    links=(
        ("picture", "description", "there", "source"),
        *ask_links("ask", PICTURE, LVLM),
        ("ask", "answer", "answer", "source"),
        ("clip", "clip", "clip heatmap", "clip"),
        (*PICTURE, "clip heatmap", "image"),
        *_row_links("clip"),
        (*LVLM, "own heatmap", "lvlm"),
        (*PICTURE, "own heatmap", "image"),
        (*QUESTION, "own heatmap", "question"),
        *_row_links("own"),
        (*PICTURE, "compare", "image_a"),
        ("clip overlay", "image", "compare", "image_b"),
        *compare_links("ask", "clip ask", "own ask"),
    ),
    thumbnail=compared,
)

HINT_WORDS = Story(
    name="Attention prompt - its own words as the hint",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d06",
    nodes=(
        demo_scene((0, 0), 752, objects=4),
        scene_text((0, 270)),
        question((0, 470), "Describe the picture."),
        load_lvlm((0, 650)),
        Node(
            "heatmap",
            "AttnPromptLVLMHeatmap",
            (440, 0),
            (380, 440),
            "First answer, and where its words came from",
            {"hint_words": "purple, star", "max_new_tokens": 40},
        ),
        text("first", (440, 960), "The first answer", (380, 140)),
        tune("mask", (880, 0)),
        Node("view", "AttnPromptView", (880, 660), (340, 420), title="Where the hint words came from"),
        fade("overlay", (1260, 0)),
        shown("shown", (1260, 480), (340, 310), PROMPTED),
        ask("ask", (1640, 0), "Ask the same model again"),
        text("second", (2060, 0), "The second answer"),
        Node("compare", "ImageCompare", (2060, 240), (360, 310), title=COMPARED),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 330),
            """
## Its own words as the hint

No second model: the vision-language model answers, its attention on the picture is read while it writes, and you say
which **words** of the answer matter. Where those came from stays bright, and the same model is asked again.

Press **Run**. The first answer names everything in the scene; the hint words are *purple* and *star*, so the second
answer speaks of that alone. Nothing is downloaded: *tiny-lvlm* ships with the pack and knows *drawn shapes* only.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 390),
            (380, 390),
            """
### What to change first

1. **hint_words** (LVLM Heatmap): words of *The first answer*, with commas between. Empty: the whole answer.
2. **The question**: both times the same one, as in the paper. For a follow-up, write another into the second *Ask*.
3. **layers** (advanced): which layers are read. *auto* is the model's own choice; earlier is broader, later sharper.
4. **contrast** and **smoothing** of Smooth & Enhance Mask, **strength** of Overlay Attention.
5. **model** in Load LVLM, with *Load Image* in place of Demo Scene, for photographs.
""",
        ),
    ),
    links=(
        ("picture", "description", "there", "source"),
        (*LVLM, "heatmap", "lvlm"),
        (*PICTURE, "heatmap", "image"),
        (*QUESTION, "heatmap", "question"),
        ("heatmap", "answer", "first", "source"),
        *overlay_links("heatmap", "mask", "overlay", PICTURE),
        ("heatmap", "heatmap", "view", "map"),
        (*PICTURE, "view", "image"),
        ("overlay", "image", "shown", "images"),
        *ask_links("ask", ("overlay", "image"), LVLM),
        ("ask", "answer", "second", "source"),
        (*PICTURE, "compare", "image_a"),
        ("overlay", "image", "compare", "image_b"),
    ),
    thumbnail=compared,
)

CROP = ("regions", "crop")

ZOOM = Story(
    name="Attention prompt - zoom to read",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d07",
    nodes=(
        demo_scene((0, 0), 2, width=1536, height=512, objects=7),
        scene_text((0, 270)),
        question((0, 470), "What colour is the circle?"),
        load_clip((0, 650)),
        load_lvlm((0, 840)),
        shown("whole", (440, -300), (380, 240), WHOLE),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the circle"}),
        tune("mask", (880, 0), width=380),
        Node("view", "AttnPromptView", (880, 640), (380, 420), title="Where the CLIP looked"),
        Node("regions", "AttnPromptFindRegions", (1320, 0), (340, 210), values={"window": 224}),
        shown("part", (1320, 250), (340, 330), REGION),
        ask("whole ask", (1720, -460), "Ask: the whole picture"),
        text("whole answer", (2140, -460), "Answer: the whole picture"),
        ask("part ask", (1720, 0), "Ask: the part"),
        text("part answer", (2140, 0), "Answer: the part"),
        ask("both ask", (1720, 460), "Ask: the part, and the whole beside it"),
        text("both answer", (2140, 460), "Answer: the part and the whole"),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 350),
            """
## Zoom to read

A vision-language model sees every picture at its own size, so small things and small print get lost. Here a **CLIP**
says where to look, **Find Regions** cuts the window that holds most of its mask out of the full picture, and the model
is asked about it: alone, and together with the whole picture as a second image.

Press **Run** and compare the three answers. The picture is 1536 pixels wide and *tiny-lvlm* sees 112 of them: about the
whole picture its answer is a guess. Nothing is downloaded; both models ship with the pack and know *drawn shapes* only.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 410),
            (380, 400),
            """
### What to change first

1. **query** (CLIP Heatmap) and **the question**: what is small and matters.
2. **window** (Find Regions): the side of the part in pixels. Where it is as large as the picture that the model sees
   (*tiny-lvlm* 112, *llava-1.5* 336), nothing in it gets lost; larger shows more around it.
3. **window** 0: the bright parts themselves, up to **max_regions** of them with **padding** around each. Above 1 each
   part is asked about by itself, and the list of answers grows.
4. *Load Image*, and another model in *Load CLIP* and *Load LVLM*: for signs, documents and photographs. The part alone
   is enough for what is written on it; for what it belongs to, show the whole beside it.

To fade instead of cutting, see *Attention prompt - ask with and without*.
""",
        ),
        compare((2560, -460), "whole, part, both"),
    ),
    links=(
        ("picture", "description", "there", "source"),
        (*PICTURE, "whole", "images"),
        ("clip", "clip", "heatmap", "clip"),
        (*PICTURE, "heatmap", "image"),
        ("heatmap", "heatmap", "mask", "heatmap"),
        ("heatmap", "heatmap", "view", "map"),
        (*PICTURE, "view", "image"),
        ("mask", "mask", "regions", "mask"),
        (*PICTURE, "regions", "image"),
        (*CROP, "part", "images"),
        *ask_links("whole ask", PICTURE, LVLM),
        *ask_links("part ask", CROP, LVLM),
        *ask_links("both ask", CROP, LVLM),
        (*PICTURE, "both ask", "more_images.more_image0"),
        *((f"{key} ask", "answer", f"{key} answer", "source") for key in ("whole", "part", "both")),
        *compare_links("whole ask", "part ask", "both ask"),
    ),
    thumbnail=whole_and_part,
)

STORIES = (WITH_AND_WITHOUT, HINT_WORDS, ZOOM)
