"""Rows that explain answers: deletion and insertion, as arXiv 2503.13891 measures its maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...choices import Baseline
from ...explanation.explain import explain
from ...models.lvlm.model import LvlmModel
from ...progress import Progress
from ...settings import Number
from ..cases import QuestionCase
from ..official.score_table import Metric, ScoreTable, ratio, score_table
from ..runner.map_sources import identity
from ..runner.prompt_and_ask import case_fields
from ..runner.results_file import Record

RULE = "released"
FIGURES = ("deletion", "insertion")
LEFT_OUT = "left out"
_NOTE = (
    "deletion, insertion: areas under the probability of the words that depend on the picture, 0 at the baseline and "
    "1 at the picture, as the released program adds them up; answers without such words are not explained, and stand "
    "under *unparsed*."
)


@dataclass(frozen=True)
class ExplainAnswers:
    """The work of `runner.run_cases`: each answer's map by one method, and its two areas on the
    baseline that it was made on.

    given: what the method is told. steps: of the curves.
    """

    model: LvlmModel
    method: str
    given: Mapping[str, Number]
    baseline: Baseline
    steps: int
    max_new_tokens: int
    system_prompt: str
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides the results."""
        names = ("method", "baseline", "steps", "max_new_tokens", "system_prompt", "seed")
        return {
            "model": identity(self.model),
            "given": dict(self.given),
            **{name: getattr(self, name) for name in names},
        }

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        return [self._explain(case, on_progress) for case in cases]

    def _explain(self, case: QuestionCase, on_progress: Progress) -> Mapping[str, Any]:
        (found,) = explain(
            self.model,
            [case.load()],
            case.question,
            method=self.method,
            settings=self.given,
            baseline=self.baseline,
            other_baseline=None,
            steps=self.steps,
            system_prompt=self.system_prompt,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
            on_progress=on_progress,
        )
        told: dict[str, Any] = {**case_fields(case), "answer": found.reply.text}
        if found.why_not:
            return {**told, LEFT_OUT: found.why_not}
        faithful = found.faithful[self.baseline]
        ends = faithful.baseline, faithful.picture
        areas = (faithful.deletion.released(*ends), faithful.insertion.released(*ends))
        return {**told, **dict(zip(FIGURES, areas, strict=True)), "evaluations": found.evaluations}


def explained_table(cases: Sequence[QuestionCase], records: Mapping[str, Record]) -> ScoreTable:
    """The mean areas over the answers that were explained. records: by the cases' ids; others have failed."""
    explained = np.array([FIGURES[0] in records.get(case.id, {}) for case in cases])
    metrics = []
    for name in FIGURES:
        values = np.array([float(records.get(case.id, {}).get(name, 0)) for case in cases])

        def mean(weights: np.ndarray, values: np.ndarray = values) -> float:
            return ratio(weights @ (values * explained), weights @ explained)

        metrics.append(Metric(name, mean, None, ~explained, 3))
    return score_table(cases, [case.id in records for case in cases], RULE, metrics, [_NOTE])
