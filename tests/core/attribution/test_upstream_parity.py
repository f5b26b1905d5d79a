"""The upstream reading against what the official code gave for the same weights and pictures.

The numbers were made by `python tools/parity/clip_upstream.py CHECKOUT --keep`, which runs the official code.
"""

from pathlib import Path

import numpy as np
import pytest
from pack.api_core.models.clip import ClipModel, PictureSpec, build_clip
from pack.tests.core.fixtures import official_clip_cases as cases
from pack.tests.core.fixtures.official_clip_compare import compare, our_outputs

FIXTURE = Path(__file__).parents[1] / "fixtures" / "official_clip.npz"


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    with np.load(FIXTURE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def model() -> ClipModel:
    pytest.importorskip("open_clip")
    from open_clip import CLIP
    from open_clip.tokenizer import SimpleTokenizer

    module = CLIP(**{**cases.TINY_CONFIG, "quick_gelu": True}).eval()
    module.load_state_dict(cases.random_state(module, seed=0))
    side = cases.TINY_CONFIG["vision_cfg"]["image_size"]
    return build_clip(
        module, library="open_clip", name="random", preprocess=PictureSpec(side), tokenize=SimpleTokenizer()
    )


@pytest.mark.parametrize("layer", cases.TINY_LAYERS)
@pytest.mark.parametrize("index", range(len(cases.CASES)))
def test_maps_and_prompted_pictures_are_the_official_ones(
    model: ClipModel, official: dict[str, np.ndarray], layer: int, index: int
) -> None:
    prefix = f"{layer}_"
    of_layer = {name.removeprefix(prefix): value for name, value in official.items() if name.startswith(prefix)}
    ours = our_outputs(model, cases.CASES[index], layer, cases.kept_settings(index, layer))
    assert len(ours) == 4
    difference = compare(of_layer, ours, index)
    assert difference.maps < 1e-4
    assert difference.levels <= 1


def test_another_layer_would_be_noticed(model: ClipModel, official: dict[str, np.ndarray]) -> None:
    of_layer = {name.removeprefix("3_"): value for name, value in official.items() if name.startswith("3_")}
    assert compare(of_layer, our_outputs(model, cases.CASES[0], 2, cases.kept_settings(0, 3)), 0).maps > 0.1


def test_the_cases_meet_every_setting() -> None:
    kept = [
        s for index in range(len(cases.CASES)) for layer in cases.TINY_LAYERS for s in cases.kept_settings(index, layer)
    ]
    contrasts, smoothings, filters, greys = (set(values) for values in zip(*kept, strict=True))
    assert contrasts == set(cases.CONTRASTS)
    assert smoothings == set(cases.SMOOTHINGS)
    assert filters == set(cases.FILTERS)
    assert greys == set(cases.GREYS)
