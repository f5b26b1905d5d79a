"""Answering batches: the streaming, the progress, and the retreat to fewer rows where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ....progress import Progress
from ...conversation.case import Case, Prepared, Reply
from ...conversation.reply import opens_thinking
from ...conversation.token_text import IncrementalDecoder
from ...hooks import capturing
from ...memory import in_batches_that_fit
from . import decoding_loop
from .sampling import Sampler, Sampling, pick_greedily

OnToken = Callable[[int, str], None]
"""Gets a row's number and its text so far."""

Around = Callable[[Prepared], AbstractContextManager[None]]
"""Makes of a batch the context that it is generated in."""


class GenerativeModel(Protocol):
    """What answering needs of a model (see `LvlmModel`)."""

    @property
    def name(self) -> str: ...
    @property
    def module(self) -> nn.Module: ...
    @property
    def family(self) -> Any: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def tokenizer(self) -> Any: ...
    @property
    def ends(self) -> frozenset[int]: ...
    @property
    def decoder_layers(self) -> Sequence[nn.Module]: ...
    def prepare(self, cases: Sequence[Case], *, with_places: bool, thinking: bool) -> Prepared: ...
    def to_device(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]: ...
    def incremental_decoder(self) -> IncrementalDecoder: ...
    def reply_of(
        self, token_ids: Sequence[int], log_probabilities: Sequence[float], *, inside_thinking: bool
    ) -> Reply: ...


def generate_replies(
    model: GenerativeModel,
    prepared: Prepared,
    max_new_tokens: int,
    *,
    sampling: Sampling | None,
    around: Around | None,
    on_token: OnToken | None,
    on_progress: Progress,
) -> list[Reply]:
    """The reply to each row: all at once, or in smaller batches where memory runs out (see `LvlmModel.generate`)."""
    count = len(prepared)

    def answer(rows: range) -> list[Reply]:
        part = prepared
        if len(rows) < count:
            cases = prepared.cases[rows.start : rows.stop]
            part = model.prepare(cases, with_places=False, thinking=prepared.thinking)
        done = _Done(rows.start, count, max_new_tokens, on_token, on_progress)
        return _answer_batch(model, part, sampling, around, done)

    replies = in_batches_that_fit(
        answer,
        count,
        count,
        model=model.name,
        device=model.device,
        single="with a single question",
        advice="lower max_pixels or max_new_tokens, load it with precision bf16 or fp16, or choose a smaller model",
    )
    on_progress(count * max_new_tokens, count * max_new_tokens)
    return replies


class _Done:
    """What is reported of a batch whose rows are `first` … of `count`."""

    def __init__(
        self, first: int, count: int, max_new_tokens: int, on_token: OnToken | None, on_progress: Progress
    ) -> None:
        self.max_new_tokens = max_new_tokens
        self._first = first
        self._total = count * max_new_tokens
        self._on_token = on_token
        self._on_progress = on_progress

    def tokens(self, tokens: int) -> None:
        self._on_progress(self._first * self.max_new_tokens + tokens, self._total)

    def text(self, row: int, text: str) -> None:
        if self._on_token is not None:
            self._on_token(self._first + row, text)


def _answer_batch(
    model: GenerativeModel, prepared: Prepared, sampling: Sampling | None, around: Around | None, done: _Done
) -> list[Reply]:
    rows = len(prepared)
    decoders = [model.incremental_decoder() for _ in range(rows)]
    steps = 0

    def on_step(new: list[int | None]) -> None:
        nonlocal steps
        steps += 1
        for row, token in enumerate(new):
            if token is not None and decoders[row].push(token):
                done.text(row, decoders[row].text)
        done.tokens(steps * rows)

    def before_layer(args: Any, kwargs: Any) -> None:
        if not steps:  # reading the prompt takes as long as many tokens
            done.tokens(0)

    pick = pick_greedily if sampling is None else Sampler(sampling, rows, [case.seed for case in prepared.cases])
    with capturing() as hooks, nullcontext() if around is None else around(prepared):
        for layer in model.decoder_layers:
            hooks.before(layer, before_layer)
        answers = decoding_loop.decode(
            model.module,
            model.to_device(prepared.inputs),
            pick,
            max_new_tokens=done.max_new_tokens,
            ends=model.ends,
            pad=decoding_loop.pad_token(model.module, model.tokenizer, model.ends),
            on_step=on_step,
        )
    return [
        model.reply_of(written.token_ids, written.log_probabilities, inside_thinking=opens_thinking(prompt))
        for written, prompt in zip(answers, prepared.prompts, strict=True)
    ]
