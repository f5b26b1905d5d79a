"""The masks and colours of the page's JavaScript beside the library's own, on the same numbers."""

import json
import random
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.choices import INTERPOLATIONS
from pack.api_core.colormaps import COLORMAPS, colorize, colormap
from pack.api_core.masks import tune
from pack.api_core.overlay import STYLES as KINDS
from pack.api_core.overlay import Style, apply
from pack.api_core.results import PictureMap
from pack.api_core.settings import read_color
from pack.tests.promised import inputs, some_choices
from pack.tests.web.parity_cases import LABELS, Case, random_cases

FOLDER = Path(__file__).resolve().parent
SETTINGS = 200
LEVEL = 1 / 255
# Where a mask's value meets the threshold to a rounding, either side is right; upstream values are whole levels, and
# one of them may be cut to the next.
MEETS = {"precise": 1e-5, "upstream": 1.01 * LEVEL}


def run_node(folder: Path, jobs: list[dict[str, Any]], values: list[np.ndarray], tables: bool) -> dict[str, Any]:
    """What `parity_job.mjs` says; its numbers under "values"."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT RUN, JavaScript was not compared with Python: node is not on the PATH")
    (folder / "jobs.json").write_text(json.dumps({"jobs": jobs, "tables": tables}), encoding="utf-8")
    (folder / "values.bin").write_bytes(b"".join(array.astype("<f4").tobytes() for array in values))
    command = [node, str(FOLDER / "parity_job.mjs"), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return {**json.loads(result.stdout), "values": np.fromfile(folder / "results.bin", "<f4")}


def to_job(case: Case, values: list[np.ndarray]) -> dict[str, Any]:
    """The case as the page gets it; its numbers are added to `values`."""
    (picture,) = case.heatmap.pictures
    settings = {**case.settings, "words": ", ".join(case.settings["words"])}
    return {"picture": to_header(picture, values), "settings": settings, "size": picture.size}


def to_header(picture: PictureMap, values: list[np.ndarray]) -> dict[str, Any]:
    def stored(tensor: torch.Tensor) -> int:
        values.append(tensor.to(torch.float32).numpy().ravel())
        return sum(map(len, values[:-1]))

    parts = {
        name: [
            {
                "grid": view.grid,
                "box": [view.box.left, view.box.top, view.box.right, view.box.bottom],
                "values": stored(view.values),
                "valid": None if bool(view.valid.all()) else stored(view.valid),
            }
            for view in views
        ]
        for name, views in picture.parts.items()
    }
    labels = [{"text": label.text, "role": label.role} for label in picture.labels]
    return {
        "size": picture.size,
        "labels": labels,
        "reading": picture.reading,
        "signed": picture.signed,
        "defaults": {"contrast": 1, "smoothing": 1},
        "presence": picture.presence,
        "parts": parts,
    }


def bounds(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """The library's mask, with the threshold on either side of the values that meet it; and its warning."""
    threshold = case.settings["threshold"]
    reading = case.heatmap.pictures[0].reading
    nearby = {threshold + sign * MEETS[reading] for sign in (-1, 0, 1)} if threshold else {0.0}
    tuned = [tune(case.heatmap, **{**case.settings, "threshold": min(value, 1.0)}) for value in sorted(nearby)]
    masks = np.stack([result.masks[0].numpy() for result in tuned])
    return masks.min(0), masks.max(0), "\n".join(tuned[0].warnings)


def test_masks_are_the_same_in_javascript(tmp_path: Path) -> None:
    cases = random_cases(SETTINGS, seed=7)
    values: list[np.ndarray] = []
    jobs = [to_job(case, values) for case in cases]
    made = run_node(tmp_path, jobs, values, tables=False)
    start, worst, either = 0, {"precise": 0.0, "upstream": 0.0}, 0
    for number, (case, warning) in enumerate(zip(cases, made["warnings"], strict=True)):
        low, high, expected = bounds(case)
        mask = made["values"][start : start + low.size].reshape(low.shape)
        start += low.size
        picture = replace(case.heatmap.pictures[0], parts={})
        apart = float(np.maximum(low - mask, mask - high).max())
        assert apart <= LEVEL + 1e-6, f"case {number}: {apart * 255:.2f} levels apart, {case.settings}, {picture}"
        assert told(warning) == told(expected), f"case {number}: {case.settings}"
        worst[picture.reading] = max(worst[picture.reading], apart)
        either += int((high - low > LEVEL).sum())
    assert start == len(made["values"])
    for reading, apart in worst.items():
        print(f"worst of {SETTINGS} settings, {reading}: {apart:.2e} ({apart * 255:.3f} levels)")  # noqa: T201
    print(f"pixels on the threshold: {either} of {start}")  # noqa: T201
    assert either < start / 50


def told(warning: str) -> list[set[str]]:
    """What each line of a warning is about, in whatever words: labels and numbers."""
    return [
        {*(label for label in LABELS if label in line), *re.findall(r"\d+(?:\.\d+)?", line)}
        for line in warning.splitlines()
    ]


def test_the_random_settings_reach_every_branch() -> None:
    cases = random_cases(SETTINGS, seed=7)
    pictures = [case.heatmap.pictures[0] for case in cases]
    views = [view for picture in pictures for part in picture.parts.values() for view in part]
    assert {picture.reading for picture in pictures} == {"precise", "upstream"}
    assert {len(picture.parts) for picture in pictures} == {1, 2}
    assert {case.settings["interpolation"] for case in cases} == set(INTERPOLATIONS)
    assert sum(len(next(iter(picture.parts.values()))) > 1 for picture in pictures) > 20
    assert sum(not bool(view.valid.all()) for view in views) > 20
    plain = {name: given["default"] for name, given in inputs("AttnPromptTuneMask").items() if "default" in given}
    for name, default in {**plain, "smoothing": 1, "words": ()}.items():
        assert sum(case.settings[name] != default for case in cases) > 20, name
    assert sum(picture.signed for picture in pictures) > 5
    warnings = [" ".join(tune(case.heatmap, **case.settings).warnings) for case in cases]
    assert sum(map(bool, warnings)) > 20
    assert sum("presence" in said for said in warnings) > 10


def test_colours_are_the_same_in_javascript(tmp_path: Path) -> None:
    made = run_node(tmp_path, [], [], tables=True)
    assert made["colormaps"] == list(COLORMAPS)
    start = 0
    for name in COLORMAPS:
        whole = colormap(name)
        for expected in (whole, colorize(torch.linspace(0, 1, 256), whole)):
            levels = made["values"][start : start + expected.numel()].reshape(-1, 3)
            start += expected.numel()
            assert np.abs(levels - expected.numpy() * 255).max() <= 0.5 + 1e-3, name
    assert start == len(made["values"])


FORMS = {form.title: form for kind in KINDS for form in kind.forms()}
STYLES: tuple[dict[str, Any], ...] = (
    *some_choices("AttnPromptOverlay", "style", random.Random(4)),
    {"style": "fade to grey", "level": 0, "rounding": "none"},
    {"style": "fade to grey", "level": 97, "rounding": "truncate"},
    {"style": "fade to grey", "level": 255, "rounding": "round"},
    {"style": "fade to colour", "colour": "#2a8"},
    {"style": "desaturate"},
    {"style": "heat colours", "colormap": "turbo", "opacity": 0.5, "weighted": False},
    {"style": "heat colours", "colormap": "coldhot", "opacity": 0.9, "weighted": True},
    {"style": "outline", "colour": "#ff3030", "width": 3, "threshold": 0.5},
    {"style": "outline", "colour": "#00ff00", "width": 8, "threshold": 0.3},
    *({"style": "blur", "radius": radius} for radius in (0.5, 1.5, 2.9, 3.0, 8.0, 40.0)),
)


def test_overlays_are_the_same_in_javascript(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(4)
    values: list[np.ndarray] = []
    jobs, expected = [], []
    for style in STYLES:
        for strength in (1.0, 0.35):
            height, width = (int(side) for side in torch.randint(5, 90, (2,), generator=generator))
            picture = torch.randint(0, 256, (height, width, 4), generator=generator).to(torch.float32)
            mask = torch.rand(height, width, generator=generator)
            start = sum(map(len, values))
            values += [picture.numpy().ravel(), mask.numpy().ravel()]
            places = {"pixels": start, "mask": start + picture.numel()}
            jobs.append({**places, "size": [height, width], "style": style, "strength": strength})
            expected.append((style, apply(picture / 255, mask, to_style(style), strength).numpy() * 255))
    made = run_node(tmp_path, jobs, values, tables=False)["values"]
    start = 0
    for style, drawn in expected:
        apart = np.abs(made[start : start + drawn.size].reshape(drawn.shape) - drawn).max()
        start += drawn.size
        assert apart <= 1 + 1e-3, f"{style}: {apart:.2f} levels apart"  # the page's pixels are whole levels
    assert start == len(made)


def to_style(given: dict[str, Any]) -> Style:
    """The library's style for what the widgets say."""
    form = FORMS[given["style"]]
    settings = {setting.widget or setting.name: setting for setting in form.settings}
    said = {settings[name]: value for name, value in given.items() if name != "style"}
    return form.make(**{one.name: read_color(value) if one.is_color else value for one, value in said.items()})
