"""The official programs of free text. MM-Vet's needs pandas, the copy of VizWiz's scikit-learn: put them on PYTHONPATH.

The judge is a function: behind a stand-in for the client library of LLaVA-Bench's program, and on a server of this
machine for MM-Vet's program and for ours, which have to be asked the very same.
"""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api_core.evaluation.official.data_set import NOTHING_MORE
from api_core.evaluation.official.judge import judge, judge_tasks, read_verdicts
from api_core.evaluation.official.mmmu import MMMU, TOTAL
from api_core.evaluation.official.registry import find_data_set
from api_core.evaluation.official.rules.judge_prompts import digest_of
from api_core.models.server import Profile, connect
from tools.parity import made_texts
from tools.parity.fake_judge import judge_server
from tools.parity.made_answers import Made
from tools.parity.official_program import (
    Scorer,
    cases_of,
    export,
    printed_by,
    require_read,
    require_same,
    write_json,
    write_lines,
)

RUNNER = Path(__file__).with_name("short_answers_official.py")
JUDGE = "a-judge"
RUNS = 2


def _each(program: str, file: str, folder: Path, made: Made, rule: str) -> dict[str, Any]:
    """What the evaluator gives for all; stops unless each answer by itself gets the same share here."""
    entries = [{"answer": made.answers[case["id"]], **case["meta"]} for case in made.cases]
    found = dict(json.loads(printed_by(folder, str(RUNNER), program, file, said=json.dumps(entries))))
    data_set = find_data_set(made.data_set)
    for case, share in zip(cases_of(made), found.pop("each"), strict=True):
        ours = data_set.score([case], made.answers, rule, NOTHING_MORE)["accuracy"].value
        require_same(f"{case.id}, {made.answers[case.id]!r}", round(share, 2), round(ours, 2))
    return found


def m4c(folder: Path, made: Made) -> dict[str, float]:
    """The evaluator, and the whole way: our reader, our export, and the program that prints."""
    entries = [
        {"image_id": case["meta"]["group"], "question": case["query"], "answers": case["meta"]["answers"]}
        for case in made.cases
    ]
    annotations = write_json(folder / "TextVQA_0.5.1_val.json", {"data": entries})
    require_read(made, folder)
    figures = _each("m4c", "m4c_evaluator.py", folder, made, "official")
    # The package pulls its model in when it is imported; its evaluators need nothing of that.
    inside = folder / "llava" / "eval"
    inside.mkdir(parents=True)
    shutil.copy(folder / "m4c_evaluator.py", inside)
    files = ("--annotation-file", str(annotations), "--result-file", str(export(made, folder, "answers.jsonl")))
    printed = re.search(r"Accuracy: (.*)%", printed_by(folder, "eval_textvqa.py", *files, modules=folder))
    require_same("Accuracy", printed and printed[1], f"{figures['accuracy']:.2f}")
    return figures


def vqa_v2(folder: Path, made: Made) -> dict[str, float]:
    return _each("vqa", "vqaEval.py", folder, made, "vqa-v2")


def vizwiz(folder: Path, made: Made) -> dict[str, float]:
    return _each("vizwiz", "eval.py", folder, made, "official")


def mmmu(folder: Path, made: Made) -> dict[str, float]:
    """Our export by the program that reads answers, and by the one that takes them as they were read."""
    (folder / "utils").mkdir()
    for name in ("data_utils.py", "eval_utils.py"):
        shutil.move(folder / name, folder / "utils")
    written = export(made, folder, "mmmu")
    printed_by(folder, "main_parse_and_eval.py", "--path", str(written), "--subject", "ALL")
    letters = json.loads((written / TOTAL).read_text(encoding="utf-8"))
    cases = {case.meta["mmmu_id"]: case for case in cases_of(made)}
    figures = {}
    for subject in sorted(path.name for path in written.iterdir() if path.is_dir()):
        figures[subject] = _percent(json.loads((written / subject / "result.json").read_text())["acc"])
        for one in json.loads((written / subject / "parsed_output.json").read_text(encoding="utf-8")):
            if one["question_type"] == "multiple-choice":
                require_same(one["id"], one["parsed_pred"], letters[one["id"]])
            else:
                ours = MMMU.score([cases[one["id"]]], made.answers, "official", NOTHING_MORE)["overall"].value
                require_same(one["id"], one["judge"], "Correct" if ours else "Wrong")
    truths = {
        name: {"question_type": case.meta["type"], "ground_truth": _one_or_all(case.meta["truths"])}
        for name, case in cases.items()
    }
    files = ("--output_path", str(written / TOTAL), "--answer_path", str(write_json(folder / "truths.json", truths)))
    printed = printed_by(folder, "main_eval_only.py", *files)
    for name, of in ast.literal_eval(printed[printed.index("{") :].strip()).items():
        own = "overall" if name == "Overall" else name.removeprefix("Overall-")
        if not of["num"]:
            continue
        require_same(f"{own}, both programs", _percent(of["acc"]), figures.setdefault(own, _percent(of["acc"])))
    return figures


def _percent(share: float) -> float:
    return round(100 * round(share, 3), 1)


def _one_or_all(truths: list[str]) -> str | list[str]:
    return truths[0] if len(truths) == 1 else truths


def llava_bench(folder: Path, made: Made) -> dict[str, float]:
    """Our reader, our export, the program with a stand-in for its client, and its summary."""
    metas = {case["id"]: case["meta"] for case in made.cases}
    questions = [
        {"question_id": case["meta"]["question_id"], "image": case["meta"]["group"]}
        | {"category": case["kind"], "text": case["question"]}
        for case in made.cases
    ]
    captions = {meta["group"]: meta["caption"] for meta in metas.values()}
    references = [
        {"question_id": meta["question_id"], "text": meta["reference"], "answer_id": "r"} for meta in metas.values()
    ]
    files = {
        "--question": write_lines(folder / "questions.jsonl", questions),
        "--context": write_lines(
            folder / "context.jsonl", [{"image": name, "caption": caption} for name, caption in captions.items()]
        ),
        "--rule": folder / "rule.json",
        "--output": folder / "review.jsonl",
    }
    lists = (write_lines(folder / "answers_gpt4.jsonl", references), export(made, folder, "answers.jsonl"))
    require_read(made, folder)
    options = [str(one) for pair in files.items() for one in pair] + ["--answer-list", *map(str, lists)]
    stand_in = Path(__file__).with_name("client_stand_in")
    root = str(Path(__file__).parents[2])
    printed_by(folder, "eval_gpt_review_bench.py", *options, modules=stand_in, ROOT=root, ASKED="asked.jsonl")
    asked = [json.loads(line) for line in (folder / "asked.jsonl").read_text(encoding="utf-8").splitlines()]
    write_json(folder / "asked.json", asked)
    figures = {}
    for line in printed_by(folder, "summarize_gpt_review.py", "-f", "review.jsonl").splitlines():
        if len(parts := line.split()) == 4:
            own = parts[0].removeprefix("llava_bench_")
            figures |= {f"{own}{of}": float(x) for of, x in zip(("", ", reference", ", model"), parts[1:], strict=True)}
    return figures


def mm_vet(folder: Path, made: Made) -> dict[str, float]:
    """Our reader, our export, the program with its judge on a server here: two verdicts on each answer."""
    entries = {
        case["id"].rpartition("/")[2]: {"imagename": case["meta"]["group"], "question": case["question"]}
        | {"answer": case["meta"]["truth"], "capability": case["meta"]["capabilities"]}
        for case in made.cases
    }
    write_json(folder / "mm-vet.json", entries)
    require_read(made, folder)
    results = folder / "results"
    results.mkdir()
    options = ["--mmvet_path", str(folder), "--result_file", str(export(made, folder, "ours.json"))]
    options += ["--result_path", str(results), "--gpt_model", JUDGE, "--num_run", str(RUNS)]
    with judge_server(made_texts.mark_for) as server:
        here = {"OPENAI_BASE_URL": server.address, "OPENAI_API_KEY": "none", "NO_PROXY": "*"}
        printed_by(folder, "mm-vet_evaluator.py", *options, **here)
        write_json(folder / "asked.json", server.asked)
    figures: dict[str, float] = {}
    for kind in ("cap", "cap-int"):
        with (results / f"ours_{JUDGE}-{kind}-score-{RUNS}runs.csv").open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        for name, value in row.items():
            if name in ("total", "std"):
                figures[{"total": name, "std": f"total, spread of {RUNS} verdicts"}[name]] = float(value)
            elif name not in ("", "runs"):
                figures[name if kind == "cap" else f"exactly {'_'.join(sorted(name.split('_')))}"] = float(value)
    return figures


def verdicts_of(
    reply: Callable[[str, int], str], runs: int, scripts: str = ""
) -> Callable[[Path, Made], dict[str, Any]]:
    """What our own judging gives with the same judge; stops unless it asks what the official program asked.

    scripts: where in a checkout the official files lie that are laid out flat, for our reader of prompts.
    """

    def resources(folder: Path, made: Made) -> dict[str, Any]:
        judging = find_data_set(made.data_set).judging
        assert judging is not None
        checkout = folder
        if scripts:
            checkout = folder / "checkout"
            (checkout / scripts / "table").mkdir(parents=True)
            shutil.copy(folder / "eval_gpt_review_bench.py", checkout / scripts)
            shutil.copy(folder / "rule.json", checkout / scripts / "table")
        texts = judging.read_texts(checkout)
        require_same("digest of the prompts", digest_of(texts), judging.published)
        tasks = judge_tasks(judging, texts, cases_of(made), {"plain": made.answers}, runs)
        with judge_server(reply) as server:
            model = connect(Profile("here", server.address), judging.judge if scripts else JUDGE)
            done = judge(judging, texts, model, tasks, folder / "verdicts.jsonl")
            require_same("failed verdicts", 0, done.failed)
        official = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
        require_same("what the judge is asked", sorted(official, key=str), sorted(server.asked, key=str))
        return {"verdicts": read_verdicts(folder / "verdicts.jsonl", {"plain": made.answers})["plain"]}

    return resources


_LLAVA = "llava/eval"
TEXT_SCORERS = (
    Scorer(
        *("textvqa", "textvqa", "official", "haotian-liu/LLaVA"),
        (f"{_LLAVA}/m4c_evaluator.py", f"{_LLAVA}/eval_textvqa.py"),
        made_texts.textvqa,
        m4c,
    ),
    Scorer(
        *("vqa-v2", "textvqa", "vqa-v2", "GT-Vision-Lab/VQA"),
        ("PythonEvaluationTools/vqaEvaluation/vqaEval.py",),
        made_texts.textvqa,
        vqa_v2,
    ),
    Scorer(
        *("vizwiz (a copy)", "vizwiz", "official", "TRI-ML/vlm-evaluation"),
        ("vlm_eval/util/evaluation/vizwiz/eval.py",),
        made_texts.vizwiz,
        vizwiz,
    ),
    Scorer(
        *("mmmu", "mmmu", "official", "MMMU-Benchmark/MMMU"),
        tuple(
            f"mmmu/{name}.py"
            for name in ("main_parse_and_eval", "main_eval_only", "utils/data_utils", "utils/eval_utils")
        ),
        made_texts.mmmu,
        mmmu,
    ),
    Scorer(
        *("llava-bench", "llava-bench", "official", "haotian-liu/LLaVA"),
        tuple(
            f"{_LLAVA}/{name}" for name in ("eval_gpt_review_bench.py", "summarize_gpt_review.py", "table/rule.json")
        ),
        made_texts.llava_bench,
        llava_bench,
        verdicts_of(made_texts.review_for, 1, _LLAVA),
    ),
    Scorer(
        *("mm-vet", "mm-vet", "official", "yuweihao/MM-Vet"),
        ("mm-vet_evaluator.py",),
        made_texts.mm_vet,
        mm_vet,
        verdicts_of(made_texts.mark_for, RUNS),
    ),
)
