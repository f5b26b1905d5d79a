"""The shipped workflow that answers a question: where to look, larger there, and the surer answer kept."""

from PIL import Image
from shared_nodes import (
    CLIP,
    LVLM,
    NOTE_COLUMN,
    PICTURE,
    QUESTION,
    ask,
    ask_links,
    demo_scene,
    load_clip,
    load_lvlm,
    overlay_links,
    question,
    scene_text,
    shown,
    text,
    tune,
)
from workflow_spec import THUMBNAIL, Link, Node, Pictures, Story, note

PLAIN = "The plain picture"
KEPT = "The picture that gave the answer"
MAGNIFY = {"strength": 1.0, "style": "magnify"}


def magnify(key: str, pos: tuple[int, int], width: int = 360) -> Node:
    return Node(key, "AttnPromptOverlay", pos, (width, 280), values=MAGNIFY)


def surer_answer(key: str, pos: tuple[int, int]) -> Node:
    return Node(key, "AttnPromptSurerAnswer", pos, (380, 380))


def one_above_the_other(pictures: Pictures) -> Image.Image:
    plain, kept = pictures[PLAIN][0], pictures[KEPT][0]
    joined = Image.new("RGB", (plain.width, plain.height + kept.height))
    joined.paste(plain, (0, 0))
    joined.paste(kept, (0, plain.height))
    joined.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    return joined


# What the answer needs, from the two models and the question on; the blueprint holds the same.
CHAIN: tuple[Link, ...] = (
    (*CLIP, "heatmap", "clip"),
    (*LVLM, "surer", "model"),
    ("overlay", "image", "surer", "prompted.prompted0"),
)

BETTER_ANSWER = Story(
    name="Attention prompt - better answer",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d0b",
    nodes=(
        demo_scene((0, 0), 43, width=1280, height=512, objects=6),
        scene_text((0, 270)),
        question((0, 470), "What colour is the star?"),
        load_clip((0, 650)),
        load_lvlm((0, 840)),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330)),
        tune("mask", (880, 0), width=360),
        Node("view", "AttnPromptView", (880, 680), (360, 340), title="Where the CLIP looked"),
        magnify("overlay", (1300, 0)),
        shown("plain", (1300, 680), (360, 260), PLAIN),
        surer_answer("surer", (1720, 0)),
        shown("kept", (1720, 680), (380, 260), KEPT),
        text("answer", (2160, 0), "The answer", (300, 140)),
        text("confidence", (2160, 200), "How sure: 0 to 1", (300, 120)),
        text("which", (2160, 380), "Which picture: 0 the plain one", (300, 120)),
        ask("plain ask", (1720, 1040), "For comparison: the plain picture alone"),
        text("plain answer", (2160, 1040), "Its answer", (300, 140)),
        text("plain confidence", (2160, 1240), "How sure that is", (300, 120)),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 400),
            """
## A better answer

**tiny-clip** marks the part of the picture that your question is about; **Overlay Attention** magnifies it, in its
place, and shrinks the rest; **Surer Answer** asks *tiny-lvlm* about the plain picture and, where it is not sure of that
answer, about the magnified one. The answer that it holds more likely is kept.

Press **Run**. The model sees 112 of the 1280 pixels: about the plain picture it guesses *yellow*, magnified it is sure
of *green*. Of 2,000 such questions 64.5 % are right plain, 88.7 % with this. Nothing is downloaded; both models ship
with the pack and know *drawn shapes* only.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 460),
            (380, 440),
            """
### What to change first

1. **The question**, and **seed** of Demo Scene. *What is in the scene* says what can be asked. Your picture: *Load
   Image* in place of Demo Scene, and models for photographs in *Load CLIP* and *Load LVLM*; *allow_download* fetches
   one once.
2. **query** (CLIP Heatmap) takes the question here. Where that is long, a thing is clearer to a CLIP: disconnect it and
   write *the star*.
3. **zoom** (Overlay Attention): how much larger at most. **style**: fade, blur and others are there too.
4. **skip_above** (Surer Answer): a plain answer this sure is kept without asking again.
5. A second way: connect another prompted picture, such as a crop by *Find Regions*, to the next **prompted** socket.
""",
        ),
    ),
    links=(
        ("picture", "description", "there", "source"),
        *CHAIN,
        (*PICTURE, "heatmap", "image"),
        (*QUESTION, "heatmap", "query"),
        *overlay_links("heatmap", "mask", "overlay", PICTURE),
        ("heatmap", "heatmap", "view", "map"),
        (*PICTURE, "view", "image"),
        (*PICTURE, "plain", "images"),
        (*PICTURE, "surer", "image"),
        (*QUESTION, "surer", "question"),
        ("surer", "image", "kept", "images"),
        ("surer", "answer", "answer", "source"),
        ("surer", "confidence", "confidence", "source"),
        ("surer", "which", "which", "source"),
        *ask_links("plain ask", PICTURE, LVLM),
        ("plain ask", "answer", "plain answer", "source"),
        ("plain ask", "confidence", "plain confidence", "source"),
    ),
    thumbnail=one_above_the_other,
)

STORIES = (BETTER_ANSWER,)
