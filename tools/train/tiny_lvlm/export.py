"""The model as an ordinary transformers folder in half precision; each file appears whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import GenerationConfig, LlavaForConditionalGeneration

from .words import CHAT_TEMPLATE, CONTEXT, END, IMAGE, PAD, START, UNKNOWN, build_processor, word_list


def export(model: LlavaForConditionalGeneration, folder: Path) -> int:
    """Write the folder (its card and licence note are kept) and return the weights' size in bytes.

    The small files are spelled so that transformers 4.57 and 5 both read them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = word_list()
    processor = build_processor()
    generation = GenerationConfig(
        bos_token_id=words.index(START),
        eos_token_id=words.index(END),
        pad_token_id=words.index(PAD),
        do_sample=False,
        max_new_tokens=40,
    )
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "LlavaProcessor",
        "bos_token": START,
        "eos_token": END,
        "unk_token": UNKNOWN,
        "pad_token": PAD,
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    side = processor.image_processor.size
    pictures = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_resize": True,
        "size": dict(side),
        "resample": 3,
        "do_center_crop": False,
        "crop_size": dict(side),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(processor.image_processor.image_mean),
        "image_std": list(processor.image_processor.image_std),
        "do_convert_rgb": True,
    }
    together = {
        "processor_class": "LlavaProcessor",
        "patch_size": processor.patch_size,
        "vision_feature_select_strategy": processor.vision_feature_select_strategy,
        "num_additional_image_tokens": processor.num_additional_image_tokens,
        "image_token": IMAGE,
    }
    settings = {**model.config.to_diff_dict(), "architectures": ["LlavaForConditionalGeneration"], "dtype": "float16"}
    settings["torch_dtype"] = "float16"
    core = processor.tokenizer.backend_tokenizer
    texts = {
        "config.json": _json(settings),
        "generation_config.json": _json(generation.to_diff_dict()),
        "tokenizer.json": core.to_str(pretty=True) + "\n",
        "tokenizer_config.json": _json(tokenizer),
        "preprocessor_config.json": _json(pictures),
        "processor_config.json": _json(together),
        "chat_template.jinja": CHAT_TEMPLATE,
    }
    for name, text in texts.items():
        _replace(folder / name, text.encode())
    weights = {_old_name(n): value.to(torch.float16).contiguous().clone() for n, value in model.state_dict().items()}
    target = folder / "model.safetensors"
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        save_file(weights, Path(place) / target.name, metadata={"format": "pt"})
        (Path(place) / target.name).chmod(0o644)
        os.replace(Path(place) / target.name, target)
    return target.stat().st_size


def _old_name(name: str) -> str:
    """The weight's name as in transformers 4.57, which transformers 5 still reads (but not the other way round)."""
    tower = "model.vision_tower."
    if name.startswith(tower) and not name.startswith(tower + "vision_model."):
        return name.replace(tower, tower + "vision_model.", 1)
    return name


def _json(values: object) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(content)
    os.replace(beside, path)
