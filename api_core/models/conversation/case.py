"""What is put before a vision-language model, and what it says: plain values, no model inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from ...errors import InvalidInput, shortened
from ...results import Box
from ...texts import clean


@dataclass(frozen=True)
class Turn:
    """What was said in one turn, in order: texts, and None for each picture, which is the next of the case's."""

    role: Literal["user", "assistant"]
    parts: tuple[str | None, ...]

    def rewritten(self, change: Callable[[str], str]) -> Turn:
        """With every text changed alike."""
        return Turn(self.role, tuple(part if part is None else change(part) for part in self.parts))


@dataclass(frozen=True)
class Case:
    """One conversation: its pictures in order, float32 [H, W, 3] in 0..1, and the texts.

    `opening` is a beginning of the answer that is put into the model's mouth. `seed` is of the chance in its answer,
    where it is not the seed of all. `turns` is the whole conversation where it is more than the pictures and then the
    question, which is its last text; models that chat take it.
    """

    pictures: tuple[Tensor, ...]
    question: str
    system_prompt: str = ""
    opening: str = ""
    seed: int | None = None
    turns: tuple[Turn, ...] = ()

    def __post_init__(self) -> None:
        for name in ("question", "system_prompt", "opening"):
            object.__setattr__(self, name, clean(getattr(self, name)))
        object.__setattr__(self, "turns", tuple(turn.rewritten(clean) for turn in self.turns))
        if not self.question.strip():
            raise InvalidInput("The question is empty. Write what you want to know about the picture.")
        said = [part for turn in self.turns for part in turn.parts]
        texts = [part for part in said if part is not None]
        if self.turns and (texts[-1:] != [self.question] or len(said) - len(texts) != len(self.pictures)):
            raise InvalidInput(
                f"A conversation ends with the question and shows each of its pictures once; it ends with "
                f"{shortened((texts or [''])[-1])!r} and shows {len(said) - len(texts)} of {len(self.pictures)}."
            )
        for picture in self.pictures:
            if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != torch.float32:
                raise InvalidInput(
                    f"A picture must be float32 [H, W, 3] in 0..1, not {picture.dtype} {list(picture.shape)}."
                )

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """The turns; of a question alone, the one that shows the pictures and asks it."""
        return self.turns or (Turn("user", (*(None for _ in self.pictures), self.question)),)

    def rewritten(self, change: Callable[[str], str]) -> Case:
        """With every text of its turns, and the question, changed alike."""
        turns = tuple(turn.rewritten(change) for turn in self.turns)
        return replace(self, question=change(self.question), turns=turns)

    def with_system_folded(self) -> Case:
        """With the system prompt before the first text, for models that have no other place for it."""
        folded = replace(self, system_prompt="")
        if not self.turns:
            return folded.asking(f"{self.system_prompt}\n\n{self.question}")
        first, *further = self.turns
        return replace(folded, turns=(Turn(first.role, (self.system_prompt, *first.parts)), *further))

    def asking(self, question: str) -> Case:
        """With another question, its last text."""
        if not self.turns:
            return replace(self, question=question)
        *before, last = self.turns
        at = max(index for index, part in enumerate(last.parts) if part is not None)
        asked = Turn(last.role, (*last.parts[:at], question, *last.parts[at + 1 :]))
        return replace(self, question=question, turns=(*before, asked))


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
    nobody told them. spelled: what each token wrote, a letter of several with the first, and the log of its
    probability; of a model on this machine that wrote the answer itself.
    """

    text: str
    thinking: str
    token_ids: tuple[int, ...]
    words: tuple[WordTokens, ...]
    complete: bool
    confidence: float | None = field(default=None, compare=False)
    spelled: tuple[tuple[str, float], ...] = field(default=(), compare=False, repr=False)
