"""iGOS's parts against numbers worked out by hand, and what must not depend on how the work is cut."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.explanation.faithfulness import Curve, measure
from pack.api_core.explanation.igos import fast, paper
from pack.api_core.explanation.igos.descent import TERMS, bilateral_variation, descend, penalty
from pack.api_core.explanation.igos.fast import smooth
from pack.api_core.explanation.igos.paper import PaperSettings, optimise

_spec = importlib.util.spec_from_file_location("explanation_toy", Path(__file__).with_name("toy.py"))
toy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toy)


def linear_subject(weights):
    """log-likelihood = weights . pixels, on a white picture and a black baseline of the mask's own size."""
    weights = torch.tensor(weights)

    def probabilities(pixels):
        return torch.exp((pixels[:, 0] * weights).sum((1, 2)))[:, None]

    return toy.Toy(torch.ones(1, *weights.shape), torch.zeros(1, *weights.shape), probabilities)


def curved_objective():
    torch.manual_seed(5)
    picture, filters = torch.rand(3, 12, 16), torch.randn(4, 3, 5, 5)

    def probabilities(pixels):
        return torch.sigmoid(torch.nn.functional.conv2d(pixels, filters).tanh().mean((2, 3)) * 4)

    return toy.Toy(picture, torch.full_like(picture, 0.4), probabilities)


def test_bilateral_variation_by_hand():
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    # Down: (0,-1,0),(0,1,1): three squares of six. Right: (0,-1),(-1,0),(0,0): two of six.
    flat = torch.zeros(2, 3, 3)
    assert bilateral_variation(mask, flat) == pytest.approx(0.5 * (2 * 3 / 6 + 2 * 2 / 6))
    # One edge of 0.1 in one of two channels, between the two upper rows at the middle column: the channels' mean is
    # 0.05, and 0.05^2 / 0.01 = 0.25 spares that one difference.
    edged = flat.clone()
    edged[0, 0, 1] = 0.1
    right = math.exp(
        -1
    )  # the same dot is an edge to its left and right in one channel; here the mask steps on its right
    fine = (math.exp(-0.25) + 2) / 6 + ((1 + right) / 2 + 1) / 6
    assert bilateral_variation(mask, edged) == pytest.approx(0.5 * (3 / 6 + 2 / 6 + fine))


def test_first_two_steps_by_hand():
    objective = linear_subject([[0.02, -0.01], [0.0, 0.03]])
    settings = PaperSettings(
        side=2, l1=1.0, l2=0.1, l3=0.0, decay=1.0, shares=10, steps=2, momentum=5, rate=10, noise=0
    )
    slope = 1.1 * torch.tensor([[0.02, -0.01], [0.0, 0.03]])  # deletion less insertion: twice the mean share, 0.55
    ahead = 1 - 10 * slope  # at all ones no term of the regulariser has a slope
    first = ahead.clamp(0, 1)
    small = -1.0 / 4 * torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # L1 pulls what was removed back towards 1
    fading = -2 * 0.1 * math.exp(-1) * (1 - first)
    further = first - 10 * (slope + small + fading)
    second = (further + (further - ahead) / 6).clamp(0, 1)
    assert torch.allclose(optimise(objective, "igos+", PaperSettings(**{**vars(settings), "steps": 1})).mask, first)
    assert torch.allclose(optimise(objective, "igos+", settings).mask, second, atol=1e-6)


def test_a_mask_of_ones_costs_nothing():
    assert penalty(torch.ones(4, 4), torch.rand(3, 8, 8), 0, 1, 0.1, 10, 1) < 1e-9


@pytest.mark.parametrize("variant", ["igos+", "igos++"])
def test_the_chunk_changes_memory_and_nothing_else(variant):
    objective = curved_objective()
    whole = optimise(objective, variant, PaperSettings(side=8), seed=3, chunk=10)
    assert objective.largest_batch == 10
    objective.largest_batch = 0
    single = optimise(objective, variant, PaperSettings(side=8), seed=3, chunk=1)
    assert objective.largest_batch == 1
    assert (whole.mask - single.mask).abs().max() < 1e-4
    assert not torch.equal(whole.mask, optimise(objective, variant, PaperSettings(side=8), seed=4).mask)


@pytest.mark.parametrize("fast_or_paper", [fast, paper])
def test_stop_comes_within_one_chunk(fast_or_paper):
    """Every chunk is announced, so that raising from the progress keeps the model from seeing the next one."""
    shown: list[int] = []
    told: list[tuple[int, int]] = []
    objective = curved_objective()
    plain = objective.score
    objective.score = lambda weights, *rest: shown.append(len(weights)) or plain(weights, *rest)

    def stop_at_the_third(done, total):
        told.append((done, total))
        if len(shown) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fast_or_paper.optimise(objective, "igos++", chunk=1, on_progress=stop_at_the_third)
    assert shown == [1, 1]
    told.clear()
    shown[:] = [0] * 3
    made = fast_or_paper.optimise(objective, "igos++", chunk=2, on_progress=stop_at_the_third)
    assert max(shown) == 2
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({total for _, total in told}) == 1
    assert told[-1][0] == told[-1][1] >= made.evaluations == sum(shown)


def test_swapping_picture_and_baseline_swaps_deletion_and_insertion():
    one = curved_objective()
    other = toy.Toy(one.baseline, one.picture, one.probabilities)
    masks = torch.rand(1, 6, 6)
    shares = (0.25, 0.5, 1.0)
    a, b = (descend(s, masks, TERMS["igos+"], shares, 3, None) for s in (one, other))
    assert a.deletion == pytest.approx(b.insertion)
    assert a.insertion == pytest.approx(b.deletion)
    assert torch.allclose(a.gradient, -b.gradient, atol=1e-7)


def patch_subject():
    """An answer that needs the patch of rows 8 to 16 and columns 16 to 24 of a picture of 32 by 32."""

    def probabilities(pixels):
        return torch.sigmoid(8 * pixels[:, :, 8:16, 16:24].mean((1, 2, 3)) - 2)[:, None]

    return toy.Toy(torch.ones(3, 32, 32), torch.zeros(3, 32, 32), probabilities)


@pytest.mark.parametrize("variant", ["igos+", "igos++"])
def test_the_fast_way_finds_it_with_few_blends(variant):
    found = fast.optimise(patch_subject(), variant)
    steps = fast.FastSettings().steps
    assert found.evaluations == len(found.deletion) * 2 == steps * 2
    side = 4 * 14 - 3
    assert found.importance.shape == (side, side)
    down, right = divmod(int(found.importance.argmax()), side)
    assert 8 <= down * 31 / (side - 1) < 16
    assert 16 <= right * 31 / (side - 1) < 24
    early = fast.optimise(patch_subject(), variant, fast.FastSettings(settled=0.5))
    assert early.evaluations == (steps // 2 + 1) * 2  # the first step of the finer cells


def test_both_masks_of_the_fast_way_also_work_alone():
    """In every second step of iGOS++ one mask deletes and the other one inserts."""
    asked = []
    objective = patch_subject()
    plain = fast.descend

    def watch(objective, masks, terms, *rest):
        asked.append([term.mask for term in terms])
        return plain(objective, masks, terms, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "descend", watch)
        fast.optimise(objective, "igos++", fast.FastSettings(steps=4))
        assert asked == 2 * [[None, None], [0, 1]]
        asked.clear()
        fast.optimise(objective, "igos+", fast.FastSettings(steps=4))
        assert asked == 4 * [[0, 0]]


def test_a_smooth_mask_has_its_peak_between_cells_that_share_it():
    mask = torch.zeros(6, 7)
    mask[2, 3] = mask[2, 4] = 1
    found = smooth(mask)
    assert found.shape == (21, 25)
    assert divmod(int(found.argmax()), 25) == (8, 14)
    assert found[8, 12] == pytest.approx(2 / 3 * (2 / 3 + 1 / 6))
    assert found[8, 14] == pytest.approx(2 / 3 * 2 * 23 / 48)
    assert torch.allclose(smooth(torch.full((5, 4), 0.3)), torch.tensor(0.3))


@pytest.mark.parametrize("variant", ["igos+", "igos++"])
def test_what_the_answer_needs_is_found(variant):
    found = optimise(patch_subject(), variant, PaperSettings(), seed=0)
    important = torch.zeros(1024).scatter(0, found.importance.flatten().topk(64).indices, 1).reshape(32, 32)
    assert important[8:16, 16:24].sum() >= 56
    assert found.evaluations == (100 if variant == "igos+" else 200)


def test_curves_of_a_perfect_and_of_a_reversed_map():
    def probabilities(pixels):
        return pixels[:, 0, 0, 0][:, None]

    objective = toy.Toy(torch.ones(1, 4, 4), torch.zeros(1, 4, 4), probabilities)
    perfect = torch.zeros(4, 4)
    perfect[0, 0] = 1
    good, bad = measure(objective, perfect, steps=16), measure(objective, -perfect, steps=16)
    assert good.gap == pytest.approx(1 - 1 / 16)
    assert bad.gap == pytest.approx(-(1 - 1 / 16))
    assert [c.released(good.baseline, good.picture) for c in (good.deletion, good.insertion)] == pytest.approx([0, 1])
    assert good.depends_on_the_picture
    assert not measure(toy.Toy(torch.ones(1, 4, 4), torch.ones(1, 4, 4), probabilities), perfect).depends_on_the_picture


def test_a_curve_on_paper():
    curve = Curve(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.9, 0.5, 0.1]))
    assert curve.area == pytest.approx(0.5)
    assert curve.released(0.1, 0.9) == pytest.approx(0.25)


def test_a_map_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="finite"):
        measure(curved_objective(), torch.full((4, 4), float("nan")))
