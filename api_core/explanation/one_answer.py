"""One answer explained: its tokens, its map, the maps of its words, and the curves that judge it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..choices import Baseline
from ..errors import InvalidInput
from ..models.conversation.case import Case, Reply
from ..models.lvlm.model import LvlmModel
from ..progress import Progress
from ..results import Box, Label, PictureMap, View
from ..settings import MaskDefaults, Number
from .baselines import baseline_picture
from .contrast import ContrastSubject, differing, other_reply
from .faithfulness import Faithfulness, measure
from .lvlm_subject import AnswerSubject
from .method import Explaining, ExplanationMethod, Found
from .result import Explanation, why_not
from .room import blends_at_once, with_room
from .tokens import Evidence, chosen_words, tokens_of_words, weigh, weigh_against

PART = "importance"
DEFAULTS = MaskDefaults(contrast=1.0, smoothing=1)
"""Of these maps: they are small and smooth as they come, and a model's own contrast would leave no shades of them."""
_CURVES = 0.3  # of the work


@dataclass(frozen=True)
class Wanted:
    """What `explain` was asked for one case; answer and instead_of are texts."""

    answer: str | None
    instead_of: str | None
    words: Sequence[str]
    per_word: bool
    method: ExplanationMethod
    settings: Mapping[str, Number]
    baselines: tuple[Baseline, Baseline | None]
    steps: int
    max_new_tokens: int
    seed: int
    on_progress: Progress
    on_preview: Callable[[Tensor], None]


def explain_one(model: LvlmModel, case: Case, wanted: Wanted) -> Explanation:
    """See `explain`."""
    reply = _reply(model, case, wanted)
    every = tokens_of_words(reply)
    if not every:
        raise InvalidInput(f"The answer {reply.text!r} has no words to explain. Ask otherwise, or allow more tokens.")
    hidden = baseline_picture(case.pictures[0], wanted.baselines[0], wanted.seed)
    all_words = AnswerSubject(model, case, hidden, reply.token_ids, every)
    instead = (wanted.instead_of or "").strip()
    other = other_reply(model, reply, instead) if instead else None
    subject, evidence = with_room(model, 1, lambda _: _subject(all_words, reply, other, wanted.words))
    if not evidence.tokens:
        found = Found(torch.zeros(2, 2))
        made = _map(model, case, wanted, [(Label(reply.text, "whole"), found)], (why_not(reply, other, evidence),))
        return Explanation(made, reply, evidence, other=other)
    given = Explaining(
        model=model,
        case=case,
        reply=reply,
        subject=subject,
        other=other,
        baseline=hidden,
        settings=wanted.settings,
        seed=wanted.seed,
        chunk=blends_at_once(model, subject),
        on_progress=wanted.on_progress,
        on_preview=wanted.on_preview,
    )
    maps = _find_maps(given, reply, evidence, wanted)
    found = maps[0][1]
    faithful = _judge(given, found.importance, wanted)
    made = _map(model, case, wanted, maps, _doubts(faithful))
    totals = (sum(one.evaluations for _, one in maps), sum(one.gradients for _, one in maps))
    return Explanation(made, reply, evidence, faithful, *totals, other)


def _reply(model: LvlmModel, case: Case, wanted: Wanted) -> Reply:
    if wanted.answer is not None and wanted.answer.strip():
        return model.reply_of(model.encode_answer(wanted.answer.strip()))

    def report(done: int, total: int) -> None:
        wanted.on_progress(0, 1)

    prepared = model.prepare([case], with_places=False)
    (reply,) = model.generate(prepared, max_new_tokens=wanted.max_new_tokens, on_progress=report)
    return reply


def _subject(
    every: AnswerSubject, reply: Reply, other: Reply | None, words: Sequence[str]
) -> tuple[AnswerSubject | ContrastSubject, Evidence]:
    """What is explained, and the evidence for it; without tokens in the evidence the subject is not used."""
    if other is None:
        evidence = weigh(every, reply, words)
        return every.of(reply.token_ids, evidence.tokens) if evidence.tokens else every, evidence
    differ, others = differing(reply, other)
    chosen = chosen_words(reply, words)
    own = differ
    if chosen is not None:
        own = tuple(i for n in sorted(chosen) for i in range(reply.words[n].first, reply.words[n].last))
    subject = ContrastSubject(every.of(reply.token_ids, own), every.of(other.token_ids, others))
    return subject, weigh_against(subject, every, reply, differ)


def _find_maps(given: Explaining, reply: Reply, evidence: Evidence, wanted: Wanted) -> list[tuple[Label, Found]]:
    """The map of the whole, and of each explained word where that was asked for."""
    subjects: list[tuple[Label, AnswerSubject | ContrastSubject]] = [(Label(reply.text, "whole"), given.subject)]
    if wanted.per_word:
        explained = set(evidence.tokens)
        for word in evidence.words:
            own = tuple(token for token in word.tokens if token in explained)
            if own:
                span = (word.tokens[0], word.tokens[-1] + 1)
                subjects.append((Label(word.text, "answer word", span), _of_word(given.subject, own)))
    end = 1 - _CURVES if wanted.steps else 1.0
    made = []
    for number, (label, subject) in enumerate(subjects):
        start, stop = (end * place / len(subjects) for place in (number, number + 1))
        own_part = replace(
            given,
            subject=subject,
            on_progress=_share(wanted.on_progress, start, stop),
            on_preview=_no_preview if number else given.on_preview,
        )
        made.append((label, with_room(given.model, given.chunk, partial(_find, wanted.method, own_part))))
    return made


def _find(method: ExplanationMethod, given: Explaining, chunk: int) -> Found:
    return method.find(replace(given, chunk=chunk))


def _of_word(subject: AnswerSubject | ContrastSubject, tokens: tuple[int, ...]) -> AnswerSubject | ContrastSubject:
    if isinstance(subject, ContrastSubject):
        return replace(subject, answer=subject.answer.of(subject.answer.token_ids, tokens))
    return subject.of(subject.token_ids, tokens)


def _no_preview(_: Tensor) -> None:
    """Only the map of the whole is shown while it grows."""


def _judge(given: Explaining, importance: Tensor, wanted: Wanted) -> dict[str, Faithfulness]:
    """The curves on the map's own baseline, and on the one that it has not seen."""
    if not wanted.steps:
        return {}
    first, second = wanted.baselines
    subjects = {first: given.subject}
    if second is not None:
        unseen = baseline_picture(given.case.pictures[0], second, wanted.seed)
        subjects[second] = given.subject.against(unseen)
    faithful: dict[str, Faithfulness] = {}
    for number, (name, subject) in enumerate(subjects.items()):
        start, stop = (1 - _CURVES * (1 - place / len(subjects)) for place in (number, number + 1))
        report = _share(wanted.on_progress, start, stop)
        work = partial(_curves, subject, importance, wanted.steps, report)
        faithful[name] = with_room(given.model, 2 * given.chunk, work)
    return faithful


def _curves(
    subject: AnswerSubject | ContrastSubject, importance: Tensor, steps: int, on_progress: Progress, chunk: int
) -> Faithfulness:
    return measure(subject, importance, steps=steps, chunk=chunk, on_progress=on_progress)


def _map(
    model: LvlmModel, case: Case, wanted: Wanted, maps: Sequence[tuple[Label, Found]], warnings: tuple[str, ...]
) -> PictureMap:
    size = (case.pictures[0].shape[0], case.pictures[0].shape[1])
    values = torch.stack([found.importance.detach().float().cpu() for _, found in maps])
    cells = torch.ones(values.shape[1:], dtype=torch.bool)
    return PictureMap(
        size=size,
        labels=tuple(label for label, _ in maps),
        parts={PART: (View(values, picture_box(size, values[0]), cells),)},
        method=wanted.method.name,
        model=model.name,
        layer=None,
        warnings=warnings,
        defaults=DEFAULTS,
    )


def picture_box(size: tuple[int, int], importance: Tensor) -> Box:
    """Where importance [rows, columns] lies on a picture (H, W): its corner cells' middles on the picture's corners."""
    down, right = (side / (2 * (cells - 1)) for side, cells in zip(size, importance.shape, strict=True))
    return Box(-right, -down, size[1] + right, size[0] + down)


def _doubts(faithful: Mapping[str, Faithfulness]) -> tuple[str, ...]:
    return tuple(
        f"on the baseline {name!r} what the map calls important matters no more than the rest (insertion less deletion "
        f"{found.gap:.2f}): do not trust this map"
        for name, found in faithful.items()
        if found.depends_on_the_picture and found.gap <= 0
    )


def _share(on_progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work that goes from `start` to `end` of it."""

    def report(done: int, total: int) -> None:
        on_progress(round(1000 * (start + (end - start) * done / max(total, 1))), 1000)

    return report
