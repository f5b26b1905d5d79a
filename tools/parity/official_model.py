"""A tiny LLaVA-1.5 as published programs have it: their classes, this project's weights. Run by their own transformers.

Nothing here is theirs: classes and functions are named from outside, and packages that a run does not need are stood in
for.
"""

import json
import tempfile
import types
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_RENAMED = (
    ("language_model.lm_head.", "lm_head."),
    ("language_model.model.", "model."),
    ("multi_modal_projector.linear_1.", "model.mm_projector.0."),
    ("multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ("vision_tower.vision_model.", "model.vision_tower.vision_tower.vision_model."),
    ("vision_tower.", "model.vision_tower.vision_tower.vision_model."),
)


class OnCpu(TorchFunctionMode):
    """Sends what asks for CUDA to the CPU, and what asks for half precision to single."""

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("cuda", "half"):
            return args[0]

        def here(value: Any) -> Any:
            if isinstance(value, str | torch.device) and str(value).startswith("cuda"):
                return "cpu"
            return torch.float32 if value is torch.float16 else value

        return func(*map(here, args), **{key: here(value) for key, value in (kwargs or {}).items()})


class Tokenizer:
    """The tokenizer of a folder with what published programs ask of one."""

    bos_token_id, eos_token_id, pad_token_id = 1, 2, 0

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer as Backend

        kept = json.loads((folder / "tokenizer.json").read_text())
        model = kept["model"]  # older versions write a pair as one text
        model["merges"] = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
        known = ("type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk")
        kept["model"] = {name: model[name] for name in (*known, "byte_fallback", "vocab", "merges") if name in model}
        for step in kept["decoder"]["decoders"]:
            step.pop("prepend_scheme", None)
        self.backend = Backend.from_str(json.dumps(kept))

    def __call__(self, text: str) -> Any:
        return types.SimpleNamespace(input_ids=self.backend.encode(text).ids)

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        return str(self.backend.decode([int(one) for one in ids], skip_special_tokens=skip_special_tokens))

    def batch_decode(self, rows: Any, skip_special_tokens: bool = False) -> list[str]:
        return [self.decode([one for one in row if int(one) >= 0], skip_special_tokens) for row in rows]


def build(folder: Path, classes: Any, library: Any) -> tuple[Any, Any]:
    """The model with the folder's weights, and its picture processor.

    classes: with `LlavaConfig` and `LlavaLlamaForCausalLM`. library: the transformers that they are made with.
    """
    from safetensors.torch import load_file

    known = json.loads((folder / "config.json").read_text())
    text, vision = known["text_config"], known["vision_config"]
    images = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    with tempfile.TemporaryDirectory() as place:
        tower = {name: vision[name] for name in vision if isinstance(vision[name], int | float | str)}
        tower = {name: value for name, value in tower.items() if name not in ("dtype", "model_type")}
        library.CLIPVisionModel(library.CLIPVisionConfig(**tower)).save_pretrained(place)
        Path(place, "preprocessor_config.json").write_text(json.dumps(images))
        sizes = {name: value for name, value in text.items() if isinstance(value, int | float) and name != "use_cache"}
        config = classes.LlavaConfig(
            **{**sizes, "rope_theta": 10000.0},
            mm_vision_tower=place,
            mm_hidden_size=vision["hidden_size"],
            mm_projector_type="mlp2x_gelu",
            mm_vision_select_layer=-2,
            mm_vision_select_feature="patch",
            mm_use_im_start_end=False,
            image_aspect_ratio="pad",
            tune_mm_mlp_adapter=False,
        )
        model = classes.LlavaLlamaForCausalLM(config)
        model.get_vision_tower().load_model()
    named = {_renamed(name): value for name, value in load_file(folder / "model.safetensors").items()}
    missing, unexpected = model.load_state_dict(named, strict=False)
    missing = [name for name in missing if not name.endswith(("rotary_emb.inv_freq", "position_ids"))]
    if missing or unexpected:
        raise SystemExit(f"weights do not fit: without {missing[:3]}, left over {list(unexpected)[:3]}")
    processor = library.CLIPImageProcessor(**{n: v for n, v in images.items() if n != "image_processor_type"})
    # As in the published generation_config.json, which no folder holds here.
    ends = {name: text[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model.generation_config = library.GenerationConfig(max_length=text["max_position_embeddings"], **ends)
    return model.float().eval(), processor


def _renamed(name: str) -> str:
    for old, new in _RENAMED:
        if name.startswith(old):
            return new + name[len(old) :]
    return name
