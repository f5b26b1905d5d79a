"""Rows that explain answers: deletion and insertion, as arXiv 2503.13891 measures its maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...choices import RESIZES, Baseline
from ...explanation.explain import explain
from ...models.lvlm.load import load_lvlm
from ...models.lvlm.model import LvlmModel
from ...progress import Progress, ignore_progress
from ...settings import Number
from ..cases import QuestionCase
from ..official.score_table import Metric, ScoreTable, ratio, score_table
from ..runner.map_sources import identity
from ..runner.prompt_and_ask import case_fields
from ..runner.results_file import Record
from ..runner.work_plan import LoadedModels, whole_path

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


@dataclass(frozen=True)
class ExplainPlan:
    """A `WorkPlan` for ExplainAnswers. model: its name. given, baseline …: as there. precision …: of loading."""

    model: str
    method: str
    given: Mapping[str, Number]
    baseline: Baseline
    steps: int
    max_new_tokens: int
    system_prompt: str
    seed: int
    precision: str = "auto"
    device: str = "auto"
    max_pixels: int = 0
    resize: str = RESIZES[0]
    allow_download: bool = False
    folders: tuple[Path, ...] = ()
    saving: None = None
    lanes: int = 1
    cases_at_once: int = 1

    def build(
        self, on_progress: Progress = ignore_progress, loaded: LoadedModels | None = None
    ) -> tuple[ExplainAnswers, dict[str, Any]]:
        """As every `WorkPlan`."""
        how = {name: getattr(self, name) for name in _OF_LOADING}
        model: LvlmModel = (loaded or LoadedModels()).get(load_lvlm, self.model, how, on_progress)
        told = {field.name: getattr(self, field.name) for field in fields(ExplainAnswers) if field.name != "model"}
        work = ExplainAnswers(model, **told)
        return work, work.settings

    def everywhere(self) -> ExplainPlan:
        """As every `WorkPlan`."""
        folders = tuple(folder.absolute() for folder in self.folders)
        return replace(self, model=whole_path(self.model), folders=folders)


_OF_LOADING = ("precision", "device", "max_pixels", "resize", "allow_download", "folders")


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
