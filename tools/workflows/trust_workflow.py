"""The shipped workflow that asks whether an answer is to be trusted."""

from PIL import Image
from shared_nodes import (
    FIXED,
    LVLM,
    NOTE_COLUMN,
    PICTURE,
    QUESTION,
    ask,
    ask_links,
    compare,
    compare_links,
    demo_scene,
    load_lvlm,
    question,
    scene_text,
    shown,
    text,
)
from workflow_spec import Node, Pictures, Story, note

MAP, CURVES = "What the word in doubt needed", "How sure that map is"


def map_and_curves(pictures: Pictures) -> Image.Image:
    """The map over the picture above, the curves under it."""
    view, curves = pictures[MAP][0], pictures[CURVES][0]
    width = view.width
    curves = curves.resize((width, curves.height * width // curves.width), Image.Resampling.LANCZOS)
    joined = Image.new("RGB", (width, view.height + curves.height), "white")
    joined.paste(view, (0, 0))
    joined.paste(curves, (0, view.height))
    joined.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return joined


TRUST = Story(
    name="Attention prompt - trust or doubt",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d0a",
    nodes=(
        demo_scene((0, 0), 711, objects=4),
        scene_text((0, 270)),
        question((0, 470), "Describe the picture."),
        load_lvlm((0, 650)),
        ask("plain", (440, 0), "Ask: plain", max_new_tokens=40),
        ask("calibrated", (440, 480), "Ask: calibrated", max_new_tokens=40, decoding="AvisC", height=510),
        compare((880, 0), "plain, AvisC"),
        Node("blind", "AttnPromptView", (880, 480), (420, 360), title="Blind tokens: looked at whatever is asked"),
        Node("explain", "AttnPromptExplain", (1360, 0), (380, 560), values={"words": "white", **FIXED}),
        Node("map", "AttnPromptView", (1800, 0), (460, 420), title=MAP),
        shown("curves", (1800, 500), (460, 380), CURVES),
        text("report", (2320, 0), "The same in numbers", (400, 420)),
        note(
            "what",
            (NOTE_COLUMN, 0),
            (380, 400),
            """
## Trust or doubt

One question, answered twice: plainly, and calibrated by **AvisC**, which weighs each word against a reading of *blind
tokens* alone, the parts of the picture that draw attention whatever is asked. **Compare Answers** marks the words that
differ: those are the ones to doubt.

**Explain Answer** then takes the word in doubt and looks for the least of the picture that it needs. A map on the thing
that the word names, and curves that fall and rise early, speak for it; a map elsewhere speaks against it.

Press **Run**: only the calibrated answer names the white cross, and its map peaks there. Nothing is downloaded:
*tiny-lvlm* ships with the pack and knows *drawn shapes* only.
""",
        ),
        note(
            "change",
            (NOTE_COLUMN, 460),
            (380, 420),
            """
### What to change first

1. **words** (Explain Answer): the word in doubt, as it stands in the answer. Empty: those that the picture makes
   likelier.
2. **seed** of Demo Scene: with other scenes it is the plain answer that is right, or neither.
3. **alpha** (Ask: calibrated): how much the blind reading counts; *decoding* offers *VCD* and *M3ID* as well.
4. **answer** of Explain Answer: connect the plain answer to it instead, or write one that you have doubts about.
5. **model** in Load LVLM, with *Load Image* in place of Demo Scene, for photographs. Explaining needs
   memory for gradients there.
""",
        ),
    ),
    links=(
        ("picture", "description", "there", "source"),
        *ask_links("plain", PICTURE, LVLM),
        *ask_links("calibrated", PICTURE, LVLM),
        *compare_links("plain", "calibrated"),
        ("calibrated", "blind_tokens", "blind", "map"),
        (*PICTURE, "blind", "image"),
        (*LVLM, "explain", "lvlm"),
        (*PICTURE, "explain", "image"),
        (*QUESTION, "explain", "question"),
        ("calibrated", "answer", "explain", "answer"),
        ("explain", "heatmap", "map", "map"),
        (*PICTURE, "map", "image"),
        ("explain", "curves", "curves", "images"),
        ("explain", "report", "report", "source"),
    ),
    thumbnail=map_and_curves,
)

STORIES = (TRUST,)
