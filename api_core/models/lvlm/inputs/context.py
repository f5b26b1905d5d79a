"""How many tokens a model reads at most, and what is said of longer texts before any work is done."""

from collections.abc import Container, Sequence
from typing import Any

from ....errors import InvalidInput, quoted
from ...conversation.case import Case

_TEMPLATE = 256
"""Tokens that a chat template may have of its own."""


def require_context(
    name: str, context: int, cases: Sequence[Case], ids: Sequence[Sequence[int]], pictures: Container[int]
) -> None:
    """Raise InvalidInput for prompts that their texts make too long for a model.

    context: see `context_of`. ids: theirs, of which `pictures` stand for parts of pictures, or are none. Some models'
    pictures alone are more than their configuration says: there only a text that is so by itself is refused.
    """
    tokens, placed = len(ids[0]), max(sum(token in pictures for token in row) for row in ids)
    room = context - placed if placed + _TEMPLATE <= context else context
    if not context or tokens - placed <= room:
        return
    longest = max((text for case in cases for text in (case.question, case.system_prompt, case.opening)), key=len)
    raise InvalidInput(
        f"The prompt is {tokens:,} tokens long, {placed:,} of them for pictures, and {name} reads at most {context:,}. "
        f"Shorten the text {quoted(longest)}, which has {len(longest):,} letters."
    )


def fitting_answer(name: str, context: int, text: str, tokens: Sequence[int]) -> tuple[int, ...]:
    """The tokens of an answer; InvalidInput where no prompt has room for them."""
    if context and len(tokens) >= context:
        raise InvalidInput(
            f"The answer {quoted(text)} is {len(tokens):,} tokens long, and {name} reads at most {context:,} together "
            f"with the question. Shorten it; it has {len(text):,} letters."
        )
    return tuple(tokens)


def context_of(config: Any) -> int:
    """The tokens that a model of this configuration was made for; 0 where it does not say."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(text, "max_position_embeddings", 0) or 0)
