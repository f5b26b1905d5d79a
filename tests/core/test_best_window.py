"""The window that holds most of a mask, against trying all of them."""

import time
import tracemalloc

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.regions import best_window


def tried(values: np.ndarray, height: int, width: int) -> tuple[int, int]:
    best, where = -1.0, (0, 0)
    for y in range(values.shape[0] - height + 1):
        for x in range(values.shape[1] - width + 1):
            held = values[y : y + height, x : x + width].sum(dtype=np.float64)
            if held > best + 1e-7:
                best, where = held, (x, y)
    return where


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_one_that_trying_all_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(3, 30, 2)
    values = rng.random(size).astype(np.float32) ** 4
    if seed % 3 == 0:
        values = (values > 0.3).astype(np.float32)  # with ties
    if values.min() == values.max():
        values[0, 0] = 1 - values[0, 0]
    side = int(rng.integers(1, min(size) + 1))
    region, _ = best_window(torch.from_numpy(values), side)
    assert (region.x, region.y) == tried(values, side, side)
    assert (region.width, region.height) == (side, side)
    assert region.mass == pytest.approx(values[region.y :, region.x :][:side, :side].sum(), abs=1e-4)


@pytest.mark.parametrize("side", [1, 70, 199])
def test_pictures_of_many_strips(side: int) -> None:
    """Against sums over the whole picture at once, without and with ties far apart."""
    rng = np.random.default_rng(side)
    for values in (rng.random((200, 260), np.float32) ** 8, (rng.random((200, 260)) > 0.7).astype(np.float32)):
        sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0, dtype=np.float64).cumsum(1)
        held = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        y, x = np.unravel_index(np.argmax(held >= held.max() - 1e-6), held.shape)
        region, _ = best_window(torch.from_numpy(values), side)
        assert (region.x, region.y) == (x, y)


def test_a_window_in_twelve_megapixels_is_found_with_little_memory() -> None:
    mask = torch.zeros(3000, 4000)
    mask[2500:2600, 3900:3950] = 0.5
    best_window(mask[:100], 50)
    tracemalloc.start()
    started = time.process_time()
    region, _ = best_window(mask, 336)
    spent, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert region.mass == 2500
    assert peak < 20e6  # a map of the whole in double precision is 96 MB
    assert spent < 0.9  # 0.1 s; other work on the machine makes it longer


def test_a_long_picture_s_window_is_cut_to_its_shorter_side() -> None:
    mask = torch.zeros(20, 90)
    mask[5:9, 70:80] = 1
    region, warning = best_window(mask, 40, "star")
    assert (region.y, region.width, region.height, region.label) == (0, 40, 20, "star")
    assert 40 <= region.x <= 70
    assert not warning


def test_where_no_place_is_better_it_is_the_whole_picture_and_says_so() -> None:
    region, warning = best_window(torch.full((20, 30), 0.4), 8)
    assert (region.x, region.y, region.width, region.height) == (0, 0, 30, 20)
    assert "same everywhere" in warning
    mask = torch.zeros(20, 30)
    mask[3, 3] = 1
    region, warning = best_window(mask, 64)
    assert (region.width, region.height) == (30, 20)
    assert "whole picture" in warning


@pytest.mark.parametrize(("mask", "side"), [(torch.rand(4, 4), 0), (torch.rand(4, 4), 2.5), (torch.rand(2, 4, 4), 2)])
def test_what_has_no_window_is_refused(mask: torch.Tensor, side: float) -> None:
    with pytest.raises(InvalidInput):
        best_window(mask, side)
