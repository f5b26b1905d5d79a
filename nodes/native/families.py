"""What ComfyUI's encoders differ in: how a chat is written, what they cannot do. The only place with names of classes.

The texts are those of ComfyUI's own Generate Text, so that both give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ...api_core.models.conversation.case import Case


@dataclass(frozen=True)
class Encoder:
    """A vision-language encoder inside a CLIP. part: what makes embeddings of tokens; transformer: the model in it;
    name: what ComfyUI calls it."""

    part: nn.Module
    transformer: Any
    name: str

    @property
    def layers(self) -> list[Any]:
        """The decoder's layers."""
        return list(self.transformer.model.layers)

    @property
    def config(self) -> Any:
        """The decoder's configuration."""
        return self.transformer.model.config


@dataclass(frozen=True)
class Chat:
    """How a chat is written for some encoders. write: a case with its texts made harmless, and whether to think, to the
    prompt up to where the answer begins. end: the mark that ends an answer. squash: whether pictures are to be made
    squares, since ComfyUI would cut the sides off."""

    write: Callable[[Case, bool], str]
    end: str
    squash: bool = False


def _chatml(no_thinking: str) -> Callable[[Case, bool], str]:
    def write(case: Case, thinking: bool) -> str:
        system = f"<|im_start|>system\n{case.system_prompt}<|im_end|>\n" if case.system_prompt else ""
        pictures = "<|vision_start|><|image_pad|><|vision_end|>" * len(case.pictures)
        user = f"<|im_start|>user\n{pictures}{case.question}<|im_end|>\n"
        return f"{system}{user}<|im_start|>assistant\n{'' if thinking else no_thinking}{case.opening}"

    return write


def _gemma3(case: Case, thinking: bool) -> str:
    system = case.system_prompt or "You are a helpful assistant."
    pictures = "\n<image_soft_token>" * len(case.pictures)
    return (
        f"<start_of_turn>system\n{system}<end_of_turn>\n<start_of_turn>user\n{pictures}{case.question}<end_of_turn>\n\n"
        f"<start_of_turn>model\n{case.opening}"
    )


def _gemma4(case: Case, thinking: bool) -> str:
    told = ("<|think|>\n" if thinking else "") + case.system_prompt
    system = f"<|turn>system\n{told}<turn|>\n" if told else ""
    pictures = "\n\n\n\n".join(["<|image><|image|><image|>"] * len(case.pictures))
    pictures = f"\n\n{pictures}\n\n" if pictures else ""
    opening = "" if thinking else "<|channel>thought\n<channel|>"
    return f"{system}<|turn>user\n{case.question}{pictures}<turn|>\n<|turn>model\n{opening}{case.opening}"


_QWEN_END = "<|im_end|>"
_CHATS = {
    "Qwen35": Chat(_chatml("<think>\n</think>\n"), _QWEN_END),
    "Qwen3VL": Chat(_chatml("<think>\n\n</think>\n\n"), _QWEN_END),
    "Qwen25_7BVLI": Chat(_chatml(""), _QWEN_END),
    "Gemma3_4B_Vision": Chat(_gemma3, "<end_of_turn>", squash=True),
    "Gemma3_12B": Chat(_gemma3, "<end_of_turn>", squash=True),
    "Gemma4Base": Chat(_gemma4, "<turn|>"),
}
"""By the class of the transformer, or one that it is made from."""

_WITHOUT_HEAD = "Qwen25_7BVLI"


def find_encoder(clip: Any) -> Encoder | None:
    """The encoder of a CLIP that takes pictures; None where it has none."""
    root = clip.cond_stage_model
    parts = [(type(root).__name__.rstrip("_"), root), *root.named_children()]
    for name, part in parts:
        transformer = getattr(part, "transformer", None)
        if hasattr(transformer, "preprocess_embed") and hasattr(getattr(transformer, "model", None), "layers"):
            return Encoder(part, transformer, name)
    return None


def kind_of(clip: Any) -> str:
    """What a CLIP's first encoder is called by its class."""
    root = clip.cond_stage_model
    parts = [getattr(part, "transformer", None) for part in (root, *root.children())]
    return type(next((part for part in parts if part is not None), root)).__name__.rstrip("_")


def chat_of(encoder: Encoder) -> Chat:
    """How a chat is written for it; for unknown classes as for Qwen's, whose marks most share."""
    return next((_CHATS[name] for name in _classes(encoder.transformer) if name in _CHATS), _CHATS["Qwen25_7BVLI"])


def template_of(tokenizer: Any, case: Case) -> str | None:
    """A case in the template that an encoder of prompts was trained with; None where it has none for pictures."""
    template = getattr(tokenizer, "llama_template_images", None)
    block = "<|vision_start|><|image_pad|><|vision_end|>"
    if not isinstance(template, str) or "{}" not in template or block not in template:
        return None
    template = template.replace(block, block * len(case.pictures), 1)
    before, after = template.split("{}", 1)
    return f"{before}{case.question}{after}{case.opening}"


def why_silent(encoder: Encoder) -> str:
    """Why ComfyUI cannot let this encoder answer, for people; "" where it can. By what is there, never by version."""
    knows_its_end = hasattr(encoder.config, "stop_tokens") or _own_generate(encoder)
    takes_places = not _has_places_of_pictures(encoder) or _own_generate(encoder)
    able = getattr(encoder.transformer, "can_generate", True) is not False
    if _WITHOUT_HEAD in _classes(encoder.transformer) and not hasattr(encoder.transformer.model, "lm_head"):
        return (
            "ComfyUI cannot let this Qwen2.5-VL answer: the file's output head is not loaded. Connect a Qwen3-VL, give "
            "an answer to read, or use Load LVLM."
        )
    if able and knows_its_end and takes_places and hasattr(encoder.transformer, "generate"):
        return ""
    kind = type(encoder.part).__name__.strip("_")
    return (
        f"Loaded as {kind} this encoder answers without knowing where parts of the picture are. Load the same file "
        "with type stable_diffusion."
    )


def doubts(encoder: Encoder) -> tuple[str, ...]:
    """What a person should know of its answers."""
    if getattr(encoder.config, "mrope_section", None) and not _own_generate(encoder):
        return (
            f"ComfyUI lets {encoder.name} answer with plain positions in place of those that it was trained with for "
            "pictures: its answers and maps may be worse than those of the same model from Load LVLM.",
        )
    return ()


def _has_places_of_pictures(encoder: Encoder) -> bool:
    """Whether its tokens of a picture have positions of three parts, which the common `generate` does not hand over."""
    sections = getattr(encoder.config, "rope_dims", None)
    return sections is not None and len(sections) > 1


def _own_generate(encoder: Encoder) -> bool:
    """Whether its class generates in a way of its own and not in that of all encoders."""
    for kind in type(encoder.part).__mro__:
        if "generate" in vars(kind):
            return kind.__name__ != "SDClipModel"
    return False


def _classes(module: Any) -> list[str]:
    return [kind.__name__ for kind in type(module).__mro__]
