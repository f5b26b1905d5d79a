"""VLMEvalKit, unmodified, asks `serve`: its table and its answers must be those of `run` with the same pictures.

    python tools/parity/vlmevalkit_serve.py PYTHON CHECKOUT [--scenes 6] [--prompted-by tiny-clip] [--client GPT4V]

CHECKOUT: of VLMEvalKit, as published (read and run at its commit e8e78f05). PYTHON: an interpreter with the packages of
its `requirements.txt` and rouge_score. It needs no network: its own class for POPE is given drawn scenes as a TSV file,
and tiny-lvlm answers. It sends pictures as JPEG, so `run` is given JPEGs that its Pillow wrote. Prints both tables;
exit code 1 where they differ. `--client`: the class of its that asks: LMDeployAPI, as with `--base-url`, or GPT4V.
"""

import argparse
import base64
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_eval_serve import ASKED, MODEL, draw_cases, rates, run_cases, serving

TASK = "DRAWN_POPE"
TO_JPEG = "import sys; from PIL import Image; [Image.open(p).save(p[:-3] + 'jpg', format='JPEG') for p in sys.argv[1:]]"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("python", help="of the environment with VLMEvalKit's packages")
    parser.add_argument("checkout", type=Path, help="of VLMEvalKit")
    parser.add_argument("--scenes", type=int, default=6, help="eight questions on each")
    parser.add_argument("--prompted-by", default="tiny-clip", help="the CLIP that prompts the pictures, or none")
    parser.add_argument("--at-once", type=int, default=4, help="requests that VLMEvalKit has under way")
    parser.add_argument("--client", choices=("LMDeployAPI", "GPT4V"), default="LMDeployAPI")
    options = parser.parse_args()
    prompted_by = None if options.prompted_by == "none" else options.prompted_by
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = draw_cases(folder, options.scenes, shown="jpg")
        subprocess.run([options.python, "-c", TO_JPEG, *(row["image"] for row in rows)], check=True)
        write_task(folder / f"{TASK}.tsv", rows)
        ours = run_cases(folder / "cases.jsonl", prompted_by)
        with serving(prompted_by) as address:
            asking = {
                "class": options.client,
                "model": MODEL,
                "key": "none",
                "temperature": 0,
                "api_base": f"{address}/chat/completions",
            }
            theirs, their_table = ask_vlmevalkit(folder, options, asking)
    our_table = table(rows, ours)
    sys.stdout.write(f"{len(rows)} questions, {'prompted by ' + prompted_by if prompted_by else 'plain pictures'}\n")
    for name, value in our_table.items():
        sys.stdout.write(f"{name:10} VLMEvalKit {their_table[name]:.6f}   run {value:.6f}\n")
    differ = [row["question_id"] for row in rows if theirs[row["question_id"]] != ours[row["question_id"]]]
    sys.stdout.write(f"answers that differ: {len(differ)} of {len(rows)}\n")
    return int(bool(differ) or any(abs(their_table[name] - value) > 1e-9 for name, value in our_table.items()))


def write_task(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(("index", "image", "question", "answer", "category"))
        for row in rows:
            picture = base64.b64encode(Path(row["image"]).read_bytes()).decode()
            asked = row["question"] + ASKED
            writer.writerow((row["question_id"], picture, asked, row["answer"].capitalize(), "drawn"))


def ask_vlmevalkit(
    folder: Path, options: argparse.Namespace, asking: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, float]]:
    """Its answers by question, and its table. asking: its model, as its files of settings describe one."""
    out, settings = folder / "out", folder / "settings.json"
    data = {TASK: {"class": "ImageYORNDataset", "dataset": TASK}}
    settings.write_text(json.dumps({"model": {MODEL: asking}, "data": data}), encoding="utf-8")
    command = [options.python, "run.py", "--config", str(settings), "--work-dir", str(out)]
    command += ["--judge", "exact_matching", "--api-nproc", str(options.at_once)]
    told = {"LMUData": str(folder), "PRED_FORMAT": "tsv", "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, cwd=options.checkout, env={**os.environ, **told}, capture_output=True, text=True)
    files = [out / MODEL / f"{MODEL}_{TASK}{end}" for end in (".tsv", "_score.csv")]
    if done.returncode or not all(file.is_file() for file in files):
        raise SystemExit(f"VLMEvalKit failed:\n{done.stdout[-3000:]}{done.stderr[-6000:]}")
    answers = {line["index"]: line["prediction"] for line in lines_of(files[0], "\t")}
    (overall,) = (line for line in lines_of(files[1], ",") if line["split"] == "Overall")
    return answers, {name: float(figure) for name, figure in overall.items() if name != "split"}


def lines_of(path: Path, between: str) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter=between))


def table(rows: Sequence[Mapping[str, Any]], answers: Mapping[str, str]) -> dict[str, float]:
    """VLMEvalKit's rules: one of the words yes and no anywhere in the answer; both or neither is wrong, and no yes."""
    pairs = [(row["answer"], said(answers[row["question_id"]])) for row in rows]
    found = rates(pairs, missed=sum(truth == "yes" != answer for truth, answer in pairs))
    names = {"Overall": "f1_score", "acc": "accuracy", "precision": "precision", "recall": "recall"}
    return {theirs: 100 * found[name] for theirs, name in names.items()}


def said(answer: str) -> str:
    words = {"yes", "no"}.intersection(re.findall(r"\w+", answer.lower()))
    return words.pop() if len(words) == 1 else ""


if __name__ == "__main__":
    sys.exit(main())
