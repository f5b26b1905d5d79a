"""Batches to pictures and back, and the text fields of nodes."""

from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput


@pytest.fixture
def convert(nodes: Any) -> Any:
    import pack.nodes.convert

    return pack.nodes.convert


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_of_a_batch(convert: Any, channels: int) -> None:
    image = torch.rand(2, 5, 7, channels)
    pictures = convert.to_pictures(image)
    assert [picture.shape for picture in pictures] == [(5, 7, channels)] * 2
    assert torch.equal(torch.stack(pictures), image)


def test_half_precision_grey_and_single_pictures(convert: Any) -> None:
    (picture,) = convert.to_pictures(torch.rand(5, 7, 1).half())
    assert picture.shape == (5, 7, 3)
    assert picture.dtype == torch.float32
    assert torch.equal(picture[..., 0], picture[..., 2])


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7, 2), (0, 5, 7, 3), (1, 0, 7, 3), (1, 1, 5, 7, 3)])
def test_what_is_no_image(convert: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="IMAGE"):
        convert.to_pictures(torch.rand(shape))


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (1, 1, 5, 7), (1, 5, 7, 1)])
def test_every_shape_of_mask(convert: Any, shape: tuple[int, ...]) -> None:
    assert convert.to_mask_batch(torch.rand(shape)).shape == (1, 5, 7)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5, 7), (0, 5, 7)])
def test_what_is_no_mask(convert: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="mask"):
        convert.to_mask_batch(torch.rand(shape))


def test_sizes_that_do_not_stack_are_named(convert: Any) -> None:
    with pytest.raises(InvalidInput, match="4 x 5, 6 x 5"):
        convert.stacked([torch.rand(6, 5), torch.rand(4, 5)], "Masks")


@pytest.mark.parametrize(("text", "layer"), [("auto", None), (" AUTO ", None), ("", None), ("-2", -2), ("+3", 3)])
def test_layer(convert: Any, text: str, layer: int | None) -> None:
    assert convert.to_layer(text) == layer


@pytest.mark.parametrize("text", ["two", "1.5", "--1", "9999999", "1 2"])
def test_layer_that_is_none(convert: Any, text: str) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        convert.to_layer(text)


def test_words(convert: Any) -> None:
    assert convert.to_words(" red, car ,, ") == ("red", "car")
    assert convert.to_words("") == ()


def test_colors(convert: Any) -> None:
    assert convert.to_color("#ff0080") == pytest.approx((1.0, 0.0, 128 / 255))
    assert convert.to_color("fff") == (1.0, 1.0, 1.0)
    with pytest.raises(InvalidInput, match="#rrggbb"):
        convert.to_color("red")
