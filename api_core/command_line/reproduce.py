"""Make a published table again: what is missing, every row as a journal, and the figures beside the published ones."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..choices import RESIZES
from ..errors import AttentionPromptingError, Cancelled, CannotWrite, InvalidInput
from ..evaluation.cases import QuestionCase
from ..evaluation.official.registry import DATA_SETS, find_data_set
from ..evaluation.reproduce.explained import ExplainPlan
from ..evaluation.reproduce.missing import Cost, Need, cost_of, needs_of, unique_needs
from ..evaluation.reproduce.plan import Plan, Row, read_plan, select_rows
from ..evaluation.reproduce.rows import Places, Sets, answer_key, answers_in, with_controls
from ..evaluation.reproduce.table import Line, Scored, empty_lines, line_of, scored, to_table
from ..evaluation.runner.run_cases import RunResult
from ..evaluation.runner.work_plan import LoadedModels
from ..explanation.explain import find_method
from ..models.server import ServerModel
from ..progress import Progress
from ..settings import resolve
from ..whole_file import whole_file
from .judge import judge_arms, judge_named
from .row_options import row_options
from .run import chosen_cluster, do_cases, run_plan
from .terminal import ProgressBar, complain, one_line, say

if TYPE_CHECKING:
    from ..evaluation.runner.scale import Cluster


def run(options: argparse.Namespace) -> int:
    """Do what of the plan can be done, and print its table; returns how many rows and cases it lacks."""
    plan = read_plan(options.plan)
    rows = select_rows(plan.rows, options.only)
    rows = with_controls(rows) if options.controls else rows
    if options.server and len({row.model for row in rows}) > 1:
        models = ", ".join(dict.fromkeys(row.model for row in rows))
        raise InvalidInput(f"A server answers as one model, and these rows have {models}. Choose some with --only.")
    judge = judge_named(options) if options.judge else None
    places = Places(options.data, options.out, _model_folders(options), options.quick, options.partial)
    missing = _tell_needs(plan, rows, places, options)
    if options.list:
        return 0
    with chosen_cluster(options) as cluster, ProgressBar("reading") as bar:
        work = _Work(options, Sets(places, plan.rows, lambda name: _named(bar, name)), judge, cluster)
        for row in sorted(rows, key=lambda row: [one.model for one in rows].index(row.model)):
            if row.name not in missing:
                work.do(row, bar)
    lines = _lines(rows, work, missing)
    _write(plan, lines, work, places)
    lacking_rows = {line.row.name for line in lines if line.lacks}
    return len(lacking_rows) + work.failed


def _model_folders(options: argparse.Namespace) -> tuple[Path, ...]:
    if options.models is None:
        return ()
    if not options.models.is_dir():
        raise InvalidInput(f"There is no folder {options.models}. Name the one that holds models' folders.")
    return (options.models,)


def _named(bar: ProgressBar, name: str) -> Progress:
    bar.what = f"reading {name}"
    return bar


def _tell_needs(plan: Plan, rows: Sequence[Row], places: Places, options: argparse.Namespace) -> dict[str, str]:
    """Say what the rows need and cost; returns why rows cannot be asked, by their names.

    Raises InvalidInput for settings that are none, so that a mistake in the last row is told before the first.
    """
    given = {"server": bool(options.server), "judge": bool(options.judge), "download": options.allow_download}
    missing: dict[str, str] = {}
    every: list[Need] = []
    cost, possible, done = Cost(), Cost(), 0
    for row in rows:
        needs = needs_of(row, places, **given)
        every += needs
        lacks = [need for need in needs if not need.there and need.to_answer]
        if lacks:
            missing[row.name] = "; ".join(f"{need.kind} {need.name} is missing" for need in lacks)
        passes = _passes(row, places, options)
        if row.data_set in DATA_SETS:
            own, there = cost_of(row, places, passes)
            cost, done = cost + own, done + there
            possible += Cost() if lacks else own
    say(f"{plan.title}: {len(rows)} rows, {len(missing)} of which cannot be done now")
    for need in unique_needs(every):
        say(f"{'there  ' if need.there else 'MISSING'}  {need.kind} {need.name}: {one_line(need.says)}")
    say(f"to do: {cost.title or 'nothing'}" + (f"; of these now: {possible.title or 'nothing'}" if missing else ""))
    if done:
        say(f"done before: {done:,}")
    return missing


def _passes(row: Row, places: Places, options: argparse.Namespace) -> int:
    """How often a model reads a prompt for one answer."""
    out = places.journal(row, row.seeds[0])
    own = row_options(row, row.seeds[0], out, options)
    if not row.explained:
        return run_plan(own, places.models).decoding.passes
    explain_plan(own)
    return 1


_OF_EXPLAINING = (
    *("model", "method", "baseline", "steps", "max_new_tokens", "system_prompt", "seed"),
    *("precision", "device", "max_pixels", "allow_download"),
)


def explain_plan(own: argparse.Namespace, folders: Sequence[Path] = ()) -> ExplainPlan:
    """What is to be done of a row that explains. folders: of models."""
    method = find_method(own.method)
    return ExplainPlan(
        given=resolve(method.name, method.settings, dict(own.settings)),
        resize=own.resize or RESIZES[0],
        folders=tuple(folders),
        **{name: getattr(own, name) for name in _OF_EXPLAINING},
    )


@dataclass
class _Work:
    """Asks and judges row by row. cluster: of workers for all rows. problems: why rows were not finished. failed: cases
    and verdicts that failed."""

    options: argparse.Namespace
    sets: Sets
    judge: ServerModel | None
    cluster: "Cluster | None" = None
    loaded: LoadedModels = field(default_factory=LoadedModels)
    problems: dict[str, str] = field(default_factory=dict)
    failed: int = 0

    def do(self, row: Row, bar: ProgressBar) -> None:
        """All journals of a row. What is wrong with one row need not be with the next."""
        try:
            cases = self.sets.some(row)
            with bar.aside():
                for number, seed in enumerate(row.seeds, 1):
                    complain(row.name + (f", seed {number} of {len(row.seeds)}" if len(row.seeds) > 1 else ""))
                    asked = self.sets.asked(row, seed, cases)
                    out = self.sets.places.journal(row, seed)
                    own = row_options(row, seed, out, self.options)
                    done = self._ask(row, own, asked)
                    self.failed += done.failed
                    for record in [record for record in done.records if "error" in record][:3]:
                        complain(f"failed: {record['id']}: {record['error']}")
                    self._judge(row, seed)
        except AttentionPromptingError as error:
            if isinstance(error, Cancelled) or (isinstance(error, CannotWrite) and error.everywhere):
                raise
            self.problems[row.name] = one_line(error)
            bar.note(f"failed: {row.name}: {one_line(error)}")

    def _ask(self, row: Row, own: argparse.Namespace, cases: Sequence[QuestionCase]) -> RunResult:
        folders = self.sets.places.models
        plan, doing = (
            (explain_plan(own, folders), "explaining") if row.explained else (run_plan(own, folders), "asking")
        )
        return do_cases(own, cases, plan, doing, loaded=self.loaded, cluster=self.cluster)

    def _judge(self, row: Row, seed: int) -> None:
        judging = find_data_set(row.data_set).judging
        if judging is None or self.judge is None or row.explained:
            return
        places, cases, every = self.sets.places, self.sets.some(row), self.sets.every(row)
        said = answers_in(places.journal(row, seed), row, cases, self.sets.asked(row, seed, every))
        done = judge_arms(
            judging,
            places.prompts_of_judge(find_data_set(row.data_set)),
            self.judge,
            cases,
            {answer_key(row): said},
            places.verdicts(row, seed),
            row.verdicts,
            self.options.overwrite,
        )
        self.failed += done.failed


def _lines(rows: Sequence[Row], work: _Work, missing: dict[str, str]) -> list[Line]:
    """Every line of the table, from the journals alone."""
    known: dict[str, Scored | str] = {}

    def find(row: Row) -> Scored | str:
        if row.name not in known:
            try:
                known[row.name] = scored(work.sets, row)
            except AttentionPromptingError as error:
                known[row.name] = missing.get(row.name) or work.problems.get(row.name) or one_line(error)
        return known[row.name]

    lines: list[Line] = []
    total = sum(len(row.figures) for row in rows)
    with ProgressBar("scoring", shown=total > 1) as bar:
        for row in rows:
            found = find(row)
            if isinstance(found, str):
                lines += empty_lines(row, found)
                continue
            base = None if row.arm == row.base and not row.control else find(work.sets.row_like(row, row.base))
            for figure in row.figures:
                bar(len(lines), total)
                lines.append(line_of(found, figure, base if isinstance(base, Scored) else None))
    return lines


def _write(plan: Plan, lines: Sequence[Line], work: _Work, places: Places) -> None:
    notes = [f"{name} was not finished: {why}" for name, why in work.problems.items()]
    notes += [f"About {places.quick} questions of each set: to see that it runs."] if places.quick else []
    table = to_table(plan, lines, notes).to_markdown()
    about = {"plan": plan.name, "title": plan.title, "notes": [*plan.notes, *notes]}
    found = {**about, "rows": [line.to_json() for line in lines]}
    for suffix, text in ((".md", table), (".json", json.dumps(found, indent=1) + "\n")):
        with whole_file(places.out / f"{plan.name}{suffix}") as part:
            part.write_text(text, encoding="utf-8")
    say(table)
    say(str(places.out / f"{plan.name}.md"))
