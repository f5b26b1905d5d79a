"""The shipped workflows around vision-language models; see `stories.py`."""

from PIL import Image
from stories import AFTER, BEFORE, NOTE_COLUMN, VIT_L, Node, Pictures, Story, before_and_after, note

Links = tuple[tuple[str, str, str, str], ...]

COMPARED = "Plain and prompted: drag the line"
FIRST, SECOND = "Where 'pink triangle' came from", "Where 'red square' came from"
DEMO_HEIGHT = 512  # of Demo Scene's picture; what a view has above it is the caption
FIXED = {"control_after_generate": "fixed"}
NATIVE = "qwen3vl_4b_fp8_scaled.safetensors"


def compared(pictures: Pictures) -> Image.Image:
    """Half and half, of a workflow whose two pictures are shown by one node that compares them."""
    before, after = pictures[COMPARED][:2]
    return before_and_after({BEFORE: [before], AFTER: [after]})


def word_by_word(pictures: Pictures) -> Image.Image:
    """The maps of two words, side by side; a view shows the picture on its left and the map on its right."""
    views = [pictures[title][0] for title in (FIRST, SECOND)]
    halves = [view.crop((view.width // 2, view.height - DEMO_HEIGHT, view.width, view.height)) for view in views]
    joined = Image.new("RGB", (sum(half.width for half in halves), halves[0].height))
    for number, half in enumerate(halves):
        joined.paste(half, (number * half.width, 0))
    joined.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return joined


def _load_lvlm(pos: tuple[int, int]) -> Node:
    values = {"model": "tiny-lvlm", "precision": "auto", "attention": "auto", "max_pixels": 0, "allow_download": False}
    return Node("lvlm", "AttnPromptLoadLVLM", pos, (380, 200), values=values)


def _row(key: str, by: str, y: int) -> tuple[Node, ...]:
    """From a heatmap, which stands left of it, to the prompted picture and what is answered about it."""
    return (
        Node(f"{key} mask", "AttnPromptTuneMask", (880, y), (340, 230)),
        Node(f"{key} view", "AttnPromptView", (880, y + 290), (340, 240), title=f"Where {by} looked"),
        Node(f"{key} overlay", "AttnPromptOverlay", (1260, y), (340, 180), values={"style": "fade to grey"}),
        Node(f"{key} shown", "PreviewImage", (1260, y + 240), (340, 290), title=f"Prompted by {by}"),
        _ask(f"{key} ask", (1640, y), f"Ask: prompted by {by}"),
        Node(f"{key} answer", "PreviewAny", (2060, y), (360, 180), title=f"Answer: prompted by {by}"),
    )


def _ask(key: str, pos: tuple[int, int], title: str) -> Node:
    return Node(
        key, "AttnPromptAsk", pos, (380, 380), title, values={"template": "plain", "max_new_tokens": 64, **FIXED}
    )


def _row_links(key: str, picture: tuple[str, str], model: tuple[str, str]) -> Links:
    return (
        (f"{key} heatmap", "heatmap", f"{key} mask", "heatmap"),
        (f"{key} heatmap", "heatmap", f"{key} view", "map"),
        (*picture, f"{key} view", "image"),
        (*picture, f"{key} overlay", "image"),
        (f"{key} mask", "mask", f"{key} overlay", "mask"),
        (f"{key} overlay", "image", f"{key} shown", "images"),
        *_ask_links(f"{key} ask", (f"{key} overlay", "image"), model),
        (f"{key} ask", "answer", f"{key} answer", "source"),
    )


def _ask_links(key: str, picture: tuple[str, str], model: tuple[str, str]) -> Links:
    return ((*model, key, "model"), (*picture, key, "image"), ("question", "STRING", key, "question"))


PICTURE, LVLM, SERVER = ("picture", "image"), ("lvlm", "lvlm"), ("server", "server")

WITH_AND_WITHOUT = Story(
    name="Attention prompt - ask with and without",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d03",
    nodes=(
        Node("picture", "AttnPromptDemoScene", (0, 0), (380, 210), values={"seed": 724, **FIXED}),
        Node("there", "PreviewAny", (0, 270), (380, 140), title="What is in the scene"),
        Node(
            "question",
            "PrimitiveStringMultiline",
            (0, 470),
            (380, 120),
            "The question",
            {"value": "What colour is the triangle?"},
        ),
        _load_lvlm((0, 650)),
        Node(
            "clip",
            "AttnPromptLoadCLIP",
            (0, 910),
            (380, 130),
            values={"model": "tiny-clip", "precision": "auto", "allow_download": False},
        ),
        _ask("ask", (1640, -440), "Ask: the plain picture"),
        Node("answer", "PreviewAny", (2060, -440), (360, 180), title="Answer: the plain picture"),
        Node("clip heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the pink triangle"}),
        *_row("clip", "the CLIP", 0),
        Node("own heatmap", "AttnPromptLVLMHeatmap", (440, 640), (380, 440)),
        *_row("own", "its own attention", 640),
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

Press **Run** and compare the three answers on the right. Nothing is downloaded: *tiny-clip* and *tiny-lvlm* ship with
the pack and know *drawn shapes* only. They show how it works, not how well.
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
    ),
    links=(
        ("picture", "description", "there", "source"),
        *_ask_links("ask", PICTURE, LVLM),
        ("ask", "answer", "answer", "source"),
        ("clip", "clip", "clip heatmap", "clip"),
        (*PICTURE, "clip heatmap", "image"),
        *_row_links("clip", PICTURE, LVLM),
        (*LVLM, "own heatmap", "lvlm"),
        (*PICTURE, "own heatmap", "image"),
        ("question", "STRING", "own heatmap", "question"),
        *_row_links("own", PICTURE, LVLM),
        (*PICTURE, "compare", "image_a"),
        ("clip overlay", "image", "compare", "image_b"),
    ),
    thumbnail=compared,
)


def _words(key: str, words: str, title: str, y: int) -> tuple[Node, ...]:
    return (
        Node(f"{key} mask", "AttnPromptTuneMask", (900, y), (340, 230), values={"words": words}),
        Node(f"{key} view", "AttnPromptView", (1300, y), (520, 300), title=title),
    )


def _words_links(key: str) -> Links:
    return (
        ("heatmap", "heatmap", f"{key} mask", "heatmap"),
        (f"{key} mask", "mask", f"{key} view", "map"),
        (*PICTURE, f"{key} view", "image"),
    )


WORD_BY_WORD = Story(
    name="Attention prompt - LVLM heatmap word by word",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d04",
    nodes=(
        Node("picture", "AttnPromptDemoScene", (0, 0), (380, 210), values={"seed": 710, "objects": 4, **FIXED}),
        Node("there", "PreviewAny", (0, 270), (380, 140), title="What is in the scene"),
        _load_lvlm((0, 470)),
        Node(
            "heatmap",
            "AttnPromptLVLMHeatmap",
            (440, 0),
            (400, 440),
            values={"question": "What is in the picture?", "answer": "a pink triangle and a red square"},
        ),
        Node("answer", "PreviewAny", (440, 510), (400, 140), title="The answer that is explained"),
        Node("whole view", "AttnPromptView", (1300, -360), (520, 300), title="Where the whole answer came from"),
        *_words("first", "pink, triangle", FIRST, 0),
        *_words("second", "red, square", SECOND, 360),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 330),
            """
## Where did each word come from?

**LVLM Heatmap** reads the attention of a vision-language model while it writes an answer: one map for the whole answer,
one for each of its words, and one for each word of the question, all from one pass. **Smooth & Enhance Mask** picks
words.

Press **Run**. Nothing is downloaded: *tiny-lvlm* ships with the pack and knows *drawn shapes* only.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 390),
            (380, 380),
            """
### What to change first

1. **answer** (LVLM Heatmap): here one is given, so that its words are known. Any answer can be explained, also one of a
   server. Empty it, and the model writes its own.
2. **words** (Smooth & Enhance Mask): words of the answer or of the question, with commas between them.
3. **hint_words**: what the map of the *whole* is made of. Words such as "the" and "a" look everywhere; leave them out.
4. **layers**: earlier is broader, later is sharper. **method** (advanced): how attention becomes a map.
5. **model** in Load LVLM, with *Load Image* in place of Demo Scene, for photographs.
""",
        ),
    ),
    links=(
        ("picture", "description", "there", "source"),
        (*LVLM, "heatmap", "lvlm"),
        (*PICTURE, "heatmap", "image"),
        ("heatmap", "answer", "answer", "source"),
        ("heatmap", "heatmap", "whole view", "map"),
        (*PICTURE, "whole view", "image"),
        *_words_links("first"),
        *_words_links("second"),
    ),
    thumbnail=word_by_word,
)

PHOTO = ("picture", "IMAGE")

SERVERS = Story(
    name="Attention prompt - servers and ComfyUI's own models",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d05",
    nodes=(
        Node("picture", "LoadImage", (0, 0), (380, 330), values={"image": "example.png"}),
        Node(
            "question",
            "PrimitiveStringMultiline",
            (0, 400),
            (380, 120),
            "The question",
            {"value": "What does she wear?"},
        ),
        Node(
            "clip",
            "AttnPromptLoadCLIP",
            (0, 580),
            (380, 130),
            values={"model": "ViT-L-14-336/openai", "precision": "auto", "allow_download": False},
        ),
        Node("heatmap", "AttnPromptCLIPHeatmap", (440, 0), (380, 330), values={"query": "the dress"}),
        Node("mask", "AttnPromptTuneMask", (440, 400), (380, 230)),
        Node("overlay", "AttnPromptOverlay", (880, 0), (360, 180), values={"style": "fade to grey"}),
        Node("server", "AttnPromptConnectServer", (880, 250), (360, 120), values={"profile": "ollama", "model": ""}),
        _ask("plain ask", (1300, -440), "Ask the server: the plain picture"),
        Node("plain answer", "PreviewAny", (1720, -440), (360, 180), title="The server on the plain picture"),
        _ask("ask", (1300, 0), "Ask the server: the prompted picture"),
        Node("answer", "PreviewAny", (1720, 0), (360, 180), title="The server on the prompted picture"),
        Node("native", "CLIPLoader", (880, 460), (360, 140), values={"clip_name": NATIVE, "type": "stable_diffusion"}),
        Node("generate", "TextGenerate", (1300, 460), (380, 400), values={"sampling_mode": "off"}),
        Node("native answer", "PreviewAny", (1720, 460), (360, 180), title="ComfyUI's own on the prompted picture"),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 400),
            """
## Models that live elsewhere

The picture is prompted here, by a CLIP that needs no large GPU. Two others answer:

- **a server** (vLLM, SGLang, Ollama, LM Studio, llama.cpp, OpenAI …): choose its *profile* in **Connect LVLM Server**
  and write the model's name. No key is ever part of a workflow; the node's help page says where it goes.
- **ComfyUI's own** language models, through *Generate Text*: put the file that *Load CLIP* names into
  `models/text_encoders`.

Have only one of them? Select the other's nodes and press Ctrl+B to bypass, or delete them.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 460),
            (380, 260),
            """
### What to change first

1. **Your picture** in Load Image, **the question**, and the *query* of CLIP Heatmap: what the question is about.
2. *allow_download* in **Load CLIP** (Attention Prompting), once: 1.7 GB.
3. **template** of Ask LVLM: *masked hint* tells the model why parts of the picture are faded.
""",
        ),
    ),
    links=(
        ("clip", "clip", "heatmap", "clip"),
        (*PHOTO, "heatmap", "image"),
        ("heatmap", "heatmap", "mask", "heatmap"),
        (*PHOTO, "overlay", "image"),
        ("mask", "mask", "overlay", "mask"),
        *_ask_links("plain ask", PHOTO, SERVER),
        ("plain ask", "answer", "plain answer", "source"),
        *_ask_links("ask", ("overlay", "image"), SERVER),
        ("ask", "answer", "answer", "source"),
        ("native", "CLIP", "generate", "clip"),
        ("overlay", "image", "generate", "image"),
        ("question", "STRING", "generate", "prompt"),
        ("generate", "generated_text", "native answer", "source"),
    ),
    thumbnail=before_and_after,
    models={
        "CLIPLoader": [
            {
                "name": NATIVE,
                "url": f"https://huggingface.co/Comfy-Org/Qwen3-VL/resolve/main/text_encoders/{NATIVE}",
                "directory": "text_encoders",
            }
        ],
        "AttnPromptLoadCLIP": [VIT_L],
    },
)

STORIES = (WITH_AND_WITHOUT, WORD_BY_WORD, SERVERS)
