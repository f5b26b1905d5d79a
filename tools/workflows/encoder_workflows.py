"""The shipped workflows that look into encoders which ComfyUI itself loaded."""

from shared_nodes import (
    NOTE_COLUMN,
    PHOTO,
    QUESTION,
    QWEN,
    QWEN_IMAGE,
    question,
    shown,
    text,
    tune,
    words_links,
    words_shown,
)
from workflow_spec import Link, Node, Story, note

EXAMPLE = {"image": "example.png"}
ENCODER = ("encoder", "CLIP")


def _load_encoder(file: dict[str, str], kind: str) -> Node:
    return Node("encoder", "CLIPLoader", (0, 580), (380, 140), values={"clip_name": file["name"], "type": kind})


def _picture() -> Node:
    return Node("picture", "LoadImage", (0, 0), (380, 330), values=EXAMPLE)


def _heatmap_links() -> tuple[Link, ...]:
    return ((*ENCODER, "heatmap", "lvlm"), (*PHOTO, "heatmap", "image"), (*QUESTION, "heatmap", "question"))


GENERATE_TEXT = Story(
    name="Attention prompt - Generate Text and where it looked",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d0e",
    nodes=(
        _picture(),
        question((0, 400), "What does she wear?"),
        _load_encoder(QWEN, "stable_diffusion"),
        Node("generate", "TextGenerate", (440, -400), (400, 330), values={"sampling_mode": "off"}),
        text("answer", (920, -400), "The answer of Generate Text", (340, 180)),
        Node("heatmap", "AttnPromptLVLMHeatmap", (440, 0), (400, 440)),
        Node("view", "AttnPromptView", (1320, -500), (520, 440), title="Where the whole answer came from"),
        tune("mask", (920, 0)),
        Node(
            "overlay",
            "AttnPromptOverlay",
            (1320, 0),
            (360, 280),
            values={"strength": 1.0, "style": "magnify"},
        ),
        shown("larger", (1320, 680), (360, 260), "Larger where it looked"),
        Node("surer", "AttnPromptSurerAnswer", (1740, 0), (380, 380)),
        text("surer answer", (2180, 0), "The surer answer of both pictures", (340, 180)),
        text("confidence", (2180, 240), "How sure: 0 to 1", (340, 120)),
        text("which", (2180, 420), "Which picture: 0 the plain one", (340, 120)),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 420),
            """
## Generate Text, and where it looked

*Load CLIP* and *Generate Text* are ComfyUI's own: a vision-language encoder in fp8 or GGUF, on as small a card as
ComfyUI makes room for. Nothing is loaded twice. **LVLM Heatmap** takes the same wire and the finished answer, and reads
in one pass where the model looked when it wrote that.

The lower row goes on: the picture **magnified** where it looked, asked again, and the **surer answer** of both kept.

Needs the file that *Load CLIP* names, in `models/text_encoders`. Qwen3-VL, Qwen3.5, Gemma 3 and Gemma 4 can answer;
LVLM Heatmap's help page says which files hold their eyes.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 480),
            (380, 300),
            """
### What to change first

1. **Your picture** and **the question**.
2. **words** (Smooth & Enhance Mask): a word of the answer or of the question, such as *dress*, in place of the whole.
3. **sampling_mode** of Generate Text: a drawn answer is read as well, since it is given.
4. **layers** (LVLM Heatmap): earlier is broader, later is sharper.
""",
        ),
    ),
    links=(
        (*ENCODER, "generate", "clip"),
        (*PHOTO, "generate", "image"),
        (*QUESTION, "generate", "prompt"),
        ("generate", "generated_text", "answer", "source"),
        *_heatmap_links(),
        ("generate", "generated_text", "heatmap", "answer"),
        ("heatmap", "heatmap", "view", "map"),
        (*PHOTO, "view", "image"),
        ("heatmap", "heatmap", "mask", "heatmap"),
        (*PHOTO, "overlay", "image"),
        ("mask", "mask", "overlay", "mask"),
        ("overlay", "image", "larger", "images"),
        (*ENCODER, "surer", "model"),
        (*PHOTO, "surer", "image"),
        (*QUESTION, "surer", "question"),
        ("overlay", "image", "surer", "prompted.prompted0"),
        ("surer", "answer", "surer answer", "source"),
        ("surer", "confidence", "confidence", "source"),
        ("surer", "which", "which", "source"),
    ),
    thumbnail=None,
    models={"CLIPLoader": [QWEN]},
)

FIRST, SECOND = "Where 'dress' looks", "Where 'background' looks"

READ_BY_THE_ENCODER = Story(
    name="Attention prompt - what the encoder reads in the picture",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d0f",
    nodes=(
        _picture(),
        question((0, 400), "Make the dress blue and keep the background.", "The prompt of the edit"),
        _load_encoder(QWEN_IMAGE, "qwen_image"),
        Node("heatmap", "AttnPromptLVLMHeatmap", (440, 0), (400, 440)),
        Node("whole view", "AttnPromptView", (1320, -520), (520, 440), title="Where the whole prompt looks"),
        *words_shown("first", "dress", FIRST, 0),
        *words_shown("second", "background", SECOND, 660),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 420),
            """
## What does Qwen-Image's encoder read in your picture?

Qwen-Image Edit, HunyuanVideo 1.5, Kandinsky and LongCat see a reference picture through *Qwen2.5-VL*, which *Load CLIP*
loads. **LVLM Heatmap** takes that wire and shows where each word of the prompt looks in the picture: before minutes of
sampling you see whether *the dress* means the one you mean.

It cannot answer questions in ComfyUI, since the file's output head is not loaded; for answers connect a Qwen3-VL, or
give an answer to read.

Needs the file that *Load CLIP* names, in `models/text_encoders`.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 480),
            (380, 280),
            """
### What to change first

1. **Your picture** and **the prompt**.
2. **words** (Smooth & Enhance Mask): words of the prompt, with commas between them.
3. **layers** (LVLM Heatmap): earlier is broader, later is sharper.
4. A word that looks at the wrong place? Name the thing by where it is, or mark it in the picture.
""",
        ),
    ),
    links=(
        *_heatmap_links(),
        ("heatmap", "heatmap", "whole view", "map"),
        (*PHOTO, "whole view", "image"),
        *words_links("first", PHOTO),
        *words_links("second", PHOTO),
    ),
    thumbnail=None,
    models={"CLIPLoader": [QWEN_IMAGE]},
)

STORIES = (GENERATE_TEXT, READ_BY_THE_ENCODER)
