"""The warp itself: bounds, the way back, and that nothing changes where nothing should."""

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.overlay import FadeStyle, MagnifyStyle, Mapping, apply
from pack.api_core.overlay import mapping as public_mapping
from pack.api_core.overlay.warp import AxisMap, warp
from torch import Tensor

SIZE = (120, 200)


def spot(y: float, x: float, radius: float, size: tuple[int, int] = SIZE) -> Tensor:
    rows, columns = torch.arange(size[0])[:, None] + 0.5, torch.arange(size[1])[None] + 0.5
    return torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))


def mapping(mask: Tensor, style: MagnifyStyle | None = None, strength: float = 1.0) -> Mapping:
    return (style or MagnifyStyle()).mapping(mask, strength)


def axis_maps(mask: Tensor, style: MagnifyStyle, strength: float = 1.0) -> tuple[AxisMap, AxisMap]:
    moved = style.mapping(mask, strength)
    return moved.rows, moved.columns


def density(axis: AxisMap) -> np.ndarray:
    return np.diff(axis.shown) / np.diff(axis.picture)


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(3))


STYLES = [MagnifyStyle(zoom, keep, profile, in_place)
          for zoom, keep in ((3.0, 0.2), (1.5, 0.05), (10.0, 0.9))
          for profile in ("peak", "mean") for in_place in (True, False)]  # fmt: skip


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("mask", [spot(40, 150, 9), spot(0, 0, 30), spot(40, 30, 6) + 0.6 * spot(90, 170, 12)])
def test_nothing_grows_or_shrinks_beyond_its_bounds_and_the_size_stays(style: MagnifyStyle, mask: Tensor) -> None:
    for axis, length in zip(axis_maps(mask.clamp(max=1), style), SIZE, strict=True):
        widths = density(axis)
        assert style.keep - 1e-9 <= widths.min() < 1 < widths.max() <= style.zoom + 1e-9
        assert axis.shown[0] == 0
        assert axis.shown[-1] == length
        assert (np.diff(axis.shown) > 0).all()


@pytest.mark.parametrize("style", STYLES, ids=str)
def test_the_way_there_and_back_loses_nothing(style: MagnifyStyle) -> None:
    way = mapping(spot(40, 150, 9), style)
    points = torch.rand(500, 2, dtype=torch.float64) * torch.tensor([200.0, 120.0])
    assert (way.to_picture(way.to_shown(points)) - points).abs().max() < 1e-6
    boxes = torch.tensor([[3.5, 7.0, 180.0, 99.5], [140.0, 30.0, 160.0, 50.0]], dtype=torch.float64)
    shown = way.to_shown(boxes)
    assert (shown[:, 2:] > shown[:, :2]).all()
    assert (way.to_picture(shown) - boxes).abs().max() < 1e-6


def test_in_place_the_middle_of_what_matters_stays() -> None:
    mask = spot(40, 150, 9)
    for axis, profile in zip(axis_maps(mask, MagnifyStyle()), (mask.amax(1), mask.amax(0)), strict=True):
        excess = (profile - profile.min()).double().numpy() ** 2
        middle = float((excess * (np.arange(len(excess)) + 0.5)).sum() / excess.sum())
        assert abs(float(axis.to_shown(np.array(middle))) - middle) < 1e-6
    free = mapping(mask, MagnifyStyle(in_place=False)).to_shown(torch.tensor([[150.0, 40.0]]))
    assert (free - torch.tensor([[150.0, 40.0]])).abs().max() > 5


def test_what_matters_is_larger_and_a_mask_says_where() -> None:
    way = mapping(spot(40, 150, 9))
    box = torch.tensor([[145.0, 35.0, 155.0, 45.0]])
    left, top, right, bottom = way.to_shown(box)[0].tolist()
    assert (right - left) * (bottom - top) > 6 * 100
    marked = torch.zeros(SIZE)
    marked[35:45, 145:155] = 1
    shown = way.mask_to_shown(marked)
    assert shown.sum() == pytest.approx((right - left) * (bottom - top), rel=0.03)
    back = way.mask_to_picture(shown)
    assert (back[37:43, 147:153] > 0.8).all()
    assert back.sum() == pytest.approx(100, rel=0.15)


@pytest.mark.parametrize(
    ("mask", "style", "strength"),
    [
        (spot(40, 150, 9), MagnifyStyle(), 0.0),
        (torch.full(SIZE, 0.7), MagnifyStyle(), 1.0),
        (torch.zeros(SIZE), MagnifyStyle(in_place=False), 1.0),
        (spot(40, 150, 9), MagnifyStyle(zoom=1), 1.0),
        (spot(40, 150, 9), MagnifyStyle(keep=1), 1.0),
    ],
)
def test_where_nothing_moves_the_picture_is_the_same_to_the_bit(
    picture: Tensor, mask: Tensor, style: MagnifyStyle, strength: float
) -> None:
    assert not mapping(mask, style, strength).moves
    assert torch.equal(warp(picture, *axis_maps(mask, style, strength)), picture)


def test_the_sampling_itself_changes_nothing_where_an_axis_stays(picture: Tensor) -> None:
    """Only the columns move: what is constant along them stays, to the bit."""
    rows, columns = axis_maps(spot(40, 150, 9), MagnifyStyle())
    still = AxisMap(np.arange(121.0), np.arange(121.0))
    striped = picture[:, :1].expand(SIZE[0], SIZE[1], 3).contiguous()
    assert (warp(striped, still, columns) - striped).abs().max() < 1e-6
    assert (warp(picture, rows, columns) - picture).abs().max() > 0.1


def test_displacement_grows_in_proportion_to_strength() -> None:
    point = torch.tensor([[170.0, 60.0]])
    moved = [mapping(spot(40, 150, 9), strength=s).to_shown(point) - point for s in (0.25, 0.5, 1.0)]
    assert torch.allclose(moved[0] * 4, moved[2], atol=1e-9)
    assert torch.allclose(moved[1] * 2, moved[2], atol=1e-9)


def test_what_shrinks_does_not_alias() -> None:
    height, width = 64, 400
    checker = ((torch.arange(height)[:, None] + torch.arange(width)[None]) % 2).float().unsqueeze(-1).expand(-1, -1, 3)
    edges = np.arange(width + 1.0)
    squeezed = AxisMap(np.array([0.0, 300, 400]), np.array([0.0, 75, 400]))  # a quarter of its width, then wider
    shown = warp(checker.contiguous(), AxisMap(edges[: height + 1], edges[: height + 1]), squeezed)
    assert (shown[:, 2:72] - 0.5).abs().max() < 0.02


def test_a_pixel_is_the_weighted_mean_of_what_lies_under_it(picture: Tensor) -> None:
    """Against the definition, pixel by pixel, in double precision."""
    rows, columns = axis_maps(spot(40, 150, 9), MagnifyStyle())

    def weights(axis: AxisMap, length: int) -> np.ndarray:
        table = np.zeros((length, length))
        for k in range(length):
            start, end = axis.to_picture(np.array([k, k + 1.0]))
            reach, middle = max(1.0, end - start), (start + end) / 2
            for j in range(length):
                table[k, j] = max(0.0, 1 - abs(j + 0.5 - middle) / reach)
            table[k] /= table[k].sum()
        return table

    expected = np.einsum("yi,xj,ijc->yxc", weights(rows, 120), weights(columns, 200), picture.double().numpy())
    assert np.abs(warp(picture, rows, columns).numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("size", [(1, 50), (50, 1), (1, 1), (3, 2)])
def test_the_smallest_pictures(size: tuple[int, int]) -> None:
    mask = spot(size[0] / 3, size[1] / 3, 2, size)
    shown = warp(torch.rand(*size, 4), *axis_maps(mask, MagnifyStyle()))
    assert shown.shape == (*size, 4)
    assert torch.isfinite(shown).all()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"zoom": 0.5}, "zoom"),
        ({"zoom": float("nan")}, "zoom"),
        ({"keep": 0.0}, "keep"),
        ({"keep": float("nan")}, "keep"),
        ({"profile": "sum"}, "profile"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        MagnifyStyle(**settings)


def test_points_that_are_no_points_are_refused() -> None:
    way = mapping(spot(40, 150, 9))
    with pytest.raises(InvalidInput, match="NaN"):
        way.to_shown(torch.tensor([[float("nan"), 1.0]]))
    with pytest.raises(InvalidInput, match="Points are"):
        way.to_shown(torch.zeros(3, 3))
    with pytest.raises(InvalidInput, match="120, 200"):
        way.mask_to_picture(torch.zeros(20, 20))
    outside = torch.tensor([[-5.0, 130.0]], dtype=torch.float64)
    assert torch.equal(way.to_shown(outside), outside)


def test_a_magnified_picture_keeps_its_alpha_with_its_colours_and_a_batch_is_as_alone() -> None:
    pictures = torch.rand(2, *SIZE, 4)
    masks = torch.stack([spot(40, 150, 9), spot(80, 30, 14)])
    together = apply(pictures, masks, MagnifyStyle(), 0.7)
    for index in range(2):
        alone = apply(pictures[index], masks[index], MagnifyStyle(), 0.7)
        assert torch.equal(together[index], alone)
        alpha = public_mapping(masks[index], MagnifyStyle(), 0.7).mask_to_shown(pictures[index, ..., 3])
        assert torch.allclose(alone[..., 3], alpha, atol=1e-6)


def test_a_mask_of_another_size_is_brought_to_the_picture_s(picture: Tensor) -> None:
    small = spot(10, 37, 3, (30, 50))
    way = public_mapping(small, MagnifyStyle(), size=SIZE)
    assert way.size == SIZE
    assert torch.equal(apply(picture, small, MagnifyStyle()), way.draw(picture))


def test_a_style_that_only_lays_colours_moves_nothing() -> None:
    way = public_mapping(spot(40, 150, 9), FadeStyle())
    assert not way.moves
    assert way.size == SIZE


def test_a_mask_that_holds_nan_is_refused(picture: Tensor) -> None:
    with pytest.raises(InvalidInput, match=r"NaN|finite"):
        apply(picture, torch.full(SIZE, float("nan")), MagnifyStyle())
