"""Where a family's image tokens lie, proven from the pixels: what a token is said to cover is what it reacts to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.geometry import compose
from pack.api_core.masks import tune
from pack.api_core.models.conversation.case import Case, PictureLayout, PromptRow, TokenGrid
from pack.api_core.models.lvlm.inputs.token_views import views_of_pictures
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from pack.tests import zoo
from pack.tests.core.models.families import reactions
from torch import Tensor

PLACED = tuple(name for name in zoo.FAMILIES if name not in zoo.WITHOUT_PLACES)
SIZES = ((240, 240), (160, 320), (330, 150), (120, 400))
QUESTION = "Where is the purple bicycle?"


@pytest.fixture(scope="session")
def local(zoo_folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """A tiny model of that family in which every image token depends on its own patches alone."""

    @cache
    def load(name: str) -> Any:
        model = load_lvlm(zoo_folder(name), device="cpu")
        reactions.make_local(model.module)
        return model

    return load


@pytest.fixture(scope="session")
def measured(local: Callable[[str], Any]) -> Callable[[str, tuple[int, int]], Any]:
    """Reactions of one picture of that size alone in a prompt, with the row's places."""

    @cache
    def found(name: str, size: tuple[int, int]) -> tuple[PromptRow, Tensor, Any]:
        model = local(name)
        picture = _noise(size)
        inputs, reaction = reactions.measure(model, [picture], 0, QUESTION)
        return model.prepare([Case((picture,), QUESTION)]).rows[0], inputs["input_ids"][0], reaction

    return found


def _noise(size: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.35 + 0.3 * torch.rand(*size, 3, generator=generator)


def _cells(places: PictureLayout) -> Iterator[tuple[int, bool, Box, float]]:
    """Every placed token with its validity, its rectangle cut at the picture's edge, and what part of it that is."""
    height, width = places.size
    for grid in places.grids:
        rows, columns = grid.tokens.shape
        step_y, step_x = grid.box.height / rows, grid.box.width / columns
        for row in range(rows):
            for column in range(columns):
                left, top = grid.box.left + column * step_x, grid.box.top + row * step_y
                cell = Box(max(left, 0), max(top, 0), min(left + step_x, width), min(top + step_y, height))
                left_over = max(cell.width, 0) * max(cell.height, 0) / (step_x * step_y)
                yield int(grid.tokens[row, column]), bool(grid.valid[row, column]), cell, left_over


def _require_agreement(places: PictureLayout, reaction: Any) -> None:
    centers = reaction.centers()
    height, width = places.size
    stripe = (width / reactions.STRIPES, height / reactions.STRIPES)
    steps = {
        int(token): (grid.box.width / grid.tokens.shape[1], grid.box.height / grid.tokens.shape[0])
        for grid in places.grids
        for token in grid.tokens.flatten()
    }
    for token, valid, cell, left_over in _cells(places):
        if not valid:
            assert left_over < 0.6, f"token {token} sees {left_over:.0%} of its cell and counts as padding"
            continue
        off_x = abs(float(centers[token, 0]) - (cell.left + cell.right) / 2)
        off_y = abs(float(centers[token, 1]) - (cell.top + cell.bottom) / 2)
        assert off_x <= (cell.width + stripe[0]) / 4, f"token {token} {cell} is off by {off_x:.1f} to the side"
        assert off_y <= (cell.height + stripe[1]) / 4, f"token {token} {cell} is off by {off_y:.1f} in height"
        for profile, length, first, last, step in (
            (reaction.across[token], width, cell.left, cell.right, steps[token][0]),
            (reaction.down[token], height, cell.top, cell.bottom, steps[token][1]),
        ):
            edges = torch.linspace(0, length, reactions.STRIPES + 1)
            far = (edges[1:] < first - 0.8 * step) | (edges[:-1] > last + 0.8 * step)
            assert float(profile[far].sum()) < 0.1, f"token {token} {cell} reacts far away"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PLACED)
def test_tokens_lie_where_they_react(name: str, size: tuple[int, int], measured: Any) -> None:
    row, ids, reaction = measured(name, size)
    (places,) = row.layouts
    _require_agreement(places, reaction)
    reacting = (reaction.across.amax(1) > 0).nonzero().flatten()
    valid = torch.cat([grid.tokens[grid.valid] for grid in places.grids]).sort().values
    assert set(valid.tolist()) <= set(reacting.tolist()) <= set(places.positions.tolist())
    assert not set(reacting.tolist()) & set(places.unplaced.tolist())
    assert len(ids[places.positions].unique()) == 1
    assert len(places.positions) == int((ids == ids[places.positions[0]]).sum())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PLACED)
def test_forced_token_lights_its_pixels(name: str, size: tuple[int, int], measured: Any) -> None:
    row, _, reaction = measured(name, size)
    order = row.layouts[0].positions
    (views,) = views_of_pictures(row, torch.eye(len(order)), "precise", [size])
    drawn = compose(views, size)
    assert drawn.shape == (len(order), *size)
    valid = [token for token, valid, _, _ in _cells(row.layouts[0]) if valid]
    for token in valid:
        index = int(torch.searchsorted(order, torch.tensor(token)))
        _require_peak(drawn[index], token, valid, reaction)
    for token in valid[:: max(1, len(valid) // 4)]:
        index = int(torch.searchsorted(order, torch.tensor(token)))
        alone = tuple(View(view.values[index : index + 1].contiguous(), view.box, view.valid) for view in views)
        whole = PictureMap(size, (Label("bicycle", "whole"),), {"attention": alone}, "planted", "tiny", 0)
        (mask,) = tune(Heatmap((whole,)), contrast=1, smoothing=1).masks
        assert mask.shape == size
        _require_peak(mask, token, valid, reaction)


def _require_peak(drawn: Tensor, token: int, valid: list[int], reaction: Any) -> None:
    """The brightest pixel, of those that any valid token reacts to, is one that this token reacts to.

    Where no valid token looks, outside a crop, the map's edge goes on.
    """
    height, width = drawn.shape
    down, across = (
        torch.repeat_interleave(
            profile, torch.tensor([last - first for first, last in pairwise(reactions.edges(side))]), 1
        )
        for profile, side in ((reaction.down, height), (reaction.across, width))
    )
    seen = (down[valid].amax(0) > 0.2).unsqueeze(1) & (across[valid].amax(0) > 0.2)
    y, x = divmod(int(drawn.masked_fill(~seen, -torch.inf).argmax()), width)
    assert float(drawn[seen].max()) > float(drawn[seen].min())
    assert float(down[token, y]) > 0.1, f"the peak {x}, {y} of token {token} is not in its rows"
    assert float(across[token, x]) > 0.1, f"the peak {x}, {y} of token {token} is not in its columns"


@pytest.mark.parametrize("name", PLACED)
def test_second_picture_of_a_padded_row(name: str, local: Any) -> None:
    model = local(name)
    pictures = [_noise((150, 200), 1), _noise((260, 130), 2)]
    _, reaction = reactions.measure(model, pictures, 1, QUESTION)
    longer = Case((_noise((90, 300)), _noise((300, 90)), _noise((200, 200))), f"{QUESTION} {QUESTION} Is it left?")
    batch = model.prepare([longer, Case(tuple(pictures), QUESTION)])
    row = batch.rows[1]
    assert row.padding > 0
    first, second = row.layouts
    assert int(first.positions.max()) < int(second.positions.min())
    unpadded = PictureLayout(
        second.size,
        tuple(TokenGrid(grid.tokens - row.padding, grid.valid, grid.box) for grid in second.grids),
        second.unplaced - row.padding,
    )
    _require_agreement(unpadded, reaction)
    assert float(reaction.across[first.positions - row.padding].abs().max()) == 0


@pytest.mark.parametrize("name", zoo.FURTHER)
def test_models_that_no_adapter_names(name: str, measured: Any) -> None:
    for size in SIZES[1:3]:
        row, _, reaction = measured(name, size)
        (places,) = row.layouts
        _require_agreement(places, reaction)
        valid = torch.cat([grid.tokens[grid.valid] for grid in places.grids])
        assert bool((reaction.across[valid].amax(1) > 0).all())


@pytest.mark.parametrize("size", [(120, 300), (280, 110)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_crops_of_gemma(size: tuple[int, int], local: Any) -> None:
    model = local("gemma3")
    options = {
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 32,
        "pan_and_scan_max_num_crops": 4,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }
    inputs, reaction = reactions.measure(model, [_noise(size)], 0, QUESTION, **options)
    row = inputs["input_ids"][0]
    (places,) = model.family.layouts(model.processor, model.config, [size], inputs, row, options=options)
    assert len(places.grids) > 2
    _require_agreement(places, reaction)


@pytest.mark.parametrize("wrong", ["turned", "mirrored", "next", "moved", "tiles"])
def test_the_proof_notices_what_is_wrong(wrong: str, measured: Any) -> None:
    row, _, reaction = measured("internvl" if wrong == "tiles" else "llava-1.5", (240, 240))
    (places,) = row.layouts
    grid, *others = places.grids
    tokens, box = grid.tokens, grid.box
    if wrong == "turned":
        tokens = tokens.T
    elif wrong == "mirrored":
        tokens = tokens.flip(1)
    elif wrong == "next":
        tokens = tokens.roll(1)
    elif wrong == "moved":
        box = Box(box.left, box.top + 20, box.right, box.bottom + 20)
    else:
        others[0], box = TokenGrid(others[0].tokens, others[0].valid, box), others[0].box
    changed = PictureLayout(places.size, (TokenGrid(tokens, grid.valid, box), *others), places.unplaced)
    with pytest.raises(AssertionError):
        _require_agreement(changed, reaction)
