"""The catalog: names and aliases, published values, sizes and licences."""

import subprocess
import sys
from pathlib import Path

import pytest
from pack.api_core.models.catalog import (
    CLIP_MODELS,
    EMBEDDED_CLIP,
    EMBEDDED_LVLM,
    LVLM_MODELS,
    PAPER_DEFAULTS,
    MaskDefaults,
    find_clip_model,
    find_lvlm_model,
    list_clip_models,
    list_lvlm_models,
    mask_defaults,
)

ROOT = Path(__file__).parents[3]


def test_names_and_aliases_are_unambiguous() -> None:
    names = [name.casefold() for entry in CLIP_MODELS for name in (entry.name, *entry.aliases)]
    names += [name.casefold() for entry in LVLM_MODELS for name in {name.casefold() for name in entry.names}]
    assert len(names) == len(set(names))


def test_the_embedded_model_is_offered_first() -> None:
    assert list_clip_models()[0] == EMBEDDED_CLIP
    assert list_lvlm_models()[0] == EMBEDDED_LVLM
    assert [entry.name for entry in LVLM_MODELS if entry.repo is None] == [EMBEDDED_LVLM]


@pytest.mark.parametrize("alias", ["llava-v1.5-7b", "llava-v1.5-13b"])
def test_the_published_llavas_hold_the_published_values(alias: str) -> None:
    entry = find_lvlm_model(alias)
    assert entry is not None
    assert (entry.layers, entry.contrast, entry.smoothing) == ((20,), 10.0, 3)
    assert find_lvlm_model(f" {alias.upper()} ") is entry
    assert mask_defaults(alias) == MaskDefaults(10.0, 3)


def test_vision_language_models_are_whole_entries() -> None:
    for entry in LVLM_MODELS:
        assert entry.size_bytes > 0
        assert entry.licence
        assert entry.note
        assert 0 < entry.relative_layer < 1
        assert entry.repo is None or entry.repo.count("/") == 1
        # A folder is found by the repository's own name, so each has one of its own.
    repos = [entry.repo for entry in LVLM_MODELS if entry.repo]
    assert len(repos) == len(set(repos))
    assert find_lvlm_model("someone/else") is None


@pytest.mark.parametrize(("alias", "layer"), [("ViT-L-14-336", 22), ("ViT-L-14", 22), ("ViT-B-32", 10)])
def test_the_published_names_hold_the_published_values(alias: str, layer: int) -> None:
    entry = find_clip_model(alias)
    assert entry is not None
    assert (entry.pretrained, entry.layer, entry.contrast, entry.smoothing) == ("openai", layer, 10.0, 3)
    assert find_clip_model(alias.upper()) is entry


def test_openai_weights_always_ask_for_quick_gelu() -> None:
    openai = [
        entry for entry in CLIP_MODELS if entry.pretrained == "openai" or (entry.repo or "").startswith("openai/")
    ]
    assert openai
    assert all(entry.quick_gelu for entry in openai)


def test_downloads_say_what_they_weigh_and_under_which_licence() -> None:
    for entry in CLIP_MODELS:
        assert entry.size_bytes > 0
        assert entry.licence
        assert entry.note
        assert (entry.repo is None) == (entry.source == "embedded")


def test_open_clip_knows_every_architecture_and_where_its_weights_are() -> None:
    open_clip = pytest.importorskip("open_clip")
    for entry in CLIP_MODELS:
        if entry.source != "open_clip":
            continue
        weights = open_clip.get_pretrained_cfg(entry.architecture, entry.pretrained)
        assert weights, f"open_clip has no {entry.architecture} / {entry.pretrained}"
        assert weights["hf_hub"].rstrip("/") == entry.repo
        assert bool(weights.get("quick_gelu", False)) <= entry.quick_gelu


def test_an_unknown_model_gets_the_papers_values() -> None:
    assert find_clip_model("someone/else") is None
    assert mask_defaults("someone/else") == PAPER_DEFAULTS
    assert mask_defaults("ViT-B-32", smoothing=5) == MaskDefaults(10.0, 5)
    assert mask_defaults("ViT-B-32", contrast=0) == MaskDefaults(0, 3)
    assert mask_defaults("ViT-B-32").contrast == 10.0


def test_reading_the_catalog_imports_no_torch() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import api_core.models.catalog, api_core.choices; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0
