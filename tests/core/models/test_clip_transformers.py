"""transformers' models through the same engine: same weights, same maps; padding is really left out."""

from typing import Any

import pytest
import torch
from pack.api_core.errors import UnsupportedModel
from pack.api_core.models.clip import ClipModel, PictureSpec, build_clip
from pack.api_core.models.clip.towers.transformers import patchified
from pack.tests.tiny import randomise, tiny_clip_module
from torch import nn

transformers = pytest.importorskip("transformers")

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
VISION = {**TOWER, "image_size": 48, "patch_size": 8}
TEXT = {**TOWER, "vocab_size": 60, "max_position_embeddings": 16, "pad_token_id": 1, "bos_token_id": 58}
SIGLIP_TEXT = {**TEXT, "projection_size": 32, "eos_token_id": 59}


def letters(texts: list[str], context_length: int) -> torch.Tensor:
    """A toy tokenizer: a letter, a token; 58 begins, 59 ends, 1 pads."""
    rows = []
    for text in texts:
        row = [58, *(2 + ord(letter) % 50 for letter in text), 59][:context_length]
        row[-1] = 59
        rows.append(row + [1] * (context_length - len(row)))
    return torch.tensor(rows)


def build(module: nn.Module) -> ClipModel:
    return build_clip(module, library="transformers", name="toy", preprocess=PictureSpec(48), tokenize=letters)


def clip(kind: str = "CLIP", **vision: Any) -> nn.Module:
    config = getattr(transformers, f"{kind}Config")(
        vision_config={**VISION, **vision}, text_config={**TEXT, "eos_token_id": 59}, projection_dim=24
    )
    return randomise(getattr(transformers, f"{kind}Model")(config), seed=2)


def siglip() -> nn.Module:
    config = transformers.SiglipConfig(vision_config=VISION, text_config=SIGLIP_TEXT)
    return randomise(transformers.SiglipModel(config), seed=3)


def siglip2() -> nn.Module:
    vision = {**TOWER, "patch_size": 8, "num_patches": 36}
    return randomise(
        transformers.Siglip2Model(transformers.Siglip2Config(vision_config=vision, text_config=SIGLIP_TEXT)), 4
    )


def pixels(count: int = 2, height: int = 48, width: int = 48) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def features(value: Any) -> torch.Tensor:
    value = value if isinstance(value, torch.Tensor) else value.pooler_output
    return nn.functional.normalize(value, dim=-1)


def test_the_same_weights_give_the_same_maps_as_open_clip() -> None:
    """open_clip's weights, copied into transformers' layout by their meaning."""
    pytest.importorskip("open_clip")
    theirs = tiny_clip_module(6, vision={"layers": 3, "width": 32}).visual
    module = clip(hidden_act="gelu", intermediate_size=128, layer_norm_eps=theirs.ln_post.eps)
    module.visual_projection = nn.Linear(32, theirs.proj.shape[1], bias=False)
    vision = module.vision_model
    state = {
        "embeddings.class_embedding": theirs.class_embedding,
        "embeddings.patch_embedding.weight": theirs.conv1.weight,
        "embeddings.position_embedding.weight": theirs.positional_embedding,
        "pre_layrnorm": theirs.ln_pre,
        "post_layernorm": theirs.ln_post,
    }
    for index, block in enumerate(theirs.transformer.resblocks):
        for part, weight, bias in zip(
            "qkv", block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3), strict=True
        ):
            state[f"encoder.layers.{index}.self_attn.{part}_proj.weight"] = weight
            state[f"encoder.layers.{index}.self_attn.{part}_proj.bias"] = bias
        state[f"encoder.layers.{index}.self_attn.out_proj"] = block.attn.out_proj
        state[f"encoder.layers.{index}.layer_norm1"] = block.ln_1
        state[f"encoder.layers.{index}.layer_norm2"] = block.ln_2
        state[f"encoder.layers.{index}.mlp.fc1"] = block.mlp.c_fc
        state[f"encoder.layers.{index}.mlp.fc2"] = block.mlp.c_proj
    flat = {}
    for name, value in state.items():
        if isinstance(value, nn.Module):
            flat.update({f"{name}.{key}": tensor for key, tensor in value.state_dict().items()})
        else:
            flat[name] = value.detach()
    missing, unexpected = vision.load_state_dict(flat, strict=False)
    assert not unexpected
    assert all("position_ids" in name for name in missing)
    with torch.no_grad():
        module.visual_projection.weight.copy_(theirs.proj.T)
    open_clip_module = tiny_clip_module(6, vision={"layers": 3, "width": 32})
    other = build_clip(
        open_clip_module,
        library="open_clip",
        name="toy",
        preprocess=PictureSpec(48),
        tokenize=lambda t, context_length: t,
    )
    for mine, wanted in zip(build(module).encode_pictures(pixels()), other.encode_pictures(pixels()), strict=True):
        torch.testing.assert_close(mine.feature, wanted.feature, rtol=0, atol=2e-6)
        torch.testing.assert_close(mine.contributions, wanted.contributions, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(mine.patches, wanted.patches, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("kind", ["CLIP", "MetaClip2"])
def test_class_token_towers_and_their_texts(kind: str) -> None:
    if not hasattr(transformers, f"{kind}Model"):
        pytest.skip(f"this transformers has no {kind}Model")
    module = clip(kind)
    model = build(module)
    assert (model.family, model.grid, model.depth) == ("class token", (6, 6), 3)
    with torch.no_grad():
        wanted = features(module.get_image_features(pixel_values=model.spec.normalise(pixels())))
        texts = features(module.get_text_features(input_ids=letters(["red", "a blue circle"], 16)))
    for encoding, feature in zip(model.encode_pictures(pixels()), wanted, strict=True):
        torch.testing.assert_close(encoding.feature, feature, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.encode_texts(["red", "a blue circle"]), texts, rtol=0, atol=2e-6)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_any_attention_implementation_gives_the_same(implementation: str) -> None:
    module = clip()
    before = build(module).encode_pictures(pixels())
    module.set_attn_implementation(implementation)
    after = build(module).encode_pictures(pixels())
    torch.testing.assert_close(before[1].contributions, after[1].contributions, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("make", [siglip, siglip2])
def test_siglip_heads(make: Any) -> None:
    module = make()
    model = build(module)
    assert (model.family, model.side, model.grid) == ("MAP head", 48, (6, 6))
    ready = model.spec.normalise(pixels())
    inputs = {"pixel_values": ready} if make is siglip else patchified(ready, None, 8)
    with torch.no_grad():
        wanted = features(module.get_image_features(**inputs))
        texts = features(module.get_text_features(input_ids=letters(["red", "a blue circle"], 16)))
    for encoding, feature in zip(model.encode_pictures(pixels()), wanted, strict=True):
        torch.testing.assert_close(encoding.feature, feature, rtol=0, atol=2e-6)
        torch.testing.assert_close(encoding.completes, feature, rtol=0, atol=2e-6)
        assert encoding.contributions.sum(0).abs().max() < 1e-5, "attention that moves between patches adds nothing"
    torch.testing.assert_close(model.encode_texts(["red", "a blue circle"]), texts, rtol=0, atol=2e-6)


def test_siglip2_leaves_padding_out_and_keeps_the_aspect() -> None:
    module = siglip2()
    model = build(module)
    wide = pixels(1, 32, 64)
    encoding = model.encode_pictures(wide)[0]
    assert encoding.grid == (4, 8)
    padded = torch.cat([wide, torch.full((1, 3, 8, 64), 0.5)], dim=2)[:, :, :40, :56]
    valid = torch.ones(1, 5, 7, dtype=torch.bool)
    valid[:, 4] = False
    masked = model.encode_pictures(padded, valid=valid)[0]
    other = padded.clone()
    other[:, :, 32:] = torch.rand(1, 3, 8, 56)
    again = model.encode_pictures(other, valid=valid)[0]
    torch.testing.assert_close(masked.feature, again.feature, rtol=0, atol=1e-6)
    assert masked.contributions[-7:].abs().max() < 1e-6
    assert masked.contributions[:-7].abs().max() > 1e-4
    ready = patchified(model.spec.normalise(padded), valid, 8)
    with torch.no_grad():
        wanted = features(module.get_image_features(**ready))
    torch.testing.assert_close(masked.feature, wanted[0], rtol=0, atol=2e-6)


def test_refuses_what_has_no_picture_tower() -> None:
    with pytest.raises(UnsupportedModel, match=r"toy.*Linear"):
        build(nn.Linear(2, 2))
