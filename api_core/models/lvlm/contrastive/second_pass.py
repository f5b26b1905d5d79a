"""Contrastive decoding: a plain pass over a prompt, and a second one over a prompt that is weakened.

transformers' `generate` goes on as ever with the plain rows: it encodes the picture, places tokens and counts
positions, once. Only its decoder is called for both. The prompt goes through it twice, because what the second pass
may see can depend on where the first one looked; then both caches become one, and each further token is one call of
twice as many rows. The model's own head scores both, and what `generate` gets to see are the combined scores, so
picking, penalties, Stop and streaming know nothing of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from ....errors import UnsupportedModel
from ...conversation.case import Prepared, Reply
from ..attention.layer_recorder import LayerRows
from ..attention.recorder import AttentionRecorder, RecorderSettings
from ..model import LvlmModel
from .decoder_call import (
    EMBEDDINGS,
    MASK,
    all_seen,
    append_rows,
    cache_name,
    cache_of,
    concat_masks,
    duplicate_rows,
    earlier_positions,
    mask_out,
    row_count,
    token_count,
)

Attention = dict[int, Tensor]
"""By layer: what the prompt's last row gives to each image token, the heads' mean, float32 [n]."""


@dataclass(frozen=True)
class PromptState:
    """A batch of prompts as the decoder gets it, after the plain pass.

    arguments: of the decoder's call. columns: of each case, the positions of its image tokens, long [n]. attention: of
    each case, where a contrast pass asked for it.
    """

    prepared: Prepared
    arguments: dict[str, Any]
    columns: tuple[Tensor, ...]
    attention: tuple[Attention, ...]

    @property
    def embeddings(self) -> Tensor:
        """[B, S, C], of text and picture."""
        return cast(Tensor, self.arguments[EMBEDDINGS])


@dataclass(frozen=True)
class WeakenedPrompt:
    """The same batch for the second pass.

    arguments: those that differ. hidden: bool [B, S], the tokens that nothing looks at, in the prompt and later; None
    where all are seen. closed_up: whether tokens moved together, so that `hidden` says all of what is not seen;
    earlier: long [..., B], by how many positions later tokens stand earlier then.
    """

    arguments: dict[str, Any]
    hidden: Tensor | None = None
    closed_up: bool = False
    earlier: Tensor | None = None


class ContrastPass(Protocol):
    """What the second pass sees, and how the scores of both are combined. Used for one batch after another.

    needs_attention: whether what it sees depends on where the plain pass looks.
    """

    needs_attention: bool

    def begin(self, model: LvlmModel, prepared: Prepared) -> None:
        """Get ready for a batch, before the plain pass."""

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        """The prompts as the second pass gets them."""
        ...

    def combine_logits(self, plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        """From both passes' scores, float32 [B, V], of the step-th token (from 0) to those that tokens are picked
        from."""
        ...


@contextmanager
def contrastive_decoding(model: LvlmModel, contrast: ContrastPass, prepared: Prepared) -> Iterator[None]:
    """Whatever is generated of the prepared batch in this block is generated from two passes."""
    contrast.begin(model, prepared)
    decoder = model.family.decoder(model.module)
    head, owner = _head(model)
    passes = _TwoPasses(model, prepared, contrast, decoder)
    handles = [head.register_forward_pre_hook(passes.before_head), owner.register_forward_hook(passes.after_head)]
    try:
        with replaced_forward(decoder, passes.forward):
            yield
            passes.require_scored()
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Calls of a module go to `forward`; as before when the block ends."""
    own = vars(module).get("forward")
    cast(Any, module).forward = forward
    try:
        yield
    finally:
        if own is None:
            del cast(Any, module).forward
        else:
            cast(Any, module).forward = own


def all_image_positions(model: LvlmModel, prepared: Prepared) -> tuple[Tensor, ...]:
    """The positions of each row's image tokens, whether or not they lie somewhere in the picture: long [n]."""
    return tuple(model.family.positions_of_image_tokens(model.config, ids) for ids in prepared.inputs["input_ids"])


@dataclass
class _TwoPasses:
    """What happens in the decoder and at the head while one batch is answered."""

    model: LvlmModel
    prepared: Prepared
    contrast: ContrastPass
    decoder: nn.Module
    own_forward: Callable[..., Any] = field(init=False)
    steps: int = 0
    total: int = 0
    prompt: WeakenedPrompt | None = None
    cache: Any = None  # the second pass's own, where it could not be joined with the first one's
    waiting: Tensor | None = None  # what the second pass made of the last tokens, not scored yet
    scored: bool = False  # whether the head has scored it

    def __post_init__(self) -> None:
        self.own_forward = self.decoder.forward

    def forward(self, *args: Any, **arguments: Any) -> Any:
        """The decoder's call, made for both passes; gives what the plain one gives."""
        if args:
            raise UnsupportedModel(f"{self.model.name} calls its decoder in a way that cannot be followed.")
        self.require_scored()
        self.total += token_count(arguments)
        return self._prompt(arguments) if self.prompt is None else self._step(arguments, self.prompt)

    def _prompt(self, arguments: dict[str, Any]) -> Any:
        cache = cache_of(arguments)
        if cache is None or cache.get_seq_length() or EMBEDDINGS not in arguments:
            raise UnsupportedModel(f"{self.model.name} does not show its decoder the prompt in one piece.")
        columns = all_image_positions(self.model, self.prepared)
        if arguments[EMBEDDINGS].shape[:2] != self.prepared.inputs["input_ids"].shape:
            raise UnsupportedModel(f"{self.model.name} does not put its image tokens where the prompt has them.")
        further = copy.deepcopy(cache)
        if self.contrast.needs_attention:
            out, attention = self._look(arguments, columns)
        else:
            out, attention = self.own_forward(**arguments), ()
        self.prompt = self.contrast.weaken(PromptState(self.prepared, arguments, columns, attention))
        self.waiting = _states(self._weakened(arguments, self.prompt, further))
        if not append_rows(cache, further, row_count(arguments)):
            self.cache = further
        return out

    def _step(self, arguments: dict[str, Any], prompt: WeakenedPrompt) -> Any:
        if self.cache is not None:
            out = self.own_forward(**arguments)
            positions = earlier_positions(arguments, prompt.earlier, both=False)
            later = WeakenedPrompt({MASK: _mask_of_later(arguments, prompt), **positions}, prompt.hidden)
            self.waiting = _states(self._weakened(arguments, later, self.cache))
            return out
        both = duplicate_rows(arguments)
        both |= earlier_positions(arguments, prompt.earlier, both=True)
        if prompt.hidden is not None:
            seen = self._hiding(arguments, torch.zeros_like(prompt.hidden))
            weakened = {**arguments, MASK: _mask_of_later(arguments, prompt)}
            both[MASK] = concat_masks(seen, self._hiding(weakened, prompt.hidden))
        out = self.own_forward(**both)
        plain, self.waiting = _states(out).chunk(2)
        return _with_states(out, plain)

    def _weakened(self, arguments: dict[str, Any], prompt: WeakenedPrompt, cache: Any) -> Any:
        theirs = {**arguments, **prompt.arguments, str(cache_name(arguments)): cache}
        if prompt.hidden is not None:
            theirs[MASK] = self._hiding(theirs, prompt.hidden)
        return self.own_forward(**theirs)

    def _hiding(self, arguments: dict[str, Any], hidden: Tensor) -> Any:
        flat = "flash" in str(getattr(cast(Any, self.decoder).config, "_attn_implementation", ""))
        return mask_out(arguments.get(MASK), hidden, arguments, self.total, flat)

    def _look(self, arguments: dict[str, Any], columns: Sequence[Tensor]) -> tuple[Any, tuple[Attention, ...]]:
        """The plain pass over the prompt, and where its last row looks in every layer that shows it."""
        layers = self.model.family.readable_layers(self.model.module)
        if not layers:
            raise UnsupportedModel(
                f"{self.model.name} computes its attention in a way of its own that cannot be read. Choose another "
                "decoding, or another model."
            )
        recorder = AttentionRecorder(
            self.model,
            self.prepared,
            RecorderSettings(layers, False, _mean_of_heads, None),
            [1] * len(self.prepared),
            columns=columns,
            whole=True,
        )
        with recorder.recording():
            out = self.own_forward(**arguments)
        nothing_yet = Reply("", "", (0,), (), False)
        read = recorder.results([nothing_yet] * len(self.prepared))
        return out, tuple({layer: kept[0][0] for layer, kept in rows.answer.items()} for rows in read)

    def before_head(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Have the head score both passes' last rows."""
        if self.waiting is None:
            return None
        hidden = args[0]
        both = torch.cat([hidden, self.waiting[:, -hidden.shape[1] :].to(hidden)])
        self.waiting, self.scored = None, True
        return (both, *args[1:])

    def after_head(self, _: nn.Module, args: Any, output: Any) -> Any:
        """Give the combined scores of the last token."""
        if not self.scored:
            return None
        self.scored = False
        plain, weakened = output.logits[:, -1].float().chunk(2)
        output.logits = self.contrast.combine_logits(plain, weakened, self.steps).unsqueeze(1)
        self.steps += 1
        return output

    def require_scored(self) -> None:
        """Raise UnsupportedModel where the second pass went unheard."""
        if self.waiting is not None or self.scored:
            raise UnsupportedModel(
                f"{self.model.name} scores its words in a way that cannot be followed, so two passes cannot be "
                "compared. Choose greedy or sample decoding, or another model."
            )


def _mask_of_later(arguments: dict[str, Any], prompt: WeakenedPrompt) -> Any:
    """The mask of a later call for the second pass, before anything is hidden."""
    mask = arguments.get(MASK)
    return all_seen(mask) if prompt.closed_up else mask


def _mean_of_heads(rows: LayerRows) -> tuple[Tensor, ...]:
    return (rows.probabilities.mean(0),)


def _head(model: LvlmModel) -> tuple[nn.Module, nn.Module]:
    """What turns hidden states into scores, and the module that it belongs to, whose output has them in the end."""
    head = cast(Any, model.module).get_output_embeddings()
    owner = next((part for part in model.module.modules() if any(own is head for own in part.children())), None)
    if head is None or owner is None:
        raise UnsupportedModel(f"{model.name} does not say what scores its words. Choose greedy or sample decoding.")
    return head, owner


def _states(output: Any) -> Tensor:
    return cast(Tensor, output[0])


def _with_states(output: Any, states: Tensor) -> Any:
    if isinstance(output, tuple):
        return (states, *output[1:])
    output.last_hidden_state = states
    return output
