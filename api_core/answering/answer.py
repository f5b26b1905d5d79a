"""What came of asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..models.conversation.case import WordTokens
from ..results import Heatmap
from .kind import Decoding

if TYPE_CHECKING:
    from .calibrated.blind_tokens import BlindTokens


@dataclass(frozen=True)
class Answer:
    """An answer and how it was got.

    text: without the thinking, which stands apart and is empty for models that do not think aloud. question_as_sent:
    the question in its template. complete: whether the model ended the answer (False: the limit of tokens, or the
    server, did). token_ids, words: of a local model, as in Reply; a server tells neither. model: its name. notes: what
    went otherwise than asked, such as a setting that the server did not take.

    blind: the image tokens that were found blind, by a decoding that looks for them; blind_tokens: the same as a map of
    each picture of the prompt, None where the model's image tokens have no place in them.
    """

    text: str
    thinking: str
    question_as_sent: str
    decoding: Decoding
    complete: bool
    token_ids: tuple[int, ...] = ()
    words: tuple[WordTokens, ...] = ()
    model: str = ""
    notes: tuple[str, ...] = ()
    blind: BlindTokens | None = field(default=None, compare=False, repr=False)
    blind_tokens: Heatmap | None = field(default=None, compare=False, repr=False)
