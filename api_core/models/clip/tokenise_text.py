"""From words to features: what a tokenizer would misread is disarmed, and what does not fit is split, never lost."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import InvalidInput, shortened
from ...progress import Progress, ignore_progress
from ...texts import clean

LONGEST_TEXT = 20_000  # characters; four thousand words
_REMEMBERED = 64
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+")
_SPACE = re.compile(r"\s+")


class Tokenize(Protocol):
    """Texts to token ids [T, context_length], padded; longer texts are cut at the end (open_clip's tokenizers)."""

    def __call__(self, texts: list[str], context_length: int) -> Tensor: ...


class TextTokenizer:
    """Turns texts into token ids of one model.

    clean: what the tokenizer does to a text first. specials: literals that it would read as its own marks.
    """

    def __init__(
        self,
        tokenize: Tokenize,
        context_length: int,
        *,
        clean: Callable[[str], str] = str.strip,
        specials: Sequence[str] = (),
    ) -> None:
        self.tokenize = tokenize
        self.context_length = context_length
        self._clean = clean
        literals = sorted((special for special in specials if len(special) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, literals)), re.IGNORECASE) if literals else None
        self._padding: Tensor | None = None
        self._pieces: dict[str, list[str]] = {}

    @classmethod
    def of(cls, tokenizer: Any, context_length: int) -> "TextTokenizer":
        """Of a tokenizer of open_clip, of transformers, or a function like `Tokenize`."""
        if hasattr(tokenizer, "clean_fn"):
            inner = getattr(tokenizer, "tokenizer", None)
            specials = (
                [tokenizer.decoder[index] for index in tokenizer.all_special_ids]
                if inner is None
                else inner.all_special_tokens
            )
            length = min(context_length, tokenizer.context_length or context_length)
            return cls(tokenizer, length, clean=tokenizer.clean_fn, specials=specials)
        if hasattr(tokenizer, "all_special_tokens"):
            return cls(padded(tokenizer), context_length, specials=tokenizer.all_special_tokens)
        return cls(tokenizer, context_length)

    def clean(self, text: str) -> str:
        """The text as the tokenizer would clean it, with literals of its special tokens broken up.

        Cleaning may uncover such a literal (`&lt;end_of_text&gt;`), so it is repeated until nothing changes.
        """
        text = clean(text)
        for _ in range(8):
            cleaned = self._clean(text)
            if cleaned == text:
                break
            text = cleaned
        if self._special is not None:
            text = self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        if not text.strip():
            raise InvalidInput("The text is empty. Write what to look for in the picture.")
        return text

    def ids(self, texts: Sequence[str]) -> Tensor:
        """[T, context_length]; what does not fit is cut at the end."""
        return self.tokenize(list(texts), self.context_length)

    def fits(self, text: str) -> bool:
        """Whether the model can take the whole text: a longer context would begin with the same tokens."""
        longer = self.tokenize([text], self.context_length + 8)
        return torch.equal(self.ids([text]), longer[:, : self.context_length])

    def split(self, text: str, on_progress: Progress = ignore_progress) -> list[str]:
        """The text in pieces that each fit, at ends of sentences where there are any, else between words.

        Only as much of what is left is tokenised as may fit, so that the work grows with the text and not its square.
        on_progress: called with the letters that are done and those there are. The latest of several pieces are
        remembered.
        """
        if text in self._pieces:
            return self._pieces[text]
        cleaned = self.clean(text)
        if len(cleaned) > LONGEST_TEXT:
            raise InvalidInput(
                f"The text is {len(cleaned):,} characters long, and at most {LONGEST_TEXT:,} are looked for at once: "
                f"{shortened(cleaned)!r}. Write what to look for; a thing works better than a long text."
            )
        pieces: list[str] = []
        start = 0
        while start < len(cleaned):
            on_progress(start, len(cleaned))
            rest = cleaned[start : self._beyond(cleaned, start)]
            end = len(rest) if start + len(rest) == len(cleaned) and self.fits(rest) else self._first_piece(rest)
            pieces.append(rest[:end].rstrip())
            start += end
        if len(pieces) > 1:
            self._pieces[text] = pieces
            if len(self._pieces) > _REMEMBERED:
                del self._pieces[next(iter(self._pieces))]
        return pieces

    def _beyond(self, text: str, start: int) -> int:
        """A place in the text that what fits, from `start` on, ends before; or the end of the text."""
        reach = 2 * self.context_length
        while start + reach < len(text) and self.fits(text[start : start + reach]):
            reach *= 2
        # A word that is cut may be more tokens than the whole word, so a little further might fit again.
        return min(len(text), start + 2 * reach)

    def _first_piece(self, text: str) -> int:
        for gap in (_SENTENCE_END, _SPACE):
            if (end := self._longest(text, [match.end() for match in gap.finditer(text)])) is not None:
                return end
        return self._longest(text, list(range(1, len(text)))) or 1

    def _longest(self, text: str, ends: list[int]) -> int | None:
        """The last of the rising `ends` up to which the text fits."""
        count = bisect_left(ends, True, key=lambda end: not self.fits(text[:end].rstrip()))
        return ends[count - 1] if count else None

    def crop(self, ids: Tensor) -> Tensor:
        """Drop the padding that all rows [T, context_length] end with, but for one token (it may be the end mark)."""
        if self._padding is None:
            self._padding = self.ids(["a"])[0, -1]
        used = (ids != self._padding).any(dim=0).nonzero()
        return ids[:, : int(used.max()) + 2]


def padded(tokenizer: Any) -> Tokenize:
    """A transformers tokenizer as `Tokenize`."""

    def tokenize(texts: list[str], context_length: int) -> Tensor:
        encoded = tokenizer(
            texts, padding="max_length", truncation=True, max_length=context_length, return_tensors="pt"
        )
        return encoded["input_ids"]

    return tokenize


def merge(features: Tensor) -> Tensor:
    """One unit-norm feature [e] for a text encoded in pieces [P, e], each of unit norm: their mean, normalised."""
    mean = features.mean(dim=0)
    return mean / mean.norm().clamp_min(torch.finfo(mean.dtype).tiny)
