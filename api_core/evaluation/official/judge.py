"""Let a model on a server judge answers, and keep every verdict: a journal that a stop does not harm.

A verdict is all that the judge said about one answer, with the judge's name as the server gave it and digests of the
prompt and of the answer; what it is worth is for the set's rule to say, when it is scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, ServerFailed
from ...models.conversation.case import Case
from ...models.server import ServerModel
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from ..runner.results_file import Record
from ..runner.run_cases import RunResult, run_cases
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

    @property
    def id(self) -> str:
        return f"{self.case.id} {self.arm} {self.run}"

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what the judge is asked first: whether answer, truth and prompt are still the same."""
        return _digest(self.request.system, self.request.question)


def judge_tasks(
    judging: Judging,
    texts: Texts,
    cases: Iterable[QuestionCase],
    records: Mapping[str, Record],
    arms: Sequence[str],
    runs: int = 1,
) -> list[JudgeTask]:
    """A task for each answer that `records` (lines of results, by id) hold in one of the arms, and for each run.

    Cases that failed have no answer, and no task.
    """
    tasks = []
    for run in range(1, runs + 1):
        for case in cases:
            for arm in arms:
                told = records.get(case.id, {}).get(arm)
                if told is not None:
                    request = judging.request(texts, case, told["answer"], ())
                    assert request is not None, "a judge is asked at least once"
                    tasks.append(JudgeTask(case, arm, told["answer"], run, request))
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

    def work(group: Sequence[JudgeTask], on_progress: Progress) -> list[dict[str, Any]]:
        return _verdicts(judging, texts, model, group, on_progress)

    # Only what is asked: where the server is, and with what key, is the profile's own affair.
    settings = {"judging": judging.name, "judge": model.name, "prompts": digest_of(texts)}
    at_once = 4 * model.limits.at_once
    return run_cases(
        tasks, work, out, settings=settings, batch_size=at_once, overwrite=overwrite, on_progress=on_progress
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

    judges: their names as the server gave them. prompts: the digest of what they were told. judging: its name.
    """

    said: Mapping[str, tuple[tuple[str, ...], ...]]
    judges: tuple[str, ...]
    prompts: str
    judging: str

    @property
    def runs(self) -> int:
        return len(next(iter(self.said.values())))


def read_verdicts(lines: Iterable[Record], answers: Mapping[str, str], arm: str) -> Verdicts:
    """The verdicts on `answers` (case id -> the arm's answer) among the lines of a file that `judge` wrote.

    InvalidInput where answers have changed since, and where one has no verdict, or fewer than another.
    """
    runs: dict[str, dict[int, tuple[str, ...]]] = {name: {} for name in answers}
    own = [line for line in lines if "error" not in line and line["arm"] == arm and line["of"] in runs]
    for line in own:
        if line["answer"] != _digest(answers[line["of"]]):
            raise InvalidInput(
                f"The {arm} answer to {line['of']!r} is not the one that was judged. Judge these results anew."
            )
        runs[line["of"]][line["run"]] = tuple(line["said"])
    most = max(map(len, runs.values()), default=0)
    lacking = [name for name, found in runs.items() if len(found) < max(most, 1)]
    if lacking:
        raise InvalidInput(
            f"{len(lacking)} of {len(runs)} {arm} answers wait for a verdict, {lacking[0]!r} first. Run `judge` again."
        )
    said = {name: tuple(found[run] for run in sorted(found)) for name, found in runs.items()}
    judges = sorted({line["judge"] or line["settings"]["judge"] for line in own})
    settings = own[0]["settings"]
    return Verdicts(said, tuple(judges), settings["prompts"], settings["judging"])


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
