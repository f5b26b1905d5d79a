"""A vision-language encoder that ComfyUI loaded, as the library sees a model: read and asked where it lies.

ComfyUI owns its memory, its precision and its loop; only tokens go in, and what its layers compute is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from ...api_core.errors import InvalidInput, UnsupportedModel
from ...api_core.models.catalog import RELATIVE_LAYER
from ...api_core.models.conversation.case import Case, PictureLayout, Prepared, PromptRow, Reply
from ...api_core.models.conversation.reply import opens_thinking, parse_reply
from ...api_core.models.conversation.token_text import locate_words
from ...api_core.models.lvlm.attention.intercept import Read
from ...api_core.models.lvlm.generate.batching import Around, OnToken
from ...api_core.models.lvlm.generate.sampling import Sampling
from ...api_core.models.lvlm.inputs.context import fitting_answer, require_context
from ...api_core.models.lvlm.inputs.processor import downscale_to
from ...api_core.models.vision_language import Enter, Need, require, resolve_layers
from ...api_core.progress import Progress, ignore_progress
from ...api_core.texts import clean
from .. import host
from .families import chat_of, doubts, find_encoder, kind_of, template_of, why_silent
from .passes import Passes, Picked, Row
from .places import Places, find_places
from .tap import one_at_a_time, tapping
from .texts import PICTURE, Texts

MAX_PIXELS = 1 << 20
"""Of a picture, as ComfyUI's own nodes for editing show it."""
DEFAULT_NEW_TOKENS = 256
_BYTES_OF_NUMBER = 4
_SIGN = "\0"
_SMALLEST_CELL = 28 * 28  # pixels of an image token

_LIMITS: dict[Need, str] = {
    "gradients": (
        "it needs gradients, which weights loaded by ComfyUI do not give. Choose rise, difference or attention, or use "
        "Load LVLM."
    ),
    "second passes": (
        "it reads the prompt twice for every word, for which ComfyUI's own loop has no place. Choose greedy or sample, "
        "or use Load LVLM."
    ),
    "the upstream reading": (
        "The upstream reading repeats what published code does with models of transformers. Choose precise, or use "
        "Load LVLM."
    ),
}

_places: WeakKeyDictionary[Any, dict[tuple[int, int], Places]] = WeakKeyDictionary()
"""By the module that clones of a CLIP share: plain data, and places do not depend on weights."""


@dataclass(frozen=True)
class NativePrepared(Prepared):
    """Cases as ComfyUI's tokeniser makes them. row_tokens: of each case."""

    row_tokens: tuple[Row, ...] = ()


class NativeLvlm:
    """One CLIP with eyes, for one run of a node. Cases are read and answered one by one."""

    cases_at_once = 1

    def __init__(self, clip: Any) -> None:
        found = find_encoder(clip)
        if found is None:
            raise UnsupportedModel(
                f"This CLIP is a text encoder without eyes ({kind_of(clip)}). Connect a vision-language one (Qwen3-VL, "
                "Qwen3.5, Gemma 3 or 4 with vision), or use Load LVLM."
            )
        self._clip, self._encoder = clip, found
        self._chat, self._texts = chat_of(found), Texts(clip)
        self.silent = why_silent(found)
        self._passes = Passes(clip, found, self._texts, answers=not self.silent)
        self.warnings = () if self.silent else doubts(found)
        self.name = found.name

    @property
    def device(self) -> torch.device:
        """Where ComfyUI runs it."""
        return torch.device(self._clip.patcher.load_device)

    @property
    def depth(self) -> int:
        """Number of decoder layers."""
        return len(self._encoder.layers)

    @property
    def seeing_layers(self) -> tuple[int, ...]:
        """The layers with attention that is not limited to a window."""
        return tuple(
            at
            for at, layer in enumerate(self._encoder.layers)
            if hasattr(layer, "self_attn") and not getattr(layer, "sliding_attention", False)
        )

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        own = {self._texts.special[mark] for mark in (self._chat.end,) if mark in self._texts.special}
        return frozenset(own | {int(token) for token in getattr(self._encoder.config, "stop_tokens", None) or ()})

    def why_not(self, need: Need) -> str:
        """See `VisionLanguageModel`."""
        return self.silent if need == "answers" else _LIMITS.get(need, "")

    def why_unread(self, layer: int) -> str:
        """What to say where a layer's attention was not seen."""
        return (
            f"The attention of {self.name} could not be seen in layer {layer} (compiled, or patched by another pack?). "
            f"Remove that from the CLIP, choose among the layers {', '.join(map(str, self.seeing_layers))}, or use "
            "Load LVLM."
        )

    def resolve_layers(self, layers: Sequence[int] | None = None) -> tuple[int, ...]:
        """See `VisionLanguageModel`."""
        found = resolve_layers(self.name, layers, self.depth, self.seeing_layers, (round(RELATIVE_LAYER * self.depth),))
        blind = [layer for layer in found if not hasattr(self._encoder.layers[layer], "self_attn")]
        if blind:
            raise InvalidInput(
                f"Layer {blind[0]} of {self.name} has no attention to read. Choose among "
                f"{', '.join(map(str, self.seeing_layers))}."
            )
        return found

    def prepare(self, cases: Sequence[Case], *, with_places: bool = True, thinking: bool = False) -> NativePrepared:
        """See `VisionLanguageModel`."""
        if not cases:
            raise InvalidInput("There is nothing to ask about. Give at least one picture and a question.")
        made = [self._prepared(case, with_places, thinking) for case in cases]
        prompts, rows, tokens = zip(*made, strict=True)
        return NativePrepared({}, rows, tuple(cases), prompts, thinking, tokens)

    def _prepared(self, case: Case, with_places: bool, thinking: bool) -> tuple[str, PromptRow, Row]:
        if case.turns:
            raise UnsupportedModel(f"{self.name} is asked one question at a time, not in a conversation.")
        clean = replace(
            case,
            question=self._texts.escape(case.question.strip()),
            system_prompt=self._texts.escape(case.system_prompt.strip()),
            opening=self._texts.escape(case.opening),
        )
        prompt = self._write(clean, thinking)
        shown = [self._shown(picture) for picture in case.pictures]
        tokens = self._texts.tokenise(prompt, shown)
        places = [self._places(prompt, picture) for picture in shown]
        ids: list[int] = []
        layouts: list[PictureLayout] = []
        for entry in tokens:
            if isinstance(entry[0], dict):
                number = len(layouts)
                size = (case.pictures[number].shape[0], case.pictures[number].shape[1])
                layouts.append(places[number].layout(len(ids), size))
                ids += [PICTURE] * places[number].count
            else:
                ids.append(entry[0])
        require_context(self.name, self._encoder.config, [clean], [ids], (PICTURE,))
        # Its words may be the chat's own, such as "assistant": so a sign that nothing else holds tells its place.
        marked = replace(clean, question=_SIGN, system_prompt=clean.system_prompt.replace(_SIGN, " "))
        start = self._write(marked, thinking).index(_SIGN)
        question = (start, start + len(clean.question))
        words = locate_words(self._texts, ids, prompt, question, self._texts.skipped)
        return (
            prompt,
            PromptRow(len(ids), 0, words, tuple(layouts) if with_places else None),
            Row(tuple(tokens), len(ids)),
        )

    def _write(self, case: Case, thinking: bool) -> str:
        if self.silent:
            return template_of(self._clip.tokenizer, case)
        return self._chat.write(case, thinking)

    def _shown(self, picture: Tensor) -> Tensor:
        """A picture as it is handed over: not too large, and square where its sides would be cut off."""
        small = downscale_to(picture.to("cpu", torch.float32), MAX_PIXELS)
        height, width = small.shape[:2]
        if not self._chat.squash or height == width:
            return small
        side = max(1, round(math.sqrt(height * width)))
        return F.interpolate(small.permute(2, 0, 1)[None], (side, side), mode="area")[0].permute(1, 2, 0)

    def _places(self, prompt: str, picture: Tensor) -> Places:
        known = _places.setdefault(self._clip.cond_stage_model, {})
        size = (picture.shape[0], picture.shape[1])
        if size not in known:
            with one_at_a_time, host.running(self._clip):
                known[size] = find_places(
                    self._encoder.transformer,
                    lambda probe: self._texts.picture_entry(prompt, probe)[1],
                    picture,
                    self.device,
                )
        return known[size]

    def generate(
        self,
        prepared: Prepared,
        *,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        sampling: Sampling | None = None,
        around: Around | None = None,
        on_token: OnToken | None = None,
        on_progress: Progress = ignore_progress,
    ) -> list[Reply]:
        """See `VisionLanguageModel`. Each token is reported as ComfyUI's loop picks it."""
        require(self, "answers")
        if max_new_tokens < 1:
            raise InvalidInput(f"max_new_tokens must be 1 or more, not {max_new_tokens}.")
        if around is not None:
            require(self, "second passes", "This decoding")
        count = len(prepared)
        replies = []
        for row, (tokens, prompt) in enumerate(zip(self._tokens(prepared), prepared.prompts, strict=True)):

            def report(done: int, row: int = row) -> None:
                on_progress(row * max_new_tokens + done, count * max_new_tokens)

            def show(text: str, row: int = row) -> None:
                if on_token is not None:
                    on_token(row, text)

            report(0)
            seed = prepared.cases[row].seed
            draw = sampling if sampling is None or seed is None else replace(sampling, seed=seed)
            picked = Picked(self.incremental_decoder(), draw, show, report)
            ids = self._passes.answer(tokens, max_new_tokens, draw, picked)
            chances = picked.log_probabilities(ids)
            if chances is None:  # a loop that picks its tokens out of sight
                chances = self._passes.log_likelihoods(tokens, ids, range(len(ids)))
            replies.append(self.reply_of(ids, chances.tolist(), inside_thinking=opens_thinking(prompt)))
        on_progress(count * max_new_tokens, count * max_new_tokens)
        return replies

    def incremental_decoder(self) -> Any:
        """What spells its tokens out as they come; marks of thinking are left in."""
        return self._texts.incremental_decoder(self.ends)

    def reply_of(
        self, token_ids: Sequence[int], log_probabilities: Sequence[float] = (), *, inside_thinking: bool = False
    ) -> Reply:
        """See `VisionLanguageModel`."""
        decoder = self.incremental_decoder()
        return parse_reply(decoder, token_ids, log_probabilities, ends=self.ends, inside_thinking=inside_thinking)

    def reply_of_text(self, text: str) -> Reply:
        """See `VisionLanguageModel`."""
        return self.reply_of(self.encode_answer(text))

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """See `VisionLanguageModel`: what is more in a prompt with the answer than in the prompt."""
        prompt = self._chat.write(Case((), "What is in the picture?"), False)
        before, after = (self._texts.encode(one) for one in (prompt, prompt + self._texts.escape(clean(text.strip()))))
        end = self._texts.special.get(self._chat.end)
        tokens = (*after[len(before) :], *(() if end is None else (end,)))
        return fitting_answer(self.name, self._encoder.config, text, tokens)

    @contextmanager
    def reading(self, layers: Sequence[int], read: Read, enter: Enter | None = None) -> Iterator[None]:
        """See `VisionLanguageModel`."""
        blocks = self._encoder.layers
        with tapping({layer: blocks[layer] for layer in layers}, read, enter):
            yield

    def read_once(self, prepared: Prepared, replies: Sequence[Reply]) -> None:
        """See `VisionLanguageModel`."""
        for tokens, reply in zip(self._tokens(prepared), replies, strict=True):
            self._passes.run(tokens.followed_by(reply.token_ids[:-1]))

    def log_likelihoods(self, prepared: Prepared, token_ids: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """See `VisionLanguageModel`."""
        require(self, "answers")
        return torch.stack([self._passes.log_likelihoods(row, token_ids, tokens) for row in self._tokens(prepared)])

    def estimate_memory(self, pixels: int, max_new_tokens: int) -> int:
        """About the bytes that one case of so many pixels takes beside the weights: cache, mask and scores."""
        config = self._encoder.config
        length = min(pixels, MAX_PIXELS) // _SMALLEST_CELL + 512 + max_new_tokens
        width = getattr(config, "head_dim", 128) * getattr(config, "num_key_value_heads", 8)
        numbers = 2 * self.depth * length * width + 3 * length**2 + 16 * length * config.hidden_size
        return _BYTES_OF_NUMBER * (numbers + 4 * config.vocab_size)

    def _tokens(self, prepared: Prepared) -> tuple[Row, ...]:
        assert isinstance(prepared, NativePrepared), "prepared by another model"
        return prepared.row_tokens
