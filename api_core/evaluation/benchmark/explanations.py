"""Do explanations show what answers needed? Every method on the same answers: what it costs, and how far it is right.

Only answers that are right and depend on the picture are explained: of a wrong one nobody knows where it should come
from, and one that needs no picture has no place in it. How many are left out is said.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...choices import Baseline
from ...explanation.answer_objective import AnswerObjective
from ...explanation.baselines import baseline_picture
from ...explanation.blend_batches import blend_batch_size, compute_map, judge_map
from ...explanation.explain_one import picture_box
from ...explanation.method import ExplainContext, ExplanationMethod
from ...explanation.methods import METHODS
from ...explanation.objective import ignore_preview
from ...explanation.word_evidence import tokens_of_words, word_evidence
from ...geometry import place
from ...models.conversation.case import Case
from ...models.lvlm.model import LvlmModel
from ...progress import Progress, ignore_progress
from ...settings import resolve
from ..cases import QuestionCase, pictures_of
from ..runner.map_sources import identity
from ..runner.results_file import Record
from ..scorers.answers import is_right
from ..scorers.localisation import score_map
from ..tables import Table, percent, resampled
from .experiment import Experiment, Results
from .splits import LOCALISATION, Split, asked_cases

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
    experiment = Experiment("explanations", folder, on_progress, len(cases))
    records = experiment.run("asked", cases, work, {**settings, "seed": seed})
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
        prepared = self.model.prepare([case], with_places=False)
        (reply,) = self.model.generate(prepared, max_new_tokens=_NEW_TOKENS)
        if not is_right(reply.text, asked.answers, asked.scorer):
            return {"kind": asked.kind, "left out": "wrong"}
        hidden, elsewhere = (baseline_picture(picture, name, self.seed) for name in BASELINES)
        every = AnswerObjective(self.model, case, hidden, reply.token_ids, tokens_of_words(reply))
        evidence = word_evidence(every, reply)
        if not evidence.tokens:
            return {"kind": asked.kind, "left out": "does not depend on the picture"}
        objective = every.of(reply.token_ids, evidence.tokens)
        unseen, chunk = objective.against(elsewhere), blend_batch_size(self.model, objective)
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
    results = Results.of(cases, records, "methods")
    rows = []
    for name in methods if results.found else ():
        own = [found[name] for found in results.found]
        cells = (percent([one["scores"][i] for one in own], results.pictures) for i in range(len(_SCORES)))
        rows.append((name, _mean(own, "seconds", ".2f"), _mean(own, "evaluations", ".0f"), *cells))
    gaps = (f"insertion - deletion, {name}" for name in BASELINES)
    columns = ("method", "seconds", "evaluations", *gaps, "pointing", "energy")
    made = [Table(title, columns, tuple(rows), (f"{_counted(records)} {NOTE}",))]
    if REFERENCE in methods and results.found:
        made.append(_differences(title, results, methods))
    return made


def _differences(title: str, results: Results, methods: Sequence[str]) -> Table:
    reference = [found[REFERENCE] for found in results.found]
    rows = []
    for name in methods:
        if name != REFERENCE:
            own = [found[name] for found in results.found]
            gains = (
                [one["scores"][i] - base["scores"][i] for one, base in zip(own, reference, strict=True)]
                for i in range(len(_SCORES))
            )
            times = _total(reference, "seconds") / max(_total(own, "seconds"), 1e-9)
            rows.append((name, f"{times:.1f} times", *(bootstrap(values, results.pictures) for values in gains)))
    columns = ("method", "speed", *(f"on {name}" for name in BASELINES), "pointing", "energy")
    note = f"Points above {REFERENCE}, answer by answer; 95 % interval of {_RESAMPLED} resampled sets of pictures."
    return Table(f"{title}: against the published steps", columns, tuple(rows), (note,))


def bootstrap(values: Sequence[float], clusters: Sequence[int]) -> str:
    """ "+3.1 [+0.9, +5.2]": the mean in points and its 95 % bootstrap interval, whole clusters resampled."""
    array = np.asarray(values, float)
    _, (sums, counts) = resampled([array, np.ones(len(array))], clusters, _RESAMPLED)
    low, high = np.quantile(sums / counts, [0.025, 0.975])
    return f"{100 * array.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _counted(records: Sequence[Record]) -> str:
    left_out = [record.get("left out") for record in records]
    explained, wrong = sum("methods" in record for record in records), left_out.count("wrong")
    failed, independent = sum("error" in record for record in records), len(records) - left_out.count(None) - wrong
    text = f"{explained} answers of {len(records)}; left out: {wrong} wrong, {independent} that need no picture"
    return text + (f", {failed} that failed." if failed else ".")


def _total(found: Sequence[Mapping[str, Any]], name: str) -> float:
    return sum(one[name] for one in found)


def _mean(found: Sequence[Mapping[str, Any]], name: str, form: str) -> str:
    return format(_total(found, name) / len(found), form)
