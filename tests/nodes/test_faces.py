"""What nodes leave for their faces in the browser: files that hold the same numbers, and stay few and small."""

import importlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from pack.tests.nodes.conftest import HEATMAP, LVLM_HEATMAP
from pack.tests.on_host import Run
from PIL import Image


@pytest.fixture
def faces(nodes: Any) -> Any:
    return importlib.import_module("pack.nodes.ui_files")


def file_of(models: Path, named: dict[str, str]) -> Path:
    assert named["type"] == "temp"
    return models.parent / "temp" / named["subfolder"] / named["filename"]


def read(data: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """The header and the floats, by the description of the format alone."""
    assert data[:4] == b"APM1"
    length = int.from_bytes(data[4:8], "little")
    assert (8 + length) % 4 == 0
    return json.loads(data[8 : 8 + length]), np.frombuffer(data[8 + length :], "<f4")


def picture_map(words: int = 2) -> PictureMap:
    values = torch.randn(words + 1, 2, 3, generator=torch.Generator().manual_seed(3))
    valid = torch.tensor([[True, True, False], [True, True, True]])
    views = (
        View(values, Box(-1.5, 0, 10, 8), valid),
        View(values[:, :1, :1].clone(), Box(0, 0, 4, 4), torch.ones(1, 1, dtype=torch.bool)),
    )
    labels = (Label("größe »x«", "whole"), *(Label(f"w{i}", "query word") for i in range(words)))
    return PictureMap((8, 10), labels, {"patch": views}, "attention", "tiny-clip", 3, signed=True)


def test_a_heatmap_file_holds_the_heatmap(faces: Any) -> None:
    one, other = picture_map(), picture_map(words=4)
    header, floats = read(b"".join(faces.heatmap_file(Heatmap((one, other)))))
    for picture, found in zip((one, other), header["pictures"], strict=True):
        assert found["size"] == [8, 10]
        assert [(label["text"], label["role"]) for label in found["labels"]] == [
            (label.text, label.role) for label in picture.labels
        ]
        assert (found["method"], found["model"], found["layer"]) == ("attention", "tiny-clip", 3)
        assert (found["reading"], found["signed"]) == ("precise", True)
        assert set(found["defaults"]) == {"contrast", "smoothing"}
        (part,) = found["parts"]
        assert part["name"] == "patch"
        for view, given in zip(picture.parts["patch"], part["views"], strict=True):
            assert given["grid"] == list(view.grid)
            assert given["box"] == [view.box.left, view.box.top, view.box.right, view.box.bottom]
            count = view.values.numel()
            values = floats[given["values"] : given["values"] + count].reshape(view.values.shape)
            assert np.array_equal(values, view.values.numpy())
        assert part["views"][1]["valid"] is None
        valid = floats[part["views"][0]["valid"] :][:6]
        assert valid.tolist() == [1, 1, 0, 1, 1, 1]
    assert "words_left_out" not in header["pictures"][0]


def test_large_heatmaps_keep_the_whole_texts(faces: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = picture_map()
    monkeypatch.setattr(faces, "MOST_FLOATS", 2 * 3 * 7 + 1)  # two pictures with 3 maps of 6 and of 1 cell, hardly more
    header, floats = read(b"".join(faces.heatmap_file(Heatmap((picture,) * 100))))
    assert len(header["pictures"]) == faces.MOST_PICTURES
    assert ["words_left_out" in found for found in header["pictures"][:3]] == [False, True, True]
    last = header["pictures"][-1]
    assert last["words_left_out"] == 2
    assert len(last["labels"]) == 1
    start = last["parts"][0]["views"][0]["values"]
    assert np.array_equal(floats[start : start + 6], picture.parts["patch"][0].values[0].flatten().numpy())


def test_a_batch_of_64_pictures_with_30_words_is_small(faces: Any) -> None:
    values = torch.rand(31, 24, 24)
    view = View(values, Box(0, 0, 336, 336), torch.ones(24, 24, dtype=torch.bool))
    labels = tuple(Label(f"w{i}", "query word") for i in range(31))
    picture = PictureMap((336, 336), labels, {"class_token": (view,), "patch": (view,)}, "decomposition", "x", 22)
    assert sum(map(len, faces.heatmap_file(Heatmap((picture,) * 64)))) < 10_000_000


def test_masks_are_made_smaller(faces: Any) -> None:
    small = torch.rand(7, 5)
    large = torch.zeros(2048, 1024)
    large[:, 512:] = 1
    header, floats = read(b"".join(faces.mask_file([small, large])))
    assert header["masks"][0] == {"size": [7, 5], "values": 0}
    assert np.array_equal(floats[:35].reshape(7, 5), small.numpy())
    assert header["masks"][1] == {"size": [512, 256], "full": [2048, 1024], "values": 35}
    assert floats[35:].reshape(512, 256)[:, 127:129].tolist() == [[0, 1]] * 512


@pytest.mark.both_hosts
def test_heatmap_nodes_leave_files(run: Run, clip: Any, lvlm: Any, models: Path) -> None:
    image = torch.rand(2, 700, 1400, 3, generator=torch.Generator().manual_seed(5))
    seen = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **HEATMAP)
    (left,) = seen.ui["attention_prompting"]
    assert set(left) == {"heatmap", "pictures"}
    header, floats = read(file_of(models, left["heatmap"]).read_bytes())
    assert [label["text"] for label in header["pictures"][1]["labels"]] == ["red square", "red", "square"]
    given = header["pictures"][1]["parts"][0]
    view = seen.args[0].pictures[1].parts[given["name"]][0]
    start = given["views"][0]["values"]
    assert np.array_equal(floats[start : start + view.values.numel()], view.values.flatten().numpy())
    for number, named in enumerate(left["pictures"]):
        with Image.open(file_of(models, named)) as preview:
            assert (preview.size, preview.format) == ((1024, 512), "JPEG")
            mean = np.asarray(preview, dtype=np.float64).mean() / 255
        assert mean == pytest.approx(float(image[number].mean()), abs=0.01)

    again = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **HEATMAP)
    assert again.ui == seen.ui, "the same content has the same name"

    asked = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question="what?", **LVLM_HEATMAP)
    (left,) = asked.ui["attention_prompting"]
    assert left["answers"] == asked.args[1]
    assert len(left["pictures"]) == 2
    assert len(read(file_of(models, left["heatmap"]).read_bytes())[0]["pictures"]) == 2


def test_a_face_is_told_how_present_each_word_is(faces: Any) -> None:
    told = replace(picture_map(), presence=(1.5, -2.0, 0.0))
    header, _ = read(b"".join(faces.heatmap_file(Heatmap((told, picture_map())))))
    assert [found["presence"] for found in header["pictures"]] == [[1.5, -2.0, 0.0], []]


@pytest.mark.both_hosts
def test_view_leaves_what_it_shows(run: Run, heatmap: Any, image: torch.Tensor, models: Path) -> None:
    (left,) = run("AttnPromptView", image=image, map=heatmap).ui["attention_prompting"]
    assert set(left) == {"heatmap", "pictures"}
    mask = torch.rand(1, 40, 56, generator=torch.Generator().manual_seed(6))
    (left,) = run("AttnPromptView", image=image, map=mask).ui["attention_prompting"]
    assert set(left) == {"masks", "pictures"}
    assert len(left["pictures"]) == 3
    header, floats = read(file_of(models, left["masks"]).read_bytes())
    assert header["masks"] == [{"size": [40, 56], "values": 0}]
    assert np.array_equal(floats, mask.flatten().numpy())


def test_a_long_batch_is_cut(faces: Any) -> None:
    (left,) = faces.ui_entry(pictures=[torch.rand(4, 4, 3)] * 70)[faces.KEY]
    assert len(left["pictures"]) == faces.MOST_PICTURES
    assert left["count"] == 70


def test_files_used_longest_ago_evict_oldest(faces: Any, tmp_path: Path) -> None:
    for age, name in enumerate(("new", "older", "oldest")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    faces.evict_oldest(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "older"}
    faces.evict_oldest(tmp_path, 200)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_that_is_there_is_not_replaced(faces: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page is just being sent it, Windows would refuse."""
    monkeypatch.setattr(importlib.import_module("pack.nodes.host"), "temporary_folder", lambda: tmp_path)
    (first,) = faces.ui_entry(masks=[torch.zeros(4, 4)])[faces.KEY]
    path = tmp_path / faces.KEY / first["masks"]["filename"]
    os.utime(path, (1000, 1000))
    monkeypatch.setattr(Path, "replace", _refuse)
    (again,) = faces.ui_entry(masks=[torch.zeros(4, 4)])[faces.KEY]
    assert again == first
    assert path.stat().st_mtime > 1000
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_deleted_now_stays(faces: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_bytes(bytes(100))
    monkeypatch.setattr(Path, "unlink", _refuse)
    assert faces.evict_oldest(tmp_path, 50) == 200


def _refuse(*_: Any, **__: Any) -> None:
    raise PermissionError(13, "The process cannot access the file because it is being used by another process")


def test_the_folder_of_faces_stays_bounded_and_is_seldom_read(
    faces: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a folder of thousands of files for each new one made long sessions slower and slower."""
    monkeypatch.setattr(importlib.import_module("pack.nodes.host"), "temporary_folder", lambda: tmp_path)
    monkeypatch.setattr(faces, "KEPT_BYTES", 100_000)
    read_folders: list[Any] = []
    scandir = os.scandir
    monkeypatch.setattr(faces.os, "scandir", lambda folder: read_folders.append(folder) or scandir(folder))
    for number in range(200):
        (left,) = faces.ui_entry(masks=[torch.full((20, 25), number / 200)])[faces.KEY]
        files = list((tmp_path / faces.KEY).iterdir())
        assert left["masks"]["filename"] in {file.name for file in files}
        assert sum(file.stat().st_size for file in files) <= 100_000
    assert len(files) > 30
    assert len(read_folders) < 60


def test_results_do_not_need_a_face(
    run: Run, clip: Any, image: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    host = importlib.import_module("pack.nodes.host")
    (tmp_path / "file").touch()
    monkeypatch.setattr(host, "temporary_folder", lambda: tmp_path / "file")
    result = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **HEATMAP)
    assert len(result.args[0]) == 3
    assert not result.ui
    assert "cannot show this node's result: [Errno 20]" in caplog.text
