"""Calibration: what it chooses of the embedded model, where it is kept and for whom, and what becomes of bad files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.attribution import lvlm_heatmap
from pack.api_core.attribution.lvlm import calibrate as calibration_file
from pack.api_core.attribution.lvlm.calibrate import calibrate
from pack.api_core.command_line import calibrate as command
from pack.api_core.command_line import main
from pack.api_core.errors import Cancelled, InvalidInput, UnsupportedModel
from pack.api_core.models.lvlm.calibration import (
    Calibration,
    calibrations_file,
    digests_of,
    find_calibration,
    forget_calibration,
    read_calibrations,
    save_calibration,
)
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.results import Box
from torch import Tensor

Models = Callable[[str], Any]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's folder for settings, empty."""
    for variable in ("XDG_CONFIG_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    return calibrations_file().parent


@pytest.fixture(scope="module")
def tiny() -> Any:
    return load_lvlm("tiny-lvlm", device="cpu")


def kept_for(model: Any, heads: tuple[tuple[int, int], ...] = ((1, 0), (2, 1)), layer: int = 1) -> Calibration:
    return Calibration(model.name, digests_of(model.module), layer, heads, 60)


def shown() -> Tensor:
    return torch.rand(40, 60, 3, generator=torch.Generator().manual_seed(5))


def test_of_the_embedded_model_the_trained_layers_are_chosen(tiny: Any) -> None:
    steps: list[tuple[int, int]] = []
    report = calibrate(tiny, scenes=24, on_progress=lambda *step: steps.append(step))
    assert report.chosen.layer in (1, 2)
    assert len(report.chosen.heads) == 3
    assert {layer for layer, _ in report.chosen.heads} <= {1, 2}
    figures = dict(report.layers)
    assert set(figures) == set(tiny.seeing_layers)
    assert figures[report.chosen.layer].pointing > 0.85 > 0.5 > figures[0].pointing
    assert all(found.pointing > 0.85 and found.inside > 0.7 for _, found in report.heads)
    assert 0.02 < report.chance < 0.15
    assert steps[0] == (0, 24)
    assert steps[-1] == (24, 24)
    assert not calibrations_file().exists()
    lines = command.table(report)
    assert lines[0] == f"tiny-lvlm, 24 drawn scenes (chance: {100 * report.chance:.0f} %)"
    assert [line.split()[0] for line in lines[2:]] == ["layer"] * len(figures) + ["head"] * 3
    assert sum(line.endswith("chosen") for line in lines) == 4


def test_a_random_model_has_no_heads_to_keep(lvlm: Models) -> None:
    with pytest.raises(UnsupportedModel, match=r"No head of .* finds what is asked for \(\d+ % of peaks on it"):
        calibrate(lvlm("llava-1.5"), scenes=8)


def test_a_stop_stops_and_too_few_scenes_are_refused(tiny: Any) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        calibrate(tiny, on_progress=stop)
    with pytest.raises(InvalidInput, match="at least 2 scenes, not 1"):
        calibrate(tiny, scenes=1)


def test_tokens_are_compared_with_the_box_by_area(tiny: Any) -> None:
    case, box = next(calibration_file._asked())
    row = tiny.prepare([case]).rows[0]
    (grid,) = row.layouts[0].grids
    whole = calibration_file._target(row, Box(0, 0, grid.box.right, grid.box.bottom))
    torch.testing.assert_close(whole.share, torch.ones_like(whole.share))
    target = calibration_file._target(row, box)
    rows, columns = grid.tokens.shape
    area = grid.box.width / columns * grid.box.height / rows
    assert float(target.share.sum()) * area == pytest.approx(box.width * box.height, rel=1e-4)
    width, height = grid.box.width / columns, grid.box.height / rows
    small = Box(2.25 * width, 1.25 * height, 2.75 * width, 1.75 * height)  # within one cell
    within = calibration_file._target(row, small)
    assert int((within.hit > 0).sum()) == 1
    assert float(within.hit.view(rows, columns)[1, 2]) == pytest.approx(1, abs=1e-4)
    assert float(within.share.view(rows, columns)[1, 2]) == pytest.approx(0.25, abs=1e-4)


def test_kept_heads_are_read_and_said_and_can_be_left_out(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    question = {"questions": "Where is the star?", "answers": "red", "method": "few heads"}
    own = lvlm_heatmap(model, [shown()], **question)
    save_calibration(kept_for(model))
    found = lvlm_heatmap(model, [shown()], **question).heatmap.pictures[0]
    assert found.method == "few heads, calibrated"
    named = lvlm_heatmap(model, [shown()], heads=[(1, 0), (2, 1)], **question).heatmap.pictures[0]
    assert named.method == "few heads"
    torch.testing.assert_close(found.parts["attention"][0].values, named.parts["attention"][0].values)
    without = lvlm_heatmap(model, [shown()], heads=(), **question).heatmap.pictures[0]
    assert without.method == "few heads"
    assert torch.equal(without.parts["attention"][0].values, own.heatmap.pictures[0].parts["attention"][0].values)
    of_layers = lvlm_heatmap(model, [shown()], layers=[3], **question).heatmap.pictures[0]
    assert (of_layers.method, of_layers.layer) == ("few heads", 3)


def test_the_kept_layer_is_the_default_of_models_that_the_catalog_does_not_know_only(lvlm: Models, tiny: Any) -> None:
    model = lvlm("llava-1.5")
    before = model.resolve_layers(None)
    assert before != (0,)
    save_calibration(kept_for(model, layer=0))
    assert model.resolve_layers(None) == (0,)
    assert model.resolve_layers([3]) == (3,)
    known = tiny.resolve_layers(None)
    save_calibration(kept_for(tiny, layer=3))
    assert find_calibration(tiny) is not None
    assert tiny.resolve_layers(None) == known != (3,)
    assert forget_calibration(model)
    assert model.resolve_layers(None) == before
    assert not forget_calibration(model)
    assert [one.model for one in read_calibrations()] == ["tiny-lvlm"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_same_weights_are_known_in_another_number_format_and_others_of_the_name_are_not(
    precision: str, tiny: Any
) -> None:
    save_calibration(kept_for(tiny))
    loaded = load_lvlm("tiny-lvlm", device="cpu", precision=precision)
    assert find_calibration(loaded) == find_calibration(tiny) == kept_for(tiny)
    forget_calibration(tiny)
    save_calibration(kept_for(loaded))
    assert find_calibration(tiny) == kept_for(loaded)
    changed = load_lvlm("tiny-lvlm", device="cpu")
    with torch.no_grad():
        next(p for p in changed.module.parameters() if p.ndim == 2).mul_(1.01)
    assert find_calibration(changed) is None
    save_calibration(kept_for(changed, layer=2))
    assert find_calibration(tiny) == kept_for(loaded)
    assert len(read_calibrations()) == 2


def test_a_later_calibration_takes_the_place_of_an_earlier_one(tiny: Any) -> None:
    save_calibration(kept_for(tiny))
    file = save_calibration(kept_for(tiny, ((2, 2),), 2))
    assert [one.heads for one in read_calibrations()] == [((2, 2),)]
    written = json.loads(file.read_text())
    assert written["version"] == 1
    assert written["calibrations"][0]["model"] == "tiny-lvlm"
    assert written["calibrations"][0]["heads"] == [[2, 2]]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "are damaged"),
        ("[]", "are damaged"),
        ('{"version": 2, "calibrations": []}', "are of another version than 1"),
        ('{"version": 1, "calibrations": [{"model": "x"}]}', "are damaged"),
        (
            '{"version": 1, "calibrations": [{"model": "x", "weights": {}, "layer": 1, "heads": [], "scenes": 1}]}',
            "are damaged",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named_before_any_work(
    content: str, problem: str, folder: Path, tiny: Any, lvlm: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir(parents=True)
    calibrations_file().write_text(content)
    for work in (lambda: find_calibration(tiny), lambda: lvlm("llava-1.5").resolve_layers(None)):
        with pytest.raises(InvalidInput, match=rf"calibrations\.json {problem}.*Delete the file and calibrate"):
            work()
    assert lvlm("llava-1.5").resolve_layers([1]) == (1,)
    assert tiny.resolve_layers(None)  # of a model in the catalog nothing is looked up
    assert main(["calibrate", "tiny-lvlm"]) == 2
    told = capsys.readouterr()
    assert problem in told.err
    assert told.err.count("\n") == 1
    assert calibrations_file().read_text() == content


def test_a_folder_that_cannot_be_written_is_named_before_any_work(
    folder: Path, capsys: pytest.CaptureFixture[str], tiny: Any
) -> None:
    folder.write_text("a file where the folder should be")
    assert main(["calibrate", "tiny-lvlm"]) == 2
    assert "Calibrations cannot be kept in" in capsys.readouterr().err
    with pytest.raises(InvalidInput, match="Make its folder writable"):
        save_calibration(kept_for(tiny))


def test_the_command_keeps_what_it_prints_and_forgets_it(capsys: pytest.CaptureFixture[str], tiny: Any) -> None:
    assert main(["calibrate", "tiny-lvlm", "--scenes", "8", "--device", "cpu"]) == 0
    told = capsys.readouterr().out.splitlines()
    kept = find_calibration(tiny)
    assert kept is not None
    assert kept.scenes == 8
    assert [f"head {layer}.{head}" for layer, head in kept.heads] == [
        " ".join(line.split()[:2]) for line in told[-4:-1]
    ]
    assert told[-1] == f"kept in {calibrations_file()}"
    assert main(["calibrate", "tiny-lvlm", "--forget", "--device", "cpu"]) == 0
    assert main(["calibrate", "tiny-lvlm", "--forget", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "tiny-lvlm: forgotten\ntiny-lvlm: nothing was kept\n"
    assert find_calibration(tiny) is None


def test_stopped_by_the_user_it_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "calibrate", stopped)
    assert main(["calibrate", "tiny-lvlm", "--device", "cpu"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not list(folder.iterdir())
    assert main(["calibrate", "none"]) == 2
    assert "needs a model" in capsys.readouterr().err


def test_a_model_of_another_kind_has_no_calibration(tiny: Any) -> None:
    save_calibration(kept_for(tiny))
    assert find_calibration(object()) is None
    assert find_calibration(replace(tiny, name="another name")) == kept_for(tiny)
