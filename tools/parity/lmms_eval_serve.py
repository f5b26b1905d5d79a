"""lmms-eval, unmodified, asks `serve`: its table and its answers must be those of `run` with the same pictures.

    python tools/parity/lmms_eval_serve.py PYTHON [--scenes 6] [--prompted-by tiny-clip]

PYTHON: the interpreter of an environment that has lmms-eval 0.7.3 (`pip install "lmms-eval==0.7.3" "filelock<4"`; with
a newer filelock it does not start). It needs no network: its own task `pope` is pointed at drawn scenes, and tiny-lvlm
answers. Prints both tables; exit code 1 where they differ. `--way bridge` takes the way of `lmms_eval_bridge.py`
instead: its task is exported, answered by `run`, and the answers are scored by lmms-eval.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from api_core.evaluation.benchmark.hallucination import existence_questions  # noqa: E402
from api_core.evaluation.benchmark.splits import HARD  # noqa: E402
from api_core.pictures import to_pil  # noqa: E402

MODEL = "tiny-lvlm"
TASK = "drawn_pope"
ASKED = "\nAnswer the question using a single word or phrase."
VERSION = "0.7.3"
TO_PARQUET = """
import json, sys
from datasets import Dataset, Features, Image, Value
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
features = Features({**{name: Value("string") for name in ("question_id", "question", "answer")}, "image": Image()})
Dataset.from_list(rows, features=features).to_parquet(sys.argv[2])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="of the environment with lmms-eval")
    parser.add_argument("--scenes", type=int, default=6, help="eight questions on each")
    parser.add_argument("--prompted-by", default="tiny-clip", help="the CLIP that prompts the pictures, or none")
    parser.add_argument("--at-once", type=int, default=4, help="requests that lmms-eval has under way")
    parser.add_argument("--way", choices=("serve", "bridge"), default="serve")
    options = parser.parse_args()
    prompted_by = None if options.prompted_by == "none" else options.prompted_by
    found = subprocess.run(
        [options.python, "-c", "import importlib.metadata as m; print(m.version('lmms-eval'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if found != VERSION:
        sys.stdout.write(f"lmms-eval {found} is not the one that was read, {VERSION}: its table may be another.\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = draw_task(folder, options.python, options.scenes)
        ours = run_cases(folder / "cases.jsonl", prompted_by)
        if options.way == "serve":
            with serving(prompted_by) as address:
                model = f"model_version={MODEL},base_url={address},api_key=none,num_concurrent={options.at_once}"
                asking = ["-m", "lmms_eval", "--model", "openai", "--model_args", model, "--batch_size", "1"]
                theirs, their_table = ask_lmms_eval(folder, options.python, asking)
        else:
            bridge, exported = str(ROOT / "tools" / "parity" / "lmms_eval_bridge.py"), folder / "exported.jsonl"
            ask_lmms_eval(folder, options.python, [bridge, "export", str(exported)])
            run_cases(exported, prompted_by)
            arm = "prompted" if prompted_by else "plain"
            replay = [bridge, "replay", str(results_of(exported)), "--arm", arm]
            theirs, their_table = ask_lmms_eval(folder, options.python, replay)
    our_table = pope_table(rows, ours)
    sys.stdout.write(f"{len(rows)} questions, {'prompted by ' + prompted_by if prompted_by else 'plain pictures'}\n")
    for name, value in our_table.items():
        sys.stdout.write(f"{name:16} lmms-eval {their_table[name]:.6f}   run {value:.6f}\n")
    differ = [row["question_id"] for row in rows if theirs[row["question_id"]] != ours[row["question_id"]]]
    sys.stdout.write(f"answers that differ: {len(differ)} of {len(rows)}\n")
    return int(bool(differ) or any(abs(their_table[name] - value) > 1e-9 for name, value in our_table.items()))


def draw_task(folder: Path, python: str, scenes: int) -> list[dict[str, Any]]:
    """Write the task for lmms-eval and the same cases for `run`; returns what is asked."""
    rows = draw_cases(folder, scenes)
    data, task = folder / "data", folder / "task"
    data.mkdir()
    task.mkdir()
    write_lines(folder / "rows.jsonl", rows)
    subprocess.run([python, "-c", TO_PARQUET, str(folder / "rows.jsonl"), str(data / "test.parquet")], check=True)
    where = "import lmms_eval, pathlib; print(pathlib.Path(lmms_eval.__file__).parent / 'tasks/pope/pope.yaml')"
    built_in = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    lines = [f"include: {built_in}", f"task: {TASK}", f"dataset_path: {data}", "dataset_kwargs: {}"]
    (task / f"{TASK}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rows


def draw_cases(folder: Path, scenes: int, shown: str = "png") -> list[dict[str, Any]]:
    """Draw the pictures of eight questions a scene as PNG, and write `cases.jsonl`, of files <number>.shown beside."""
    rows, cases = [], []
    for number, case in enumerate(existence_questions(HARD, "test", scenes)):
        picture = folder / f"{number}.png"
        to_pil(case.load()).save(picture)
        (answer,) = case.answers
        rows.append({"question_id": str(number), "question": case.question, "answer": answer, "image": str(picture)})
        asked = {"question": case.question + ASKED, "query": case.question}
        cases.append({"id": str(number), "picture": str(picture.with_suffix(f".{shown}")), **asked})
    write_lines(folder / "cases.jsonl", cases)
    return rows


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@contextlib.contextmanager
def serving(prompted_by: str | None) -> Iterator[str]:
    """`serve` in a process of its own; its address."""
    more = ["--prompted-by", prompted_by] if prompted_by else []
    command = [sys.executable, "-m", "api_core", "serve", MODEL, "--port", "0", "--device", "cpu", *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" answers at ")[1].split(";")[0]
        finally:
            process.terminate()


def ask_lmms_eval(folder: Path, python: str, asking: Sequence[str]) -> tuple[dict[str, str], dict[str, float]]:
    """Its answers by question, and its table. asking: what it is started with, but for the task."""
    out = Path(tempfile.mkdtemp(dir=folder))
    command = [python, *asking, "--tasks", TASK, "--include_path", str(folder / "task")]
    command += ["--log_samples", "--output_path", str(out)]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub"), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"lmms-eval failed:\n{done.stdout[-3000:]}{done.stderr[-6000:]}")
    (table,) = out.rglob("*_results.json")
    (samples,) = out.rglob(f"*_samples_{TASK}.jsonl")
    scores = json.loads(table.read_text(encoding="utf-8"))["results"][TASK]
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    answers = {line["pope_accuracy"]["question_id"]: line["filtered_resps"] for line in lines}
    return answers, {name.removesuffix(",none"): value for name, value in scores.items() if name.endswith(",none")}


def results_of(cases: Path) -> Path:
    return cases.with_suffix(".results.jsonl")


def run_cases(cases: Path, prompted_by: str | None) -> dict[str, str]:
    """The answers of `run` by question."""
    results = results_of(cases)
    maps = ["--map-model", prompted_by, "--no-plain"] if prompted_by else ["--map", "none"]
    command = [sys.executable, "-m", "api_core", "run", str(cases), "--out", str(results), *maps]
    subprocess.run([*command, "--lvlm", MODEL, "--device", "cpu"], cwd=ROOT, check=True, capture_output=True)
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    arm = "prompted" if prompted_by else "plain"
    return {line["id"]: line[arm]["answer"] for line in lines if arm in line}


def pope_table(rows: Sequence[Mapping[str, Any]], answers: Mapping[str, str]) -> dict[str, float]:
    """lmms-eval's rules: an answer must be the word itself; the share of yes is that of the truth."""
    pairs = [(row["answer"], answers[row["question_id"]].lower().strip()) for row in rows]
    figures = rates(pairs, missed=sum(pair == ("yes", "no") for pair in pairs))
    figures["yes_ratio"] = sum(truth == "yes" for truth, _ in pairs) / len(pairs)
    return {f"pope_{name}": figure for name, figure in figures.items()}


def rates(pairs: Sequence[tuple[str, str]], missed: int) -> dict[str, float]:
    """pairs: the truth, and what was said. missed: how many a yes was not found."""
    hit = sum(pair == ("yes", "yes") for pair in pairs)
    false = sum(pair == ("no", "yes") for pair in pairs)
    precision, recall = hit / max(hit + false, 1), hit / max(hit + missed, 1)
    return {
        "accuracy": sum(truth == said for truth, said in pairs) / len(pairs),
        "precision": precision,
        "recall": recall,
        "f1_score": 2 * precision * recall / max(precision + recall, 1e-12),
    }


if __name__ == "__main__":
    sys.exit(main())
