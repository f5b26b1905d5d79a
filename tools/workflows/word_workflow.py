"""The shipped workflow that shows where each word of an answer came from."""

from PIL import Image
from shared_nodes import LVLM, NOTE_COLUMN, PICTURE, demo_scene, load_lvlm, scene_text, text, words_links, words_shown
from workflow_spec import Node, Pictures, Story, note, row

FIRST, SECOND = "Where 'pink triangle' came from", "Where 'red square' came from"
DEMO_HEIGHT = 512  # of Demo Scene's picture; what a view has above it is the caption


def word_by_word(pictures: Pictures) -> Image.Image:
    """The maps of two words, side by side; a view shows the picture on its left and the map on its right."""
    views = [pictures[title][0] for title in (FIRST, SECOND)]
    return row([view.crop((view.width // 2, view.height - DEMO_HEIGHT, view.width, view.height)) for view in views])


WORD_BY_WORD = Story(
    name="Attention prompt - LVLM heatmap word by word",
    id="4f6a1f0e-9d43-4c8e-9a2b-0b9c5a6f1d04",
    nodes=(
        demo_scene((0, 0), 710, objects=4),
        scene_text((0, 270)),
        load_lvlm((0, 470)),
        Node(
            "heatmap",
            "AttnPromptLVLMHeatmap",
            (440, 0),
            (400, 440),
            values={"question": "What is in the picture?", "answer": "a pink triangle and a red square"},
        ),
        text("answer", (440, 940), "The answer that is explained", (400, 140)),
        Node("whole view", "AttnPromptView", (1320, -520), (520, 440), title="Where the whole answer came from"),
        *words_shown("first", "pink, triangle", FIRST, 0),
        *words_shown("second", "red, square", SECOND, 660),
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
        *words_links("first", PICTURE),
        *words_links("second", PICTURE),
    ),
    thumbnail=word_by_word,
)

STORIES = (WORD_BY_WORD,)
