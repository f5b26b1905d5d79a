"""Options of styles and masks as they are read."""

import argparse
import re
from collections.abc import Sequence

import pytest
from pack.api_core.command_line.options import add_prompt_options, chosen_mask, chosen_style
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import MaskSettings
from pack.api_core.overlay import STYLES, BlurStyle, FadeStyle, HeatStyle, OutlineStyle


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_prompt_options(parser)
    return parser.parse_args(["picture.png", "a query", "-o", "out", *arguments])


@pytest.mark.parametrize(
    ("arguments", "style"),
    [
        ((), FadeStyle()),
        (("--color", "128"), FadeStyle((128 / 255,) * 3)),
        (("--color", "#f80"), FadeStyle((1.0, 136 / 255, 0.0))),
        (("--color", "112233"), FadeStyle((17 / 255, 34 / 255, 51 / 255))),
        (("--color", "#ff8000", "--rounding", "truncate"), FadeStyle((1.0, 128 / 255, 0.0), "truncate")),
        (("--style", "blur", "--radius", "4.5"), BlurStyle(4.5)),
        (("--style", "heat", "--colormap", "jet", "--opacity", "0.25", "--weighted"), HeatStyle("jet", 0.25, True)),
        (
            ("--style", "outline", "--color", "#00ff00", "--line-width", "5", "--line-threshold", "0.25"),
            OutlineStyle((0.0, 1.0, 0.0), 5, 0.25),
        ),
    ],
)
def test_a_style_takes_the_values_given_for_it(arguments: Sequence[str], style: object) -> None:
    assert chosen_style(parse(*arguments)) == style


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--radius", "4"), "--radius belongs to --style blur, not to --style fade"),
        (("--style", "blur", "--color", "0"), "--color belongs to --style fade or outline"),
        (("--style", "heat", "--line-width", "2"), "--line-width belongs to --style outline"),
    ],
)
def test_a_value_of_another_style_is_an_error_not_ignored(arguments: Sequence[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        chosen_style(parse(*arguments))


def test_every_style_can_be_chosen_as_it_comes() -> None:
    for choice in STYLES:
        assert chosen_style(parse("--style", choice.name)) == choice()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--contrast", "-1"), "from 0 on"),
        (("--contrast", "much"), "must be a number"),
        (("--contrast", "nan"), "must be a number"),
        (("--strength", "1.5"), "from 0 to 1"),
        (("--style", "outline", "--line-width", "2.5"), "must be a whole number"),
        (("--color", "256"), "grey level 0 to 255"),
        (("--color", "#12345g"), "#ff8800"),
        (("--color", "-3"), "grey level|expected one argument"),
        (("--style", "sparkle"), "invalid choice"),
        (("--interpolation", "LANCZOS4"), "invalid choice"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_what_is_allowed(
    arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 2
    assert re.search(said, capsys.readouterr().err)


def test_a_mask_takes_the_values_given_for_it() -> None:
    assert chosen_mask(parse()) == MaskSettings()
    given = ("--contrast", "3", "--smoothing", "2.5", "--interpolation", "nearest", "--threshold", "0.5")
    more = ("--grow", "-4", "--feather", "1.5", "--invert")
    assert chosen_mask(parse(*given, *more), ("red",)) == MaskSettings(
        3.0, 2.5, "nearest", ("red",), 0.5, -4, feather=1.5, invert=True
    )


def test_words_stand_between_commas() -> None:
    assert parse("--words", "red, star,").words == ("red", "star")
