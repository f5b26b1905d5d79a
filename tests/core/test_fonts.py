"""Captions in languages other than English: a font that has the letters, or plain ones in their place, never boxes."""

import pytest
from pack.api_core import fonts
from pack.api_core.fonts import font_for


def drawn(text: str) -> bytes:
    font, shown = font_for(text, 24)
    return bytes(font.getmask(shown))


@pytest.mark.parametrize("text", ["étoile", "звезда", "ñandú"])
def test_letters_are_not_all_the_same_box(text: str) -> None:
    font, shown = font_for(text, 24)
    assert bytes(font.getmask(shown[0])) != bytes(font.getmask("\uffff"))


def test_without_a_font_accents_go_and_the_rest_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_NAMES", ())
    assert font_for("où est l'étoile?", 24)[1] == "ou est l'etoile?"
    assert font_for("星 star", 24)[1] == "? star"


def test_english_keeps_the_font_that_comes_with_pillow() -> None:
    font, shown = font_for("where is the star?", 24)
    assert shown == "where is the star?"
    assert font is fonts._own(24)
    assert drawn("a") != drawn("b")
