"""A text that is longer than what the model reads is refused in words, before any work."""

import time
from typing import Any

import pytest
import torch
from pack.api_core import ask, explain, load_lvlm, lvlm_heatmap
from pack.api_core.errors import InvalidInput

LETTERS = 50_000
LONG = ("the red star is near the blue square, " * 2000)[:LETTERS]
PICTURES = [torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))]


@pytest.fixture(scope="module")
def lvlm() -> Any:
    return load_lvlm("tiny-lvlm")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda model: ask(model, PICTURES, LONG, max_new_tokens=4), "49,999 letters"),
        (lambda model: ask(model, PICTURES, "what?", system_prompt=LONG, max_new_tokens=4), "49,999 letters"),
        (lambda model: lvlm_heatmap(model, PICTURES, LONG), "49,999 letters"),
        (lambda model: lvlm_heatmap(model, PICTURES, "what?", answers=LONG), "The answer"),
        (lambda model: explain(model, PICTURES, "what?", answers=LONG), "The answer"),
        (lambda model: explain(model, PICTURES, "what?", answers="red", instead_of=LONG), "The answer"),
        (lambda model: lvlm_heatmap(model, PICTURES, "what?", answers="red", hint_words=LONG.split()), "has no"),
    ],
)
def test_fifty_thousand_letters_are_refused_at_once(lvlm: Any, call: Any, says: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput, match=says) as error:
        call(lvlm)
    assert "2,048" in str(error.value) or says == "has no"
    assert len(str(error.value)) < 800
    assert time.process_time() - began < 2


def test_unknown_letters_and_padding_are_no_pictures(lvlm: Any) -> None:
    """Both are tokens that are no text, as those of pictures are."""
    began = time.process_time()
    with pytest.raises(InvalidInput, match="2,048"):
        ask(lvlm, PICTURES, "猫在红色的星星左边吗 " * 4000, max_new_tokens=4)
    with pytest.raises(InvalidInput, match="2,048"):
        ask(lvlm, PICTURES * 2, [LONG[:20_000], "what?"], max_new_tokens=4)
    assert time.process_time() - began < 2


def test_what_fits_is_read(lvlm: Any) -> None:
    assert ask(lvlm, PICTURES, LONG[:4000], max_new_tokens=1)[0].question_as_sent
