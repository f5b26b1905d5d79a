"""Few heads: spatial entropy by hand, which heads are chosen, the same map whichever way it is read."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from pack.api_core.attribution import lvlm_heatmap
from pack.api_core.attribution.lvlm.few_heads import (
    COUNT,
    best_heads,
    looking,
    promising_heads,
    spatial_entropy,
)
from pack.api_core.errors import InvalidInput
from pack.api_core.models.conversation.case import PictureLayout, PromptRow, TokenGrid
from pack.api_core.models.lvlm.attention import recorder
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.results import Box
from torch import Tensor

Models = Callable[[str], Any]
QUESTION = "Where is the star?"


def picture(height: int, width: int) -> Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height * width))


def values(found: Any, index: int = 0) -> Tensor:
    return torch.cat([view.values.flatten(1) for view in found.heatmap.pictures[index].parts["attention"]], 1)


def row_of(*grids: tuple[int, int]) -> PromptRow:
    """A prompt whose one picture is seen in grids of these sizes, their tokens one after the other from 2 on."""
    made, first = [], 2
    for height, width in grids:
        tokens = torch.arange(first, first + height * width).view(height, width)
        made.append(TokenGrid(tokens, torch.ones(height, width, dtype=torch.bool), Box(0, 0, width, height)))
        first += height * width
    return PromptRow(first + 3, 0, (), (PictureLayout((8, 8), tuple(made)),))


def entropy_of(*rows: str, counted: Tensor | None = None) -> float:
    """Of one map on one grid, drawn in digits."""
    cells = torch.tensor([[float(digit) for digit in line] for line in rows])
    everywhere = torch.ones(cells.numel(), dtype=torch.bool) if counted is None else counted
    return float(spatial_entropy(cells.flatten()[None], everywhere, row_of((len(rows), len(rows[0]))))[0])


def test_one_blob_has_no_entropy_and_two_equal_ones_log_2() -> None:
    assert entropy_of("00000", "09900", "09900", "00000") == 0
    assert entropy_of("90000", "09000", "00000", "00000") == 0  # corners touch
    assert entropy_of("90000", "00000", "00009", "00000") == pytest.approx(math.log(2))
    assert entropy_of("90009", "00000", "00000", "90009") == pytest.approx(math.log(4))
    assert entropy_of("90000", "00000", "00000", "00099") < math.log(2)
    assert entropy_of("33333", "33333", "33333", "33333") == pytest.approx(math.log(20))


def test_what_is_below_the_mean_or_next_to_nothing_is_no_part() -> None:
    assert entropy_of("90000", "00000", "00001", "00000") > 0
    assert entropy_of("99000", "00000", "11111", "11111") == 0  # below the mean
    cells = torch.zeros(1, 20)
    cells[0, 0], cells[0, 19] = 1.0, 0.0508  # the mean is 0.0525
    assert float(spatial_entropy(cells, torch.ones(20, dtype=torch.bool), row_of((4, 5)))[0]) == 0
    cells = torch.full((1, 20), 1e-3)
    cells[0, 0], cells[0, 19] = 100.0, 5.3  # above the mean by less than a thousandth of the greatest
    mean = float(cells.mean())
    assert 0 < 5.3 - mean < 1e-3 * (100 - mean)
    assert float(spatial_entropy(cells, torch.ones(20, dtype=torch.bool), row_of((4, 5)))[0]) == 0


def test_padding_counts_neither_as_part_nor_in_the_mean() -> None:
    counted = torch.ones(20, dtype=torch.bool)
    counted[15:] = False
    assert entropy_of("90000", "00000", "00000", "90009", counted=counted) == 0
    assert entropy_of("20000", "00000", "00001", "99999", counted=counted) == pytest.approx(
        entropy_of("20000", "00000", "00001")
    )


def test_parts_are_those_of_all_grids_and_never_cross_from_one_to_another() -> None:
    row = row_of((2, 2), (2, 2))
    everywhere = torch.ones(8, dtype=torch.bool)
    both = torch.tensor([[0, 0, 0, 9, 9, 0, 0, 0], [0, 0, 9, 9, 0, 0, 0, 0]], dtype=torch.float32)
    torch.testing.assert_close(spatial_entropy(both, everywhere, row), torch.tensor([math.log(2), 0]).double())


def test_maps_do_not_touch_each_other_and_a_batch_of_them_is_each_by_itself() -> None:
    row, everywhere = row_of((6, 7)), torch.ones(42, dtype=torch.bool)
    maps = torch.rand(9, 42, generator=torch.Generator().manual_seed(3)) ** 6
    alone = torch.cat([spatial_entropy(one[None], everywhere, row) for one in maps])
    torch.testing.assert_close(spatial_entropy(maps, everywhere, row), alone)
    assert len(set(alone.tolist())) > 5


@pytest.mark.parametrize(
    ("mass", "high"),
    [
        ((0.001, 0.001, 0.001, 0.9), (3,)),
        ((0.9, 0.001, 0.8, 0.002, 0.7, 0.0), (0, 2, 4)),
        ((0.01, 0.6, 0.7, 0.8, 0.9), (1, 2, 3, 4)),  # most look: the elbow is the first of them
        ((0.5, 0.5, 0.5), (0, 1, 2)),
        ((0.0, 0.0), ()),
        ((0.3,), (0,)),
    ],
)
def test_heads_on_text_only_are_never_among_those_that_look(mass: Sequence[float], high: Sequence[int]) -> None:
    assert torch.nonzero(looking(torch.tensor(mass)))[:, 0].tolist() == list(high)


def test_the_best_are_those_of_least_entropy_that_look_with_all_that_equal_the_last() -> None:
    mass = {0: torch.tensor([0.0, 0.9, 0.8, 0.001]), 2: torch.tensor([0.7, 0.9, 0.8, 0.85])}
    spread = {0: torch.tensor([0.0, 0.1, 0.2, 0.0]), 2: torch.tensor([0.3, 0.4, 0.5, 0.6])}
    assert best_heads(mass, spread) == ((0, 1), (0, 2), (2, 0))
    spread[2][3] = 0.3
    assert best_heads(mass, spread) == ((0, 1), (0, 2), (2, 0), (2, 3))
    few = {0: torch.tensor([0.9, 0.001, 0.002])}
    assert best_heads(few, {0: torch.tensor([0.5, 0.0, 0.0])}) == ((0, 0),)
    assert best_heads({0: torch.zeros(3)}, {0: torch.zeros(3)}) == ()
    assert best_heads({}, {}) == ()


def test_heads_kept_before_the_later_layers_are_known_hold_those_that_are_chosen_and_few_others() -> None:
    lot = torch.Generator().manual_seed(0)
    layers, heads = 32, 32
    for coarse in (False, True):
        mass, spread, kept = {}, {}, {}
        for layer in range(layers):
            mass[layer] = torch.rand(heads, generator=lot, dtype=torch.float64)
            spread[layer] = torch.rand(heads, generator=lot, dtype=torch.float64)
            if coarse:
                spread[layer] = (8 * spread[layer]).round()  # equal ones
            kept[layer] = promising_heads(mass, spread, layer)
        chosen = best_heads(mass, spread)
        assert len(chosen) >= COUNT
        assert all(head in kept[layer] for layer, head in chosen)
        assert sum(map(len, kept.values())) < (layers * heads / 3 if coarse else layers * heads / 8)


def test_a_head_that_sees_nothing_of_the_picture_is_not_kept() -> None:
    assert promising_heads({0: torch.tensor([0.0, 0.5])}, {0: torch.tensor([0.0, 1.0])}, 0) == [1]


@pytest.mark.parametrize("family", ["llava-1.5", "qwen2.5-vl", "llava-next", "gemma3", "qwen3.5"])
def test_the_map_while_generating_is_that_of_the_answer_given_and_of_the_heads_that_are_said(
    family: str, lvlm: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lvlm(family)
    shown = [picture(48, 64), picture(64, 40)]
    written = lvlm_heatmap(model, shown, QUESTION, method="few heads", max_new_tokens=4)
    given = lvlm_heatmap(model, shown, QUESTION, method="few heads", answers=list(written.replies))
    monkeypatch.setattr(recorder.AttentionRecorder, "complete", lambda *_: False)
    again = lvlm_heatmap(model, shown, QUESTION, method="few heads", max_new_tokens=4)
    for index in range(2):
        one = values(written, index)
        assert bool((one >= 0).all())
        assert float(one.max()) > 0
        torch.testing.assert_close(values(given, index), one, atol=1e-6, rtol=1e-3)
        torch.testing.assert_close(values(again, index), one, atol=1e-6, rtol=1e-3)
    assert written.heatmap.pictures[0].method == "few heads"
    assert written.heatmap.pictures[0].layer is None


def test_the_map_is_the_sum_of_its_heads(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    answered = {"answers": "red", "method": "few heads"}
    single = [
        values(lvlm_heatmap(model, [picture(40, 60)], QUESTION, heads=[head], **answered))
        for head in ((0, 1), (2, 0), (2, 1))
    ]
    summed = lvlm_heatmap(model, [picture(40, 60)], QUESTION, heads=[(0, 1), (2, 0), (-2, 1)], **answered)
    torch.testing.assert_close(values(summed), sum(single))
    every = lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers="red", layers=[2], method="image mass")
    count = model.config.get_text_config().num_attention_heads
    whole = lvlm_heatmap(model, [picture(40, 60)], QUESTION, heads=[(2, head) for head in range(count)], **answered)
    torch.testing.assert_close(values(whole), count * values(every))
    assert whole.heatmap.pictures[0].layer == 2


def test_only_layers_that_see_the_picture_are_read(lvlm: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lvlm("qwen3.5")  # most of its layers have no attention to read
    assert len(model.seeing_layers) < model.depth
    read: list[tuple[int, ...]] = []
    kept = recorder.AttentionRecorder.__init__

    def spy(self: Any, model: LvlmModel, prepared: Any, settings: Any, *more: Any, **named: Any) -> None:
        read.append(settings.layers)
        kept(self, model, prepared, settings, *more, **named)

    monkeypatch.setattr(recorder.AttentionRecorder, "__init__", spy)
    lvlm_heatmap(model, [picture(40, 60)], QUESTION, method="few heads", max_new_tokens=2)
    lvlm_heatmap(model, [picture(40, 60)], QUESTION, method="few heads", max_new_tokens=2, layers=[-1])
    assert read == [model.seeing_layers, (model.depth - 1,)]


def test_several_pictures_share_the_heads(lvlm: Models) -> None:
    found = lvlm_heatmap(
        lvlm("qwen2-vl"),
        [picture(60, 80)],
        QUESTION,
        answers="red",
        method="few heads",
        more_pictures=[[picture(48, 48)]],
    )
    sums = [
        sum(float(view.values[0].sum()) for view in one.pictures[0].parts["attention"])
        for one in (found.heatmap, *found.further)
    ]
    assert all(part > 0 for part in sums)


def test_heads_that_make_no_sense_are_refused(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    for options, message in (
        ({"method": "attention", "heads": [(0, 0)]}, "'attention' takes all heads of a layer"),
        ({"method": "few heads", "heads": [(0, 0)], "layers": [1]}, "Give one of them"),
        ({"method": "few heads", "heads": [(9, 0)]}, "no layer 9"),
        ({"method": "few heads", "heads": [(0, 99)]}, r"Layer 0 has the heads 0 to \d+, not \[99\]"),
    ):
        with pytest.raises(InvalidInput, match=message):
            lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers="red", **options)
