"""What the benchmark of presence names, and how it judges: on known scores, and on a small run of the real thing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.api_core.evaluation.benchmark.presence import (
    ABSENT,
    PER_KIND,
    PRESENT,
    auroc,
    auroc_text,
    presence_benchmark,
    presence_cases,
    presence_tables,
)
from pack.api_core.evaluation.benchmark.splits import HARD, LOCALISATION
from pack.api_core.models.clip.load import load_clip
from pack.api_core.scenes import make_scene

SCENES = 6


@pytest.mark.parametrize("split", [LOCALISATION, HARD])
def test_what_is_named_is_there_or_not_as_its_kind_says(split: Any) -> None:
    cases = presence_cases(split, "development", SCENES)
    for case in cases:
        scene = make_scene(case.picture.number, case.picture.stream, case.picture.options)  # type: ignore[union-attr]
        colour, shape = case.question.split()[-2:]
        there = {(item.colour, item.shape) for item in scene.objects}
        colours, shapes = {one for one, _ in there}, {one for _, one in there}
        assert ((colour, shape) in there) == (case.kind == PRESENT) == bool(case.boxes)
        if case.kind == "adversarial":
            assert colour in colours
            assert shape in shapes
        if case.kind == "other":
            assert colour not in colours
            assert shape not in shapes
    kinds = [case.kind for case in cases]
    assert {*kinds} == {PRESENT, *ABSENT}
    assert kinds.count("other") == PER_KIND * SCENES
    assert len({case.id for case in cases}) == len(cases)


def test_the_area_under_the_curve_counts_equal_scores_half() -> None:
    assert auroc(np.array([3.0, 2.0]), np.array([1.0, 2.0, 4.0])).mean() == (1 + 1 + 0 + 1 + 0.5 + 0) / 6
    assert auroc_text([2, 3], [1, 1], [0, 1], [0, 1]) == "100.0 [100.0, 100.0]"
    assert auroc_text([], [1.0], [], [0]) == "–"  # noqa: RUF001 - a dash in a table is meant


def test_pictures_are_drawn_anew_whole() -> None:
    # In half of the pictures everything is told apart, in the others everything is mistaken.
    there, absent = [1.0, 0.0] * 20, [0.0, 1.0] * 20
    rows = [i // 4 for i in range(40)]
    spread = auroc_text(there, absent, [i % 2 for i in range(40)], [i % 2 for i in range(40)])
    assert spread != auroc_text(there, absent, rows, rows)
    assert spread.endswith("[0.0, 100.0]")


def test_the_tables_of_known_scores() -> None:
    cases = presence_cases(LOCALISATION, "development", SCENES)
    score = {PRESENT: 5.0, "adversarial": 1.5, "other": -2.0}
    records = [{"presence": {"named": score[case.kind], "asked": -score[case.kind]}} for case in cases]
    records[-1] = {"error": "no map"}
    told, kept = presence_tables("scenes", cases, records)
    assert told.rows[0][1:3] == ("100.0 [100.0, 100.0]",) * 2
    assert told.rows[1][1:3] == ("0.0 [0.0, 0.0]",) * 2
    assert told.rows[0][3] == "5.0 [5.0, 5.0]"
    assert "1 questions failed" in told.notes[1]
    assert kept.rows[0] == ("1", "100.0 ± 0.0", "100.0 ± 0.0", "0.0 ± 0.0")
    assert kept.rows[1] == ("2", "100.0 ± 0.0", "0.0 ± 0.0", "0.0 ± 0.0")


def test_the_embedded_model_tells_there_from_not_there(tmp_path: Path) -> None:
    tables = presence_benchmark(load_clip("tiny-clip"), scenes=20, stream="development", folder=tmp_path)
    bars = {"adversarial": 85, "other": 98}  # of 20 scenes; those of the whole run are in docs/results-presence.md
    for told in tables[::2]:
        for cells in told.rows:
            for cell, least in zip(cells[1:3], bars.values(), strict=True):
                assert float(cell.split()[0]) > least, told.title
    assert len(list(tmp_path.glob("presence-*.jsonl"))) == 2
