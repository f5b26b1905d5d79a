"""Runs official scorers of short answers on given entries. Started by `text_programs.py` in a process of its own.

    python short_answers_official.py m4c|vqa|vizwiz FILE <job.json >found.json

FILE is the official module. A job is a list of {answer, answers} (VizWiz: and `answerable`), `answers` being those of
ten people; found are `each` accuracy, and the figures of all by our rows' names. The official functions are called
from outside; nothing of them is repeated here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

Entries = list[dict[str, Any]]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("official", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def m4c(path: Path, entries: Entries) -> dict[str, Any]:
    evaluator = load(path).TextVQAAccuracyEvaluator()
    each = [evaluator.eval_pred_list([{"pred_answer": one["answer"], "gt_answers": one["answers"]}]) for one in entries]
    entries = [{"pred_answer": one["answer"], "gt_answers": one["answers"]} for one in entries]
    return {"each": [100 * accuracy for accuracy in each], "accuracy": 100 * evaluator.eval_pred_list(entries)}


def vqa(path: Path, entries: Entries) -> dict[str, Any]:
    """The program is for Python 2: its prints are put into brackets first."""
    with tempfile.TemporaryDirectory() as folder:
        mended = Path(folder, "vqa.py")
        mended.write_text(re.sub(r'print "(.*)"', r'print("\1")', path.read_text(encoding="utf-8")), encoding="utf-8")
        module = load(mended)

    def found(digits: int) -> Any:
        truths = {
            number: {
                "answers": [{"answer": text, "answer_id": at} for at, text in enumerate(one["answers"])],
                "question_type": "any",
                "answer_type": "any",
            }
            for number, one in enumerate(entries)
        }
        answers = {number: {"answer": one["answer"]} for number, one in enumerate(entries)}
        known = SimpleNamespace(qa=truths, getQuesIds=lambda: list(truths))
        evaluation = module.VQAEval(known, SimpleNamespace(qa=answers), n=digits)
        evaluation.evaluate()
        return evaluation

    return {"each": list(found(9).evalQA.values()), "accuracy": found(2).accuracy["overall"]}


def vizwiz(path: Path, entries: Entries) -> dict[str, Any]:
    module = load(path)

    def found(digits: int) -> Any:
        truths = {
            number: {"answers": [{"answer": text} for text in one["answers"]], "answerable": one["answerable"]}
            for number, one in enumerate(entries)
        }
        answers = {number: {"answer": one["answer"]} for number, one in enumerate(deepcopy(entries))}
        evaluation = module.VQAEval(truths, answers, n=digits)
        evaluation.evaluate()
        evaluation.evaluate_unanswerability()
        return evaluation

    rounded = found(2)
    return {
        "each": list(found(9).evalQA.values()),
        "accuracy": rounded.accuracy["overall"],
        "unanswerable, average precision": rounded.unanswerability["average_precision"],
        "unanswerable, F1": rounded.unanswerability["f1_score"],
    }


if __name__ == "__main__":
    program, file = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        result = {"m4c": m4c, "vqa": vqa, "vizwiz": vizwiz}[program](Path(file).resolve(), json.load(sys.stdin))
    json.dump(result, sys.stdout)
