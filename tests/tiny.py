"""Tiny random models for tests: real architectures at toy sizes, the same weights for the same seed.

Tests import this as `pack.tests.tiny`. LayerNorm gains and biases are random too: with the usual ones and zeros, a
forgotten gain or bias would change nothing and hide.
"""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

MERGES: tuple[tuple[str, str], ...] = (
    ("r", "e"),
    ("re", "d</w>"),
    ("b", "l"),
    ("bl", "u"),
    ("blu", "e</w>"),
    ("c", "i"),
    ("ci", "r"),
    ("t", "h"),
    ("th", "e</w>"),
    ("a", "n"),
)
"""Byte-pair merges of the toy vocabulary: `red`, `blue` and `the` are one token each, other words several."""

BYTE_TOKENS = 512
SPECIAL_TOKENS = 2
VOCABULARY = BYTE_TOKENS + len(MERGES) + SPECIAL_TOKENS

TINY_CLIP: Mapping[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 48, "layers": 4, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": VOCABULARY, "width": 32, "heads": 2, "layers": 2},
}
"""An open_clip `model_cfg`: a class-token ViT of 4 blocks on a 6 x 6 grid, and a causal text tower of 24 tokens."""

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def randomise(module: nn.Module, seed: int = 0, gain: float = 1.0) -> nn.Module:
    """Give every weight of `module` a value that matters, the same for the same seed, and return it in eval mode.

    Matrices are scaled by their fan-in times `gain`; vectors named like gains lie about 1, all others about 0, so that
    no norm, bias, head scale or layer scale is left at a value that does nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2 and "embedding" in name.lower():
                value = noise * 0.3
            elif parameter.ndim >= 2 and min(parameter.shape[1:]) + parameter.shape[0] > 2 and "head_scale" not in name:
                value = noise * gain * (parameter[0].numel() ** -0.5)
            elif parameter.ndim == 0 or name.endswith("logit_scale"):
                value = torch.full(parameter.shape, 2.5)
            elif name.endswith(("bias", "cls_emb", "class_embedding", "probe")):
                value = noise * 0.2
            else:
                value = 1.0 + noise * 0.3
            parameter.copy_(value.to(parameter.dtype))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
            elif name.endswith("running_var"):
                buffer.copy_(1.0 + torch.rand(buffer.shape, generator=generator))
    return module.eval()


def tiny_model_config(
    vision: Mapping[str, Any] | None = None, text: Mapping[str, Any] | None = None, **top: Any
) -> dict[str, Any]:
    """`TINY_CLIP` with entries of its vision, text or top level replaced."""
    return {
        **TINY_CLIP,
        "vision_cfg": {**TINY_CLIP["vision_cfg"], **(vision or {})},
        "text_cfg": {**TINY_CLIP["text_cfg"], **(text or {})},
        **top,
    }


def tiny_clip_module(
    seed: int = 0,
    *,
    vision: Mapping[str, Any] | None = None,
    text: Mapping[str, Any] | None = None,
    gain: float = 1.0,
    **top: Any,
) -> nn.Module:
    """A random open_clip `CLIP` (class-token ViT, 0.3 million weights), in eval mode and float32.

    vision, text, top: entries that replace those of `TINY_CLIP`, such as `quick_gelu=True` or `vision={"layers": 2}`.
    """
    from open_clip.model import CLIP

    return randomise(CLIP(**tiny_model_config(vision, text, **top)), seed, gain)


def write_merges(path: Path) -> Path:
    """Write the toy vocabulary's merges as open_clip's tokenizer reads them (`bpe_path`)."""
    lines = ["#version: 0.2", *(" ".join(merge) for merge in MERGES)]
    with gzip.open(path, "wb") as stream:
        stream.write("\n".join(lines).encode())
    return path


def tiny_tokenizer(folder: Path) -> Any:
    """open_clip's tokenizer over the toy vocabulary, whose merges file is written into `folder`."""
    from open_clip.tokenizer import SimpleTokenizer

    merges = write_merges(folder / "merges.txt.gz")
    return SimpleTokenizer(bpe_path=str(merges), context_length=TINY_CLIP["text_cfg"]["context_length"])


def tiny_clip_folder(
    folder: Path,
    seed: int = 0,
    *,
    vision: Mapping[str, Any] | None = None,
    text: Mapping[str, Any] | None = None,
    preprocess: Mapping[str, Any] | None = None,
    **top: Any,
) -> Path:
    """Write a tiny random model as a local open_clip folder, and return the folder.

    It holds `open_clip_config.json` (`model_cfg`, `preprocess_cfg`), `open_clip_model.safetensors` and
    `merges.txt.gz`, the vocabulary of `write_merges`.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    model_config = tiny_model_config(vision, text, **top)
    module = tiny_clip_module(seed, vision=vision, text=text, **top)
    preprocess_config = {
        "mean": MEAN,
        "std": STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        **(preprocess or {}),
    }
    config = {"model_cfg": model_config, "preprocess_cfg": preprocess_config}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    save_file(
        {name: value.contiguous() for name, value in module.state_dict().items()},
        str(folder / "open_clip_model.safetensors"),
    )
    write_merges(folder / "merges.txt.gz")
    return folder
