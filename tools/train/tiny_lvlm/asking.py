"""Questions about the bank's pictures as packed tokens, in many wordings, some with text around them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from api_core.scenes import COLOURS, SHAPES
from api_core.scenes.captions import COLOUR_NAMES, OPEN_NOUNS, SHAPE_NOUNS, plural
from api_core.scenes.questions import NUMBER_WORDS, QUESTION_KINDS, SIDES, Question, ask

from ..wordings import QUESTION_WORDINGS
from .bank import GRID, SceneBank
from .network import Packed
from .words import AROUND, END, IMAGE, SPECIAL, START, SYSTEM_PROMPTS, UNKNOWN, split_words, word_list

KINDS = (*QUESTION_KINDS, "describe")
QUOTA = {
    "colour": 3,
    "shape": 2,
    "exist": 2,
    "verify": 2,
    "count": 4,
    "where": 2,
    "relation": 3,
    "compare": 4,
    "describe": 2,
}
COVERED = 51  # of 255: from this share on a patch shows the object
_WORDS = {word: number for number, word in enumerate(word_list())}
_PLAIN = [word for word in _WORDS if word not in SPECIAL]
_ANSWERS = (*COLOURS, *SHAPES, *NUMBER_WORDS, *SIDES, "yes", "no")
_SHAPE_NOUNS = {form for names in SHAPE_NOUNS.values() for name in names for form in (name, plural(name))}
_OPEN_NOUNS = {form for name in OPEN_NOUNS for form in (name, plural(name))}
_COLOUR_NAMES = {name for names in COLOUR_NAMES.values() for name in names}
_ENDS = [_WORDS[word] for word in split_words("ASSISTANT:")]
_END_WEIGHT = 0.2
_LONGEST = 224  # tokens of questions a picture: what does not fit is left out, so that batches hold little filling


@dataclass(frozen=True)
class Asking:
    """How questions are asked: `varied` wordings, the shares with text around, odd words before, a system prompt."""

    varied: bool = True
    around: float = 0.15
    odd: float = 0.08
    system: float = 0.25
    quota: tuple[tuple[str, int], ...] = tuple(QUOTA.items())


PLAIN = Asking(varied=False, around=0.0, odd=0.0, system=0.0, quota=tuple((kind, 1) for kind in KINDS))


def numbers_of(text: str) -> list[int]:
    unknown = _WORDS[UNKNOWN]
    return [_WORDS.get(word, unknown) for word in split_words(text)]


def prompt_tokens(system: str = "") -> list[int]:
    """What precedes the question: start, system prompt, the user's name, the picture."""
    return [_WORDS[START], *numbers_of(f"{system} USER:"), *[_WORDS[IMAGE]] * (GRID * GRID)]


def draw_questions(bank: SceneBank, row: int, rng: np.random.Generator, asking: Asking) -> list[Question]:
    facts, wordings = bank.facts(row), QUESTION_WORDINGS if asking.varied else None
    found: dict[str, Question] = {}
    for kind, times in asking.quota:
        for _ in range(times):
            found |= {question.text: question for question in ask(facts, rng, (kind,), wordings)}
    questions = list(found.values())
    return [questions[int(i)] for i in rng.permutation(len(questions))] if asking.varied else questions


def with_text_around(text: str, rng: np.random.Generator, asking: Asking) -> str:
    if rng.random() < asking.around:
        former = _ANSWERS[int(rng.integers(len(_ANSWERS)))]
        text = AROUND[int(rng.integers(len(AROUND)))].format(q=text, p=former)
    if rng.random() < asking.odd:
        odd = [_PLAIN[int(i)] for i in rng.integers(0, len(_PLAIN), int(rng.integers(1, 7)))]
        odd = [word if rng.random() < 0.75 else "zyzzyva" for word in odd]
        text = f"{' '.join(odd)}. {text}"
    return text


@dataclass
class _Line:
    """The questions of one picture, one after the other, as lists (see `Packed`)."""

    words: list[int] = field(default_factory=list)
    block: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    about: list[tuple[int, ...]] = field(default_factory=list)
    nouns: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def add(self, question: Question, text: str) -> None:
        """Put `question`, worded `text`, behind the others, if there is room."""
        opening = [*numbers_of(text), *_ENDS]
        reply = [*numbers_of(question.answer), _WORDS[END]]
        start = len(self.words)
        if start + len(opening) + len(reply) > _LONGEST:
            return
        self.words += opening + reply[:-1]
        length = len(self.words) - start
        self.block += [len(self.questions)] * length
        self.step += range(length)
        self.rows += range(start + len(opening) - 1, start + length)
        self.target += reply
        self.about += _spoken_of(question, len(reply))
        self.nouns += [(start + token, objects) for token, objects in _nouns(question, opening)]
        self.questions.append(question)


def pack(
    bank: SceneBank, rows: np.ndarray, rng: np.random.Generator, asking: Asking
) -> tuple[Packed, list[list[Question]]]:
    """The questions of pictures `rows` as one batch (all with one system prompt), and the questions themselves."""
    system = ""
    if rng.random() < asking.system:
        system = SYSTEM_PROMPTS[int(rng.integers(len(SYSTEM_PROMPTS)))]
        system = system if rng.random() < 0.7 else with_text_around(system, rng, Asking(around=0.0, odd=1.0))
    asked = [draw_questions(bank, int(row), rng, asking) for row in rows]
    lines = [_Line() for _ in asked]
    for line, questions in zip(lines, asked, strict=True):
        for question in questions:
            line.add(question, with_text_around(question.text, rng, asking))
    # nothing is said at the nouns of the questions, but the guide tells them where to look
    places = [[*line.rows, *(token for token, _ in line.nouns)] for line in lines]
    longest = max(map(len, places))
    where = np.zeros((len(rows), longest, GRID * GRID), bool)
    weight = np.zeros((len(rows), longest), np.float32)
    for index, (row, line) in enumerate(zip(rows, lines, strict=True)):
        shown = bank.cover[int(row)].reshape(-1, GRID * GRID) > COVERED
        for place, objects in enumerate([*line.about, *(objects for _, objects in line.nouns)]):
            if objects:
                where[index, place] = shown[list(objects)].any(0)
        weight[index, : len(line.target)] = [_END_WEIGHT if t == _WORDS[END] else 1.0 for t in line.target]
    packed = Packed(
        prompt=torch.tensor(prompt_tokens(system)),
        words=_filled([line.words for line in lines], 0),
        block=_filled([line.block for line in lines], -1),
        step=_filled([line.step for line in lines], 0),
        rows=_filled(places, 0),
        target=_filled([line.target for line in lines], 0, longest),
        weight=torch.from_numpy(weight),
        where=torch.from_numpy(where),
    )
    return packed, [line.questions for line in lines]


def _nouns(question: Question, opening: list[int]) -> list[tuple[int, tuple[int, ...]]]:
    """The words of a question that name things, as places in `opening`, and the objects that each of them means."""
    text = split_words(question.text)
    start = _find(numbers_of(question.text), opening)
    nouns = [
        start + i
        for i, word in enumerate(text)
        if word in _SHAPE_NOUNS or (word in _OPEN_NOUNS and i > 0 and text[i - 1] in _COLOUR_NAMES)
    ]
    if question.kind in ("relation", "compare"):
        return (
            [(token, (each,)) for token, each in zip(nouns, question.objects, strict=False)] if len(nouns) == 2 else []
        )
    return [(nouns[0], question.objects)] if len(nouns) == 1 and question.objects else []


def _find(part: list[int], whole: list[int]) -> int:
    return next(i for i in range(len(whole)) if whole[i : i + len(part)] == part)


def _spoken_of(question: Question, length: int) -> list[tuple[int, ...]]:
    """For each token of the answer and its end the objects it speaks of."""
    if question.kind != "describe":
        return [question.objects] * length
    each = [(index,) for index in question.objects for _ in range(4)]  # "a red star and"
    return [*each[: length - 1], ()]


def _filled(values: list[list[int]], filling: int, length: int = 0) -> torch.Tensor:
    length = length or max(map(len, values))
    return torch.tensor([[*row, *[filling] * (length - len(row))] for row in values])
