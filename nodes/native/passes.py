"""Passes of one of ComfyUI's encoders over rows of tokens, in ComfyUI's own loop, and what is heard of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...api_core.errors import UnsupportedModel
from ...api_core.models.conversation.token_text import IncrementalDecoder
from ...api_core.models.lvlm.generate.sampling import Sampler, Sampling
from .. import host
from .families import Encoder
from .tap import one_at_a_time, replaced
from .texts import Entry, Texts, without_inference

PICKING = "sample_token"
"""The method of ComfyUI's transformers that picks a token of its scores."""


@dataclass(frozen=True)
class Row:
    """What an encoder is given. length: the tokens that it becomes, those of pictures counted."""

    entries: tuple[Entry, ...]
    length: int

    def followed_by(self, ids: Sequence[int]) -> Row:
        """The same with more tokens behind it."""
        return Row((*self.entries, *((token, 1.0) for token in ids)), self.length + len(ids))


class Passes:
    """What a CLIP is run for. answers: whether its loop can write; where it cannot, prompts are encoded."""

    def __init__(self, clip: Any, encoder: Encoder, texts: Texts, *, answers: bool) -> None:
        self._clip, self._encoder, self._texts, self._answers = clip, encoder, texts, answers

    def log_likelihoods(self, row: Row, ids: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """Of some tokens of an answer behind one prompt: float32 [T]."""
        last = max(tokens)
        transformer = self._encoder.transformer
        kept: list[Tensor] = []
        with one_at_a_time, host.running(self._clip):
            hook = transformer.model.norm.register_forward_hook(lambda _, args, output: kept.append(output.clone()))
            try:
                self.run(row.followed_by(ids[:last]))
            finally:
                hook.remove()
            states = kept[0]
            first = states.shape[1] - last - 1  # the row that predicts the answer's first token
            found = []
            for token in tokens:  # scores of one row at a time: a vocabulary is a quarter of a million
                scores = transformer.logits(states[:, first + token : first + token + 1])[0, -1].float()
                found.append(scores.log_softmax(-1)[ids[token]])
            return without_inference(torch.stack(found))

    def run(self, row: Row) -> None:
        """A pass over all of a row."""
        if not self._answers:
            with one_at_a_time, host.without_own_bar(), self._of_length(row.length):
                self._clip.encode_from_tokens(self._texts.for_core(row.entries))
        else:
            self.answer(row, 1)

    def answer(
        self,
        row: Row,
        max_new_tokens: int,
        sampling: Sampling | None = None,
        picked: Picked | None = None,
    ) -> list[int]:
        """The tokens that ComfyUI's loop picks behind a row, the end included where there is one."""
        draw = Sampling(1.0, 1.0, 0, 0) if sampling is None else sampling
        with ExitStack() as stack:
            stack.enter_context(one_at_a_time)
            stack.enter_context(host.without_own_bar())
            stack.enter_context(self._of_length(row.length))
            if picked is not None:
                stack.enter_context(picked.following(self._encoder.transformer))
            found = self._clip.generate(
                self._texts.for_core(row.entries),
                do_sample=sampling is not None,
                max_length=max_new_tokens,
                temperature=draw.temperature,
                top_k=draw.top_k,
                top_p=draw.top_p,
                min_p=0.0,
                repetition_penalty=1.0,
                seed=draw.seed,
            )
        return [int(token) for token in found]

    @contextmanager
    def _of_length(self, length: int) -> Iterator[None]:
        """Raise UnsupportedModel where a pass begins with another number of tokens: all places would be wrong. Stop
        ends a pass between two layers."""
        begun = False

        def check(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
            nonlocal begun
            found = (args[0] if args else kwargs["x"]).shape[1]
            if not begun and found != length:
                raise UnsupportedModel(
                    f"ComfyUI made {found} tokens of a prompt for {self._encoder.name} that should have {length}, so "
                    "it cannot be told which lie on the picture. Use Load LVLM."
                )
            begun = True

        layers = self._encoder.layers
        hooks = [layers[0].register_forward_pre_hook(check, with_kwargs=True)]
        hooks += [layer.register_forward_pre_hook(lambda *_: host.stop_when_asked()) for layer in layers]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class Picked:
    """Follows ComfyUI's loop as it picks the tokens of one answer, and draws them where chance is the library's."""

    def __init__(
        self,
        decoder: IncrementalDecoder,
        sampling: Sampling | None,
        show: Callable[[str], None],
        report: Callable[[int], None],
    ) -> None:
        """show: gets the text so far. report: gets the count of tokens."""
        self._decoder = decoder
        self._draw = None if sampling is None else Sampler(sampling, 1)
        self._show, self._report = show, report
        self._ids: list[int] = []
        self._chances: list[Tensor] = []

    @contextmanager
    def following(self, transformer: Any) -> Iterator[None]:
        """Of a transformer, while it generates in this block."""
        original = getattr(transformer, PICKING, None)
        if original is None:
            yield
            return

        def pick(logits: Tensor, *args: Any, **options: Any) -> Tensor:
            scores = logits.float()
            token = original(logits, *args, **options) if self._draw is None else self._draw(scores)[:, None]
            self._chances.append(scores.log_softmax(-1).gather(1, token.reshape(1, 1))[0, 0])
            self._ids.append(int(token))
            self._report(len(self._ids))
            if self._decoder.push(self._ids[-1]):
                self._show(self._decoder.text)
            return token

        with replaced(transformer, PICKING, pick):
            yield

    def log_probabilities(self, ids: Sequence[int]) -> Tensor | None:
        """Of the tokens that came out; None where they were not all picked in sight."""
        return without_inference(torch.stack(self._chances)) if self._ids == list(ids) else None
