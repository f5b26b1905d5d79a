"""The whole way of a data set: read, ask the embedded model, score, export. Its pictures are drawn scenes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.command_line import main
from pack.api_core.evaluation.readers.jsonl import read_cases
from pack.api_core.scenes import draw_scene, make_scene
from PIL import Image

SIDE = 56


def draw(path: Path, number: int) -> Path:
    """Write the picture of a scene as the file's name says: JPEG or PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = draw_scene(make_scene(number, "test"), SIDE, SIDE).picture
    Image.fromarray((picture * 255).round().astype("uint8")).save(path)
    return path


def picture_bytes(folder: Path, number: int, suffix: str = ".png") -> dict[str, Any]:
    """A picture as the hub's parquet files hold it."""
    content = draw(folder / f"hub-{number}{suffix}", number).read_bytes()
    return {"bytes": content, "path": f"{number}{suffix}"}


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A parquet file of the hub's; the test is skipped where pyarrow is not installed."""
    pyarrow = pytest.importorskip(
        "pyarrow", reason="pyarrow is not installed (extra: data), so no parquet file is read"
    )
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
    return path


def read(data_set: str, folder: Path, out: Path, *options: str) -> list[Any]:
    """The cases that `data read` writes."""
    assert main(["data", "read", data_set, str(folder), "--out", str(out), *options]) == 0
    return read_cases(out / "cases.jsonl")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which a command refuses."""
    capsys.readouterr()
    assert main([str(one) for one in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def ask(out: Path) -> Path:
    """The results of the embedded model on the cases in `out`."""
    results = out / "results.jsonl"
    how = ("--map", "none", "--device", "cpu", "--max-new-tokens", "4")
    assert main(["run", str(out / "cases.jsonl"), "--out", str(results), *how]) == 0
    return results


def score(out: Path, results: Path, *options: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What `score` finds: (rule, figure) -> the row, of the plain pictures."""
    command = ["score", str(results), "--cases", str(out / "cases.jsonl"), "--json", str(out / "scores.json")]
    assert main([*command, *options]) == 0
    found = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    return {(row["rule"], row["name"]): row for row in found["arms"]["plain"]["rows"]}


def export(out: Path, results: Path, name: str) -> Path:
    assert main(["export", str(results), "--cases", str(out / "cases.jsonl"), "--out", str(out / name)]) == 0
    return out / name


def answers_of(results: Path) -> dict[str, str]:
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    return {line["id"]: line["plain"]["answer"] for line in lines}
