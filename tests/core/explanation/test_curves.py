"""The picture of the curves, and the verdict in words."""

import re

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.explanation.curves import CURVES_SIZE, draw_curves
from pack.api_core.explanation.faithfulness import Curve, Faithfulness
from pack.api_core.explanation.result import Explanation, full_report, judge
from pack.api_core.explanation.word_evidence import Evidence, WordEvidence
from pack.api_core.models.conversation.case import Reply
from pack.api_core.results import Box, Label, PictureMap, View

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)
SHARES = torch.linspace(0, 1, 11)


def faithfulness(insertion, deletion):
    """Curves that go straight between these probabilities."""
    curves = [Curve(SHARES, torch.linspace(*ends, 11)) for ends in (deletion, insertion)]
    return Faithfulness(*curves, picture=deletion[0], baseline=insertion[0])


GOOD = Faithfulness(
    Curve(SHARES, torch.tensor([0.9, *[0.1] * 10])), Curve(SHARES, torch.tensor([0.1, *[0.9] * 10])), 0.9, 0.1
)
CHANCE = faithfulness((0.1, 0.9), (0.9, 0.1))
BACKWARDS = Faithfulness(
    Curve(SHARES, torch.tensor([*[0.9] * 10, 0.1])), Curve(SHARES, torch.tensor([*[0.1] * 10, 0.9])), 0.9, 0.1
)
SILENT = faithfulness((0.52, 0.5), (0.5, 0.52))


def explanation(text="red", faithful=None, words=None):
    found = [WordEvidence(word, (i,), (0.9,), (0.1,), True) for i, word in enumerate(text.split())]
    found = found if words is None else words
    view = View(torch.zeros(1, 2, 2), Box(0, 0, 8, 8), torch.ones(2, 2, dtype=torch.bool))
    whole = PictureMap((8, 8), (Label(text, "whole"),), {"importance": (view,)}, "igos++", "tiny", None)
    tokens = tuple(token for word in found if word.kept for token in word.tokens)
    return Explanation(whole, Reply(text, "", (1,), (), True), Evidence(tuple(found), tokens), faithful or {})


def count(picture, ink):
    """Pixels of about this colour."""
    return int(((picture * 255 - torch.tensor(ink).float()).abs().amax(-1) < 40).sum())


@pytest.mark.parametrize("size", [CURVES_SIZE, (512, 384), (1024, 768), (900, 480)])
def test_both_curves_are_drawn_at_any_size(size):
    drawn = draw_curves(explanation(faithful={"blur": GOOD, "mean colour": CHANCE}), size)
    assert drawn.shape == (size[1], size[0], 3)
    assert float(drawn.min()) >= 0
    assert count(drawn, BLUE) > size[0] / 3
    assert count(drawn, ORANGE) > size[0] / 3
    assert float(drawn.mean()) > 0.85, "it is dark on light"


def test_a_curve_lies_where_its_numbers_are():
    """Of a good map the insertion curve runs near the top and the deletion curve near the bottom, and so exchanged."""

    def heights(found):
        drawn = draw_curves(explanation(faithful={"blur": found}))[100:330, 100:600]
        rows = torch.arange(drawn.shape[0]).float()
        means = []
        for ink in (BLUE, ORANGE):
            hit = ((drawn * 255 - torch.tensor(ink).float()).abs().amax(-1) < 40).sum(1).float()
            means.append(float((rows * hit).sum() / hit.sum()))
        return means

    insertion, deletion = heights(GOOD)
    assert insertion < 100 < 130 < deletion
    insertion, deletion = heights(BACKWARDS)
    assert deletion < 100 < 130 < insertion


def test_small_probabilities_are_not_squeezed_to_the_bottom():
    small = Faithfulness(
        Curve(SHARES, torch.tensor([0.09, *[0.01] * 10])), Curve(SHARES, torch.tensor([0.01, *[0.09] * 10])), 0.09, 0.01
    )
    drawn = draw_curves(explanation(faithful={"blur": small}))
    assert count(drawn[100:150], BLUE) > 200


def test_nothing_is_written_beyond_the_edges():
    text = "an extraordinarily long answer " * 20
    drawn = draw_curves(explanation(text, {"a baseline of a long name": GOOD, "and another of these": SILENT}))
    assert bool((drawn[:, -6:] == 1).all())
    assert bool((drawn[-6:] == 1).all())


@pytest.mark.parametrize("many", [1, 60])
def test_an_answer_that_needs_no_picture_has_no_curves(many):
    words = [WordEvidence(f"word{i}", (i,), (0.5,), (0.5,), why="as likely without the picture") for i in range(many)]
    drawn = draw_curves(explanation("red", words=words))
    assert not count(drawn, BLUE)
    assert not count(drawn, ORANGE)
    assert count(drawn[75:100], (32, 32, 32)) > 100, "it says so in large letters"
    assert not torch.equal(drawn, draw_curves(explanation("red")))


def test_a_picture_too_small_to_read_is_refused():
    with pytest.raises(InvalidInput, match="width of the curves must be from 320 to 8192, not 100"):
        draw_curves(explanation(), (100, 400))


@pytest.mark.parametrize(
    ("depends", "faithful", "kind", "says"),
    [
        (False, {}, "none", "'red' is as likely without the picture"),
        (True, {}, "weak", "no curves were measured"),
        (True, {"blur": GOOD, "mean colour": GOOD}, "good", r"90% \(blur\) and 90% \(mean colour\)"),
        (True, {"blur": GOOD, "mean colour": BACKWARDS}, "bad", "judged by 'mean colour', what it marks matters no"),
        (True, {"blur": BACKWARDS}, "bad", "judged by 'blur'"),
        (True, {"blur": GOOD, "noise": SILENT}, "weak", "With 'noise' in its place the words stay as likely"),
        (True, {"blur": SILENT}, "weak", "hardly less likely"),
        (True, {"blur": faithfulness((0.3, 0.9), (0.9, 0.1))}, "weak", "chance reaches 0%"),
    ],
)
def test_the_verdict_follows_the_curves(depends, faithful, kind, says):
    verdict = judge("" if depends else "'red' is as likely without the picture", faithful)
    assert verdict.kind == kind
    assert re.search(says, verdict.text), verdict.text


def test_the_share_of_a_perfect_map():
    assert GOOD.share_of_perfect == pytest.approx(0.9)
    assert CHANCE.share_of_perfect == pytest.approx(0, abs=1e-6)
    assert BACKWARDS.share_of_perfect == pytest.approx(-0.9)
    beyond = Faithfulness(GOOD.deletion, Curve(SHARES, torch.tensor([0.1, *[1.0] * 10])), 0.9, 0.1)
    assert beyond.share_of_perfect == pytest.approx(GOOD.share_of_perfect), "more than all is not better"


def test_the_report_begins_with_the_question_and_ends_with_the_verdict():
    told = full_report(explanation(faithful={"blur": GOOD}), "What colour is it?")
    names = list(told)
    assert (names[0], told["question"]) == ("question", "What colour is it?")
    assert (names[-1], told["verdict"]["kind"]) == ("verdict", "good")
    assert told["answer"] == "red"
