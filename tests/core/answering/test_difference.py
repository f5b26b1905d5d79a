"""Which words of answers are marked, and that the pieces are the answers again."""

import time

import pytest
from pack.api_core.answering import Piece, difference
from pack.api_core.errors import InvalidInput


def marked(*answers: str) -> list[list[str]]:
    found = difference(answers)
    assert ["".join(piece.text for piece in pieces) for pieces in found.answers] == list(answers)
    return [[piece.text for piece in pieces if piece.differs] for pieces in found.answers]


def test_words_that_one_of_two_lacks_are_marked_in_it() -> None:
    assert marked("The star is red.", "The star is dark blue!") == [["red"], ["dark blue"]]
    assert marked("A red star", "A star") == [["red"], []]
    assert marked("", "yes") == [[], ["yes"]]


def test_case_and_punctuation_do_not_count() -> None:
    assert marked("Yes, it IS.", "yes it is") == [[], []]
    assert difference(["Yes, it IS.", "yes it is"]).same


def test_the_first_is_compared_with_every_other() -> None:
    answers = "a red star on grey", "a blue star on grey", "a red star on black"
    assert marked(*answers) == [["red", "grey"], ["blue"], ["black"]]
    assert not difference(answers).same


def test_scripts_without_blanks_are_compared_sign_by_sign() -> None:
    assert marked("星は赤いです", "星は青いです") == [["赤"], ["青"]]
    assert marked("звезда красная", "звезда синяя") == [["красная"], ["синяя"]]


def test_pieces_in_their_order() -> None:
    first, second = difference(["Is it red? No.", "Is it? Yes, blue."]).answers
    assert first == (Piece("Is it ", False), Piece("red? No", True), Piece(".", False))
    assert second == (Piece("Is it? ", False), Piece("Yes, blue", True), Piece(".", False))


def test_the_text_names_the_answers_and_brackets_what_differs() -> None:
    text = difference(["It is red.", "It is blue."]).text(["plain", "prompted"])
    assert text == "plain: It is [red].\n\nprompted: It is [blue]."
    same = difference(["Red.", "red"]).text(["plain", "prompted"])
    assert same == "The answers are the same.\n\nplain: Red.\n\nprompted: red"


def test_one_answer_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(InvalidInput, match="1 answers have nothing to be compared with"):
        difference(["alone"])


def test_vowels_that_are_marks_count() -> None:
    assert marked("यह का है।", "यह की है") == [["का"], ["की"]]
    assert marked("re\u0301sume\u0301", "resume") == [["re\u0301sume\u0301"], ["resume"]]


def test_answers_that_repeat_two_words_without_end_are_refused_in_time() -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput, match="2,400 and 2,400 words"):
        difference(["a b " * 1200, "b a a " * 800])
    assert time.process_time() - began < 10
