"""CLIP_VISIONs and CLIPs of ComfyUI's own classes, for tests on the real host: random ones, and the embedded tiny-clip.

ComfyUI's text tower has a square projection, and tiny-clip's is 64 wide and gives 128 numbers. So each of its channels
is there twice, which changes no mean and no variance, and matrices halve what comes in: the features are the same.
"""

import importlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

VISION = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "projection_dim": 32,
    "num_channels": 3,
    "image_size": 48,
    "patch_size": 8,
    "hidden_act": "quick_gelu",
    "model_type": "clip_vision_model",
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "max_position_embeddings": 77,
}
RED = (1.0, 0.0, 0.0)
START, END = 49406, 49407  # of ComfyUI's encoders


def random_vision(seed: int = 0, **sizes: Any) -> Any:
    """A CLIP_VISION with drawn weights, norms and biases among them."""
    with torch.inference_mode():
        vision = _vision({**VISION, **sizes})
        vision.model.float()
        _draw(vision.model, seed)
    return vision


def _vision(config: Mapping[str, Any]) -> Any:
    """By a file, which every ComfyUI takes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        return importlib.import_module("comfy.clip_vision").ClipVisionModel(str(file))


def random_text(name: str = "clip_l", seed: int = 1, **sizes: Any) -> Any:
    """A CLIP as Load CLIP gives it: `clip_l` (SD 1), `clip_h` (SD 2), `clip_g` beside a `clip_l` (SDXL)."""
    target = {
        "clip_l": ("sd1_clip", "SD1ClipModel", "SD1Tokenizer"),
        "clip_h": ("text_encoders.sd2_clip", "SD2ClipModel", "SD2Tokenizer"),
        "clip_g": ("sdxl_clip", "SDXLClipModel", "SDXLTokenizer"),
    }[name]
    options = {f"{name}_model_config": {**TEXT, **sizes}}
    if name == "clip_g":
        options["clip_l_model_config"] = {**TEXT, "hidden_size": 16}
    with torch.inference_mode():
        clip = _clip(*target, options, {})
        _draw(clip.cond_stage_model, seed)
    return clip


def _clip(module: str, model: str, tokenizer: str, options: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    sd, own = importlib.import_module("comfy.sd"), importlib.import_module(f"comfy.{module}")
    with torch.inference_mode():
        return sd.CLIP(
            _Target(getattr(own, model), getattr(own, tokenizer)),
            tokenizer_data=dict(data),
            model_options={"dtype": torch.float32, **options},
        )


class _Target:
    def __init__(self, clip: Any, tokenizer: Any) -> None:
        self.params: dict[str, Any] = {}
        self.clip, self.tokenizer = clip, tokenizer


def _draw(module: torch.nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for name, weight in module.named_parameters():
        noise = torch.randn(weight.shape, generator=draw)
        if "embedding" in name:
            weight.copy_(noise * 0.3)
        elif weight.ndim < 2:
            weight.copy_(noise * 0.2 + (name.endswith("weight")))
        else:
            weight.copy_(noise * weight[0].numel() ** -0.5)


def tiny_clip_vision(library: Any) -> Any:
    """The picture tower of the library's tiny-clip as a CLIP_VISION."""
    clip_vision = importlib.import_module("comfy.clip_vision")
    weights = {f"visual.{name}": value.clone() for name, value in library.module.visual.state_dict().items()}
    config = {
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_attention_heads": 2,
        "num_hidden_layers": 5,
        "projection_dim": 128,
        "num_channels": 3,
        "image_size": 112,
        "patch_size": 8,
        "hidden_act": "gelu",
        "model_type": "clip_vision_model",
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    with torch.inference_mode():
        vision = _vision(config)
        missing, unexpected = vision.load_sd(clip_vision.convert_to_transformers(weights, "visual."))
    assert not missing, missing
    assert not unexpected, unexpected
    return vision


def tiny_clip_text(library: Any, *, projection: bool = True) -> Any:
    """Its text tower as the `clip_l` of a CLIP. projection: whether the file holds the text projection."""
    own = {name: value.float() for name, value in library.module.state_dict().items() if not name.startswith("visual")}
    weights = dict(_doubled(own))
    if not projection:
        del weights["text_projection.weight"]
    sizes = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "max_position_embeddings": library.reader.context_length,
        "hidden_act": "gelu",
    }
    data = {"clip_l_max_length": library.reader.context_length, "clip_l_tokenizer_class": _tokeniser(library)}
    clip = _clip("sd1_clip", "SD1ClipModel", "SD1Tokenizer", {"clip_l_model_config": sizes}, data)
    with torch.inference_mode():
        clip.cond_stage_model.clip_l.transformer.text_projection.weight.zero_()
        missing, unexpected = clip.load_sd(weights)
    assert [name for name in missing if "logit_scale" not in name] == ([] if projection else ["text_projection.weight"])
    assert not unexpected, unexpected
    return clip


def _doubled(own: Mapping[str, Tensor]) -> Any:
    def both(vector: Tensor) -> Tensor:
        return torch.cat([vector, vector], -1)

    def halved(matrix: Tensor) -> Tensor:  # what comes in is there twice
        return torch.cat([matrix, matrix], -1) / 2

    def square(matrix: Tensor) -> Tensor:  # and what goes out
        return torch.cat([halved(matrix), halved(matrix)])

    tokens = own["token_embedding.weight"]
    table = torch.zeros(END + 1, 2 * tokens.shape[1])
    table[: len(tokens)] = both(tokens)
    table[START], table[END] = both(tokens[-2]), both(tokens[-1])
    yield "text_model.embeddings.token_embedding.weight", table
    yield "text_model.embeddings.position_embedding.weight", both(own["positional_embedding"])
    for kind in ("weight", "bias"):
        yield f"text_model.final_layer_norm.{kind}", both(own[f"ln_final.{kind}"])
    yield "text_projection.weight", halved(own["text_projection"].T)
    for layer in range(2):
        block, made = f"transformer.resblocks.{layer}", f"text_model.encoder.layers.{layer}"
        for theirs, ours in (("ln_1", "layer_norm1"), ("ln_2", "layer_norm2")):
            for kind in ("weight", "bias"):
                yield f"{made}.{ours}.{kind}", both(own[f"{block}.{theirs}.{kind}"])
        weights = own[f"{block}.attn.in_proj_weight"].chunk(3)
        biases = own[f"{block}.attn.in_proj_bias"].chunk(3)
        for part, weight, bias in zip("qkv", weights, biases, strict=True):
            yield f"{made}.self_attn.{part}_proj.weight", square(weight)
            yield f"{made}.self_attn.{part}_proj.bias", both(bias)
        yield f"{made}.self_attn.out_proj.weight", square(own[f"{block}.attn.out_proj.weight"])
        yield f"{made}.self_attn.out_proj.bias", both(own[f"{block}.attn.out_proj.bias"])
        yield f"{made}.mlp.fc1.weight", halved(own[f"{block}.mlp.c_fc.weight"])
        yield f"{made}.mlp.fc1.bias", own[f"{block}.mlp.c_fc.bias"]
        second = own[f"{block}.mlp.c_proj.weight"]
        yield f"{made}.mlp.fc2.weight", torch.cat([second, second])
        yield f"{made}.mlp.fc2.bias", both(own[f"{block}.mlp.c_proj.bias"])


def _tokeniser(library: Any) -> Any:
    """tiny-clip's vocabulary with the marks where ComfyUI's encoder has them."""
    sd1_clip = importlib.import_module("comfy.sd1_clip")
    words = library.reader.tokenize

    class Inner:
        all_special_tokens = ("<start_of_text>", "<end_of_text>")

        @classmethod
        def from_pretrained(cls, *_: Any, **__: Any) -> "Inner":
            return cls()

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [START, *words.encode(text), END]}

        def get_vocab(self) -> dict[str, int]:
            return dict(words.encoder)

    def make(embedding_directory: Any = None, tokenizer_data: Any = None) -> Any:
        return sd1_clip.SDTokenizer(tokenizer_class=Inner, tokenizer_data=tokenizer_data or {})

    return make


def exact_maps(vision: Any, pixels: Tensor, layer: int, whole: Any = None) -> dict[str, Tensor]:
    """What the class token takes from each patch in a block, and each patch itself, on their way to the texts' space,
    by transformers' own tower in float64: {contributions, patches [N, n, e], whole, feature [N, e]}.

    pixels: [N, 3, side, side] of 0..1. whole: the module whose weights count, where the CLIP_VISION's are packed.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "projection_dim")
    names += ("image_size", "patch_size", "hidden_act")
    config = CLIPVisionConfig(**{name: vision.config[name] for name in names}, attn_implementation="eager")
    model = CLIPVisionModelWithProjection(config).double().eval()
    own = vision.model if whole is None else whole
    missing, unexpected = model.load_state_dict({n: v.double() for n, v in own.state_dict().items()}, strict=False)
    assert not [name for name in missing if "position_ids" not in name], missing
    assert not unexpected, unexpected
    block, norm = model.vision_model.encoder.layers[layer], model.vision_model.post_layernorm
    kept: dict[str, Tensor] = {}
    block.self_attn.register_forward_pre_hook(
        lambda _, args, given: kept.update(tokens=args[0] if args else given["hidden_states"]), with_kwargs=True
    )
    block.self_attn.register_forward_hook(lambda _, args, output: kept.update(attention=output[0]))
    block.register_forward_hook(
        lambda _, args, output: kept.update(residual=output if isinstance(output, Tensor) else output[0])
    )
    norm.register_forward_pre_hook(lambda _, args: kept.update(final=args[0]))
    mean, std = (torch.tensor(values).double().view(3, 1, 1) for values in (vision.image_mean, vision.image_std))
    feature = model(pixel_values=(pixels.double() - mean) / std).image_embeds

    attention, tokens = block.self_attn, kept["tokens"]
    batch, count, width = tokens.shape
    heads = config.num_attention_heads
    query, key, value = (
        getattr(attention, f"{part}_proj")(tokens).view(batch, count, heads, -1).transpose(1, 2) for part in "qkv"
    )
    row = (query[:, :, :1] @ key.transpose(2, 3) * (width // heads) ** -0.5).softmax(-1)
    given = (row.transpose(2, 3) * value).transpose(1, 2).reshape(batch, count, width) @ attention.out_proj.weight.T
    final = kept["final"]
    length = (final.var(-1, unbiased=False) + norm.eps).sqrt() * feature.norm(dim=-1)

    def carried(parts: Tensor) -> Tensor:
        return (parts * norm.weight) @ model.visual_projection.weight.T / length[:, None, None]

    return {
        "contributions": carried(given[:, 1:]),
        "patches": carried(kept["residual"][:, 1:]),
        "whole": carried(kept["attention"][:, :1])[:, 0],
        "feature": feature / feature.norm(dim=-1, keepdim=True),
    }


def exact_texts(name: str, part: Any, ids: Any) -> Tensor:
    """The features of token ids by transformers' own text tower in float64: [T, e], unit norm."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    transformer = part.transformer
    inner = transformer.text_model.encoder.layers
    width = transformer.text_projection.weight.shape[0]
    config = CLIPTextConfig(
        hidden_size=width,
        projection_dim=width,
        intermediate_size=inner[0].mlp.fc1.weight.shape[0],
        num_hidden_layers=len(inner),
        num_attention_heads=inner[0].self_attn.heads,
        vocab_size=END + 1,
        eos_token_id=END,
        hidden_act="quick_gelu" if name == "clip_l" else "gelu",
    )
    model = CLIPTextModelWithProjection(config).double().eval()
    missing, unexpected = model.load_state_dict(
        {name: value.double() for name, value in transformer.state_dict().items()}, strict=False
    )
    assert not [name for name in missing if "position_ids" not in name], missing
    assert not unexpected, unexpected
    features = model(input_ids=torch.tensor(ids)).text_embeds
    return features / features.norm(dim=-1, keepdim=True)


def in_bytes(exact: Any) -> torch.nn.Module:
    """A linear layer that holds bytes and makes numbers of them on the way; `exact` gets the very same numbers."""
    step = exact.weight.abs().max() / 127
    held = (exact.weight / step).round().to(torch.int8)
    exact.weight.copy_(held.float() * step)

    class Packed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = torch.nn.Parameter(held, requires_grad=False)
            self.bias = exact.bias

        def forward(self, values: Tensor) -> Tensor:
            return torch.nn.functional.linear(values, self.held.to(values) * step, self.bias)

    return Packed()
