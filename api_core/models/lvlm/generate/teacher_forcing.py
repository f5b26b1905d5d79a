"""Prompts and answers put before the model at once."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ....autograd import frozen
from ...conversation.case import Prepared, Reply
from ...vision_language import VisionLanguageModel
from .batching import GenerativeModel


def answered_inputs(model: GenerativeModel, prepared: Prepared, replies: Sequence[Reply]) -> dict[str, Tensor]:
    """The inputs on the model's device: each prompt and its answer, less the last token, which predicts nothing."""
    with frozen():
        inputs = prompt_inputs(model, prepared)
        ids, mask = answer_ids(model, replies)
        return model.family.with_answer(inputs, ids[:, :-1], mask[:, :-1]) if ids.shape[1] > 1 else inputs


def prompt_inputs(model: GenerativeModel, prepared: Prepared) -> dict[str, Tensor]:
    """What the processor made, on the model's device and in its number format, fit for gradients."""
    with frozen():
        own = {name: value.clone() if value.is_inference() else value for name, value in prepared.inputs.items()}
        return model.to_device(own)


def part_of(model: VisionLanguageModel, prepared: Prepared, cases: Sequence[int]) -> Prepared:
    """Some of the cases, prepared by themselves; the same object where all are wanted."""
    if list(cases) == list(range(len(prepared))):
        return prepared
    return model.prepare([prepared.cases[i] for i in cases], thinking=prepared.thinking)


def answer_ids(model: GenerativeModel, replies: Sequence[Reply]) -> tuple[Tensor, Tensor]:
    """The answers' tokens [B, R] and which of them count; shorter ones are filled up on the right."""
    longest = max(len(reply.token_ids) for reply in replies)
    tokenizer = model.tokenizer
    filler = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    ids = torch.full((len(replies), longest), int(filler or 0))
    mask = torch.zeros_like(ids)
    for row, reply in enumerate(replies):
        ids[row, : len(reply.token_ids)] = torch.tensor(reply.token_ids)
        mask[row, : len(reply.token_ids)] = 1
    return ids, mask


def log_likelihoods(module: nn.Module, inputs: Mapping[str, Any], rows: Tensor, wanted: Tensor) -> Tensor:
    """Of the tokens `wanted` [T] at the rows [T] that predict them, behind each prompt: float32 [B, T]."""
    if "logits_to_keep" in inspect.signature(module.forward).parameters:
        logits = cast(Tensor, module(**inputs, use_cache=False, logits_to_keep=rows).logits)
    else:
        logits = module(**inputs, use_cache=False).logits[:, rows]
    return logits.float().log_softmax(-1).gather(2, wanted[None, :, None].expand(len(logits), -1, 1))[..., 0]
