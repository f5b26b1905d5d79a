"""The scores of maps, on maps whose scores are known."""

import numpy as np
import pytest
from pack.api_core.errors import InvalidInput
from pack.api_core.evaluation.benchmark.priors import SALIENCY, prior_map
from pack.api_core.evaluation.scorers.localisation import score_map
from pack.api_core.evaluation.tables import mean_with_interval

BOXES = np.array([[0, 0, 2, 2], [6, 6, 10, 10]], np.float32)


def test_a_map_on_the_object_scores_full():
    heat = np.zeros((10, 10), np.float32)
    heat[6:, 6:] = 1
    score = score_map(heat, BOXES, 1)
    assert (score.pointing, score.energy, score.first, score.iou) == (1, 1, 1, 1)
    score = score_map(heat, BOXES, 0)
    assert (score.pointing, score.energy, score.first) == (0, 0, 0)
    assert score.iou == pytest.approx(0.04)  # nothing better than taking everything: 4 of 100 pixels


def test_ties_count_by_their_expected_value():
    score = score_map(np.ones((10, 10), np.float32), BOXES, 1)
    assert score.pointing == pytest.approx(0.16)
    assert score.energy == pytest.approx(0.16)
    assert score.first == 0.5
    assert score.iou == pytest.approx(0.16)


def test_the_best_threshold_is_found():
    heat = np.zeros((10, 10), np.float32)
    heat[6:, 6:] = 0.4
    heat[6:, 5] = 0.3
    heat[7, 7] = 1
    assert score_map(heat, BOXES, 1).iou == 1
    heat[6:, 5] = 0.4
    assert score_map(heat, BOXES, 1).iou == pytest.approx(16 / 20)


def test_several_boxes_may_be_asked_for():
    heat = np.zeros((10, 10), np.float32)
    heat[:2, :2] = heat[6:, 6:] = 1
    score = score_map(heat, np.concatenate([BOXES, [[3, 3, 5, 5]]]), [0, 1])
    assert (score.pointing, score.energy, score.first, score.iou) == (1, 1, 1, 1)
    assert score_map(np.ones((10, 10)), BOXES, [0, 1]).first == 1


def test_the_map_may_have_any_offset():
    heat = np.random.default_rng(0).random((10, 10))
    first, second = score_map(heat, BOXES, 0), score_map(heat * 3 - 7, BOXES, 0)
    assert first.energy == pytest.approx(second.energy)
    assert first.pointing == second.pointing


def test_what_is_no_map_or_no_box_is_refused():
    with pytest.raises(InvalidInput, match=r"\[H, W\]"):
        score_map(np.zeros(4), BOXES, 0)
    with pytest.raises(InvalidInput):
        score_map(np.zeros((4, 4)), BOXES, 2)
    with pytest.raises(InvalidInput):
        score_map(np.zeros((4, 4)), BOXES, [])
    with pytest.raises(InvalidInput, match="edge"):
        prior_map("edge", (4, 4), BOXES[0], np.random.default_rng(0))


def test_the_interval_is_the_usual_one_for_single_questions_and_wider_for_alike_ones():
    values = [0.0, 1.0] * 200
    mean, half = mean_with_interval(values, range(400))
    assert mean == 0.5
    assert half == pytest.approx(1.96 * 0.5 / 400**0.5, rel=0.01)
    alike = [value for value in [0.0, 1.0] * 50 for _ in range(4)]
    assert mean_with_interval(alike, [i // 4 for i in range(400)])[1] == pytest.approx(2 * half, rel=0.02)


def test_priors():
    rng = np.random.default_rng(0)
    centre = prior_map("centre", (11, 11), BOXES[0], rng)
    assert np.unravel_index(centre.argmax(), centre.shape) == (5, 5)
    assert prior_map("random box", (11, 11), BOXES[1], rng).sum() == 16
    assert prior_map("random", (11, 11), BOXES[1], rng).std() > 0.2
    assert score_map(prior_map("constant", (10, 10), BOXES[1], rng), BOXES, 1).pointing == pytest.approx(0.16)


@pytest.mark.parametrize("name", list(SALIENCY))
def test_saliency_finds_what_stands_out_at_any_size(name):
    for height, width in ((60, 90), (400, 260)):
        picture = np.full((height, width, 3), 0.5, np.float32)
        picture += np.random.default_rng(1).normal(0, 0.01, picture.shape).astype(np.float32)
        top, left = height // 4, width // 2
        picture[top : top + height // 6, left : left + width // 6] = (1, 0, 0)
        heat = SALIENCY[name](picture)
        assert heat.shape == (height, width)
        box = np.array([[left, top, left + width // 6, top + height // 6]], np.float32)
        score = score_map(heat, box, 0)
        chance = score_map(np.ones_like(heat), box, 0)
        assert score.energy > 4 * chance.energy
        assert score.iou > 4 * chance.iou
