"""Several heatmaps made into one."""

from dataclasses import replace

import pytest
import torch
from pack.api_core.combine import combine
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import tune
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View

A = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
B = torch.tensor([[40.0, 10.0], [20.0, 30.0]])


def heatmap(*grids, size=(4, 4), part="attention", text="a"):
    return Heatmap(
        tuple(
            PictureMap(
                size,
                (Label(text, "whole"),),
                {part: (View(grid[None], Box(0, 0, size[1], size[0]), torch.ones(grid.shape, dtype=torch.bool)),)},
                "method",
                "model",
                1,
            )
            for grid in grids
        )
    )


def values(combined):
    return combined.pictures[0].parts["combined"][0].values[0]


def z(grid):
    return (grid - grid.mean()) / grid.std()


def test_modes_by_hand():
    maps = [heatmap(A), heatmap(B, text="b")]
    torch.testing.assert_close(values(combine(maps, "mean")), (z(A) + z(B)) / 2)
    torch.testing.assert_close(values(combine(maps, "max")), torch.maximum(z(A), z(B)))
    torch.testing.assert_close(values(combine(maps, "product")), torch.sigmoid(z(A)) * torch.sigmoid(z(B)))
    contrast = combine([*maps, heatmap(A)], "contrast")
    torch.testing.assert_close(values(contrast), z(A) - (z(B) + z(A)) / 2)
    assert contrast.pictures[0].signed
    assert combine(maps).pictures[0].labels == (Label("a + b", "whole"),)


def test_scales_by_hand():
    maps = [heatmap(A), heatmap(B)]
    torch.testing.assert_close(values(combine(maps, "mean", "min-max")), ((A - 1) / 5 + (B - 10) / 30) / 2)
    ranks = torch.tensor([[0.0, 1.0], [2.0, 3.0]]) + torch.tensor([[3.0, 0.0], [1.0, 2.0]])
    torch.testing.assert_close(values(combine(maps, "mean", "rank")), ranks / 6)


def test_equal_values_share_their_rank():
    tied = torch.tensor([[0.0, 5.0], [5.0, 9.0]])
    assert values(combine([heatmap(tied)], "mean", "rank")).tolist() == [[0, 0.5], [0.5, 1]]


def test_maps_of_other_grids_meet_on_the_finer():
    fine = torch.arange(16.0).reshape(4, 4)
    combined = values(combine([heatmap(A), heatmap(fine)], "mean", "min-max"))
    assert combined.shape == (4, 4)
    assert float(combined[0, 0]) == 0
    assert float(combined[3, 3]) == 1


def test_a_constant_map_says_nothing_and_is_named():
    combined = combine([heatmap(A), heatmap(torch.ones(2, 2))], "mean")
    torch.testing.assert_close(values(combined), z(A))
    assert combined.warnings == ("Heatmap 2 of picture 1 is the same everywhere and says nothing.",)
    nothing = tune(combine([heatmap(torch.ones(2, 2))]), contrast=1, smoothing=1)
    assert bool((nothing.masks[0] == 1).all())


def test_two_parts_are_merged_as_in_the_paper_first():
    picture = heatmap(A).pictures[0]
    two = PictureMap(
        picture.size,
        picture.labels,
        {"class_token": picture.parts["attention"], "patch": heatmap(B).pictures[0].parts["attention"]},
        "method",
        "model",
        1,
    )
    a, b = torch.sigmoid(z(A)), (40 - B) / 30
    torch.testing.assert_close(values(combine([Heatmap((two,))])), z(a + b - a * b))


def test_one_picture_serves_all_and_inputs_stay():
    before = A.clone()
    combined = combine([heatmap(A, B), heatmap(B)], "mean")
    assert len(combined) == 2
    torch.testing.assert_close(combined.pictures[1].parts["combined"][0].values[0], z(B))
    assert torch.equal(A, before)


@pytest.mark.parametrize(
    ("maps", "mode", "scale", "message"),
    [
        ([heatmap(A)], "contrast", "z-score", "at least 2 heatmaps, not 1"),
        ([], "mean", "z-score", "at least 1 heatmaps, not 0"),
        ([heatmap(A)], "sum", "z-score", "no mode 'sum'"),
        ([heatmap(A)], "mean", "log", "no scale 'log'"),
        ([heatmap(A, A), heatmap(A, A, A)], "mean", "rank", "Heatmaps of 2, 3 pictures"),
        ([heatmap(A), heatmap(A, size=(4, 6))], "mean", "rank", "different sizes: 4 x 4, 6 x 4"),
    ],
)
def test_refusals(maps, mode, scale, message):
    with pytest.raises(InvalidInput, match=message):
        combine(maps, mode, scale)


def test_a_view_in_which_nothing_can_lie_is_refused():
    (picture,) = heatmap(A).pictures
    (view,) = picture.parts["attention"]
    empty = Heatmap((replace(picture, parts={"attention": (replace(view, box=Box(3, 3, 3, 3)),)}),))
    with pytest.raises(InvalidInput, match="A box needs a width and a height above zero"):
        combine([heatmap(A), empty])
