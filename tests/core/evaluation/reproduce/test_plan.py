"""Plans: what a file may say, what is refused in one line, which rows are named, and how rows are put to `run`."""

import argparse
import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.command_line import main
from pack.api_core.command_line.reproduce_options import add_reproduce_options
from pack.api_core.command_line.row_options import row_options
from pack.api_core.command_line.run import run_plan
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.registry import DATA_SETS
from pack.api_core.evaluation.reproduce.plan import Row, list_plans, read_plan, select_rows
from pack.api_core.evaluation.reproduce.rows import Places, sample_of, with_controls
from pack.api_core.models.catalog import find_clip_model, find_lvlm_model
from pack.api_core.models.server import Profile
from pack.api_core.models.server.profiles import save_profile
from pack.tests import zoo
from pack.tests.core.evaluation.reproduce.test_reproduce import journals, lines_of, reproduce, small_plan
from pack.tests.servers.process import running

ROOT = Path(__file__).resolve().parents[4]
ARMS: dict[str, Any] = {"plain": {"settings": {"map": "none"}}, "clip": {"settings": {"contrast": 5}}}
PLAN: dict[str, Any] = {"arms": ARMS, "models": {"tiny-lvlm": {}}, "sets": [{"set": "pope", "figures": ["a"]}]}


def written(folder: Path, **more: Any) -> str:
    path = folder / "plan.json"
    path.write_text(json.dumps({**PLAN, **more}), encoding="utf-8")
    return str(path)


def given(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_reproduce_options(parser)
    return parser.parse_args(["plan", "--data", "d", "--out", "o", *options])


@pytest.mark.parametrize("name", list_plans())
def test_plans_that_come_with_it_name_what_there_is(name: str, tmp_path: Path) -> None:
    plan = read_plan(name)
    for row in with_controls(plan.rows):
        data_set = DATA_SETS[row.data_set]
        assert find_lvlm_model(row.model)
        assert row.split in ("", *data_set.counts)
        assert row.wording in ("", *data_set.wordings)
        assert all(figure.rule in ("", *data_set.rules) for figure in row.figures)
        assert all(figure.source for figure in row.figures if figure.published is not None)
        options = row_options(row, 3, tmp_path / "x.jsonl", given())
        assert options.seed == 3
        if not row.explained:
            made = run_plan(options)
            assert (made.control, made.plain, made.maps is None) == (row.control, not row.prompts, not row.prompts)
            assert made.map_model is None or find_clip_model(made.map_model)


def test_published_values_are_those_of_the_publications() -> None:
    def of(plan: str, row: str) -> dict[str, float | None]:
        (found,) = select_rows(read_plan(plan).rows, [row])
        return {figure.name: figure.published for figure in reversed(found.figures)}

    assert of("tutorial", "mm-vet/llava-1.5-13b/clip") == {"total": 33.9}
    assert of("paper-main", "textvqa/llava-1.5-13b/llava") == {"accuracy": 48.79}
    assert of("paper-main", "llava-bench/llava-1.5-13b/evaluate")["all"] == 76.1
    assert of("avisc", "pope-all/llava-1.5-7b/m3id")["coco-adversarial F1"] == 79.66
    assert of("avisc", "mme-bare/instructblip-vicuna-7b/avisc")["existence + count + position + color"] == 473.8
    assert set(of("igos", "mmvp-open/llava-1.5-7b/igos+").values()) == {None}
    (row,) = select_rows(read_plan("avisc").rows, ["mme-bare/llava-1.5-7b/sample"])
    assert (row.figures[-1].parts, row.figures[4].deviation, row.seeds) == (("cognition",), 30.57, (0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"arms": {}}, "has no 'arms'"),
        ({"colour": 1}, "has a 'colour', which is not known"),
        ({"notes": "one"}, "notes is no list"),
        ({"arms": {"plain": {"setting": {}}}}, "arm 'plain' has a 'setting'"),
        ({"sets": [{"split": "test"}]}, "set 1 has no 'set'"),
        ({"sets": [{"set": "pope", "arms": ["other"]}]}, "there is no arm 'other'. There are plain, clip"),
        ({"sets": [{"set": "pope", "models": ["other"]}]}, "there is no model 'other'"),
        ({"sets": [{"set": "pope"}, {"set": "pope"}]}, "has the row pope/tiny-lvlm/plain twice"),
        ({"sets": [{"set": "pope", "published": {"tiny-lvlm": {"plain": {"a": "1"}}}}]}, "value is no number"),
        ({"sets": [{"set": "pope", "published": {"tiny-lvlm": {"plain": {"a": 1}}}, "source": "x"}]}, "no source 'x'"),
        ({"arms": {**ARMS, "more": {"settings": {}, "after": "first"}}}, "there is no arm 'first'"),
        (
            {"arms": {**ARMS, "more": {"settings": {}, "after": "more"}}},
            "before the arm 'more': there is no arm 'more'",
        ),
        ({"arms": {**ARMS, "more": {"settings": {}, "after": "clip"}}}, "'more' has no template to put the answers"),
        ({"models": {"tiny-lvlm": 5}}, "an entry of models is no object in braces: 5"),
        ({"seeds": []}, "has no seed"),
        ({"settings": {"sharpness": 2}}, "The settings of pope/tiny-lvlm/plain: unrecognized arguments"),
        ({"settings": {"temperature": "hot"}}, "must be a number"),
        ({"settings": {"out": "elsewhere"}}, "'out' is for `reproduce` itself to say"),
        ({"sets": [{"set": "pope", "split": "odd", "figures": ["a"]}]}, "POPE has no split 'odd'"),
    ],
)
def test_a_mistake_in_a_plan_is_one_line(
    more: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce(written(tmp_path, **more), tmp_path, tmp_path / "out", "--list") == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


WHOLE = {
    "title": "t",
    "notes": ["n"],
    "sources": {"s": "x"},
    "settings": {"map": "none"},
    "arms": {
        "a": {"settings": {"map": "none"}},
        "b": {"settings": {"template": "step-by-step"}, "after": "a"},
        "c": {"explain": {}},
    },
    "models": {"m": {}},
    "seeds": [0],
    "sets": [
        {
            "set": "pope",
            "split": "coco",
            "source": "s",
            "models": ["m"],
            "arms": ["a", "b", "c"],
            "seeds": [0],
            "figures": ["f"],
            "settings": {},
            "arm settings": {"a": {"x": 1}},
            "verdicts": 1,
            "published": {"m": {"a": {"accuracy": 1, "F1": {"value": 2, "sd": 1}}}},
        }
    ],
}


def changed(found: Any, wrong: Any) -> Iterator[Any]:
    """A structure with each of its parts exchanged in turn."""
    for key in list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ():
        for other in (wrong, *changed(found[key], wrong)):
            copy = dict(found) if isinstance(found, dict) else list(found)
            copy[key] = other
            yield copy


@pytest.mark.parametrize("wrong", [None, 5, -1, True, "x", [], {}, [[]], [{}], [5], {"x": 5}, {"x": []}], ids=str)
def test_wrong_kinds_anywhere_in_a_plan_are_named_or_harmless(wrong: Any, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(WHOLE), encoding="utf-8")
    assert len(read_plan(str(path)).rows) == 3
    for plan in changed(WHOLE, wrong):
        path.write_text(json.dumps(plan), encoding="utf-8")
        with contextlib.suppress(InvalidInput):
            read_plan(str(path))


def test_what_is_no_plan_and_no_row_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no plan 'nothing'\. Choose one of avisc, igos, paper-main, tutorial"):
        read_plan("nothing")
    rows = read_plan("paper-main").rows
    assert [row.arm for row in select_rows(rows, ["mme"])] == ["plain", "step-by-step", "clip", "llava"]
    assert {row.cases for row in select_rows(rows, ["*/clip"])} >= {"vizwiz", "textvqa", "mmmu"}
    with pytest.raises(InvalidInput, match=r"no row 'mm'\. It has vizwiz/llava"):
        select_rows(rows, ["mm"])


def test_the_plan_in_the_documentation_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "reproducing-the-paper.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "shown.json").write_text(shown)
    assert reproduce(tmp_path / "shown.json", tmp_path, tmp_path / "out", "--list") == 0
    assert "How strong?: 5 rows" in capsys.readouterr().out


def test_quick_takes_whole_groups_from_all_over() -> None:
    cases = [QuestionCase(f"mme/test/{n}", Path("p"), "?", meta={"group": f"{n // 2}"}) for n in range(200)]
    few = sample_of(cases, 20)
    assert len(few) == 20
    assert [case.id for case in few[:2]] == ["mme/test/0", "mme/test/1"]
    assert few[-1].meta["group"] == "90"
    assert all(one.meta["group"] == other.meta["group"] for one, other in zip(few[::2], few[1::2], strict=True))
    assert sample_of(cases, None) == sample_of(cases, 500) == cases


def test_workers_are_those_of_run(tmp_path: Path) -> None:
    row = Row("pope", "", "", "tiny-lvlm", "plain", {"map": "none"}, (), "plain")
    options = row_options(row, 0, tmp_path / "x.jsonl", given("--workers", "3", "--gpus-per-worker", "0.5"))
    assert (options.workers, options.gpus_per_worker, options.ray) == (3, 0.5, None)
    assert run_plan(options, [tmp_path]).folders == (tmp_path,)
    assert Places(Path("d"), Path("o")).journal(row, 0) == Path("o/pope/tiny-lvlm/plain.jsonl")


def test_a_model_lies_in_the_folder_of_models_under_its_own_name(data: Path, tmp_path: Path) -> None:
    models, out = tmp_path / "models", tmp_path / "out"
    shutil.copytree(zoo.folder("llava-1.5", tmp_path / "zoo"), models / "llava-1.5-7b-hf")
    plan = small_plan(tmp_path, models={"llava-1.5-7b": {"map": "lvlm", "layers": "1"}})
    only = ("--only", "textvqa/llava-1.5-7b/clip")
    assert reproduce(plan, data, out, "--partial", "--models", str(models), *only) == 0
    (line,) = lines_of(out, "small")
    assert (line["n"], line["difference"]) == (3, None)  # the plain row was not asked
    settings = journals(out)["textvqa/llava-1.5-7b/clip.jsonl"][0]["settings"]
    assert settings["model"].startswith("llava-1.5-7b ")
    assert settings["mask"]["contrast"] == 10  # the catalog's, which goes by the name


def test_a_server_answers_in_the_place_of_the_models(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    plan, out = small_plan(tmp_path), tmp_path / "out"
    with running() as server:
        save_profile(Profile("stand-in", server.address))
        options = ("--partial", "--server", "stand-in:scripted-lvlm", "--only", "textvqa")
        assert reproduce(plan, data, out, *options) == 0
    assert {line["n"] for line in lines_of(out, "small")} == {3}
    found = journals(out)["textvqa/tiny-lvlm/clip.jsonl"]
    assert found[0]["settings"]["model"].startswith("scripted-lvlm")
    assert "model tiny-lvlm" not in capsys.readouterr().out
    two = small_plan(tmp_path, models={"tiny-lvlm": {}, "llava-1.5-7b": {}})
    assert main(["reproduce", str(two), "--data", str(data), "--out", str(out), "--server", "stand-in"]) == 2
    assert "A server answers as one model, and these rows have tiny-lvlm, llava-1.5-7b" in capsys.readouterr().err
