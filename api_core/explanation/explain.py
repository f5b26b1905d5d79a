"""From pictures, questions and answers to maps of what each answer needed, and how far each map can be trusted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..attribution.lvlm_heatmap import spread
from ..errors import InvalidInput, NotEnoughMemory
from ..models.lvlm.case import Case, Reply
from ..models.lvlm.model import LvlmModel
from ..models.memory import is_out_of_memory
from ..progress import Progress, ignore_progress
from ..results import Box, Label, PictureMap, View
from .baselines import Baseline, baseline_picture
from .faithfulness import Faithfulness, measure
from .lvlm_subject import AnswerSubject
from .method import Explaining, ExplanationMethod, Found
from .methods import DEFAULT_METHOD, METHODS
from .tokens import Evidence, tokens_of_words, weigh

log = logging.getLogger(__name__)

PART = "importance"
_AT_ONCE = 8


@dataclass(frozen=True)
class Explanation:
    """Why a model gave one answer.

    map: importance over the picture, all zero when the answer does not depend on it. evidence: of each word. faithful:
    deletion and insertion curves by baseline; the first baseline is the one that the map was made on.
    """

    map: PictureMap
    reply: Reply
    evidence: Evidence
    faithful: dict[str, Faithfulness] = field(default_factory=dict)
    evaluations: int = 0
    gradients: int = 0

    @property
    def depends_on_the_picture(self) -> bool:
        return bool(self.evidence.tokens)

    def report(self) -> dict[str, Any]:
        """All of it but the map, as plain values for JSON."""
        return {
            "answer": self.reply.text,
            "method": self.map.method,
            "model": self.map.model,
            "depends on the picture": self.depends_on_the_picture,
            "words": [
                {
                    "word": word.text,
                    "probability": [round(value, 6) for value in word.picture],
                    "without the picture": [round(value, 6) for value in word.baseline],
                    "explained": word.kept,
                    **({"because": word.why} if word.why else {}),
                }
                for word in self.evidence.words
            ],
            "faithfulness": {name: _curves(found) for name, found in self.faithful.items()},
            "model evaluations": self.evaluations,
            "with gradients": self.gradients,
            "warnings": list(self.map.warnings),
        }


def explain(
    model: LvlmModel,
    pictures: Sequence[Tensor],
    questions: str | Sequence[str],
    *,
    answers: str | Sequence[str | None] | None = None,
    words: Sequence[str] = (),
    method: str = DEFAULT_METHOD,
    baseline: Baseline = "blur",
    other_baseline: Baseline | None = "mean colour",
    steps: int = 25,
    more_pictures: Sequence[Sequence[Tensor]] = (),
    system_prompt: str = "",
    max_new_tokens: int = 64,
    seed: int = 0,
    on_progress: Progress = ignore_progress,
) -> tuple[Explanation, ...]:
    """Explain the answer to each picture's question.

    pictures: float32 [H, W, 3], 0..1. answers: what is explained; None (or blank) is generated greedily. words: of the
    answer, to be explained whether they depend on the picture or not; none means those that do. baseline: what takes
    the place of what a mask removes. other_baseline: a second one that the map is judged on and was not made on; None
    spares it. steps: of the curves, 0 for none. on_progress: thousandths of a case.
    """
    count = len(pictures)
    if not count:
        raise InvalidInput("There is no picture whose answer could be explained. Pass at least one.")
    chosen = _find_method(method)
    asked = spread([questions] if isinstance(questions, str) else list(questions), count, "questions")
    given = spread([answers] if answers is None or isinstance(answers, str) else list(answers), count, "answers")
    slots = [spread(list(slot), count, "further pictures") for slot in more_pictures]
    cases = [
        Case((picture, *(slot[i] for slot in slots)), asked[i], system_prompt) for i, picture in enumerate(pictures)
    ]
    made = []
    for number, case in enumerate(cases):

        def report(done: int, total: int, base: int = number) -> None:
            on_progress(base * 1000 + 1000 * done // max(total, 1), count * 1000)

        reply = _reply(model, case, given[number], max_new_tokens, report)
        made.append(_explain_one(model, case, reply, words, chosen, (baseline, other_baseline), steps, seed, report))
    on_progress(count * 1000, count * 1000)
    return tuple(made)


def _find_method(name: str) -> ExplanationMethod:
    if name not in METHODS:
        raise InvalidInput(f"There is no way of explaining {name!r}. Choose one of {', '.join(METHODS)}.")
    return METHODS[name]


def _reply(model: LvlmModel, case: Case, answer: str | None, limit: int, on_progress: Progress) -> Reply:
    if answer is not None and answer.strip():
        return model.reply_of(model.encode_answer(answer.strip()))

    def report(done: int, total: int) -> None:
        on_progress(0, 1)

    (reply,) = model.generate(model.prepare([case], with_places=False), max_new_tokens=limit, on_progress=report)
    return reply


def _explain_one(
    model: LvlmModel,
    case: Case,
    reply: Reply,
    words: Sequence[str],
    method: ExplanationMethod,
    baselines: tuple[Baseline, Baseline | None],
    steps: int,
    seed: int,
    on_progress: Progress,
) -> Explanation:
    picture = case.pictures[0]
    hidden = baseline_picture(picture, baselines[0], seed)
    every = tokens_of_words(reply)
    if not every:
        raise InvalidInput(f"The answer {reply.text!r} has no words to explain. Ask otherwise, or allow more tokens.")
    evidence = weigh(AnswerSubject(model, case, hidden, reply.token_ids, every), reply, words)
    if not evidence.tokens:
        note = f"{reply.text!r} is as likely without the picture: it comes from the question or from habit."
        return Explanation(_map(model, picture, method, reply, Found(torch.zeros(2, 2)), note), reply, evidence)
    subject = AnswerSubject(model, case, hidden, reply.token_ids, evidence.tokens)
    found = _with_room(
        model, method, Explaining(model, case, reply, subject, hidden, seed, _AT_ONCE, _share(on_progress, 0, 0.7))
    )
    faithful: dict[str, Faithfulness] = {}
    if steps:
        faithful[baselines[0]] = measure(
            subject, found.importance, steps=steps, on_progress=_share(on_progress, 0.7, 0.85)
        )
        if baselines[1] is not None and baselines[1] != baselines[0]:
            other = baseline_picture(picture, baselines[1], seed)
            unseen = AnswerSubject(model, case, other, reply.token_ids, evidence.tokens)
            faithful[baselines[1]] = measure(
                unseen, found.importance, steps=steps, on_progress=_share(on_progress, 0.85, 1)
            )
    made = _map(model, picture, method, reply, found, *_doubts(faithful))
    return Explanation(made, reply, evidence, faithful, found.evaluations, found.gradients)


def _with_room(model: LvlmModel, method: ExplanationMethod, given: Explaining) -> Found:
    """The method's result, with fewer blends at once where memory runs out."""
    while True:
        try:
            return method.find(given)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if given.chunk == 1:
                raise NotEnoughMemory(
                    f"{model.name} ran out of memory on {model.device} while its answer was explained, one picture at "
                    "a time. Free some (other models, other programs), lower max_pixels, or choose a smaller model."
                ) from error
        given = replace(given, chunk=given.chunk // 2)
        log.warning("%s ran out of memory; explaining with %d pictures at once", model.name, given.chunk)


def _map(
    model: LvlmModel, picture: Tensor, method: ExplanationMethod, reply: Reply, found: Found, *warnings: str
) -> PictureMap:
    height, width = picture.shape[:2]
    rows, columns = found.importance.shape
    # The corner cells' middles lie on the picture's corners.
    down, right = height / (2 * (rows - 1)), width / (2 * (columns - 1))
    box = Box(-right, -down, width + right, height + down)
    values = found.importance.detach().float().cpu()[None].contiguous()
    return PictureMap(
        size=(height, width),
        labels=(Label(reply.text, "whole"),),
        parts={PART: (View(values, box, torch.ones(rows, columns, dtype=torch.bool)),)},
        method=method.name,
        model=model.name,
        layer=None,
        warnings=warnings,
    )


def _doubts(faithful: dict[str, Faithfulness]) -> tuple[str, ...]:
    doubts = []
    for name, found in faithful.items():
        if found.depends_on_the_picture and found.gap <= 0:
            doubts.append(
                f"on the baseline {name!r} what the map calls important matters no more than the rest "
                f"(insertion less deletion {found.gap:.2f}): do not trust this map"
            )
    return tuple(doubts)


def _share(on_progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the work that goes from `start` to `end` of it."""

    def report(done: int, total: int) -> None:
        on_progress(round(1000 * (start + (end - start) * done / max(total, 1))), 1000)

    return report


def _curves(found: Faithfulness) -> dict[str, Any]:
    return {
        "with the picture": round(found.picture, 6),
        "with the baseline": round(found.baseline, 6),
        "deletion": [round(value, 6) for value in found.deletion.probability.tolist()],
        "insertion": [round(value, 6) for value in found.insertion.probability.tolist()],
        "insertion less deletion": round(found.gap, 6),
    }
