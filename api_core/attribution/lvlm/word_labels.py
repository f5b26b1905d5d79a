"""Which rows belong to which words: the labels of a vision-language model's map, the whole first."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...choices import Reading
from ...errors import InvalidInput, quoted, shortened
from ...models.conversation.case import PromptRow, Reply, WordTokens
from ...models.conversation.token_text import word_spans
from ...results import Label
from .method import TokenRelevance

_NO_WORDS = "(no words)"
_LETTERS_SHOWN = 400


@dataclass(frozen=True)
class LabelledMaps:
    """labels: M of them, the whole first. values: float32 [M, n], over a case's image tokens. warnings: what is left
    out."""

    labels: tuple[Label, ...]
    values: Tensor
    warnings: tuple[str, ...] = ()


def label_maps(row: PromptRow, found: TokenRelevance, hints: Sequence[str], reading: Reading) -> LabelledMaps:
    """The mean of the rows of each word: of the whole, of every word of the question, of every word of the answer.

    The whole is what `hints` choose of the answer. Without hints it is all words of the answer, and in the upstream
    reading every generated token as in the official code: punctuation and the end token too. Without an answer it is
    all words of the question.
    """
    reply = found.reply
    if reply.token_ids:
        labels = [whole_label(reply, hints)]
        maps = [found.answer[whole_rows(reply, hints, reading)].mean(0)]
    else:
        labels = [Label(" ".join(word.text for word in row.question_words), "whole")]
        maps = [found.question.mean(0)]
    blind: list[str] = []
    for index, word in enumerate(row.question_words[: len(found.question)]):
        if not bool(found.question[index].any()):
            blind.append(word.text)
            continue
        # Counted without padding, so that a label does not depend on what else is in the batch.
        labels.append(Label(word.text, "question word", (word.first - row.padding, word.last - row.padding)))
        maps.append(found.question[index])
    for word in reply.words:
        labels.append(Label(word.text, "answer word", (word.first, word.last)))
        maps.append(found.answer[word.first : word.last].mean(0))
    names = ", ".join(repr(text) for text in dict.fromkeys(blind))
    warnings = (f"nothing of the picture is found for the question's {names}: left out of the map.",)
    return LabelledMaps(tuple(labels), torch.stack(maps), warnings if blind else ())


def whole_label(reply: Reply, hints: Sequence[str]) -> Label:
    """What the whole is called: the hint words, or the answer."""
    return Label(", ".join(hints) if hints else reply.text.strip() or _NO_WORDS, "whole")


def whole_rows(reply: Reply, hints: Sequence[str], reading: Reading) -> list[int]:
    """The rows, by index of the token they predict, whose mean is the map of the whole."""
    if hints:
        chosen = [word for hint in dict.fromkeys(hints) for word in find_words(reply.words, hint)]
    else:
        chosen = [] if reading == "upstream" else list(reply.words)
    rows = sorted({row for word in chosen for row in range(word.first, word.last)})
    return rows or list(range(len(reply.token_ids)))


def find_words(words: Sequence[WordTokens], phrase: str) -> list[WordTokens]:
    """The words of `phrase`, one after the other, wherever they occur among `words`: any case, whole words.

    Raises InvalidInput with the words that there are when it occurs nowhere.
    """
    wanted = [phrase[first:last].casefold() for first, last in word_spans(phrase)]
    texts = [word.text.casefold() for word in words]
    starts = [i for i in range(len(texts)) if wanted and texts[i : i + len(wanted)] == wanted]
    if not starts:
        known = list(dict.fromkeys(repr(word.text) for word in words))
        shown = shortened(", ".join(known), _LETTERS_SHOWN)
        raise InvalidInput(
            f"The answer has no {quoted(phrase)}. "
            + (f"Its words are: {shown}." if known else "It has no words. Ask otherwise, or allow more tokens.")
        )
    return [words[i] for start in starts for i in range(start, start + len(wanted))]
