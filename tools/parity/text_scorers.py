"""Compare our rules for free text with the official programs, each run as a process on the same made answers.

    python tools/parity/text_scorers.py path/to/checkouts                  # 2,000 answers each: some minutes
    python tools/parity/text_scorers.py path/to/checkouts --only m4c mmmu  # some of them
    python tools/parity/text_scorers.py path/to/checkouts --count 80 --keep  # rewrite the fixture of the tests

The folder holds checkouts of github.com/haotian-liu/LLaVA, yuweihao/MM-Vet, MMMU-Benchmark/MMMU, GT-Vision-Lab/VQA and
TRI-ML/vlm-evaluation (a copy of VizWiz's program); what is not there is skipped, and said. MM-Vet's program needs
pandas, VizWiz's scikit-learn. The judge is a function: behind a stand-in for the client of LLaVA-Bench's program,
and on a server of this machine for MM-Vet's and for ours, which must be asked the very same. Printed: how many figures
were compared, and how many differ in the last digit that the official program prints; it ends with 1 where any does.
"""

import argparse
import csv
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "core" / "fixtures" / "official_texts.json"


def load_pack() -> None:
    """The repository as the package `pack`, as the tests load it."""
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules["pack"] = module
    spec.loader.exec_module(module)


load_pack()

import made_answers as made  # noqa: E402
from fake_judge import judge_server  # noqa: E402
from pack.api_core.evaluation.cases import QuestionCase  # noqa: E402
from pack.api_core.evaluation.official.data_set import NOTHING_MORE, DataSet, Resources, Source  # noqa: E402
from pack.api_core.evaluation.official.judge import judge, judge_tasks, read_verdicts  # noqa: E402
from pack.api_core.evaluation.official.llava_bench import LLAVA_BENCH  # noqa: E402
from pack.api_core.evaluation.official.mm_vet import MM_VET  # noqa: E402
from pack.api_core.evaluation.official.mmmu import DOMAINS, MMMU, SUBJECTS, TOTAL  # noqa: E402
from pack.api_core.evaluation.official.score_table import ScoreTable  # noqa: E402
from pack.api_core.evaluation.official.textvqa import FILE, TEXTVQA  # noqa: E402
from pack.api_core.evaluation.official.vizwiz import VIZWIZ  # noqa: E402
from pack.api_core.models.server import Profile, connect  # noqa: E402

SEED = 20
JUDGE = "a-judge"


@dataclass
class Found:
    """Pairs of figures, official and ours, by what they are of. kept: what the fixture keeps of it."""

    pairs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    kept: Any = None

    def compare(self, of: str, official: Any, ours: Any) -> None:
        self.pairs[of] = (official, ours)

    @property
    def differing(self) -> dict[str, tuple[Any, Any]]:
        return {of: pair for of, pair in self.pairs.items() if not _same(*pair)}


def _same(official: Any, ours: Any) -> bool:
    return math.isclose(official, ours, abs_tol=1e-7) if isinstance(official, float) else official == ours


def program(*command: object, home: Path | None = None, said: str = "", **environment: str) -> str:
    """What an official program prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, command)],
        input=said,
        cwd=home,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def short_answers(name: str, file: Path, entries: list[dict[str, Any]]) -> dict[str, Any]:
    runner = Path(__file__).with_name("text_scorers_official.py")
    return json.loads(program(runner, name, file, said=json.dumps(entries)))


def read(data_set: DataSet, folder: Path) -> list[QuestionCase]:
    first = (next(iter(names)) for names in (data_set.counts, data_set.wordings))
    return list(data_set.read(Source(folder, *first, folder, folder / "pictures")))


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_lines(path: Path, entries: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def ten_people_cases(
    data_set: DataSet, entries: Sequence[Mapping[str, Any]]
) -> tuple[list[QuestionCase], dict[str, str]]:
    cases = [
        QuestionCase(
            data_set.case_id("val", number),
            Path("p.jpg"),
            "?",
            meta={"answers": one["truths"], **({"answerable": one["answerable"]} if "answerable" in one else {})},
        )
        for number, one in enumerate(entries)
    ]
    return cases, {case.id: one["answer"] for case, one in zip(cases, entries, strict=True)}


def each_of(data_set: DataSet, rule: str, cases: Sequence[QuestionCase], answers: Mapping[str, str]) -> list[float]:
    """The accuracy of each case by itself."""
    return [data_set.score([case], answers, rule, NOTHING_MORE)["accuracy"].value for case in cases]


def m4c(checkouts: "Checkouts", count: int, folder: Path) -> Found:
    """Each answer by the evaluator, then the whole way: our reader, our export, the official program on it."""
    evaluator = checkouts.find("llava/eval/m4c_evaluator.py")
    entries, found = made.ten_people(count, SEED), Found()
    data = [
        {"image_id": f"{number:05}", "question": f"what is {number}?", "question_id": number, "answers": one["truths"]}
        for number, one in enumerate(entries)
    ]
    annotations = write(folder / FILE, {"data": data})
    cases = read(TEXTVQA, folder)
    answers = {case.id: one["answer"] for case, one in zip(cases, entries, strict=True)}
    each = short_answers("m4c", evaluator, entries)["each"]
    for number, (official, ours) in enumerate(zip(each, each_of(TEXTVQA, "official", cases, answers), strict=True)):
        found.compare(f"answer {number}", official, ours)
    TEXTVQA.export(cases, answers, folder / "answers.jsonl")
    # The package pulls its model in when it is imported; its evaluators need nothing of that.
    (folder / "llava").mkdir()
    (folder / "llava" / "__init__.py").touch()
    (folder / "llava" / "eval").symlink_to(evaluator.parent.resolve(), target_is_directory=True)
    files = ("--annotation-file", annotations, "--result-file", folder / "answers.jsonl")
    printed = program(folder / "llava" / "eval" / "eval_textvqa.py", *files, PYTHONPATH=_path(folder))
    official = re.search(r"Accuracy: (.*)%", printed)[1]
    found.compare(
        "Accuracy", official, f"{TEXTVQA.score(cases, answers, 'official', NOTHING_MORE)['accuracy'].value:.2f}"
    )
    found.kept = {
        "entries": [one | {"accuracy": value} for one, value in zip(entries, each, strict=True)],
        "all": official,
    }
    return found


def vqa(checkouts: "Checkouts", count: int, folder: Path) -> Found:
    entries, found = made.ten_people(count, SEED + 1), Found()
    official = short_answers("vqa", checkouts.find("PythonEvaluationTools/vqaEvaluation/vqaEval.py"), entries)
    cases, answers = ten_people_cases(TEXTVQA, entries)
    ours = [round(value, 2) for value in each_of(TEXTVQA, "vqa-v2", cases, answers)]
    for number, (one, other) in enumerate(zip(official["each"], ours, strict=True)):
        found.compare(f"answer {number}", round(one, 2), other)
    found.compare("overall", official["all"], TEXTVQA.score(cases, answers, "vqa-v2", NOTHING_MORE)["accuracy"].value)
    kept = [one | {"accuracy": value} for one, value in zip(entries, official["each"], strict=True)]
    found.kept = {"entries": kept, "all": official["all"]}
    return found


def vizwiz(checkouts: "Checkouts", count: int, folder: Path) -> Found:
    """Without words that lack an apostrophe: the copies of the program differ in which sign they put there."""
    words = tuple(word for word in made.WORDS if word not in ("dont", "couldnt've", "yall", "somebody'd"))
    entries, found = made.ten_people(count, SEED + 2, words), Found()
    for number, one in enumerate(entries):
        one["answerable"] = int(number % 3 > 0)
    official = short_answers("vizwiz", checkouts.find("vlm_eval/util/evaluation/vizwiz/eval.py"), entries)
    cases, answers = ten_people_cases(VIZWIZ, entries)
    ours = each_of(VIZWIZ, "official", cases, answers)
    for number, (one, other) in enumerate(zip(official["each"], ours, strict=True)):
        found.compare(f"answer {number}", round(one, 2), other)
    table = VIZWIZ.score(cases, answers, "official", NOTHING_MORE)
    figures = {"all": "accuracy", "average_precision": "unanswerable, average precision", "f1": "unanswerable, F1"}
    for name, row in figures.items():
        found.compare(row, official[name], table[row].value)
    kept = [one | {"accuracy": value} for one, value in zip(entries, official["each"], strict=True)]
    found.kept = {"entries": kept, **{row: official[name] for name, row in figures.items()}}
    return found


def mmmu(checkouts: "Checkouts", count: int, folder: Path) -> Found:
    """Our export by the program that reads answers and by the one that takes them read: domains, subjects and all."""
    home = checkouts.find("mmmu/main_parse_and_eval.py").parent
    entries, found = made.college_questions(count, SEED + 3, SUBJECTS), Found()
    cases = [
        QuestionCase(
            MMMU.case_id("validation", number),
            Path("p.png"),
            "?",
            kind=one["subject"],
            meta={"mmmu_id": one["id"], **{name: one[name] for name in ("type", "options", "truths")}},
        )
        for number, one in enumerate(entries)
    ]
    answers = {case.id: one["answer"] for case, one in zip(cases, entries, strict=True)}
    MMMU.export(cases, answers, folder / "mmmu")
    table = MMMU.score(cases, answers, "official", NOTHING_MORE)
    program(home / "main_parse_and_eval.py", "--path", folder / "mmmu", "--subject", "ALL", home=home)
    letters = json.loads((folder / "mmmu" / TOTAL).read_text())
    by_id = {case.meta["mmmu_id"]: case for case in cases}
    for subject in sorted({one["subject"] for one in entries}):
        official = json.loads((folder / "mmmu" / subject / "result.json").read_text())
        found.compare(f"{subject}, read there", round(official["acc"], 3), round(table[subject].value / 100, 3))
        judged = json.loads((folder / "mmmu" / subject / "parsed_output.json").read_text())
        for one in judged:
            if one["question_type"] == "multiple-choice":
                found.compare(one["id"], one["parsed_pred"], letters[one["id"]])
            else:
                alone = MMMU.score([by_id[one["id"]]], answers, "official", NOTHING_MORE)["overall"].value
                found.compare(one["id"], one["judge"] == "Correct", alone == 100)
    truths = {one["id"]: one["truths"][0] if len(one["truths"]) == 1 else one["truths"] for one in entries}
    kinds = {one["id"]: one["type"] for one in entries}
    wanted = {name: {"question_type": kinds[name], "ground_truth": truths[name]} for name in truths}
    files = ("--output_path", folder / "mmmu" / TOTAL, "--answer_path", write(folder / "truths.json", wanted))
    printed = program(home / "main_eval_only.py", *files, home=home)
    figures = {}
    for name, of in _literal(printed).items():
        own = name.removeprefix("Overall-") if name.startswith("Overall-") else name.replace("Overall", "overall")
        found.compare(f"{name}, number", of["num"], table[own].n)
        found.compare(name, of["acc"], round(table[own].value / 100, 3))
        figures[own] = of["acc"]
    assert set(DOMAINS) <= set(figures)
    found.kept = {"entries": entries, "figures": figures}
    return found


def _literal(printed: str) -> dict[str, Any]:
    import ast

    return dict(ast.literal_eval(printed[printed.index("{") :].strip()))


def llava_bench(checkouts: "Checkouts", count: int, folder: Path) -> Found:
    """Our reader and export by the official program with a stand-in for its client, then ours with the same judge."""
    script = checkouts.find("llava/eval/eval_gpt_review_bench.py")
    entries, found = made.compared_questions(count, SEED + 4), Found()
    questions = [
        {"question_id": one["number"], "image": one["image"], "category": one["kind"], "text": one["question"]}
        for one in entries
    ]
    references = [
        {"question_id": one["number"], "text": one["reference"], "answer_id": f"r{one['number']}"} for one in entries
    ]
    write_lines(folder / "questions.jsonl", questions)
    write_lines(folder / "context.jsonl", made.captions())
    write_lines(folder / "answers_gpt4.jsonl", references)
    cases = read(LLAVA_BENCH, folder)
    answers = {case.id: one["answer"] for case, one in zip(cases, entries, strict=True)}
    LLAVA_BENCH.export(cases, answers, folder / "answers.jsonl")
    stand_in = Path(__file__).with_name("client_stand_in")
    files = {"--question": "questions.jsonl", "--context": "context.jsonl", "--output": "review.jsonl"}
    options = [one for flag, name in files.items() for one in (flag, folder / name)]
    options += ["--rule", script.parent / "table" / "rule.json"]
    options += ["--answer-list", folder / "answers_gpt4.jsonl", folder / "answers.jsonl"]
    environment = {"PYTHONPATH": _path(stand_in, Path(__file__).parent), "ASKED": str(folder / "asked.jsonl")}
    program(script, *options, **environment)
    official_asked = [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]
    with judge_server(lambda asked, times: made.review_for(asked)) as server:
        table, said = judged(LLAVA_BENCH, checkouts.of(script, 2), cases, answers, server.address, folder)
    found.compare("requests", sorted(official_asked, key=str), sorted(server.asked, key=str))
    printed = program(script.with_name("summarize_gpt_review.py"), "-f", folder / "review.jsonl")
    lines = [line.split() for line in printed.splitlines() if len(line.split()) == 4]
    for kind, *official in lines:
        own = kind.removeprefix("llava_bench_")
        ours = [f"{table[f'{own}{part}'].value}" for part in ("", ", model", ", reference")]
        for of, one, other in zip(("score", "reference", "model"), official, (ours[0], ours[2], ours[1]), strict=True):
            found.compare(f"{own}, {of}", one, other)
    replies = [said[case.id][0][-1] for case in cases]
    found.kept = {"kinds": [one["kind"] for one in entries], "replies": replies, "printed": lines}
    return found


def mm_vet(checkouts: "Checkouts", count: int, folder: Path) -> Found:
    """Our reader and export by the official program, then ours, both with the same judge on a server here: two runs."""
    script = checkouts.find("mm-vet_evaluator.py")
    entries, found, runs = made.marked_questions(count, SEED + 5), Found(), 2
    top = {
        one["key"]: {"imagename": "p.png", "question": one["question"], "answer": one["truth"]}
        | {"capability": one["capabilities"]}
        for one in entries
    }
    write(folder / "mm-vet.json", top)
    cases = read(MM_VET, folder)
    answers = {case.id: one["answer"] for case, one in zip(cases, entries, strict=True)}
    MM_VET.export(cases, answers, folder / "ours.json")
    (folder / "official").mkdir()
    options = ("--mmvet_path", folder, "--result_file", folder / "ours.json", "--result_path", folder / "official")
    options = (*options, "--gpt_model", JUDGE, "--num_run", runs)
    with judge_server(made.mark_for) as server:
        program(script, *options, OPENAI_BASE_URL=server.address, OPENAI_API_KEY="none", NO_PROXY="*")
    official_asked = server.asked
    with judge_server(made.mark_for) as server:
        table, said = judged(MM_VET, script.parent, cases, answers, server.address, folder, runs)
    found.compare("requests", sorted(official_asked, key=str), sorted(server.asked, key=str))
    figures = {}
    for kind in ("cap", "cap-int"):
        (row,) = csv.DictReader((folder / "official" / f"ours_{JUDGE}-{kind}-score-{runs}runs.csv").open())
        for name, value in row.items():
            if name in ("", "runs"):
                continue
            own = (
                "exactly " + "_".join(sorted(name.split("_")))
                if kind == "cap-int" and name not in ("total", "std")
                else name
            )
            own = own.replace("std", f"total, spread of {runs} verdicts")
            found.compare(f"{kind} {name}", float(value), table[own].value)
            figures[own] = float(value)
    kept = [
        {"capabilities": one["capabilities"], "said": said[case.id]} for case, one in zip(cases, entries, strict=True)
    ]
    found.kept = {"entries": kept, "figures": figures}
    return found


def judged(
    data_set: DataSet,
    checkout: Path,
    cases: list[QuestionCase],
    answers: dict[str, str],
    address: str,
    folder: Path,
    runs: int = 1,
) -> tuple[ScoreTable, Mapping[str, Any]]:
    """Our own way: the prompts of the checkout, the judge on the server, the journal, the table."""
    judging, out = data_set.judging, folder / "verdicts.jsonl"
    texts = judging.read_texts(checkout)
    name = {"mm-vet": JUDGE}.get(judging.name, judging.judge)
    model = connect(Profile("here", address), name)
    done = judge(judging, texts, model, judge_tasks(judging, texts, cases, {"plain": answers}, runs), out)
    assert not done.failed
    verdicts = read_verdicts(out, {"plain": answers})["plain"]
    return data_set.score(cases, answers, "official", Resources(more={"verdicts": verdicts})), verdicts.said


def _path(*folders: Path) -> str:
    return os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)


class MissingCheckout(Exception):
    """No checkout has the file."""


class Checkouts:
    """A folder of checkouts, under any names. Raises MissingCheckout for a file that none of them has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, file: str) -> Path:
        """The file in whichever checkout has it."""
        for checkout in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            if (checkout / file).is_file():
                return (checkout / file).resolve()
        raise MissingCheckout(file)

    def of(self, file: Path, depth: int) -> Path:
        """The checkout that a file lies in, so many folders deep."""
        return file.parents[depth]


COMPARISONS: dict[str, Callable[[Checkouts, int, Path], Found]] = {
    "m4c": m4c,
    "vqa": vqa,
    "vizwiz": vizwiz,
    "mmmu": mmmu,
    "llava-bench": llava_bench,
    "mm-vet": mm_vet,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path, help="folder of the checkouts")
    parser.add_argument("--count", type=int, default=2000, help="made answers each (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--keep", action="store_true", help="rewrite the fixture of the tests, from all of them")
    options = parser.parse_args()
    differ, kept = 0, {}
    for name in options.only:
        try:
            with tempfile.TemporaryDirectory() as folder:
                found = COMPARISONS[name](Checkouts(options.checkouts), options.count, Path(folder))
        except MissingCheckout as error:
            print(f"{name:<12} skipped: no checkout has {error}")
            continue
        print(
            f"{name:<12} {len(found.pairs):>6} figures of {options.count} answers, {len(found.differing)} differ",
            flush=True,
        )
        for of, (official, ours) in list(found.differing.items())[:5]:
            print(f"    {of}: official {str(official)[:300]}, ours {str(ours)[:300]}")
        differ += len(found.differing)
        kept[name] = found.kept
    if options.keep and set(kept) == set(COMPARISONS):
        FIXTURE.write_text(json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{FIXTURE.relative_to(ROOT)}: {FIXTURE.stat().st_size} bytes")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
