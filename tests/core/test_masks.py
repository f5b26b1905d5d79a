"""From heatmap to mask: both readings by hand-computed values, and every step after them."""

import numpy as np
import pytest
import torch
from pack.api_core.choices import READINGS
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import MaskSettings, tune
from pack.api_core.morphology import box_mean, grow
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from pack.api_core.settings import PAPER_DEFAULTS, MaskDefaults
from PIL import Image

PLAIN = {"contrast": 1.0, "smoothing": 1.0}


def heatmap(parts, size=(6, 8), reading="precise", labels=("query",), **fields):
    views = {
        name: (View(values, Box(0, 0, size[1], size[0]), torch.ones(values.shape[1:], dtype=torch.bool)),)
        for name, values in parts.items()
    }
    names = tuple(Label(text, "whole" if i == 0 else "query word") for i, text in enumerate(labels))
    return Heatmap((PictureMap(size, names, views, "method", "model", 1, reading, **fields),))


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def paper_mask(cls, patch, contrast, width):
    """The formula of the paper's code in plain numpy, float64: the two parts merged, before any resizing."""
    a, p = cls.double().numpy(), patch.double().numpy()
    a = 1 / (1 + np.exp(-contrast * (a - a.mean()) / a.std(ddof=1)))
    b = (p.max() - p) / (p.max() - p.min())
    a, b = (box_by_hand(part, width) for part in (a, b))
    merged = a + b - a * b
    return (merged - merged.min()) / (merged.max() - merged.min())


def box_by_hand(values, width):
    reach = width // 2
    padded = np.pad(values, reach, mode="edge")
    rows, columns = values.shape
    return np.array([[padded[i : i + width, j : j + width].mean() for j in range(columns)] for i in range(rows)])


@pytest.mark.parametrize("width", [1, 3, 5])
def test_both_readings_follow_the_formula(width):
    cls, patch = noise(1, 6, 8), noise(1, 6, 8, seed=1)
    expected = paper_mask(cls[0], patch[0], 5, width)
    for reading, tolerance in (("precise", 1e-5), ("upstream", 1 / 255 + 1e-6)):
        tuned = tune(heatmap({"class_token": cls, "patch": patch}, reading=reading), contrast=5, smoothing=width)
        assert np.abs(tuned.masks[0].numpy() - expected).max() < tolerance
        assert tuned.warnings == ()


def test_upstream_cuts_to_eight_bits_before_pillow_resizes():
    cls, patch = noise(1, 4, 4), noise(1, 4, 4, seed=1)
    levels = np.floor(paper_mask(cls[0], patch[0], 2, 3) * 255).astype(np.uint8)
    expected = np.asarray(Image.fromarray(levels).resize((30, 20), Image.Resampling.LANCZOS)) / 255
    views = {"class_token": cls, "patch": patch}
    mask = tune(heatmap(views, (20, 30), "upstream"), contrast=2, smoothing=3).masks[0]
    assert np.abs(mask.numpy() - expected).max() < 1.5 / 255
    assert np.abs(mask.numpy() - expected).mean() < 1e-4


def test_a_single_part_reaches_0_and_1_in_the_precise_reading_only():
    values = noise(1, 6, 8)
    sigmoid = torch.sigmoid((values - values.mean()) / values.std())[0]
    expected = (sigmoid - sigmoid.min()) / (sigmoid.max() - sigmoid.min())
    torch.testing.assert_close(tune(heatmap({"attention": values}), **PLAIN).masks[0], expected)
    upstream = tune(heatmap({"attention": values}, reading="upstream"), **PLAIN).masks[0]
    torch.testing.assert_close(upstream, (sigmoid * 255).floor() / 255)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("grid", [(1, 1), (4, 4)])
def test_a_constant_map_leaves_the_picture_and_warns(reading, grid):
    tuned = tune(heatmap({"attention": torch.full((1, *grid), 0.3)}, reading=reading), threshold=0.5, grow=-1, **PLAIN)
    assert torch.equal(tuned.masks[0], torch.ones(6, 8))
    assert "leaves the picture as it is" in tuned.warnings[0]


def test_contrast_0_keeps_the_flat_half_upstream_and_warns_in_precise():
    values = {"attention": noise(1, 4, 4)}
    upstream = tune(heatmap(values, reading="upstream"), contrast=0, smoothing=1).masks[0]
    torch.testing.assert_close(upstream, torch.full((6, 8), 127 / 255))
    tuned = tune(heatmap(values), contrast=0, smoothing=1)
    assert "nothing of the map is left at contrast 0" in tuned.warnings[0]
    assert bool((tuned.masks[0] == 1).all())


def test_cells_that_saw_nothing_do_not_count():
    values = noise(1, 4, 4)
    values[:, [0, 3]] = 1000.0
    valid = torch.tensor([[False] * 4, [True] * 4, [True] * 4, [False] * 4])
    picture = heatmap({"attention": values[:, 1:3]}, (2, 4)).pictures[0]
    padded = PictureMap(
        (2, 4), picture.labels, {"attention": (View(values, Box(0, -1, 4, 3), valid),)}, "method", "model", 1
    )
    settings = {"contrast": 3.0, "smoothing": 2.5}
    expected = tune(Heatmap((picture,)), **settings).masks[0]
    torch.testing.assert_close(tune(Heatmap((padded,)), **settings).masks[0], expected)


def test_an_even_width_counts_its_end_cells_by_half():
    row = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(box_mean(row, 2), torch.tensor([[0, 0.25, 0.5, 0.25, 0]]))
    values = noise(7, 9)
    torch.testing.assert_close(box_mean(values, 3), torch.from_numpy(box_by_hand(values.double().numpy(), 3)).float())
    assert float(box_mean(values, 1e6).std()) < 1e-4


def test_patches_and_pixels_smooth_alike_when_a_cell_is_a_pixel():
    views = {"attention": noise(1, 6, 8)}
    on_grid = tune(heatmap(views), contrast=1, smoothing=2.5).masks[0]
    on_mask = tune(heatmap(views), contrast=1, smoothing=2.5, smoothing_unit="pixels").masks[0]
    scaled = (on_mask - on_mask.min()) / (on_mask.max() - on_mask.min())
    torch.testing.assert_close(scaled, on_grid, atol=1e-5, rtol=0)


def test_words_are_averaged_and_the_whole_is_the_default():
    values = torch.stack([noise(6, 8, seed=i) for i in range(3)])
    named = heatmap({"attention": values}, labels=("a red cube", "red", "cube"))
    alone = [tune(heatmap({"attention": values[i : i + 1]}), **PLAIN).masks[0] for i in range(3)]
    torch.testing.assert_close(tune(named, **PLAIN).masks[0], alone[0])
    torch.testing.assert_close(tune(named, words=["Cube"], **PLAIN).masks[0], alone[2])
    both = (alone[1] + alone[2]) / 2
    both = (both - both.min()) / (both.max() - both.min())
    torch.testing.assert_close(tune(named, words=["red", "cube"], **PLAIN).masks[0], both)
    torch.testing.assert_close(tune(named.select(["red", "cube"]), **PLAIN).masks[0], both)
    with pytest.raises(InvalidInput, match="no map for 'sphere'"):
        tune(named, words=["sphere"], **PLAIN)


def test_what_is_left_open_is_the_maps_own():
    values = noise(1, 5, 6)
    own = heatmap({"attention": values}, defaults=MaskDefaults(contrast=7.0, smoothing=5))
    expected = tune(own, contrast=7.0, smoothing=5).masks[0]
    assert torch.equal(tune(own).masks[0], expected)
    assert torch.equal(tune(own, smoothing_unit="pixels").masks[0], expected), "its own width counts patches"
    assert torch.equal(tune(own, contrast=2).masks[0], tune(own, contrast=2, smoothing=5).masks[0])
    other = heatmap({"attention": values})
    paper = tune(other, contrast=PAPER_DEFAULTS.contrast, smoothing=PAPER_DEFAULTS.smoothing).masks[0]
    assert torch.equal(tune(other).masks[0], paper)
    both = tune(Heatmap((own.pictures[0], other.pictures[0]))).masks
    assert torch.equal(both[0], expected)
    assert torch.equal(both[1], paper)


def test_settings_come_one_by_one_or_all_at_once():
    base = heatmap({"attention": noise(1, 5, 6)})
    settings = MaskSettings(3.0, 3, "bilinear", threshold=0.3, grow=1, feather=2.0, invert=True)
    single = {"contrast": 3.0, "smoothing": 3, "interpolation": "bilinear", "threshold": 0.3, "grow": 1, "feather": 2.0}
    assert torch.equal(tune(base, settings).masks[0], tune(base, invert=True, **single).masks[0])
    with pytest.raises(InvalidInput, match="not by both"):
        tune(base, settings, threshold=0.5)


def test_threshold_grow_and_invert_in_that_order():
    values = torch.zeros(1, 5, 5)
    values[0, 2, 2] = 1
    base = heatmap({"attention": values}, (5, 5))
    cross = tune(base, threshold=0.9, grow=1, invert=True, interpolation="nearest", **PLAIN).masks[0]
    expected = torch.ones(5, 5)
    expected[2, 1:4] = expected[1:4, 2] = 0
    assert torch.equal(cross, expected)


def test_a_soft_edge_comes_after_growing_and_before_inverting():
    values = torch.zeros(1, 9, 9)
    values[0, 3:6, 3:6] = 1
    base = heatmap({"attention": values}, (9, 9))
    hard = {"threshold": 0.9, "interpolation": "nearest", **PLAIN}
    assert torch.equal(tune(base, feather=1, **hard).masks[0], tune(base, **hard).masks[0])
    grown = tune(base, grow=1, grow_shape="square", **hard).masks[0]
    soft = tune(base, grow=1, grow_shape="square", feather=3, invert=True, **hard).masks[0]
    torch.testing.assert_close(soft, 1 - box_mean(grown, 3))
    assert bool((soft[3:6, 3:6] == 0).all()), "grown by half the edge, what was bright stays so"
    assert 0 < float(soft[1, 4]) < 1


@pytest.mark.parametrize("radius", [1, 2, 3, 9])
def test_growing_is_square_or_nearly_round(radius):
    point = torch.zeros(41, 41)
    point[20, 20] = 0.5
    square = torch.zeros(41, 41)
    square[20 - radius : 21 + radius, 20 - radius : 21 + radius] = 0.5
    assert torch.equal(grow(point, radius, "square"), square)
    distance = torch.hypot(torch.arange(41.0)[:, None] - 20, torch.arange(41.0) - 20)
    round_one = grow(point, radius)
    assert bool((round_one[distance <= radius * 0.98] == 0.5).all())
    assert bool((round_one[distance > radius * 1.09 + 0.75] == 0).all())
    assert torch.equal(grow(torch.ones(4, 4), -2), torch.ones(4, 4))


def test_a_batch_is_its_pictures_one_by_one_and_nothing_else_changes():
    maps = [heatmap({"attention": noise(1, 3, 3, seed=i)}) for i in range(3)]
    before = [m.pictures[0].parts["attention"][0].values.clone() for m in maps]
    state = torch.random.get_rng_state()
    together = tune(Heatmap(tuple(m.pictures[0] for m in maps)), contrast=4, smoothing=3).masks
    for mask, single, values in zip(together, maps, before, strict=True):
        assert torch.equal(mask, tune(single, contrast=4, smoothing=3).masks[0])
        assert torch.equal(single.pictures[0].parts["attention"][0].values, values)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contrast": -1.0}, "contrast must be 0 or more, not -1"),
        ({"smoothing": 0.5}, "smoothing must be 1 or more, not 0.5"),
        ({"threshold": 1.5}, "threshold must be from 0 to 1, not 1.5"),
        ({"interpolation": "cubic"}, "no interpolation 'cubic'"),
        ({"smoothing_unit": "cells"}, "no smoothing unit 'cells'"),
        ({"grow": 1.5}, "grow must be a whole number, not 1.5"),
        ({"grow": float("inf")}, "grow must be a whole number, not inf"),
        ({"feather": -2.0}, "feather must be 0 or more, not -2"),
        ({"grow": 1, "grow_shape": "star"}, "no grow shape 'star'"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(InvalidInput, match=message):
        tune(heatmap({"attention": noise(1, 3, 3)}), **{**PLAIN, **change})


def test_maps_that_cannot_be_read_are_refused():
    with pytest.raises(InvalidInput, match="odd whole number of patches, not by 2 patches"):
        tune(heatmap({"attention": noise(1, 3, 3)}, reading="upstream"), contrast=1, smoothing=2)
    broken = noise(1, 3, 3)
    broken[0, 1, 1] = float("nan")
    for reading in READINGS:
        with pytest.raises(InvalidInput, match="1 of 9 values that are not finite"):
            tune(heatmap({"attention": broken}, reading=reading), **PLAIN)
    with pytest.raises(InvalidInput, match="not of left, right"):
        tune(heatmap({"left": noise(1, 3, 3), "right": noise(1, 3, 3, seed=1)}), **PLAIN)
