"""Masks drawn over pictures: the paper's blend by hand, and what every style must keep."""

import sys

import numpy as np
import pytest
import torch
from pack.api_core.colormaps import COLORMAPS, colorize, colormap
from pack.api_core.errors import InvalidInput
from pack.api_core.overlay import (
    NODE_STRENGTH,
    BlurStyle,
    DesaturateStyle,
    FadeStyle,
    HeatStyle,
    MagnifyStyle,
    OutlineStyle,
    apply,
    mapping,
)
from pack.api_core.overlay import STYLES as KINDS

STYLES = [
    FadeStyle((0.2, 0.3, 0.4)),
    FadeStyle.grey(200, "round"),
    FadeStyle.grey(200, "truncate"),
    BlurStyle(2),
    BlurStyle(9),
    *(style() for style in KINDS if style not in (FadeStyle, MagnifyStyle)),  # that one moves pixels
]


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_fade_is_the_papers_blend():
    picture, mask = noise(70, 90, 3), noise(70, 90, seed=1)
    weight = mask.double().unsqueeze(-1)
    expected = picture.double() * weight + (1 - weight) * torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64)
    assert float((apply(picture, mask, FadeStyle((0.2, 0.3, 0.4))) - expected).abs().max()) < 1e-6
    strong = 1 - 0.25 * (1 - weight)
    expected = picture.double() * strong
    assert float((apply(picture, mask, FadeStyle(), 0.25) - expected).abs().max()) < 1e-6


@pytest.mark.parametrize("grey", [0, 100, 200])
def test_truncation_is_the_official_blend_on_eight_bits(grey):
    generator = np.random.default_rng(0)
    levels, mask = (generator.integers(0, 256, shape, dtype=np.uint8) for shape in ((64, 64, 3), (64, 64)))
    alpha = (mask[..., None] / 255).astype(np.float32)
    kept = (levels.astype(np.float32) * alpha).astype(np.float64)
    expected = (kept + (1 - alpha).astype(np.float64) * grey).astype(np.uint8)
    style = FadeStyle.grey(grey, "truncate")
    drawn = apply(torch.from_numpy(levels).float() / 255, torch.from_numpy(mask).float() / 255, style)
    assert np.array_equal((drawn * 255).round().numpy(), expected)
    style = FadeStyle.grey(grey, "round")
    rounded = apply(torch.from_numpy(levels).float() / 255, torch.from_numpy(mask).float() / 255, style)
    exact = levels * alpha + (1 - alpha) * grey
    assert np.abs((rounded * 255).numpy() - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("style", STYLES, ids=lambda style: type(style).__name__)
def test_every_style_keeps_alpha_inputs_shape_and_the_unchanged_picture(style):
    picture, mask = noise(40, 50, 4), noise(40, 50, seed=1)
    before = picture.clone(), mask.clone()
    state = torch.random.get_rng_state()
    drawn = apply(picture, mask, style)
    assert drawn.shape == picture.shape
    assert torch.equal(drawn[..., 3], picture[..., 3])
    assert not torch.equal(drawn[..., :3], picture[..., :3])
    assert torch.equal(apply(picture, mask, style, strength=0), picture)
    assert torch.equal(picture, before[0])
    assert torch.equal(mask, before[1])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.testing.assert_close(apply(picture[..., :3], mask, style), drawn[..., :3])


@pytest.mark.parametrize("style", [FadeStyle(), MagnifyStyle()])
def test_the_functions_draw_in_full_unless_told_whatever_a_new_node_does(style):
    picture, mask = noise(40, 50, 3), noise(40, 50, seed=1)
    assert torch.equal(apply(picture, mask, style), apply(picture, mask, style, 1.0))
    assert not torch.equal(apply(picture, mask, style), apply(picture, mask, style, NODE_STRENGTH))
    point = torch.tensor([11.0, 7.0])
    assert torch.equal(mapping(mask, style).to_shown(point), mapping(mask, style, 1.0).to_shown(point))


@pytest.mark.parametrize("style", [FadeStyle(), BlurStyle(2), BlurStyle(9), DesaturateStyle()])
def test_a_mask_of_ones_changes_nothing(style):
    picture = noise(20, 30, 3)
    assert torch.equal(apply(picture, torch.ones(20, 30), style), picture)


def test_strips_do_not_show(monkeypatch):
    module = sys.modules["pack.api_core.overlay.drawing"]
    picture, mask = noise(150, 20, 3), noise(150, 20, seed=1)
    whole = []
    for pixels in (20, 10**6):
        monkeypatch.setattr(module, "_STRIP_PIXELS", pixels)
        whole.append([apply(picture, mask, style) for style in STYLES])
    for one, other in zip(*whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_pictures_and_masks_go_together_as_documented():
    picture, masks = noise(6, 7, 3), noise(2, 6, 7, seed=1)
    pictures = torch.stack([picture, picture.flip(0)])
    one_by_one = torch.stack([apply(pictures[i], masks[i], FadeStyle()) for i in range(2)])
    assert torch.equal(apply(pictures, masks, FadeStyle()), one_by_one)
    assert apply(picture, masks, FadeStyle()).shape == (2, 6, 7, 3)
    assert apply(pictures, masks[0], FadeStyle()).shape == (2, 6, 7, 3)
    assert apply(picture[None], masks[0], FadeStyle()).shape == (1, 6, 7, 3)
    for layout in (masks[:, None], masks[..., None]):
        assert torch.equal(apply(pictures, layout, FadeStyle()), one_by_one)
    with pytest.raises(InvalidInput, match="2 pictures and 3 masks"):
        apply(pictures, noise(3, 6, 7), FadeStyle())


def test_a_mask_of_another_size_is_resized():
    drawn = apply(torch.ones(4, 8, 3), torch.tensor([[1.0, 0.0]]), FadeStyle())
    assert drawn[0, :, 0].tolist() == [1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0]


@pytest.mark.parametrize("radius", [2.0, 6.0, 20.0])
def test_blur_has_the_width_it_says(radius):
    picture = torch.zeros(161, 161, 3)
    picture[80, 80] = 1
    blurred = apply(picture, torch.zeros(161, 161), BlurStyle(radius))[..., 0].double()
    offsets = torch.arange(161.0, dtype=torch.float64) - 80
    spread = float((blurred.sum(0) * offsets**2).sum() / blurred.sum()) ** 0.5
    assert spread == pytest.approx(radius, rel=0.05)
    assert float(blurred.sum()) == pytest.approx(1, rel=0.01)


def test_desaturate_heat_and_outline_by_hand():
    red = torch.tensor([1.0, 0.0, 0.0]).expand(9, 9, 3)
    torch.testing.assert_close(apply(red, torch.zeros(9, 9), DesaturateStyle()), torch.full((9, 9, 3), 0.2126))
    hot = colormap("jet")[-1]
    torch.testing.assert_close(
        apply(red, torch.ones(9, 9), HeatStyle("jet", 0.25))[0, 0], red[0, 0] * 0.75 + hot * 0.25
    )
    assert torch.equal(apply(red, torch.zeros(9, 9), HeatStyle("jet", 0.25, weighted=True)), red)
    mask = torch.zeros(9, 9)
    mask[3:6, 3:6] = 1
    line = apply(torch.zeros(9, 9, 3), mask, OutlineStyle((0, 1, 0), width=1))
    assert line[..., 1].sum() == 12
    assert line[2, 3:6, 1].tolist() == [1, 1, 1]
    assert line[4, 4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", COLORMAPS)
def test_colour_maps_are_smooth_tables(name):
    table = colormap(name)
    assert float(table.diff(dim=0).abs().max()) < 0.02
    assert torch.equal(colorize(torch.tensor([-1.0, 0.0, 1.0, 2.0]), table), table[[0, 0, -1, -1]])


def test_known_colours():
    assert (colormap("viridis")[[0, -1]] * 255).round().tolist() == [[68, 1, 84], [253, 231, 37]]
    assert colormap("coldhot")[512].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, m: apply(p, m, FadeStyle(), 1.5), "strength, .* must be from 0 to 1"),
        (lambda p, m: apply(p * float("nan"), m, FadeStyle()), "The picture holds 12 of 12 values"),
        (lambda p, m: apply(p, m * float("inf"), FadeStyle()), "A mask holds 4 of 4 values"),
        (lambda p, m: apply(p[..., :2], m, FadeStyle()), r"not \[2, 2, 2\]"),
        (lambda p, m: apply(p.int(), m, FadeStyle()), "floating-point tensor"),
        (lambda p, m: apply(p, m.int(), FadeStyle()), "floating-point or bool"),
        (lambda p, m: apply(p, m, "fade"), "no overlay style"),
        (lambda p, m: FadeStyle((0, 0, 2)), "between 0 and 1"),
        (lambda p, m: FadeStyle(rounding="up"), "no rounding 'up'"),
        (lambda p, m: FadeStyle.grey(300), "must be from 0 to 255, not 300"),
        (lambda p, m: BlurStyle(0), "above 0 pixels"),
        (lambda p, m: HeatStyle("rainbow"), "no colour map 'rainbow'"),
        (lambda p, m: HeatStyle(opacity=2), "opacity must be from 0 to 1, not 2"),
        (lambda p, m: OutlineStyle(width=0), "width must be 1 or more, not 0"),
        (lambda p, m: OutlineStyle(width=1.5), "width must be a whole number, not 1.5"),
        (lambda p, m: OutlineStyle(threshold=-1), "threshold must be from 0 to 1, not -1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call(torch.ones(2, 2, 3), torch.ones(2, 2))


@pytest.mark.parametrize("radius", [1e4, 2**31, 1e30, 1e308])
@pytest.mark.parametrize("size", [(24, 32), (1, 40), (1, 1)])
def test_a_blur_wider_than_any_picture_is_its_mean_and_costs_nothing(radius: float, size: tuple[int, int]) -> None:
    picture = torch.rand(*size, 3, generator=torch.Generator().manual_seed(0))
    blurred = apply(picture, torch.zeros(size), BlurStyle(radius))
    widest = apply(picture, torch.zeros(size), BlurStyle(256.0))
    torch.testing.assert_close(blurred, widest, rtol=0, atol=1e-5)


@pytest.mark.parametrize("radius", [5e-324, 1e-30, 1e-6])
def test_a_blur_narrower_than_any_pixel_is_none(radius: float) -> None:
    picture = torch.rand(9, 12, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(apply(picture, torch.zeros(9, 12), BlurStyle(radius)), picture)


def test_a_whole_width_may_be_a_float():
    mask = torch.rand(9, 12, generator=torch.Generator().manual_seed(0))
    picture = torch.zeros(9, 12, 3)
    assert torch.equal(apply(picture, mask, OutlineStyle(width=4.0)), apply(picture, mask, OutlineStyle(width=4)))
