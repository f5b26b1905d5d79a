"""Have a model on a server judge the answers to a published data set."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InvalidInput, shortened
from ..evaluation.cases import QuestionCase
from ..evaluation.official.data_set import Answers
from ..evaluation.official.judge import judge, judge_tasks
from ..evaluation.official.registry import DATA_SETS, data_set_of
from ..evaluation.official.results import arms_of, results_of
from ..evaluation.official.rules.judge_prompts import Judging, digest_of
from ..evaluation.readers.jsonl import read_cases
from ..evaluation.runner.run_cases import RunResult
from ..models.server import ServerModel, connect
from .terminal import ProgressBar, complain, say, tally


def run(options: argparse.Namespace) -> int:
    """Judge every answer that VERDICTS.jsonl holds no verdict on; returns how many could not be judged."""
    cases = read_cases(options.cases)
    data_set = data_set_of(cases)
    judging = data_set.judging
    if judging is None:
        judged = ", ".join(one.title for one in DATA_SETS.values() if one.judging)
        raise InvalidInput(f"{data_set.title} needs no judge: `score` its answers at once. A judge is for {judged}.")
    if options.out.resolve() in {options.results.resolve(), options.cases.resolve()}:
        raise InvalidInput(f"{options.out} is an input; verdicts need a file of their own.")
    arms = arms_of(results_of(options.results, cases))
    if options.shown:
        if options.shown not in arms:
            raise InvalidInput(
                f"{options.results} has no answers {shortened(options.shown)!r}. Choose one of {', '.join(arms)}."
            )
        arms = {options.shown: arms[options.shown]}
    model = judge_named(options)
    done = judge_arms(judging, options.official, model, cases, arms, options.out, options.runs, options.overwrite)
    if done.skipped:
        say(f"{done.skipped} were judged before")
    say(tally(len(done.records), done.failed, "verdicts"))
    say(os.fspath(options.out))
    return done.failed


def judge_arms(
    judging: Judging,
    official: Path,
    model: ServerModel,
    cases: Sequence[QuestionCase],
    arms: Mapping[str, Answers],
    out: Path,
    runs: int,
    overwrite: bool,
) -> RunResult:
    """Judge what `out` holds no verdict on, with the prompts in a checkout of the official repository."""
    texts = judging.read_texts(official)
    if digest_of(texts) != judging.published:
        complain(
            f"warning: the prompts in {official} ({digest_of(texts)}) are not those that published scores were made "
            f"with ({judging.published})"
        )
    tasks = judge_tasks(judging, texts, cases, arms, runs)
    with ProgressBar("judging", shown=len(tasks) > 1) as bar:
        done = judge(judging, texts, model, tasks, out, overwrite=overwrite, on_progress=bar)
    for record in [record for record in done.records if "error" in record][:5]:
        complain(f"failed: {record['id']}: {record['error']}")
    return done


def judge_named(options: argparse.Namespace) -> ServerModel:
    """The judge that --judge names."""
    profile, colon, name = options.judge.partition(":")
    if not colon or not name.strip():
        raise InvalidInput(
            f"A judge is a server's profile and its model, like openai:gpt-4-0613, not {shortened(options.judge)!r}. "
            "`servers list` names the profiles."
        )
    return connect(profile, name, folder=options.folder, at_once=options.at_once)
