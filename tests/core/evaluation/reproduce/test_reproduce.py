"""`reproduce`: the plans that come with it on a tiny model and drawn fixtures, and what happens on the way."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.command_line import main
from pack.api_core.evaluation.official import amber
from pack.api_core.evaluation.reproduce.plan import PLANS, list_plans
from pack.api_core.evaluation.runner.prompt_and_ask import AskCases
from pack.tests.core.evaluation.official.judging import says
from pack.tests.core.evaluation.official.test_amber import Stub
from pack.tests.core.evaluation.reproduce.conftest import HAS_PARQUET, IN_PARQUET
from pack.tests.servers.process import ServerProcess

TINY = "tiny-lvlm"
QUICK_IGOS = {"set": ["side=4", "shares=1", "steps=1"], "steps": 2, "max-new-tokens": 4}


def tiny(name: str, folder: Path) -> Path:
    """A plan that comes with the package, asked of the embedded models."""
    plan = json.loads((PLANS / f"{name}.json").read_text(encoding="utf-8"))
    model, own = next(iter(plan["models"].items()))
    plan["models"] = {TINY: own}
    plan |= {"seeds": [0, 1]} if "seeds" in plan else {}
    for one in plan["sets"]:
        one["published"] = {TINY: one["published"][model]} if "published" in one else {}
        one["settings"] = one.get("settings", {}) | {"max-new-tokens": 4}
    plan["settings"]["max-new-tokens"] = 4
    for arm in plan["arms"].values():
        if "explain" in arm:
            arm["explain"] |= QUICK_IGOS
        elif "layers" in arm["settings"]:
            arm["settings"] |= {"layers": None, "map-model": None}
    if "steps" in plan["settings"]:
        plan["settings"]["steps"] = QUICK_IGOS["steps"]
    path = folder / f"{name}.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


def reproduce(plan: Path | str, data: Path, out: Path, *options: str) -> int:
    return main(["reproduce", str(plan), "--data", str(data), "--out", str(out), "--device", "cpu", *options])


def lines_of(out: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    return rows


def journals(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Every journal by its path below `out`, without what is another each time."""
    found = {}
    for path in sorted(out.rglob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found[str(path.relative_to(out))] = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
    return found


def published_in(name: str) -> int:
    plan = json.loads((PLANS / f"{name}.json").read_text(encoding="utf-8"))
    first = next(iter(plan["models"]))
    return sum(len(arm) for one in plan["sets"] for arm in one.get("published", {}).get(first, {}).values())


@pytest.mark.slow
@pytest.mark.parametrize("name", list_plans())
def test_every_plan_quickly(
    name: str,
    data: Path,
    tmp_path: Path,
    server: ServerProcess,
    profiles: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(amber, "installed_taggers", Stub)
    server.misbehave(*says(*["1.0", "0.5", "0"] * 5, *["8 9"] * 3 * 5))
    judged = ("--judge", "judge:scripted-lvlm", "--folder", str(profiles))
    plan, out = tiny(name, tmp_path), tmp_path / "out"
    lacks = IN_PARQUET if not HAS_PARQUET else ()
    code = reproduce(plan, data, out, "--quick", "20", *judged)
    said = capsys.readouterr()
    found = lines_of(out, name)
    assert code == (1 if any(line["row"].startswith(lacks) for line in found) and lacks else 0), said.err
    for line in found:
        if lacks and line["row"].startswith(lacks):
            assert "is missing" in line["lacks"]
        else:
            assert not line["lacks"]
            assert line["failed"] == 0
    assert all(any(one["n"] for one in found if one["row"] == line["row"]) for line in found if not line["lacks"])
    asked = [line for line in found if not line["lacks"]]
    assert {line["row"].rpartition("/")[2] for line in asked} == set(json.loads(plan.read_text())["arms"])
    assert sum(line["published"] is not None for line in found) == published_in(name)
    assert all(line["source"] for line in found if line["published"] is not None)
    assert all(f"| {line['row']} | {line['figure']} | {line['rule']} |" in said.out for line in found)
    assert (out / f"{name}.md").read_text(encoding="utf-8").strip() in said.out

    if name in ("tutorial", "igos"):
        before = journals(out)
        assert reproduce(plan, data, out, "--quick", "20", *judged) == code
        assert journals(out) == before
        assert lines_of(out, name) == found


def test_a_row_is_what_run_and_score_say(data: Path, tmp_path: Path) -> None:
    plan = tmp_path / "own.json"
    arms = {"plain": {"settings": {"map": "none"}}, "clip": {"settings": {"contrast": 5, "color": 200}}}
    sets = [{"set": "pope", "figures": ["coco-random F1", "coco mean accuracy"], "settings": {"max-new-tokens": 4}}]
    plan.write_text(json.dumps({"arms": arms, "models": {TINY: {}}, "sets": sets}))
    out = tmp_path / "out"
    assert reproduce(plan, data, out, "--partial") == 0
    cases, results = out / "pope" / "cases.jsonl", tmp_path / "results.jsonl"
    how = ("--device", "cpu", "--max-new-tokens", "4", "--contrast", "5", "--color", "200")
    assert main(["run", str(cases), "--out", str(results), *how]) == 0
    assert main(["score", str(results), "--cases", str(cases), "--json", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())["arms"]
    value = {
        (arm, row["name"]): row["value"] for arm in scores for row in scores[arm]["rows"] if row["rule"] == "official"
    }
    lines = {(line["row"].rpartition("/")[2], line["figure"]): line for line in lines_of(out, "own")}
    for (arm, figure), line in lines.items():
        assert line["value"] == value[{"plain": "plain", "clip": "prompted"}[arm], figure]
    gain = lines["clip", "coco mean accuracy"]
    assert gain["difference"] == pytest.approx(gain["value"] - lines["plain", "coco mean accuracy"]["value"])
    assert not math.isnan(gain["difference_half"])


def small_plan(folder: Path, **more: Mapping[str, Any]) -> Path:
    arms = {"plain": {"settings": {"map": "none"}}, "clip": {"settings": {}}}
    sets = [{"set": "textvqa", "figures": ["accuracy"]}, {"set": "vizwiz", "figures": ["accuracy"]}]
    plan = {"settings": {"max-new-tokens": 4}, "arms": arms, "models": {TINY: {}}, "sets": sets, **more}
    path = folder / "small.json"
    path.write_text(json.dumps(plan))
    return path


def test_a_stopped_plan_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, whole, out = small_plan(tmp_path), tmp_path / "whole", tmp_path / "out"
    assert reproduce(plan, data, whole, "--partial") == 0
    ask, calls = AskCases.__call__, []

    def stop_at_the_fourth(self: AskCases, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return ask(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(AskCases, "__call__", stop_at_the_fourth)
        assert reproduce(plan, data, out, "--partial", "--batch-size", "2") == 130
    done = journals(out)
    assert [len(done[f"textvqa/{TINY}/{arm}.jsonl"]) for arm in ("plain", "clip")] == [3, 2]
    assert reproduce(plan, data, out, "--partial", "--batch-size", "2") == 0
    assert journals(out) == journals(whole)
    assert lines_of(out, "small") == lines_of(whole, "small")


def test_controls_stand_below_their_row(data: Path, tmp_path: Path) -> None:
    plan, out = small_plan(tmp_path), tmp_path / "out"
    assert reproduce(plan, data, out, "--partial", "--controls", "--only", "textvqa") == 0
    rows = [line["row"] for line in lines_of(out, "small")]
    assert rows == [f"textvqa/{TINY}/{arm}" for arm in ("plain", "clip", "clip.moved", "clip.uniform")]
    settings = [lines[0]["settings"] for name, lines in journals(out).items() if "clip" in name]
    assert [one.get("control", "") for one in settings] == ["", "moved", "uniform"]


def test_what_is_missing_is_listed_with_its_place_and_cost(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    (data / "mm-vet" / "mm-vet.json").unlink()
    (data / "mm-vet").rename(data / "elsewhere")
    assert reproduce("tutorial", data, tmp_path / "out", "--list") == 0
    said = capsys.readouterr().out
    assert f"MISSING  data set mm-vet: MM-Vet, test: 218 questions; licence: CC BY-NC 4.0; belongs in {data}" in said
    assert "there    data set llava-bench: LLaVA-Bench in the Wild, test: 60 questions" in said
    assert "MISSING  model llava-1.5-13b: 26.7 GB" in said
    assert "MISSING  model ViT-L-14-336: 1.7 GB" in said
    assert "MISSING  judge mm-vet: answers to mm-vet are judged, by gpt-4-0613" in said
    assert f"there    judge prompts mm-vet: in {data / 'judge' / 'mm-vet'}" in said
    assert "to do: 556 answers, 556 readings of a prompt, 278 maps, 556 verdicts; of these now: nothing" in said
    assert not (tmp_path / "out").exists()


def test_an_unknown_set_and_a_model_that_is_not_there_leave_the_other_rows(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [
        {"set": "textvqa", "figures": ["accuracy", "no such figure"], "models": [TINY]},
        {"set": "of next year", "figures": ["total"], "arms": ["plain"]},
        {"set": "vizwiz", "figures": ["accuracy"], "arms": ["plain"], "models": ["my own/model"]},
    ]
    plan = small_plan(tmp_path, models={TINY: {}, "my own/model": {}}, sets=sets)
    assert reproduce(plan, data, tmp_path / "out", "--partial") == 1
    said = capsys.readouterr()
    assert "MISSING  data set of next year: is not known; known: mme, " in said.out
    assert "MISSING  model my own/model: is neither in the catalog" in said.out
    lines = {(line["row"], line["figure"]): line["lacks"] for line in lines_of(tmp_path / "out", "small")}
    assert lines[f"textvqa/{TINY}/clip", "accuracy"] == ""
    assert lines[f"textvqa/{TINY}/clip", "no such figure"].startswith("there is no figure 'no such figure'; there are")
    assert lines[f"of next year/{TINY}/plain", "total"] == "data set of next year is missing"
    assert lines["vizwiz/my own/model/plain", "accuracy"] == "model my own/model is missing"
