"""The embedded model is an ordinary open_clip folder, small, and looks where it is told to."""

import json
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import torch
from pack.api_core.attribution import clip_heatmap
from pack.api_core.embedded import embedded_folder
from pack.api_core.errors import ModelNotFound
from pack.api_core.evaluation.scorers.localisation import score_map
from pack.api_core.masks import tune
from pack.api_core.models.catalog import mask_defaults
from pack.api_core.models.clip.load import load_clip
from pack.api_core.scenes import SceneOptions, draw_scene, make_scene
from pack.api_core.scenes.captions import CONCEPTS, with_article
from pack.tests.conftest import ROOT
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def folder():
    return embedded_folder("tiny-clip")


@pytest.fixture(scope="module")
def model():
    return load_clip("tiny-clip", device="cpu")


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(ModelNotFound, match="tiny-clip"):
        embedded_folder("tiny-clap")


def test_naming_the_folder_needs_no_torch():
    code = (
        "import sys, api_core.embedded as e; assert e.embedded_folder('tiny-clip'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_it_is_small_and_has_a_card(folder):
    assert (folder / "open_clip_model.safetensors").stat().st_size <= 4_000_000
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "license: mit" in card
    assert "## How it scored" in card


def test_stock_open_clip_reads_it_and_no_weight_is_left_over(folder):
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    module = open_clip.CLIP(**config["model_cfg"])
    weights = load_file(folder / "open_clip_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    module.load_state_dict({name: value.float() for name, value in weights.items()}, strict=True)
    tokenizer = open_clip.SimpleTokenizer(str(folder / "merges.txt.gz"), context_length=module.context_length)
    tokens = tokenizer(["a red star", "Where is the zyzzyva?"])
    assert tokens.max() == tokenizer.eot_token_id == module.vocab_size - 1
    with torch.no_grad():
        assert module.encode_text(tokens).isfinite().all()
        assert module.eval().encode_image(torch.zeros(1, 3, 112, 112)).shape == (1, 128)


def _cases(count):
    for number in range(5_000, 5_000 + count):
        scene = make_scene(number, "test", SceneOptions(objects=(3, 4), radius=(0.09, 0.18)))
        drawn = draw_scene(scene, 160, 160)
        for concept in CONCEPTS[:60]:
            found = concept.found_in(scene)
            if len(found) == 1:
                yield torch.from_numpy(drawn.picture), drawn.boxes, concept, found[0]


@pytest.fixture(scope="module")
def scores(model):
    """Of the pack's own path with its own defaults: the paper's merge at the default layer."""
    defaults, scores = mask_defaults("tiny-clip"), []
    for picture, boxes, concept, wanted in _cases(25):
        heatmap = clip_heatmap(model, [picture], with_article(concept.phrase), words=False)
        (mask,) = tune(heatmap, contrast=defaults.contrast, smoothing=defaults.smoothing).masks
        scores.append(score_map(mask.numpy(), boxes, wanted))
    return scores


def test_the_method_as_published_finds_the_object(scores):
    assert len(scores) > 60
    assert np.mean([score.first for score in scores]) >= 0.9
    assert np.mean([score.pointing for score in scores]) >= 0.75


@pytest.mark.parametrize(
    "wording", ["{}", "the {}", "Where is the {}?", "find the {}", "A photo of a {}.", "please show me the {} now"]
)
def test_people_may_ask_in_their_own_words(model, wording):
    first = []
    for picture, boxes, concept, wanted in _cases(8):
        heatmap = clip_heatmap(model, [picture], wording.format(concept.phrase), words=False)
        (mask,) = tune(heatmap, contrast=1.0, smoothing=3).masks
        first.append(score_map(mask.numpy(), boxes, wanted).first)
    assert np.mean(first) >= 0.8


def test_the_picture_is_nearer_to_what_it_shows(model):
    right = []
    texts = model.encode_texts([with_article(concept.phrase) for concept in CONCEPTS[:60]])
    for number in range(40):
        scene = make_scene(number, "test", SceneOptions(objects=(1, 1), radius=(0.14, 0.2), square_share=1.0))
        drawn = draw_scene(scene, 112, 112)
        encoding = model.encode_pictures(torch.from_numpy(drawn.picture).permute(2, 0, 1)[None])[0]
        best = CONCEPTS[int(encoding.similarity(texts).argmax())]
        right.append(best.found_in(scene) == (0,))
    assert np.mean(right) >= 0.75
