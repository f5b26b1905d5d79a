"""Do explanations show what answers needed? Every method on the same answers: what it costs, and how far it is right.

Only answers that are right and depend on the picture are explained: of a wrong one nobody knows where it should come
from, and one that needs no picture has no place in it. How many are left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...explanation.answer_objective import AnswerObjective
from ...explanation.baselines import Baseline, baseline_picture
from ...explanation.explain_one import compute_map, judge_map, picture_box
from ...explanation.method import ExplainContext, ExplanationMethod
from ...explanation.methods import METHODS
from ...explanation.objective import ignore_preview
from ...explanation.room import blends_at_once
from ...explanation.word_evidence import tokens_of_words, word_evidence
from ...geometry import place
from ...models.conversation.case import Case
from ...models.lvlm.model import LvlmModel
from ...progress import Progress, ignore_progress
from ...settings import resolve
from ..cases import QuestionCase, pictures_of
from ..localisation import score_map
from ..map_sources import identity
from ..results_file import Record
from ..runner import run_cases
from ..scoring import is_right
from .splits import LOCALISATION, Split, asked_cases
from .tables import Table, percent, picture_numbers

EXPLAINED: Split = replace(LOCALISATION, name="explanations", sides=(112,))
"""Any aspect, 3 to 5 objects, questions about one of them."""
BASELINES: tuple[Baseline, Baseline] = ("blur", "mean colour")
"""The one that maps are made on, and one that they have not seen."""
REFERENCE = "igos++ (paper)"
_SCORES = ("gap", "gap elsewhere", "pointing", "energy")
_NEW_TOKENS = 8
_RESAMPLED = 2000
NOTE = (
    "*seconds* and *evaluations* (pictures shown to the model) are of the map alone. *insertion - deletion*: areas "
    "under the curves of the answer's mean probability, on the baseline that maps are made on and on one that they "
    "have not seen; 100 is the most there is. *pointing*: the peak lies in the box of what was asked about; *energy*: "
    "share of the map inside it. Percent ± half the 95 % interval, by picture."
)


def explanations(
    model: LvlmModel,
    *,
    questions: int = 270,
    stream: str = "test",
    methods: Sequence[str] = tuple(METHODS),
    steps: int = 25,
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """The table of all methods, and what each is above or below the paper's own program, answer by answer.

    steps: of the curves. folder: results are kept, and a run that was stopped goes on from there.
    """
    cases = asked_cases(EXPLAINED, stream, questions)
    settings = {"benchmark": "explanations", "model": identity(model), "methods": list(methods), "steps": steps}
    work = ExplainCases(model, [METHODS[name] for name in methods], steps, seed)
    out = None if folder is None else folder / "explanations-asked.jsonl"
    records = run_cases(cases, work, out, settings={**settings, "seed": seed}, on_progress=on_progress).records
    return tables(f"Explanations of answers about {stream} scenes of 3 to 5 objects", cases, records, methods)


@dataclass(frozen=True)
class ExplainCases:
    """The work of `runner.run_cases`: for every method seconds, evaluations and the scores in the order of `_SCORES`;
    `left out` says why an answer is not explained."""

    model: LvlmModel
    methods: Sequence[ExplanationMethod]
    steps: int
    seed: int = 0

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        return [
            self._explain(case, picture, on_progress) for case, picture in zip(cases, pictures_of(cases), strict=True)
        ]

    def _explain(self, asked: QuestionCase, picture: Tensor, on_progress: Progress) -> Mapping[str, Any]:
        case = Case((picture,), asked.question)
        prepared = self.model.prepare([case], with_layouts=False)
        (reply,) = self.model.generate(prepared, max_new_tokens=_NEW_TOKENS)
        if not is_right(reply.text, asked.answers, asked.scorer):
            return {"kind": asked.kind, "left out": "wrong"}
        hidden, elsewhere = (baseline_picture(picture, name, self.seed) for name in BASELINES)
        every = AnswerObjective(self.model, case, hidden, reply.token_ids, tokens_of_words(reply))
        evidence = word_evidence(every, reply)
        if not evidence.tokens:
            return {"kind": asked.kind, "left out": "does not depend on the picture"}
        objective = every.of(reply.token_ids, evidence.tokens)
        unseen, chunk = objective.against(elsewhere), blends_at_once(self.model, objective)
        found: dict[str, Any] = {}
        for method in self.methods:
            known = resolve(method.name, method.settings, None)
            context = ExplainContext(
                self.model, case, reply, objective, None, hidden, known, self.seed, chunk, on_progress, ignore_preview
            )
            begin = time.perf_counter()
            made = compute_map(method, context)
            seconds = time.perf_counter() - begin
            gaps = [judge_map(context, one, made.importance, self.steps).gap for one in (objective, unseen)]
            boxes = np.array([*asked.boxes, *asked.other_boxes], np.float32)
            local = score_map(_drawn(made.importance, picture), boxes, range(len(asked.boxes)))
            scores = [round(float(value), 5) for value in (*gaps, local.pointing, local.energy)]
            found[method.name] = {"seconds": round(seconds, 4), "evaluations": made.evaluations, "scores": scores}
        return {"kind": asked.kind, "methods": found}


def _drawn(importance: Tensor, picture: Tensor) -> np.ndarray:
    size = (picture.shape[0], picture.shape[1])
    with torch.no_grad():
        drawn: np.ndarray = place(importance.cpu()[None], picture_box(size, importance), size, "bilinear")[0].numpy()
    return drawn


def tables(title: str, cases: Sequence[QuestionCase], records: Sequence[Record], methods: Sequence[str]) -> list[Table]:
    """What every method reaches, and the paired differences to the paper's program where that was run."""
    numbers = picture_numbers(cases)
    done = [(record["methods"], number) for record, number in zip(records, numbers, strict=True) if "methods" in record]
    pictures = [number for _, number in done]
    rows = []
    for name in methods:
        own = [found[name] for found, _ in done]
        if own:
            cells = [percent([one["scores"][i] for one in own], pictures) for i in range(len(_SCORES))]
            rows.append((name, _mean(own, "seconds", ".2f"), _mean(own, "evaluations", ".0f"), *cells))
    columns: tuple[str, ...] = (
        "method",
        "seconds",
        "evaluations",
        *(f"insertion - deletion, {name}" for name in BASELINES),
    )
    columns = (*columns, "pointing", "energy")
    made = [Table(title, columns, tuple(rows), (f"{_counted(records)} {NOTE}",))]
    if REFERENCE in methods and done:
        made.append(_differences(title, done, methods))
    return made


def _differences(title: str, done: Sequence[tuple[Mapping[str, Any], int]], methods: Sequence[str]) -> Table:
    pictures = [number for _, number in done]
    base = sum(found[REFERENCE]["seconds"] for found, _ in done)
    rows = []
    for name in methods:
        if name != REFERENCE:
            paired = [
                bootstrap([f[name]["scores"][i] - f[REFERENCE]["scores"][i] for f, _ in done], pictures)
                for i in range(len(_SCORES))
            ]
            times = base / max(sum(found[name]["seconds"] for found, _ in done), 1e-9)
            rows.append((name, f"{times:.1f} times", *paired))
    columns = ("method", "speed", *(f"on {name}" for name in BASELINES), "pointing", "energy")
    note = f"Points above {REFERENCE}, answer by answer; 95 % interval of {_RESAMPLED} resampled sets of pictures."
    return Table(f"{title}: against the published steps", columns, tuple(rows), (note,))


def bootstrap(values: Sequence[float], clusters: Sequence[int], seed: int = 0) -> str:
    """ "+3.1 [+0.9, +5.2]": the mean in points and its 95 % bootstrap interval, whole clusters resampled."""
    array, (names, index) = np.asarray(values, float), np.unique(np.asarray(clusters), return_inverse=True)
    sums, counts = np.bincount(index, weights=array), np.bincount(index)
    drawn = np.random.default_rng(seed).integers(0, len(names), (_RESAMPLED, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * array.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _counted(records: Sequence[Record]) -> str:
    def count(holds: Callable[[Record], bool]) -> int:
        return sum(map(holds, records))

    explained = count(lambda record: "methods" in record)
    wrong = count(lambda record: record.get("left out") == "wrong")
    independent = count(lambda record: "left out" in record) - wrong
    failed = count(lambda record: "error" in record)
    text = f"{explained} answers of {len(records)}; left out: {wrong} wrong, {independent} that need no picture"
    return text + (f", {failed} that failed." if failed else ".")


def _mean(found: Sequence[Mapping[str, Any]], name: str, form: str) -> str:
    return format(sum(one[name] for one in found) / len(found), form)
