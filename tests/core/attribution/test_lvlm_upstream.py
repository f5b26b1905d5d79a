"""The upstream reading against the official formula, written out with eager attention.

Per generated token and head a softmax over the scores of all image tokens, the mean over both, sigmoid of the z-score
of the min-maxed map, box mean, 8 bits, Pillow's resizing over the whole picture, truncated blend.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.attribution import lvlm_heatmap
from pack.api_core.models.conversation.case import Case
from pack.api_core.prompting import llava_api, release
from PIL import Image

Models = Callable[[str], Any]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
TOKENS = 5
LAYER = 2
QUESTION = "Where is the red star?"


def picture(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def squared(image: Image.Image) -> Image.Image:
    """The picture in the middle of a square of CLIP's mean colour."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(255 * level) for level in CLIP_MEAN))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def official_map(folder: Path, model: Any, image: Image.Image) -> np.ndarray:
    """The mean over steps and heads of the softmax over image tokens, [6, 6], of transformers' eager attention."""
    from transformers import AutoModelForImageTextToText

    levels = torch.from_numpy(np.asarray(squared(image)).astype(np.float32) / 255)
    inputs = model.prepare([Case((levels,), QUESTION)]).inputs
    module = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        made = module.generate(
            **inputs, max_new_tokens=TOKENS, do_sample=False, output_attentions=True, return_dict_in_generate=True
        )
    tokens = (inputs["input_ids"][0] == module.config.image_token_id).nonzero().flatten()
    rows = torch.stack([step[LAYER][0, :, -1, tokens] for step in made.attentions]).double()
    # The softmax over the image tokens' scores alone is the full one restricted to them and brought back to a sum of 1.
    return (rows / rows.sum(-1, keepdim=True)).mean((0, 1)).reshape(6, 6).numpy()


def official_picture(raw: np.ndarray, image: Image.Image, contrast: float, width: int, grey: int) -> np.ndarray:
    scaled = (raw - raw.min()) / (raw.max() - raw.min())
    lit = 1 / (1 + np.exp(-contrast * (scaled - scaled.mean()) / scaled.std(ddof=1)))
    padded = np.pad(lit, width // 2, mode="edge")
    smooth = np.array([[padded[i : i + width, j : j + width].mean() for j in range(6)] for i in range(6)])
    mask = Image.fromarray(np.floor(smooth * 255).astype(np.uint8)).resize(image.size, Image.Resampling.LANCZOS)
    share = np.asarray(mask).astype(np.float64)[..., None] / 255
    return np.trunc(np.asarray(image) * share + (1 - share) * grey)


def test_the_map_is_the_official_formula_s(lvlm: Models, zoo_folder: Models) -> None:
    model = lvlm("llava-1.5")
    levels = torch.from_numpy(np.asarray(picture()).astype(np.float32) / 255)
    found = lvlm_heatmap(model, [levels], QUESTION, layers=[LAYER], reading="upstream", max_new_tokens=TOKENS)
    view = found.heatmap.pictures[0].parts["attention"][0]
    expected = official_map(zoo_folder("llava-1.5"), model, picture())
    assert np.abs(view.values[0].numpy() - expected).max() < 1e-5
    assert (view.box.left, view.box.top, view.box.right, view.box.bottom) == (0, 0, 60, 40)
    assert bool(view.valid.all())


@pytest.mark.parametrize(("contrast", "smoothing", "grey"), [(10, 3, 0), (1, 1, 200), (5, 5, 100)])
def test_the_prompted_picture_is_the_official_one_to_a_grey_level(
    contrast: float, smoothing: int, grey: int, lvlm: Models, zoo_folder: Models
) -> None:
    folder = zoo_folder("llava-1.5")
    expected = official_picture(
        official_map(folder, lvlm("llava-1.5"), picture()), picture(), contrast, smoothing, grey
    )
    prompted = llava_api(
        picture(),
        QUESTION,
        folder,
        layer_index=LAYER,
        enhance_coe=contrast,
        kernel_size=smoothing,
        grayscale=grey,
        reading="upstream",
        max_new_tokens=TOKENS,
        device="cpu",
    )
    release()
    assert np.abs(np.asarray(prompted[0], dtype=np.float64) - expected).max() <= 1
