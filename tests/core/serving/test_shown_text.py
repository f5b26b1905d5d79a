"""What a stream gives out only grows, and is the answer in the end."""

import random
from collections.abc import Sequence

import pytest
from pack.api_core.models.conversation.reply import split_thinking
from pack.api_core.serving.refusal import Refused
from pack.api_core.serving.shown_text import GrowingText, cut

WORDS = [
    "<",
    "<think",
    "think>",
    "</think>",
    "<think>",
    " ",
    "\n",
    "a",
    "STOP",
    "ST",
    "<answer>",
    "</answer>",
    "b</",
    "end",
]


def streamed(text: str, stops: Sequence[str]) -> tuple[str, str]:
    """What a client gets of the thinking and the answer, letter by letter."""
    thinking, answer = GrowingText(), GrowingText(stops)
    given = ["", ""]
    for end in range(1, len(text) + 1):
        thought, (first, last) = split_thinking(text[:end])
        said, stopped = cut(text[first:last], stops)
        whole = stopped or end == len(text)
        given[0] += thinking.grown(thought, whole)
        given[1] += answer.grown(said, whole)
        if whole:
            break
    return given[0], given[1]


@pytest.mark.parametrize("seed", range(40))
def test_pieces_make_the_whole(seed: int) -> None:
    dice = random.Random(seed)
    text = dice.choice(["<think>", "", ""]) + "".join(dice.choices(WORDS, k=12))
    if "</think>" in text and "<think>" not in text[: text.index("</think>")]:
        text = text.replace("</think>", "")  # a thinking part that was never opened cannot be told in time
    thinking, (first, last) = split_thinking(text)
    said, stopped = cut(text[first:last], ["STOP"])
    got = streamed(text, ["STOP"])
    assert got[1] == said
    assert stopped or got[0] == thinking


def test_the_first_of_several_stops_counts() -> None:
    assert cut("one two three", ["three", "two"]) == ("one", True)
    assert cut("one two three", ["four"]) == ("one two three", False)


def test_an_answer_that_begins_anew_is_refused_where_it_differs() -> None:
    text = GrowingText()
    assert text.grown("It is red") == "It is red"
    assert text.grown("It") == ""
    assert text.grown("It is red.") == "."
    with pytest.raises(Refused, match="not the one that was begun"):
        text.grown("It was blue all along.")
