"""The trained model as a local open_clip folder in half precision: configuration, weights, merges."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file

from .network import MEAN, STD, model_config


def export(model: open_clip.CLIP, layers: int, merges: Path, folder: Path) -> int:
    """Write the folder (its card and licence note are kept) and return the weights' size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = model.token_embedding.num_embeddings
    preprocess = {"mean": list(MEAN), "std": list(STD), "interpolation": "bicubic", "resize_mode": "squash"}
    config = {"model_cfg": model_config(layers, vocabulary), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    weights = {name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    (folder / "open_clip_model.safetensors").chmod(0o644)
    shutil.copyfile(merges, folder / "merges.txt.gz")
    return (folder / "open_clip_model.safetensors").stat().st_size


def reload(folder: Path) -> open_clip.CLIP:
    """The exported model as stock open_clip reads it, in single precision."""
    from safetensors.torch import load_file

    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    model = open_clip.CLIP(**config["model_cfg"])
    model.load_state_dict(
        {name: value.float() for name, value in load_file(folder / "open_clip_model.safetensors").items()}
    )
    return model.eval()
