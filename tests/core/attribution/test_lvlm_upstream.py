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
from pack.api_core import VICUNA_SYSTEM_PROMPT
from pack.api_core.attribution import lvlm_heatmap
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.prompting import llava_api, release
from pack.api_core.prompting.published import _unsaid_system_prompt
from PIL import Image

Models = Callable[[str], Any]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
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


def official_inputs(model: Any, image: Image.Image) -> dict[str, torch.Tensor]:
    """The official prompt and pixels: Vicuna's conversation, and Pillow's resizing of the square."""
    prompt = f"{VICUNA_SYSTEM_PROMPT} USER: {'<image>' * 36}\n{QUESTION} ASSISTANT:"
    ids = model.tokenizer(prompt, return_tensors="pt")["input_ids"]
    small = np.asarray(squared(image).resize((48, 48), Image.Resampling.BICUBIC)).astype(np.float32) / 255
    normal = (small - np.float32(CLIP_MEAN)) / np.float32(CLIP_STD)
    return {"input_ids": ids, "pixel_values": torch.from_numpy(normal).permute(2, 0, 1)[None]}


def official_map(folder: Path, model: Any, image: Image.Image) -> np.ndarray:
    """The mean over steps and heads of the softmax over image tokens, [6, 6], of transformers' eager attention."""
    from transformers import AutoModelForImageTextToText

    inputs = official_inputs(model, image)
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


def test_the_map_is_the_official_formula_s(zoo_folder: Models) -> None:
    model = load_lvlm(zoo_folder("llava-1.5"), resize="pil", device="cpu")
    levels = torch.from_numpy(np.asarray(picture()).astype(np.float32) / 255)
    found = lvlm_heatmap(
        model,
        [levels],
        QUESTION,
        layers=[LAYER],
        reading="upstream",
        max_new_tokens=TOKENS,
        system_prompt=VICUNA_SYSTEM_PROMPT,
    )
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


def test_what_llava_api_sends_is_the_official_prompt_and_pixels(
    zoo_folder: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, torch.Tensor]] = []
    prepare = LvlmModel.prepare

    def noting(self: LvlmModel, *given: Any, **more: Any) -> Any:
        prepared = prepare(self, *given, **more)
        sent.append(prepared.inputs)
        return prepared

    def asked(**how: Any) -> dict[str, torch.Tensor]:
        sent.clear()
        llava_api(picture(), QUESTION, zoo_folder("llava-1.5"), max_new_tokens=1, device="cpu", **how)
        release()
        return sent[0]

    expected = official_inputs(load_lvlm(zoo_folder("llava-1.5"), device="cpu"), picture())
    monkeypatch.setattr(LvlmModel, "prepare", noting)
    upstream = asked(reading="upstream")
    assert upstream["input_ids"].tolist() == expected["input_ids"].tolist()
    assert torch.allclose(upstream["pixel_values"], expected["pixel_values"], atol=1e-6)
    without = asked(reading="upstream", system_prompt="")
    assert without["input_ids"].shape < expected["input_ids"].shape
    assert asked()["input_ids"].tolist() == without["input_ids"].tolist()
    assert asked(system_prompt=VICUNA_SYSTEM_PROMPT)["input_ids"].tolist() == expected["input_ids"].tolist()


def test_only_llava_1_5_is_told_what_vicuna_was(lvlm: Models) -> None:
    told = {name: _unsaid_system_prompt(lvlm(name)) for name in ("llava-1.5", "llava-next", "qwen2.5-vl", "pixtral")}
    assert told == {"llava-1.5": VICUNA_SYSTEM_PROMPT, "llava-next": "", "qwen2.5-vl": "", "pixtral": ""}
