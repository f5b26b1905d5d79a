"""Run the official scorers of published data sets as they are, on made answers, and compare their figures with ours.

    PYTHONPATH=. python tools/parity/scorers.py CHECKOUTS [--only NAME] [--answers 2000] [--write]

CHECKOUTS is a folder of working copies or bare repositories, each named after its repository (`LLaVA`) or with its
owner (`haotian-liu+LLaVA`). Each program runs in a process of its own on the files that `export` writes; nothing of it
is part of this project. Its figures must be ours to the last digit. --write keeps a smaller run for the tests. MM-Vet's
program needs pandas, the copy of VizWiz's scikit-learn: put them on PYTHONPATH too.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from api_core.evaluation.official.data_set import Resources
from api_core.evaluation.official.registry import find_data_set
from tests.core.fixtures.official_scores import KEPT, differences
from tools.parity import made_answers
from tools.parity.made_answers import Made
from tools.parity.official_program import Scorer, cases_of, export, printed_by, write_json, write_lines
from tools.parity.text_programs import TEXT_SCORERS

_KEPT_ANSWERS = 84
_MMSTAR = 1500


def pope(folder: Path, made: Made) -> dict[str, float]:
    written = export(made, folder, "pope")
    questions, answers = folder / "questions.jsonl", folder / "answers.jsonl"
    questions.write_text(
        "".join(
            json.dumps({"question_id": case["meta"]["question_id"], "category": case["kind"].partition("-")[2]}) + "\n"
            for case in made.cases
        )
    )
    parts = sorted(written.glob("*.jsonl"))
    answers.write_text("".join(path.read_text(encoding="utf-8") for path in parts), encoding="utf-8")
    notes = folder / "annotations"
    notes.mkdir()
    for path in parts:
        labels = [case["meta"]["truth"] for case in made.cases if case["kind"] == path.stem]
        (notes / f"coco_pope_{path.stem.partition('-')[2]}.json").write_text(
            "".join(json.dumps({"label": label}) + "\n" for label in labels)
        )
    command = ("--annotation-dir", str(notes), "--question-file", str(questions), "--result-file", str(answers))
    names = {
        "Accuracy": "accuracy",
        "Precision": "precision",
        "Recall": "recall",
        "F1 score": "F1",
        "Yes ratio": "yes ratio",
    }
    found: dict[str, float] = {}
    category = ""
    for line in printed_by(folder, "eval_pope.py", *command).splitlines():
        name, _, value = line.partition(": ")
        if name == "Category":
            category = value.partition(",")[0]
        elif name in names:
            found[f"coco-{category} {names[name]}"] = float(value) * 100
    return found


# AvisC's programs ask a model as well: only the functions that read and count answers are run, out of their file.
_AVISC = """
import ast, json, sys
tree = ast.parse(open(sys.argv[1]).read())
tree.body = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name in ("recorder", "print_acc")]
space = {}
exec(compile(tree, sys.argv[1], "exec"), space)
made = json.load(open("made.json"))
"""
_AVISC_READS = (
    _AVISC
    + """
print(json.dumps({name: space["recorder"](said) for name, said in made.items()}))
"""
)
_AVISC_COUNTS = (
    _AVISC
    + """
for part, (said, labels) in made.items():
    print("PART", part)
    space["print_acc"](space["recorder"](said, []), labels)
"""
)


def pope_by_avisc(folder: Path, made: Made) -> dict[str, float]:
    parts: dict[str, tuple[list[str], list[int]]] = {}
    for case in made.cases:
        said, labels = parts.setdefault(case["kind"], ([], []))
        said.append(made.answers[case["id"]])
        labels.append(int(case["meta"]["truth"] == "yes"))
    write_json(folder / "made.json", parts)
    names = {
        "Accuracy": "accuracy",
        "Precision": "precision",
        "Recall": "recall",
        "F1 score": "F1",
        "Yes ratio": "yes ratio",
    }
    found: dict[str, float] = {}
    part = ""
    for line in printed_by(folder, "-c", _AVISC_COUNTS, "pope_eval_llavab.py").splitlines():
        name, _, value = line.partition(": ")
        part = line.removeprefix("PART ") if line.startswith("PART ") else part
        if name in names:
            found[f"{part} {names[name]}"] = float(value) * 100
    return found


def pope_by_vcd(folder: Path, made: Made) -> dict[str, float]:
    modules = folder / "stubs"
    modules.mkdir()
    (modules / "tqdm.py").write_text(_STUBS["tqdm.py"])
    names = {"Accuracy": "accuracy", "Precision": "precision", "Recall": "recall", "F1": "F1", "yes": "yes ratio"}
    found: dict[str, float] = {}
    for answers in sorted(export(made, folder, "pope").glob("*.jsonl")):
        truth = [
            {"question_id": case["meta"]["question_id"], "label": case["meta"]["truth"]}
            for case in made.cases
            if case["kind"] == answers.stem
        ]
        files = ("--gt_files", str(write_lines(folder / "truth.jsonl", truth)), "--gen_files", str(answers))
        for line in printed_by(folder, "eval_pope.py", *files, modules=modules).splitlines():
            name, _, value = line.partition(": ")
            if name in names:
                found[f"{answers.stem} {names[name]}"] = float(value) * 100
    return found


def mme(folder: Path, made: Made) -> dict[str, float]:
    results = export(made, folder, "results")
    found: dict[str, float] = {}
    part = ""
    for line in printed_by(folder, "calculation.py", "--results_dir", str(results)).splitlines():
        if line.startswith("==="):
            part = line.strip("= ").lower()
        elif line.startswith("total score:"):
            found[part] = float(line.split(":")[1])
        elif "score:" in line:
            name, _, value = line.partition("score:")
            found[name.strip()] = float(value)
    return found


_STUBS = {
    "nltk/__init__.py": """
def word_tokenize(text):
    return text.split()
def pos_tag(tokens):
    return [(word, "DT" if word in {"the", "a", "is", "and", "very"} else "NNS") for word in tokens]
""",
    "nltk/stem.py": """
class WordNetLemmatizer:
    def lemmatize(self, word):
        return word.removesuffix("s")
""",
    "spacy.py": """
class _Read:
    def __init__(self, word):
        self.word = word
    def similarity(self, other):
        return 0.9 if self.word[:2] == other.word[:2] else 0.8
def load(name):
    return _Read
""",
    "tqdm.py": "def tqdm(values, **_):\n    return values\n",
}


def amber(folder: Path, made: Made) -> dict[str, float]:
    modules = folder / "stubs"
    for name, text in _STUBS.items():
        (modules / name).parent.mkdir(parents=True, exist_ok=True)
        (modules / name).write_text(text)
    notes = [{"id": c["meta"]["number"], "type": c["meta"]["type"], **_noted(c["meta"])} for c in made.cases]
    write_json(folder / "annotations.json", notes)
    files = {"word_association": "relation.json", "safe_words": "safe_words.txt", "annotation": "annotations.json"}
    given = export(made, folder, "answers.json")
    command = [f"--{name}={folder / file}" for name, file in files.items()]
    command += [f"--inference_data={given}", "--evaluation_type=a", f"--metrics={folder / 'metrics.txt'}"]
    parts = {"Descriminative Task": "discriminative", "Exsitence": "existence", "Generative Task": ""}
    names = {"Accuracy": "accuracy", "Precision": "precision", "Recall": "recall"}
    found: dict[str, float] = {}
    part = ""
    for line in printed_by(folder, "inference.py", *command, modules=modules).splitlines():
        name, _, value = line.partition(":")
        if value.strip():
            found[f"{part} {names.get(name, name)}".strip()] = float(value)
        elif name.strip():
            part = parts.get(name, name.lower())
    return found


def _noted(meta: dict[str, Any]) -> dict[str, Any]:
    return {name: meta[name] for name in ("truth", "hallu") if name in meta}


def read_by_avisc(folder: Path, made: Made, program: str) -> Made:
    """The made answers of yes or no as an AvisC program reads and writes them."""
    asked = {case["id"] for case in made.cases if case["kind"] != "generative"}
    write_json(folder / "made.json", {name: said for name, said in made.answers.items() if name in asked})
    return replace(made, answers=made.answers | json.loads(printed_by(folder, "-c", _AVISC_READS, program)))


def mme_by_avisc(folder: Path, made: Made) -> dict[str, float]:
    return mme(folder, read_by_avisc(folder, made, "mme_instructblip.py"))


def amber_by_avisc(folder: Path, made: Made) -> dict[str, float]:
    return amber(folder, read_by_avisc(folder, made, "amber_eval_llava.py"))


def _by_cambrian(folder: Path, program: str, lines: Path) -> dict[str, str]:
    """The row of figures that one of Cambrian's programs leaves, by its columns."""
    table = folder / f"{program}.csv"
    command = ("--answers_file", str(lines), "--output_file", str(folder / "wrong.jsonl"), "--csv_file", str(table))
    printed_by(folder, program, *command)
    with table.open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def mmvp(folder: Path, made: Made) -> dict[str, float]:
    return {"pairs": float(_by_cambrian(folder, "mmvp_test.py", export(made, folder, "mmvp.jsonl"))["accuracy"])}


def cv_bench(folder: Path, made: Made) -> dict[str, float]:
    """Its sources' programs, and the formula of its card over what they print."""
    lines = [json.loads(line) for line in export(made, folder, "cv.jsonl").read_text(encoding="utf-8").splitlines()]
    found: dict[str, float] = {}
    for source, program in (("ADE20K", "ade_test.py"), ("COCO", "coco_test.py"), ("Omni3D", "omni_test.py")):
        own = folder / f"{source}.jsonl"
        own.write_text("".join(json.dumps(line) + "\n" for line in lines if line["source"] == source))
        row = _by_cambrian(folder, program, own)
        found[source] = float(row["accuracy"]) * 100
        tasks = {line["category"] for line in lines if line["source"] == source}
        found |= {task: ast.literal_eval(row[task])["accuracy"] * 100 for task in tasks}
    found["2D"], found["3D"] = (found["ADE20K"] + found["COCO"]) / 2, found["Omni3D"]
    return found | {"combined": (found["2D"] + found["3D"]) / 2}


_MMSTAR_STUB = """
import json, logging
class _Rows:
    def __init__(self, rows):
        self.iloc = rows
    def __len__(self):
        return len(self.iloc)
def load(path):
    return _Rows([{**json.loads(line), "bench": ""} for line in open(path, encoding="utf-8")])
def dump(value, path):
    print(json.dumps(value))
get_logger = logging.getLogger
tqdm = iter
"""


def mmstar(folder: Path, made: Made) -> dict[str, float]:
    written = export(made, folder, "mmstar.jsonl")
    package = folder / "stubs" / "vlmeval"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "smp.py").write_text(_MMSTAR_STUB)
    command = f"import sys; sys.path.insert(0, '.'); from mmstar import MMStar_eval; MMStar_eval({str(written)!r})"
    found = json.loads(printed_by(folder, "-c", command, modules=folder / "stubs"))
    # The sums are shares of 250 and of 1,500, whatever there is.
    names = {name: name.partition("(")[2].rstrip(")") for name in found if "(" in name}
    if len(made.cases) == _MMSTAR:
        names |= {name: {"final score": "total"}.get(name, name) for name in found if "(" not in name}
    return {names[name]: value * 100 for name, value in found.items() if name in names}


_CAMBRIAN = "cambrian-mllm/cambrian"
SCORERS = (
    Scorer("pope", "pope", "official", "haotian-liu/LLaVA", ("llava/eval/eval_pope.py",), made_answers.pope, pope),
    Scorer(
        "pope (AvisC)", "pope", "avisc", "sangminwoo/AvisC", ("eval_bench/pope_eval_llavab.py",),
        made_answers.pope, pope_by_avisc,
    ),
    Scorer(
        "pope (VCD)", "pope", "vcd", "DAMO-NLP-SG/VCD", ("experiments/eval/eval_pope.py",),
        made_answers.pope, pope_by_vcd,
    ),
    Scorer("mme", "mme", "official", "sangminwoo/AvisC", ("experiments/eval/calculation.py",), made_answers.mme, mme),
    Scorer(
        "mme (AvisC)", "mme", "avisc", "sangminwoo/AvisC",
        ("experiments/eval/calculation.py", "experiments/eval/mme_instructblip.py"), made_answers.mme, mme_by_avisc,
    ),
    Scorer(
        "amber", "amber", "official", "junyangwang0410/AMBER", ("inference.py", "data/metrics.txt"),
        made_answers.amber, amber,
    ),
    Scorer(
        "amber (AvisC)", "amber", "avisc", "sangminwoo/AvisC",
        ("experiments/AMBER/inference.py", "experiments/AMBER/data/metrics.txt", "eval_bench/amber_eval_llava.py"),
        made_answers.amber, amber_by_avisc,
    ),
    Scorer("mmvp", "mmvp", "cambrian", _CAMBRIAN, ("eval/eval/mmvp/mmvp_test.py",), made_answers.mmvp, mmvp),
    Scorer(
        "cv-bench", "cv-bench", "official", _CAMBRIAN,
        ("eval/eval/ade/ade_test.py", "eval/eval/coco/coco_test.py", "eval/eval/omni/omni_test.py"),
        made_answers.cv_bench, cv_bench,
    ),
    Scorer(
        "mmstar", "mmstar", "official", "MMStar-Benchmark/MMStar", ("eval/vlmeval/evaluate/mmstar.py",),
        made_answers.mmstar, mmstar,
    ),
    *TEXT_SCORERS,
)  # fmt: skip
"""Another program is one more entry."""


def repository(checkouts: Path, name: str) -> Path:
    """The folder that holds a repository: a working copy, or the git directory itself."""
    owner, short = name.split("/")
    places = [checkouts / part / inner for part in (short, f"{owner}+{short}") for inner in ("", ".git", "repo")]
    for place in places:
        if (place / "HEAD").is_file():
            return place
    raise SystemExit(f"{checkouts} holds no copy of github.com/{name}: none of {', '.join(map(str, places))} is one.")


def lay_out(scorer: Scorer, checkouts: Path, folder: Path) -> str:
    """Write the program's files to a folder; returns the commit they are of."""
    git = ["git", f"--git-dir={repository(checkouts, scorer.repository)}"]
    for file in scorer.files:
        content = subprocess.run([*git, "show", f"HEAD:{file}"], capture_output=True, check=True).stdout
        (folder / Path(file).name).write_bytes(content)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True, text=True)
    return commit.stdout.strip()


def compare(scorer: Scorer, checkouts: Path, answers: int) -> tuple[dict[str, Any], list[str]]:
    """The vector of one run, and where its figures differ from ours."""
    made = scorer.make(random.Random(0), answers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commit = lay_out(scorer, checkouts, folder)
        for file, words in made.words.items():
            (folder / file).write_text(words if isinstance(words, str) else json.dumps(words), encoding="utf-8")
        official = scorer.run(folder, made)
        more = scorer.resources(folder, made)
        resources = Resources(folder, more)
        table = find_data_set(scorer.data_set).score(cases_of(made), made.answers, scorer.rule, resources)
    vector = {"name": scorer.name, "set": scorer.data_set, "rule": scorer.rule, "of": f"{scorer.repository} {commit}"}
    vector |= {"official": official, "answers": made.answers, "cases": made.cases}
    vector |= {"words": made.words} if made.words else {}
    vector |= {"said": more["verdicts"].said} if "verdicts" in more else {}
    return vector, differences(official, {row.name: row.value for row in table.rows})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("--only", help="the name of one program")
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="keep a smaller run for the tests")
    options = parser.parse_args(arguments)
    failed = False
    kept = []
    for scorer in SCORERS:
        if options.only in (None, scorer.name):
            vector, apart = compare(scorer, options.checkouts.resolve(), options.answers)
            failed |= bool(apart) or not vector["official"]
            verdict = f"{len(apart)} DIFFER" if apart else "all equal"
            print(f"{scorer.name:14} {len(vector['answers'])} answers, {len(vector['official'])} figures: {verdict}")
            print("".join(f"  {line}\n" for line in apart), end="")
        if options.write:
            vector, apart = compare(scorer, options.checkouts.resolve(), _KEPT_ANSWERS)
            failed |= bool(apart)
            kept.append(json.dumps(vector, ensure_ascii=False))
    if options.write and not failed:
        KEPT.write_text("[\n" + ",\n".join(kept) + "\n]\n", encoding="utf-8")
        print(f"wrote {KEPT}, {KEPT.stat().st_size} bytes")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
