"""The decoding loop. transformers' `generate` makes the steps (caches, positions and masks are each family's own
business there); what token follows is picked here, so a step and the picking of a token can be changed apart.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ....autograd import frozen, without_autocast
from .sampling import Pick

Step = Callable[[list[int | None]], None]
"""Called after every step with each row's new token, None for rows that have ended; raising from it stops the work."""


class _Picker:
    """Stands last among transformers' score processors: records what `pick` takes, and leaves it no other choice.

    A row ends with one of `ends`; it then gets tokens that nobody reads until all rows have ended.
    """

    def __init__(self, pick: Pick, ends: frozenset[int], rows: int, on_step: Step) -> None:
        self.tokens: list[list[int]] = [[] for _ in range(rows)]
        self._pick = pick
        self._ends = ends
        self._on_step = on_step

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        picked = self._pick(scores.float())
        new: list[int | None] = []
        for row, token in zip(self.tokens, picked.tolist(), strict=True):
            ended = bool(row) and row[-1] in self._ends
            new.append(None if ended else token)
            if not ended:
                row.append(token)
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
) -> list[tuple[int, ...]]:
    """The tokens that follow each row of `inputs`, the end token included where there is one.

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
    return [tuple(row) for row in picker.tokens]


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
