"""What is done with each case: its map and mask, the prompted picture, the answers without and with it, the scores."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ...answering import Answer, SurestAnswer
from ...answering.keeping import ARMS
from ...answering.surest import Way
from ...errors import InvalidInput
from ...masks import tune
from ...overlay import apply as draw_style
from ...pictures import flatten_alpha, to_picture
from ...presence_score import presence_of
from ...progress import Progress
from ...results import Heatmap
from ...writing import Writing
from ..cases import QuestionCase, pictures_of
from ..scorers.answers import is_right
from ..scorers.localisation import score_map
from .controls import changed
from .map_sources import Prompting
from .ready_pictures import ReadyPictures
from .saving import Saving

Further = Sequence[Sequence[Tensor]]
"""For each picture that is shown after the first, those of all cases."""


class Answerer(Protocol):
    """Pictures [H, W, 3] and the question of each: one answer for each. seeds: of the chance in each."""

    def __call__(
        self,
        pictures: Sequence[Tensor],
        questions: Sequence[str],
        on_progress: Progress,
        more: Further = (),
        /,
        *,
        seeds: Sequence[int] | None = None,
    ) -> Sequence[Answer]: ...


class Surest(Protocol):
    """Plain pictures [H, W, 3], the ways of prompting them, and the question of each: the surest answer to each."""

    def __call__(
        self,
        pictures: Sequence[Tensor],
        ways: Sequence[Way],
        questions: Sequence[str],
        on_progress: Progress,
        more: Further = (),
        /,
    ) -> Sequence[SurestAnswer]: ...


_ONE_AT_A_TIME = threading.Lock()
"""Batches may be asked about side by side, but a model reads the maps of one after the other."""


@dataclass(frozen=True)
class AskCases:
    """The work of `runner.run_cases` for a model that answers, a way of prompting, or both.

    answer: None makes maps, masks and pictures only. prompting: None asks about the plain picture only. plain: also ask
    without prompting. saving: what is written of each case. surest: instead of answer, keeps the surer of the answers
    to the plain and to the prompted picture; maps are then made for those cases alone that are asked about again.
    seed: with each case's id it makes the seed of the chance in the answers to that case, so that these depend neither
    on each other nor on what is asked at once; None where there is no chance.
    """

    answer: Answerer | None
    prompting: Prompting | ReadyPictures | None = None
    plain: bool = True
    saving: Saving | None = None
    surest: Surest | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.surest is not None and (self.answer is not None or self.prompting is None or not self.plain):
            raise InvalidInput(
                "The surer of a plain and a prompted answer needs a model that makes maps, and the plain picture to be "
                "asked about; `surest` stands in place of `answer`."
            )
        if self.answer is None and self.prompting is None:
            raise InvalidInput("There is nothing to do: give a model that answers, one that makes maps, or both.")
        if self.saving is not None and not isinstance(self.prompting, Prompting):
            raise InvalidInput("Masks and prompted pictures need a model that makes maps.")

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        outcomes: list[dict[str, Any]] = [case_fields(case) for case in cases]
        with Writing() as writing:
            self._do(pictures_of(cases), cases, outcomes, writing, on_progress)
            writing.require_written()
        return list(outcomes)

    def _do(
        self,
        pictures: Sequence[Tensor],
        cases: Sequence[QuestionCase],
        outcomes: Sequence[dict[str, Any]],
        writing: Writing,
        on_progress: Progress,
    ) -> None:
        if self.surest is not None:
            for further, (shown, asked, told) in _groups_of(cases, pictures, cases, outcomes):
                self._keep_surest(self.surest, shown, asked, told, writing, on_progress, *further)
            return
        if self.answer is not None and (self.plain or self.prompting is None):
            self._ask("plain", pictures, cases, outcomes, on_progress)
        if self.prompting is not None:
            prompted = self._prompt(pictures, cases, outcomes, writing, on_progress)
            if self.answer is not None:
                self._ask("prompted", prompted, cases, outcomes, on_progress)

    def _ask(
        self,
        arm: str,
        pictures: Sequence[Tensor],
        cases: Sequence[QuestionCase],
        outcomes: Sequence[dict[str, Any]],
        on_progress: Progress,
    ) -> None:
        assert self.answer is not None
        for further, (shown, asked, told) in _groups_of(cases, pictures, cases, outcomes):
            seeds = {} if self.seed is None else {"seeds": [seed_of(case.id, self.seed) for case in asked]}
            answers = self.answer(shown, [case.question for case in asked], on_progress, *further, **seeds)
            for case, given, outcome in zip(asked, answers, told, strict=True):
                outcome[arm] = _answer_fields(case, given)

    def _keep_surest(
        self,
        surest: Surest,
        pictures: Sequence[Tensor],
        cases: Sequence[QuestionCase],
        outcomes: Sequence[dict[str, Any]],
        writing: Writing,
        on_progress: Progress,
        *further: Further,
    ) -> None:
        def prompt(at: Sequence[int]) -> list[Tensor]:
            shown, about, told = [pictures[n] for n in at], [cases[n] for n in at], [outcomes[n] for n in at]
            return self._prompt(shown, about, told, writing, on_progress)

        found = surest(pictures, [prompt], [case.question for case in cases], on_progress, *further)
        for case, one, outcome in zip(cases, found, outcomes, strict=True):
            for arm, given in zip(ARMS, one.answers, strict=False):
                outcome[arm] = {**_answer_fields(case, given), "confidence": _short(given.confidence)}
            kept = {"from": ARMS[one.which], "readings": len(one.answers)}
            outcome["kept"] = {**outcome[ARMS[one.which]], **kept}

    def _prompt(
        self,
        pictures: Sequence[Tensor],
        cases: Sequence[QuestionCase],
        outcomes: Sequence[dict[str, Any]],
        writing: Writing,
        on_progress: Progress,
    ) -> list[Tensor]:
        prompting = self.prompting
        if not isinstance(prompting, Prompting):
            assert prompting is not None
            return prompting.take(cases, outcomes)
        with _ONE_AT_A_TIME:
            heatmap = prompting.maps(pictures, [case.map_query for case in cases], on_progress)
        prompted = []
        for picture, found, case, outcome in zip(pictures, heatmap.pictures, cases, outcomes, strict=True):
            tuned = tune(Heatmap((found,)), prompting.mask)
            (mask,) = tuned.masks
            mask = changed(mask, prompting.control, case.id, prompting.seed)
            drawn = draw_style(picture, mask, prompting.style, prompting.strength)
            warnings = [*found.warnings, *tuned.warnings]
            outcome |= {"warnings": warnings} if warnings else {}
            outcome |= {"presence": round(presence_of(found), 4)} if found.presence else {}
            outcome |= {"mask": _mask_scores(mask, case)} if case.boxes else {}
            if self.saving is not None:
                outcome["files"], drawn = self.saving.save(case, mask, drawn, writing)
            prompted.append(drawn)
        return prompted


def _groups_of(cases: Sequence[QuestionCase], *lists: Sequence[Any]) -> Iterator[tuple[list[Further], list[list[Any]]]]:
    """Cases with as many further pictures are asked at once: these pictures, if there are any, and the cases' part of
    each of `lists`."""
    for count in dict.fromkeys(len(case.more_pictures) for case in cases):
        numbers = [n for n, case in enumerate(cases) if len(case.more_pictures) == count]
        slots = [[flatten_alpha(to_picture(cases[n].more_pictures[slot])) for n in numbers] for slot in range(count)]
        yield [slots] if slots else [], [[one[n] for n in numbers] for one in lists]


def seed_of(case: str, seed: int) -> int:
    """The seed of one case's draws, of its id and the seed of all: below 2^31, which every server takes."""
    return int.from_bytes(hashlib.sha256(f"{seed} {case}".encode("utf-8", "backslashreplace")).digest()[:4], "big") >> 1


def case_fields(case: QuestionCase) -> dict[str, Any]:
    """What a line of results says of its case."""
    said: dict[str, Any] = {"question": case.question}
    for name in ("kind", "answers", "query", "meta"):
        value = getattr(case, name)
        said |= {name: value} if value else {}
    return said


def _answer_fields(case: QuestionCase, given: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"answer": given.text, "complete": given.complete}
    told |= {"thinking": given.thinking} if given.thinking else {}
    told |= {"notes": list(given.notes)} if given.notes else {}
    right = is_right(given.text, case.answers, case.scorer)
    return told | ({} if right is None else {"right": right})


def _short(confidence: float | None) -> float | None:
    """Six digits: of more, the last depend on what else is asked about at once."""
    return None if confidence is None else float(f"{confidence:.6g}")


def _mask_scores(mask: Tensor, case: QuestionCase) -> dict[str, float]:
    height, width = mask.shape
    boxes = np.array([*case.boxes, *case.other_boxes], np.float32)
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    score = score_map(mask.numpy(), boxes, range(len(case.boxes)))
    found = {"pointing": score.pointing, "energy": score.energy, "iou": score.iou}
    found |= {"first": score.first} if case.other_boxes else {}
    return {name: round(value, 4) for name, value in found.items()}
