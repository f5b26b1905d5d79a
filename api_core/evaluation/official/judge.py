"""Let a model on a server judge answers, and keep every verdict: a journal that a stop does not harm.

A verdict is all that the judge said about one answer, with the judge's name as the server gave it and digests of the
prompt and of the answer; what it is worth is for the set's rule to say, when it is scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, ServerFailed
from ...models.conversation.case import Case
from ...models.server import ServerModel
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from ..runner.results_file import Record, read_results
from ..runner.run_cases import RunResult, run_cases
from .data_set import Answers, Resources
from .rules.judge_prompts import Judging, Request, Texts, digest_of

_NOBODY_THERE = ("unreachable", "key")
"""What is wrong with a server when no request can succeed."""


@dataclass(frozen=True)
class JudgeTask:
    """One answer to judge. arm: which of a case's answers, such as "prompted". run: the how manieth verdict on it."""

    case: QuestionCase
    arm: str
    answer: str
    run: int
    request: Request

    def as_case(self) -> QuestionCase:
        """As the runner takes it and tells whether it has changed: what the judge is asked first, about no picture."""
        name = f"{self.case.id} {self.arm} {self.run}"
        return QuestionCase(name, Path(), self.request.question, meta={"system": self.request.system})


def judge_tasks(
    judging: Judging, texts: Texts, cases: Sequence[QuestionCase], arms: Mapping[str, Answers], runs: int = 1
) -> list[JudgeTask]:
    """A task for each answer of each arm, and for each run."""
    tasks = []
    for run in range(1, runs + 1):
        for arm, answers in arms.items():
            for case in cases:
                if case.id in answers:
                    request = judging.request(texts, case, answers[case.id], ())
                    assert request is not None, "a judge is asked at least once"
                    tasks.append(JudgeTask(case, arm, answers[case.id], run, request))
    return tasks


def judge(
    judging: Judging,
    texts: Texts,
    model: ServerModel,
    tasks: Sequence[JudgeTask],
    out: Path,
    *,
    overwrite: bool = False,
    on_progress: Progress = ignore_progress,
) -> RunResult:
    """Have every task judged that `out` holds no verdict on, and add the verdicts there.

    A task whose judging fails gets a line with `error`, and is tried again by the next call. A server that cannot be
    reached or refuses the key raises ServerFailed before anything is asked.
    """
    try:
        model.list_models(on_progress=on_progress)
    except ServerFailed as failed:
        if failed.kind in _NOBODY_THERE:
            raise
    cases = [task.as_case() for task in tasks]
    task_of = {case.id: task for case, task in zip(cases, tasks, strict=True)}

    def work(group: Sequence[QuestionCase], on_progress: Progress) -> list[dict[str, Any]]:
        return _verdicts(judging, texts, model, [task_of[case.id] for case in group], on_progress)

    # Only what is asked: where the server is, and with what key, is the profile's own affair.
    settings = {"judging": judging.name, "judge": model.name, "prompts": digest_of(texts)}
    batch_size = 4 * model.limits.at_once  # what a stop may cost, against waiting for the slowest of few
    return run_cases(
        cases, work, out, settings=settings, batch_size=batch_size, overwrite=overwrite, on_progress=on_progress
    )


def _verdicts(
    judging: Judging, texts: Texts, model: ServerModel, tasks: Sequence[JudgeTask], on_progress: Progress
) -> list[dict[str, Any]]:
    """Ask until the judging has no further request: all tasks of a round have been asked as often."""
    verdicts: list[dict[str, Any]] = [
        {"of": task.case.id, "arm": task.arm, "run": task.run, "answer": _digest(task.answer), "said": []}
        for task in tasks
    ]
    waiting: list[tuple[int, Request]] = [(at, task.request) for at, task in enumerate(tasks)]
    tries = 0
    while waiting:
        replies = model.generate(
            [Case((), request.question, request.system) for _, request in waiting],
            max_new_tokens=judging.max_new_tokens,
            settings={"temperature": judging.temperature(tries)},
            on_progress=on_progress,
        )
        tries += 1
        for (at, _), reply in zip(waiting, replies, strict=True):
            verdicts[at]["said"].append(reply.as_sent)
            verdicts[at]["judge"] = reply.model
            if reply.notes:
                verdicts[at]["notes"] = list(reply.notes)
        further = (
            (at, judging.request(texts, tasks[at].case, tasks[at].answer, verdicts[at]["said"])) for at, _ in waiting
        )
        waiting = [(at, request) for at, request in further if request is not None]
    return verdicts


@dataclass(frozen=True)
class Verdicts:
    """What was said about the answers of one arm. said: for each case, and of it for each run, all the judge's replies.

    judges: their names as the server gave them. prompts: the digest of what they were told.
    """

    said: Mapping[str, tuple[tuple[str, ...], ...]]
    judges: tuple[str, ...]
    prompts: str

    @property
    def runs(self) -> int:
        return len(next(iter(self.said.values())))


def verdicts_in(resources: Resources, title: str) -> Verdicts:
    """The verdicts that a rule was handed; InvalidInput says how to get some."""
    found = resources.more.get("verdicts")
    if not isinstance(found, Verdicts):
        raise InvalidInput(
            f"Answers to {title} are judged by a model. Let one do so with `judge RESULTS.jsonl --cases CASES.jsonl "
            "--judge PROFILE:MODEL --official CHECKOUT --out VERDICTS.jsonl`, and score with --verdicts VERDICTS.jsonl."
        )
    return found


def judge_note(verdicts: Verdicts, judging: Judging) -> str:
    """Who judged, and what differs from how the authors had it done."""
    asked = ", ".join(verdicts.judges)
    own = "" if verdicts.judges == (judging.judge,) else f"; the authors asked {judging.judge}"
    prompts = (
        "the published prompts" if verdicts.prompts == judging.published else f"other prompts ({verdicts.prompts})"
    )
    return f"Judged by {asked}{own}, with {prompts}."


def read_verdicts(path: Path, arms: Mapping[str, Answers]) -> dict[str, Verdicts]:
    """The verdicts in a file that `judge` wrote, on each arm that has any.

    InvalidInput where none has, where answers have changed since, and where one has no verdict, or fewer than another.
    """
    lines = list(read_results(path).values())
    if any("said" not in line for line in lines):
        raise InvalidInput(f"{path} holds no verdicts. Name the file that `judge` wrote.")
    own = {arm: [line for line in lines if line["arm"] == arm and line["of"] in arms[arm]] for arm in arms}
    found = {arm: _verdicts_on(arm, arms[arm], of) for arm, of in own.items() if of}
    if not found:
        raise InvalidInput(f"{path} has no verdict on these answers ({', '.join(arms)}). Run `judge` first.")
    return found


def _verdicts_on(arm: str, answers: Answers, lines: Sequence[Record]) -> Verdicts:
    runs: dict[str, dict[int, tuple[str, ...]]] = {name: {} for name in answers}
    for line in lines:
        if line["answer"] != _digest(answers[line["of"]]):
            raise InvalidInput(
                f"The {arm} answer to {line['of']!r} is not the one that was judged. Judge these results anew."
            )
        runs[line["of"]][line["run"]] = tuple(line["said"])
    most = max(map(len, runs.values()))
    lacking = [name for name, of in runs.items() if len(of) < most]
    if lacking:
        raise InvalidInput(
            f"{len(lacking)} of {len(runs)} {arm} answers wait for a verdict, {lacking[0]!r} first. Run `judge` again."
        )
    said = {name: tuple(of[run] for run in sorted(of)) for name, of in runs.items()}
    settings = lines[0]["settings"]
    judges = sorted({line["judge"] or settings["judge"] for line in lines})
    return Verdicts(said, tuple(judges), settings["prompts"])


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
