"""What passes between the parts: shapes are checked when it is made, and words are chosen by their text."""

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View, require_finite

WORDS = ("find the Red star, star", "find", "the", "Red", "star", "star")


def picture_map() -> PictureMap:
    values = torch.arange(len(WORDS), dtype=torch.float32)[:, None, None].expand(-1, 2, 3)
    view = View(values, Box(0, 0, 30, 20), torch.ones(2, 3, dtype=torch.bool))
    labels = tuple(Label(text, "query word" if index else "whole") for index, text in enumerate(WORDS))
    return PictureMap((20, 30), labels, {"patch": (view,)}, "decomposition", "tiny-clip", 1)


def numbers(chosen: PictureMap) -> list[int]:
    return [int(value) for value in chosen.parts["patch"][0].values[:, 0, 0]]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], [0, 1, 2, 3, 4, 5]),
        ([" "], [0, 1, 2, 3, 4, 5]),
        (["red"], [3]),
        (["STAR", "red"], [4, 5, 3]),
        (["star", "star"], [4, 5]),
        (["red star"], [3, 4, 5]),
        (["find the red star, star"], [0]),
    ],
)
def test_words_are_chosen_in_any_case_in_the_order_asked(texts: list[str], expected: list[int]):
    chosen = picture_map().select(texts)
    assert numbers(chosen) == expected
    assert [label.text for label in chosen.labels] == [WORDS[index] for index in expected]


def test_a_word_that_has_no_map_is_named_with_those_that_have():
    with pytest.raises(InvalidInput, match=r"no map for 'blue'.*'Red', 'star'"):
        Heatmap((picture_map(),)).select(["blue star"])


@pytest.mark.parametrize(
    ("values", "valid", "message"),
    [
        (torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool), "float32"),
        (torch.zeros(1, 2, 3, dtype=torch.float64), torch.ones(2, 3, dtype=torch.bool), "float64"),
        (torch.zeros(1, 2, 3), torch.ones(3, 2, dtype=torch.bool), r"bool \[2, 3\]"),
        (torch.zeros(1, 2, 3), torch.ones(2, 3), "float32"),
    ],
)
def test_a_view_refuses_what_is_no_map(values: torch.Tensor, valid: torch.Tensor, message: str):
    with pytest.raises(InvalidInput, match=message):
        View(values, Box(0, 0, 1, 1), valid)


def test_maps_and_labels_go_together():
    one = picture_map()
    with pytest.raises(InvalidInput, match="6 maps for 1 labels"):
        PictureMap(one.size, one.labels[:1], one.parts, one.method, one.model, one.layer)


def test_warnings_are_said_once():
    one = picture_map().warn("flat")
    assert Heatmap((one, one.warn("long"))).warnings == ("flat", "long")


def test_values_that_are_not_finite_are_counted():
    require_finite(torch.zeros(3), "The map")
    with pytest.raises(InvalidInput, match="The map holds 2 of 3 values"):
        require_finite(torch.tensor([0, torch.nan, torch.inf]), "The map")


@pytest.mark.parametrize("grid", [(0, 3), (3, 0), (0, 0)])
def test_a_view_without_cells_is_refused(grid: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="A view must have at least one cell"):
        View(torch.zeros(2, *grid), Box(0, 0, 30, 20), torch.ones(grid, dtype=torch.bool))
