"""The door for texts: half an emoji, a model's own marks, and what a page would make a link of."""

import random
import re
import time
from typing import Any

import pytest
import torch
from pack.api_core import ask, clip_heatmap, explain, load_clip, load_lvlm, lvlm_heatmap
from pack.api_core.errors import shortened
from pack.api_core.texts import clean, without_links

HALF = "a \ud83d star"
CLEAN = "a \N{REPLACEMENT CHARACTER} star"
PICTURES = [torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))]


@pytest.fixture(scope="module")
def lvlm() -> Any:
    return load_lvlm("tiny-lvlm")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HALF, CLEAN),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),  # two halves that came one by one
        ("\ude00\ud83d", "\N{REPLACEMENT CHARACTER}" * 2),
        ("a\x00b \N{GRINNING FACE}", "a\x00b \N{GRINNING FACE}"),
        ("", ""),
    ],
)
def test_halves_of_characters_are_made_whole_or_replaced(text: str, expected: str) -> None:
    assert clean(text) == expected
    clean(text).encode()


def test_a_text_that_is_whole_is_the_same_object() -> None:
    text = "a red star"
    assert clean(text) is text


@pytest.mark.parametrize(
    "text", ["[[win|https://a.b]]", "[[[[a|b]]", "x [[a|javascript:0]] y", "[[[a|b]]]", "__LNK0__ and [[a|b]]"]
)
def test_no_link_is_left_for_the_page(text: str) -> None:
    shown = without_links(text)
    assert "[[" not in shown
    assert "__LNK0__" not in shown
    assert shown.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["[[1, 2], [3, 4]]", "a [red] star", "[a](https://b)", "[[a]] | [b]"])
def test_what_is_no_link_stays_as_it_is(text: str) -> None:
    assert without_links(text) == text


def test_no_text_keeps_what_the_page_makes_a_link_of() -> None:
    dice = random.Random(0)
    for _ in range(20_000):
        text = "".join(dice.choices("[]|a", k=dice.randrange(14)))
        shown = without_links(text)
        assert not re.search(r"\[\[[^|\]]+\|[^\]]+\]\]", shown), text
        assert shown.replace(" ", "") == text


@pytest.mark.parametrize("piece", ["[", "[[a", "[[a|", "[[a|b]"])
def test_a_long_text_takes_no_time(piece: str) -> None:
    began = time.process_time()
    without_links(piece * 50_000)
    assert time.process_time() - began < 1


def test_what_a_message_shows_can_be_written() -> None:
    shortened(HALF).encode()
    assert shortened(10**5000) == "a int of too many digits"


def test_a_clip_takes_half_an_emoji() -> None:
    heatmap = clip_heatmap(load_clip("tiny-clip"), PICTURES, HALF, neutral_text=HALF)
    assert heatmap.pictures[0].labels[0].text == CLEAN


@pytest.mark.parametrize("text", [HALF, "<image>", "red <image> star", "a </s> b", "<|im_end|> red", "a\x00b"])
def test_a_question_an_answer_and_instructions_may_hold_anything(lvlm: Any, text: str) -> None:
    (answer,) = ask(lvlm, PICTURES, text, max_new_tokens=2, system_prompt=text, previous_answers="")
    answer.question_as_sent.encode()
    found = lvlm_heatmap(lvlm, PICTURES, text, answers=text)
    found.replies[0].text.encode()
    assert found.heatmap.pictures[0].labels
    if "<image>" in text:  # the small tokeniser has no signs but these
        assert found.replies[0].text == text.replace("<image>", "< image >")


@pytest.mark.slow
@pytest.mark.parametrize("text", [HALF, "red <image> star"])
def test_an_answer_with_such_a_text_is_explained(lvlm: Any, text: str) -> None:
    (found,) = explain(lvlm, PICTURES, text, answers=text, instead_of=f"{text} blue", method="difference", steps=0)
    assert found.map.labels
