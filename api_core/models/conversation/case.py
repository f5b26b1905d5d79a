"""What is put before a vision-language model, and what it says: plain values, no model inside."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...errors import InvalidInput
from ...results import Box
from ...texts import clean


@dataclass(frozen=True)
class Case:
    """One conversation: its pictures in order, float32 [H, W, 3] in 0..1, and the texts.

    `opening` is a beginning of the answer that is put into the model's mouth. `seed` is of the chance in its answer,
    where it is not the seed of all.
    """

    pictures: tuple[Tensor, ...]
    question: str
    system_prompt: str = ""
    opening: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("question", "system_prompt", "opening"):
            object.__setattr__(self, name, clean(getattr(self, name)))
        if not self.question.strip():
            raise InvalidInput("The question is empty. Write what you want to know about the picture.")
        for picture in self.pictures:
            if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != torch.float32:
                raise InvalidInput(
                    f"A picture must be float32 [H, W, 3] in 0..1, not {picture.dtype} {list(picture.shape)}."
                )


@dataclass(frozen=True)
class TokenGrid:
    """One grid of image tokens and the rectangle of the picture that it covers.

    tokens: long [h, w], each cell's position in its row of the input ids (padding counted). valid: bool [h, w], the
    cells that saw picture and not padding. box: in picture pixels; it may pass the picture's edge.
    """

    tokens: Tensor
    valid: Tensor
    box: Box


@dataclass(frozen=True)
class PictureLayout:
    """Where the tokens of one picture come from: its grids (tiles, thumbnail, crops), and tokens without a place.

    Together they are every image token of that picture, each once.
    """

    size: tuple[int, int]
    grids: tuple[TokenGrid, ...]
    unplaced: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    @property
    def positions(self) -> Tensor:
        """Every image token of the picture, in order: long [n]."""
        return torch.cat([*(grid.tokens.flatten() for grid in self.grids), self.unplaced]).sort().values


@dataclass(frozen=True)
class WordTokens:
    """A stretch of text and the tokens it stands in: [first, last) in the row (or in the answer's own tokens)."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class PromptRow:
    """One case as the model reads it. length: tokens of the prompt, padding counted; padding: tokens before it.

    question_words: the words of the question in the row's tokens. layouts: of each picture, in order; None for a model
    whose image tokens have no place in the picture.
    """

    length: int
    padding: int
    question_words: tuple[WordTokens, ...]
    layouts: tuple[PictureLayout, ...] | None


@dataclass(frozen=True)
class Prepared:
    """Cases as one left-padded batch: what the processor made (CPU), and what is known of each row.

    prompts: the text of each row as the model reads it, with one placeholder for each picture. thinking: whether a
    model that can choose was told to think first.
    """

    inputs: dict[str, Tensor]
    rows: tuple[PromptRow, ...]
    cases: tuple[Case, ...]
    prompts: tuple[str, ...] = ()
    thinking: bool = False

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Reply:
    """An answer: its text without special tokens, the thinking apart, and the tokens as they were generated.

    token_ids: all of them, the end token included when there is one. words: the answer's words in `token_ids`.
    complete: whether the model ended it (False: the limit of tokens did). confidence: the product of the probabilities
    of the answer's tokens, its end included where it is known, the thinking not; 0 of an empty answer; None where
    nobody told them.
    """

    text: str
    thinking: str
    token_ids: tuple[int, ...]
    words: tuple[WordTokens, ...]
    complete: bool
    confidence: float | None = field(default=None, compare=False)
