"""The decoding loop. transformers' `generate` makes the steps (caches, positions and masks are each family's own
business there); what token follows is picked here, so a step and the picking of a token can be changed apart.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ....autograd import frozen, without_autocast
from ....errors import UnsupportedModel
from .sampling import Pick

Step = Callable[[list[int | None]], None]
"""Called after every step with each row's new token, None for rows that have ended; raising from it stops the work."""


class Written(NamedTuple):
    """What a row was answered with: its tokens, the end token included where there is one, and of each the log of
    its probability by the scores that it was picked from."""

    token_ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]


_BROKEN = (
    "The model's scores for the next word are no finite numbers, so none can be picked. In half precision a model may "
    "come to that: load it with precision bf16 or fp32. With a decoding that weighs two readings, lower its weights."
)


class _Picker:
    """Stands last among transformers' score processors: records what `pick` takes, and leaves it no other choice.

    A row ends with one of `ends`; it then gets tokens that nobody reads until all rows have ended.
    """

    def __init__(self, pick: Pick, ends: frozenset[int], rows: int, on_step: Step) -> None:
        self.tokens: list[list[int]] = [[] for _ in range(rows)]
        self.log_probabilities: list[list[float]] = [[] for _ in range(rows)]
        self._pick = pick
        self._ends = ends
        self._on_step = on_step

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        precise = scores.float()
        picked = self._pick(precise)
        likely = (precise.gather(1, picked[:, None])[:, 0] - precise.logsumexp(-1)).tolist()
        new: list[int | None] = []
        for row, told, token, value in zip(self.tokens, self.log_probabilities, picked.tolist(), likely, strict=True):
            ended = bool(row) and row[-1] in self._ends
            new.append(None if ended else token)
            if not ended:
                if not math.isfinite(value):
                    raise UnsupportedModel(_BROKEN)
                row.append(token)
                told.append(value)
        self._on_step(new)
        return torch.full_like(scores, float("-inf")).scatter_(1, picked[:, None], 0.0)


def decode(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    pick: Pick,
    *,
    max_new_tokens: int,
    ends: frozenset[int],
    pad: int,
    on_step: Step,
) -> list[Written]:
    """The tokens that follow each row of `inputs`.

    inputs: left-padded, on the module's device and in its precision. The scores that `pick` gets are the model's own,
    after what its generation settings do to them (a repetition penalty, forbidden tokens).
    """
    from transformers import LogitsProcessorList

    rows = len(inputs["input_ids"])
    picker = _Picker(pick, ends, rows, on_step)
    generate: Any = module.generate
    with frozen(), without_autocast(inputs["input_ids"].device.type):
        generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            eos_token_id=sorted(ends) or None,
            pad_token_id=pad,
            disable_compile=True,
            return_dict_in_generate=False,
            logits_processor=LogitsProcessorList([picker]),
        )
    return [Written(tuple(row), tuple(told)) for row, told in zip(picker.tokens, picker.log_probabilities, strict=True)]


def end_tokens(module: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer: what the generation settings say, else the configuration and the tokenizer."""
    for holder in (getattr(module, "generation_config", None), *_configs(module), tokenizer):
        found = getattr(holder, "eos_token_id", None)
        if found is not None:
            return frozenset(int(token) for token in (found if isinstance(found, Sequence) else [found]))
    return frozenset()


def pad_token(module: Any, tokenizer: Any, ends: frozenset[int]) -> int:
    """The token that fills rows which have ended; it is never read."""
    for holder in (getattr(module, "generation_config", None), tokenizer):
        found = getattr(holder, "pad_token_id", None)
        if found is not None:
            return int(found)
    return min(ends, default=0)


def _configs(module: Any) -> list[Any]:
    config = module.config
    return [config.get_text_config(), config]
