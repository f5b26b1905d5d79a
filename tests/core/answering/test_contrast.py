"""Choosing blind tokens and joining two readings: on numbers small enough to check by hand."""

import math

import pytest
import torch
from pack.api_core.answering.contrastive.blind_tokens import find_blind_tokens
from pack.api_core.answering.contrastive.logit_contrast import LogitContrast, fading_mix, linear_mix


def rows_with_shares(*shares):
    """A layer for each share, whose attention to five tokens adds up to it."""
    return {layer: torch.full((5,), share / 5) for layer, share in enumerate(shares)}


@pytest.mark.parametrize(("gamma", "count"), [(0.5, 2), (0.4, 1), (0.71, 3), (1.0, 4), (5.0, 4), (0.0, 1)])
def test_the_fewest_layers_that_reach_gamma(gamma, count):
    shares = (0.1, 0.4, 0.2, 0.3)
    found = find_blind_tokens(rows_with_shares(*shares), gamma, 1.0)
    assert found.layers == (1, 3, 2, 0)[:count]
    assert found.shares == pytest.approx(dict(enumerate(shares)))


def test_one_threshold_on_the_mean_of_the_chosen_layers():
    attention = {0: torch.tensor([0.4, 0.0, 0.0, 0.0]), 1: torch.tensor([0.0, 0.3, 0.0, 0.0]), 2: torch.zeros(4)}
    # Mean of layers 0 and 1: .2, .15, 0, 0; its mean .0875, its unbiased deviation .1031: threshold .1906.
    found = find_blind_tokens(attention, 0.9, 1.0)
    assert found.layers == (0, 1)
    assert found.attention.tolist() == pytest.approx([0.2, 0.15, 0, 0])
    assert found.blind.tolist() == [True, False, False, False]
    assert find_blind_tokens(attention, 0.9, 0.5).blind.tolist() == [True, True, False, False]


def test_far_thresholds_take_all_or_nothing():
    attention = {0: torch.rand(9)}
    assert find_blind_tokens(attention, 0.5, -math.inf).blind.all()
    assert not find_blind_tokens(attention, 0.5, math.inf).blind.any()
    assert find_blind_tokens({0: torch.rand(1)}, 0.5, 100).blind.all()


def test_contrast_by_hand():
    plain, poorer = torch.tensor([[2.0, 1.9, -3.0]]), torch.tensor([[2.5, 0.5, -9.0]])
    # Joined with alpha 1: 1.5, 3.3, 3.0; the third is too unlikely to begin with (beta 0.1: less than 2 + ln 0.1).
    assert LogitContrast(linear_mix(1.0), 0.1).combine(plain, poorer, 0)[0].tolist() == pytest.approx(
        [1.5, 3.3, -math.inf]
    )
    assert LogitContrast(linear_mix(0.0), 0.1).combine(plain, poorer, 0)[0].tolist() == pytest.approx(
        [2.0, 1.9, -math.inf]
    )
    assert int(LogitContrast(linear_mix(9.0), 0.0).combine(plain, poorer, 0).argmax()) == 2
    assert int(LogitContrast(linear_mix(9.0), 1.0).combine(plain, poorer, 0).argmax()) == 0


def test_a_reading_that_broke_down_is_left_out():
    plain, poorer = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[float("nan"), 5.0], [9.0, 0.0]])
    joined = LogitContrast(linear_mix(1.0), 0.0).combine(plain, poorer, 0)
    assert joined.tolist() == [[1.0, 0.0], [-9.0, 2.0]]


def test_forbidden_tokens_stay_forbidden():
    plain, poorer = torch.tensor([[-math.inf, 1.0, 0.9]]), torch.tensor([[-math.inf, 5.0, 0.0]])
    joined = LogitContrast(linear_mix(2.5), 0.1).combine(plain, poorer, 0)
    assert joined[0, 0] == -math.inf
    assert int(joined.argmax()) == 2


def test_what_is_forgotten_grows_with_the_answer():
    mix = fading_mix(0.02)
    plain, poorer = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    gaps = [float((lambda row: row[0, 0] - row[0, 1])(mix(plain, poorer, step))) for step in (0, 10, 50)]
    # exp(-.02): the weight of what the picture adds is .0202 at first, .2461 at the eleventh token.
    assert gaps[0] == pytest.approx(1 - 0.0202, abs=1e-3)
    assert gaps[1] == pytest.approx(1 - 0.2461, abs=1e-3)
    assert gaps[2] < gaps[1]


def test_a_picture_forgotten_altogether_leaves_numbers():
    plain, poorer = torch.tensor([[3.0, 2.9, 1.0]]), torch.tensor([[3.0, 2.0, 3.0]])
    for step in (44, 372, 32767):  # where e^exponent is too large for float32, and its inverse 0 for a double
        joined = LogitContrast(fading_mix(2.0), 0.1).combine(plain, poorer, step)
        assert joined[0, :2].isfinite().all()
        assert int(joined.argmax()) == 1, "what the picture adds most to"
