"""Loading CLIPs in transformers' layout."""

import json
from pathlib import Path

import pytest
import torch
from pack.api_core.attribution import clip_heatmap
from pack.api_core.errors import DamagedWeights, ModelNotFound, UnsupportedModel
from pack.api_core.models.clip.load import load_clip
from pack.tests.tiny import randomise
from safetensors.torch import load_file, save_file

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": 48, "patch_size": 8}
WORDS = {"<pad>": 0, "<s>": 1, "red": 2, "blue": 3, "the": 4, "circle": 5, "<unk>": 6, "</s>": 59}
TEXT = {**TOWER, "vocab_size": 60, "max_position_embeddings": 16}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 59}


def write_tokenizer(folder: Path) -> None:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 59)]
    )
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.save_pretrained(folder)


def write_model(folder: Path, kind: str, **both: object) -> Path:
    if kind == "clip":
        config = transformers.CLIPConfig(
            vision_config={**VISION, **both}, text_config={**TEXT, **IDS, **both}, projection_dim=24
        )
        module = transformers.CLIPModel(config)
    elif kind == "metaclip_2":
        both_towers = {"hidden_act": "quick_gelu"}
        config = transformers.MetaClip2Config(
            vision_config={**VISION, **both_towers}, text_config={**TEXT, **IDS, **both_towers}, projection_dim=24
        )
        module = transformers.MetaClip2Model(config)
    elif kind == "siglip":
        config = transformers.SiglipConfig(vision_config=VISION, text_config={**TEXT, **IDS, "projection_size": 32})
        module = transformers.SiglipModel(config)
    else:
        vision = {**TOWER, "patch_size": 8, "num_patches": 36}
        config = transformers.Siglip2Config(vision_config=vision, text_config={**TEXT, **IDS, "projection_size": 32})
        module = transformers.Siglip2Model(config)
    randomise(module).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@pytest.mark.parametrize("kind", ["clip", "metaclip_2", "siglip", "siglip2"])
def test_a_folder_gives_heatmaps(kind: str, tmp_path: Path) -> None:
    model = load_clip(write_model(tmp_path / kind, kind))
    assert (model.name, model.side, model.grid, model.depth) == (kind, 48, (6, 6), 3)
    assert model.dtype == torch.float32
    pictures = [torch.rand(40, 60, 3, generator=torch.Generator().manual_seed(0)), torch.ones(30, 20, 3)]
    for fit in ("stretch", "letterbox"):
        heatmap = clip_heatmap(model, pictures, "the red circle", fit=fit)
        parts = set(heatmap.pictures[0].parts)
        assert parts == ({"class_token", "patch"} if "siglip" not in kind else {"class_token"})
        assert [label.text for label in heatmap.pictures[0].labels] == ["the red circle", "the", "red", "circle"]


def test_openai_weights_need_quick_gelu_here_too(tmp_path: Path) -> None:
    good = write_model(tmp_path / "openai-clip", "clip")
    assert load_clip(good).module.config.vision_config.hidden_act == "quick_gelu"
    wrong = write_model(tmp_path / "openai-other", "clip", hidden_act="gelu")
    with pytest.raises(UnsupportedModel, match="QuickGELU"):
        load_clip(wrong)
    assert load_clip(write_model(tmp_path / "laion-other", "clip", hidden_act="gelu")).depth == 3


def test_a_catalog_name_is_found_in_a_model_folder(tmp_path: Path) -> None:
    write_model(tmp_path / "clip_vision" / "siglip2-so400m-patch14-384", "siglip")
    assert load_clip("siglip2-so400m-patch14-384", folders=[tmp_path / "clip_vision"]).grid == (6, 6)


def test_weights_that_do_not_belong(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "clip", "clip")
    weights = folder / "model.safetensors"
    state = load_file(weights)
    save_file(
        {name: value for name, value in state.items() if name != "visual_projection.weight"}, weights, {"format": "pt"}
    )
    with pytest.raises(DamagedWeights, match=r"visual_projection\.weight"):
        load_clip(folder)
    save_file({**state, "visual_projection.weight": torch.zeros(5, 5)}, weights, {"format": "pt"})
    with pytest.raises(DamagedWeights, match=r"visual_projection|shape"):
        load_clip(folder)
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(DamagedWeights, match="get it again"):
        load_clip(folder)
    weights.unlink()
    with pytest.raises(ModelNotFound, match="no weights"):
        load_clip(folder)


def test_a_model_of_another_kind_or_without_its_tokenizer(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "clip", "clip")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        load_clip(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UnsupportedModel, match="bert"):
        load_clip(folder)
