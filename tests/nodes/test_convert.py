"""Batches to pictures and back, and the text fields of nodes."""

from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput


@pytest.fixture
def convert(nodes: Any) -> Any:
    import pack.nodes.comfy_types

    return pack.nodes.comfy_types


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


def test_sizes_that_do_not_stack_are_named(convert: Any) -> None:
    with pytest.raises(InvalidInput, match="4 x 5, 6 x 5"):
        convert.to_batch([torch.rand(6, 5), torch.rand(4, 5)], "Masks")
    with pytest.raises(InvalidInput, match="There are no masks to give: what is connected holds no picture"):
        convert.to_batch([], "Masks")


@pytest.mark.parametrize(("text", "layer"), [("auto", None), (" AUTO ", None), ("", None), ("-2", -2), ("+3", 3)])
def test_layer(convert: Any, text: str, layer: int | None) -> None:
    assert convert.to_layer(text) == layer


@pytest.mark.parametrize("text", ["two", "1.5", "--1", "9999999", "1 2"])
def test_layer_that_is_none(convert: Any, text: str) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        convert.to_layer(text)


def pictures(count: int, height: int = 5, width: int = 7, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, height, width, channels)


class TestCases:
    def test_a_list_of_batches_is_strung_together(self, convert: Any) -> None:
        first, second = pictures(2), pictures(1, 9, 4)
        cases = convert.to_cases([first, second], question=["what?"])
        assert [picture.shape for picture in cases.pictures] == [(5, 7, 3), (5, 7, 3), (9, 4, 3)]
        assert torch.equal(cases.pictures[1], first[1])
        assert cases.texts == {"question": ["what?"] * 3}
        assert len(cases) == 3

    def test_as_many_texts_as_pictures_go_case_by_case(self, convert: Any) -> None:
        cases = convert.to_cases([pictures(3)], question=["a", "b", "c"], answer=None)
        assert cases.texts == {"question": ["a", "b", "c"], "answer": ["", "", ""]}

    def test_one_picture_serves_several_questions(self, convert: Any) -> None:
        image = pictures(1)
        cases = convert.to_cases([image], question=["a", "b"])
        assert len(cases) == 2
        assert torch.equal(cases.pictures[1], image[0])

    def test_further_pictures_come_with_each_case(self, convert: Any) -> None:
        one, three = pictures(1), pictures(3, 4, 4)
        cases = convert.to_cases([pictures(3)], {"more_image0": [one], "more_image1": [three]}, question=["a"])
        assert [len(further) for further in cases.further] == [3, 3]
        assert torch.equal(cases.further[0][2], one[0])
        assert torch.equal(cases.further[1][2], three[2])

    def test_transparency_is_laid_on_white(self, convert: Any) -> None:
        image = torch.zeros(1, 2, 2, 4)
        (picture,) = convert.to_cases([image], question=["a"]).pictures
        assert torch.equal(picture, torch.ones(2, 2, 3))

    @pytest.mark.parametrize(
        ("counts", "said"),
        [
            ((3, 1, 2), "3 of image, 2 of more_images.more_image0, 1 of question"),
            ((3, 2, 1), "3 of image, 1 of more_images.more_image0, 2 of question"),
            ((2, 3, 3), "2 of image, 3 of more_images.more_image0, 3 of question"),
        ],
    )
    def test_other_numbers_are_refused(self, convert: Any, counts: tuple[int, int, int], said: str) -> None:
        images, questions, further = counts
        with pytest.raises(InvalidInput, match=said):
            convert.to_cases([pictures(images)], {"more_image0": [pictures(further)]}, question=["a"] * questions)

    def test_empty_lists_are_refused(self, convert: Any) -> None:
        with pytest.raises(InvalidInput, match="0 of question"):
            convert.to_cases([pictures(1)], question=[])
        with pytest.raises(InvalidInput, match="0 of image"):
            convert.to_cases([], question=["a"])


def test_a_setting_is_one_value(convert: Any) -> None:
    assert convert.single_value([5], "seed") == 5
    assert convert.single_value(["a", "a"], "template") == "a"
    with pytest.raises(InvalidInput, match="seed is one setting for all cases, and got 2"):
        convert.single_value([1, 2], "seed")
    with pytest.raises(InvalidInput, match="seed is one"):
        convert.single_value([], "seed")
    assert convert.single_values({"decoding": ["sample"], "top_p": [0.5]}) == {"decoding": "sample", "top_p": 0.5}


def test_an_empty_text_is_none(convert: Any) -> None:
    assert convert.blank_to_none(["a", " "]) == ["a", None]


@pytest.mark.parametrize(("text", "layers"), [("auto", None), ("", None), ("3", (3,)), ("-1, 12 ,", (-1, 12))])
def test_layers(convert: Any, text: str, layers: tuple[int, ...] | None) -> None:
    assert convert.to_layers(text) == layers


@pytest.mark.parametrize("text", ["two", "1.5", "1;2", ",", "3, auto"])
def test_layers_that_are_none(convert: Any, text: str) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        convert.to_layers(text)
