"""What settings are made of texts, and what front ends make of settings."""

import subprocess
import sys
from pathlib import Path

import pytest
from pack.api_core.answering import DECODINGS
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import MASK_SETTINGS, MaskSettings
from pack.api_core.overlay import STYLES
from pack.api_core.settings import read_color, read_words, settings_of, write_color

ROOT = Path(__file__).parents[2]
TABLES = {
    "mask": MASK_SETTINGS,
    **{form.title: form.settings for style in STYLES for form in style.forms()},
    **{decoding.name: decoding.settings() for decoding in DECODINGS},
}


def test_words() -> None:
    assert read_words(" red, car ,, ") == ("red", "car")
    assert read_words("") == ()


def test_colors() -> None:
    assert read_color("#ff0080") == pytest.approx((1.0, 0.0, 128 / 255))
    assert read_color("fff") == (1.0, 1.0, 1.0)
    assert write_color(read_color("#ff0080")) == "#ff0080"
    with pytest.raises(InvalidInput, match="#rrggbb"):
        read_color("red")


@pytest.mark.parametrize("name", TABLES)
def test_every_setting_is_described_and_of_one_kind(name: str) -> None:
    for setting in TABLES[name]:
        assert setting.describes.endswith(".")
        assert sum([bool(setting.options), setting.is_switch, setting.is_color, setting.is_words]) <= 1
        assert not setting.options or setting.default in setting.options
        if setting.reach:
            assert setting.least <= setting.reach[0] < setting.reach[1] <= setting.most


def test_the_tables_hold_the_defaults_of_what_they_fill() -> None:
    assert MaskSettings(**{setting.name: setting.default for setting in MASK_SETTINGS}) == MaskSettings()
    for style in STYLES:
        assert style(**{setting.name: setting.default for setting in settings_of(style)}) == style()
    for decoding in DECODINGS:
        values = {setting.name: setting.default for setting in decoding.settings()}
        assert decoding.of(values, seed=0) == decoding()


def test_reading_the_tables_imports_no_torch() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from api_core import answering, choices, masks, overlay; "
        "answering.DECODINGS, masks.MASK_SETTINGS, overlay.STYLES; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0


def test_a_whole_number_that_no_tensor_takes_is_refused_where_fractions_are_welcome():
    with pytest.raises(InvalidInput, match="contrast must be"):
        MaskSettings(contrast=1 << 70)
