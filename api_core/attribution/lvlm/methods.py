"""The ways to read a vision-language model's attention, by name, the paper's first. A new one is a file beside this and
a line here."""

from . import (
    attention,
    gradient,
    image_mass,
    relative,
    value_norm,
    without_sinks,
)
from .method import LvlmMethod

LVLM_METHODS: dict[str, LvlmMethod] = {
    "attention": attention.METHOD,
    "image mass": image_mass.METHOD,
    "without sinks": without_sinks.METHOD,
    "value norm": value_norm.METHOD,
    "relative": relative.METHOD,
    "gradient": gradient.METHOD,
}
PUBLISHED_METHOD = "attention"
DEFAULT_METHOD = "attention"
"""Of the precise reading."""


def list_lvlm_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(LVLM_METHODS)
