"""Make the pictures of the README and of docs/ from the embedded models: python tools/pictures.py

Run from the repository's root. The scenes are drawn as well, so that all of them can be made anew.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from api_core import (
    ask,
    clip_heatmap,
    draw_curves,
    explain,
    load_clip,
    load_lvlm,
    lvlm_heatmap,
    overlay,
    prompt_picture,
    tune,
)
from api_core.combine import combine
from api_core.evaluation.benchmark.splits import HARD, drawn_scenes
from api_core.overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, MagnifyStyle, OutlineStyle
from api_core.panel import panel, side_by_side
from api_core.pictures import to_picture, to_pil
from api_core.regions import bounding_boxes, crop, find_regions
from api_core.results import Heatmap
from api_core.scenes import SceneOptions, draw_scene, make_scene

ASSETS = Path("assets")
SCENE = 739
SIZE = (512, 768)
QUERY = "where is the red star?"
OTHER = "the yellow cross"
MODEL, LVLM = "tiny-clip", "tiny-lvlm"
ASKED = (
    ("What colour is the cross?", "answer"),
    ("What colour is the cross?", "cross"),
    ("How many stars are there?", "answer"),
)
EXPLAINED = "What colour is the cross?", "Is there a red star?"
# A question of the benchmarks on prompting whose answer it puts right, picked because a reader can see why.
HARD_SCENE, HARD_QUESTION = 11, "Where is the heart?"
HEIGHT = 220


def save(name: str, picture: Tensor) -> None:
    to_pil(picture).convert("RGB").save(ASSETS / name, quality=88)


def row(name: str, pictures: list[Tensor], captions: list[str]) -> None:
    save(name, side_by_side(pictures, captions, HEIGHT))


def heat(picture: Tensor, mask: Tensor) -> Tensor:
    return overlay.apply(picture, mask, HeatStyle(opacity=0.6))


def as_picture(mask: Tensor) -> Tensor:
    return mask.unsqueeze(-1).expand(-1, -1, 3)


def draw_the_scene() -> Tensor:
    options = SceneOptions(objects=(5, 5), aspects=(SIZE[1] / SIZE[0],), square_share=0, overlap=0, clutter=0, spoil=0)
    drawn = draw_scene(make_scene(SCENE, "development", options), *SIZE)
    to_pil(torch.as_tensor(np.ascontiguousarray(drawn.picture))).save(ASSETS / "scene.png", optimize=True)
    return to_picture(ASSETS / "scene.png")


def draw_a_hard_scene() -> Tensor:
    drawn = next(drawn for scene, drawn in drawn_scenes(HARD, "test") if scene.number == HARD_SCENE)
    to_pil(torch.from_numpy(drawn.picture)).save(ASSETS / "long-scene.png", optimize=True)
    return to_picture(ASSETS / "long-scene.png")


def before_and_after(picture: Tensor) -> Tensor:
    """The question, the plain picture with its answer, and below it the prompted one with its own."""
    model = load_lvlm(LVLM)
    prompted = prompt_picture(picture, HARD_QUESTION, model=MODEL, style=MagnifyStyle()).picture
    before, after = ask(model, [picture, prompted], HARD_QUESTION)
    captions = (
        f'{HARD_QUESTION} Shown the plain picture, {LVLM} answers "{before.text}", {before.confidence:.0%} sure.',
        f'Shown it with what {MODEL} marks magnified, it answers "{after.text}", {after.confidence:.1%} sure.',
    )
    rows = [side_by_side([twice(p)], [text]) for p, text in zip((picture, prompted), captions, strict=True)]
    return torch.cat(rows)


def twice(picture: Tensor) -> Tensor:
    """A picture [H, W, 3] at double size, so that its caption can be read."""
    image = to_pil(picture)
    return to_picture(image.resize((2 * image.width, 2 * image.height), Image.Resampling.LANCZOS))


def maps_of_answers(picture: Tensor) -> tuple[list[Tensor], list[str]]:
    """Where the model looks for an answer, or at a word of its question, and what it says."""
    model = load_lvlm(LVLM)
    shown, captions = [], []
    for question, word in ASKED:
        read = lvlm_heatmap(model, [picture], question)
        said = read.replies[0].text
        chosen = () if word == "answer" else (word,)
        mask = tune(read.heatmap, contrast=1.0, smoothing=1.0, words=chosen).masks[0]
        shown.append(heat(picture, mask))
        captions.append(f"{question} {said}" if word == "answer" else f"its word '{word}'")
    return shown, captions


def explanations(picture: Tensor) -> tuple[list[Tensor], list[str]]:
    """What answers needed, and how far the last map can be trusted."""
    model = load_lvlm(LVLM)
    shown, captions = [], []
    for question in EXPLAINED:
        (found,) = explain(model, [picture], question)
        importance = tune(Heatmap((found.map,)), contrast=1.0, smoothing=1.0).masks[0]
        shown.append(heat(picture, importance))
        captions.append(f"{question} {found.reply.text}")
    return [*shown, draw_curves(found)], [*captions, "can the last be trusted?"]


def main() -> None:
    ASSETS.mkdir(exist_ok=True)
    save("before-after.jpg", before_and_after(draw_a_hard_scene()))
    picture = draw_the_scene()
    model = load_clip(MODEL)

    def mask_of(query: str, contrast: float = 1.0, smoothing: float = 3.0, **settings: object) -> Tensor:
        heatmap = clip_heatmap(model, [picture], query)
        return tune(heatmap, contrast=contrast, smoothing=smoothing, **settings).masks[0]

    mask = mask_of(QUERY)
    prompted = overlay.apply(picture, mask, FadeStyle())
    save("panel.jpg", panel(picture, mask, prompted, captions=("original", QUERY, "prompted"), max_height=360))
    row(
        "node-heatmap.jpg",
        [heat(picture, mask_of(query)) for query in ("the red star", "star", "the pink star")],
        ["the red star", "star", "the pink star"],
    )
    settings = [{}, {"contrast": 5.0}, {"smoothing": 1.0}, {"threshold": 0.8}]
    row(
        "node-mask.jpg",
        [as_picture(mask_of(QUERY, **setting)) for setting in settings],
        ["as is", "contrast 5", "smoothing 1", "threshold 0.8"],
    )
    row("node-lvlm-heatmap.jpg", *maps_of_answers(picture))
    row("node-explain.jpg", *explanations(picture))
    styles = {
        "fade to black": FadeStyle(),
        "fade to 200": FadeStyle.grey(200),
        "blur": BlurStyle(30),
        "desaturate": DesaturateStyle(),
        "heat": HeatStyle(),
        "outline": OutlineStyle(width=6),
    }
    row("node-overlay.jpg", [overlay.apply(picture, mask, style) for style in styles.values()], list(styles))
    both = combine([clip_heatmap(model, [picture], query) for query in (QUERY, OTHER)], "max")
    joined = tune(both, contrast=1, smoothing=3).masks[0]
    row(
        "node-combine.jpg",
        [heat(picture, mask), heat(picture, mask_of(OTHER)), heat(picture, joined)],
        ["the red star", OTHER, "max of both"],
    )
    regions = find_regions(mask, threshold=0.8, max_regions=3)
    crops = [crop(picture, box) for box in bounding_boxes(regions)]
    row(
        "node-regions.jpg",
        [overlay.apply(picture, (mask >= 0.8).float(), OutlineStyle(width=6)), *crops],
        ["regions", *(str(number) for number in range(1, len(crops) + 1))],
    )
    row("node-view.jpg", [picture, heat(picture, mask)], ["original", QUERY])


if __name__ == "__main__":
    main()
