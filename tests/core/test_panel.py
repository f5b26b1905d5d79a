"""Pictures side by side."""

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.overlay import HeatStyle, apply
from pack.api_core.panel import fitted, panel, side_by_side


def test_the_panel_holds_all_three_below_their_captions():
    picture, mask, prompted = torch.zeros(200, 80, 3), torch.ones(200, 80), torch.ones(200, 80, 4)
    drawn = panel(picture, mask, prompted, captions=("original", "attention", "prompted"))
    assert drawn.shape == (220, 3 * 80 + 2 * 4, 3)
    assert bool((drawn[20:, :80] == 0).all())
    torch.testing.assert_close(drawn[20:, 84:164], apply(picture, mask, HeatStyle()), atol=1 / 255, rtol=0)
    assert float(drawn[:20, :80].min()) < 0.5


def test_pictures_of_other_sizes_become_as_high_as_the_first():
    drawn = side_by_side([torch.zeros(40, 20, 3), torch.zeros(80, 20, 3)], ["a", "b" * 200], max_height=20)
    assert drawn.shape == (40, 10 + 4 + 5, 3)


def test_refusals():
    with pytest.raises(InvalidInput, match="1 pictures and 2 captions"):
        side_by_side([torch.zeros(4, 4, 3)], ["a", "b"])
    with pytest.raises(InvalidInput, match="max_height must be 1 or more, not 0"):
        side_by_side([torch.zeros(4, 4, 3)], ["a"], 0)


def test_a_long_caption_is_measured_a_few_times_and_holds_as_much_as_fits():
    measured = 0

    class Font:
        def getlength(self, text: str) -> float:
            nonlocal measured
            measured += 1
            return 5.0 * len(text)

    assert fitted("word " * 4000, Font(), 100.0) == "word word word wo..."
    assert measured < 30
    assert fitted("two words", Font(), 100.0) == "two words"
    assert fitted("words", Font(), 3.0) == ""


def test_a_batch_stands_side_by_side_as_its_pictures_do():
    batch = torch.rand(2, 20, 30, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(side_by_side(batch, ("a", "b")), side_by_side(list(batch), ("a", "b")))
    with pytest.raises(InvalidInput, match="0 pictures and 0 captions"):
        side_by_side(batch[:0], ())
