"""The ways to read a vision-language model's attention, by name, the paper's first. A new one is a file beside this and
a line here."""

from . import (
    lvlm_attention,
    lvlm_gradient,
    lvlm_image_mass,
    lvlm_relative,
    lvlm_value_norm,
    lvlm_without_sinks,
)
from .lvlm_method import LvlmMethod

LVLM_METHODS: dict[str, LvlmMethod] = {
    "attention": lvlm_attention.METHOD,
    "image mass": lvlm_image_mass.METHOD,
    "without sinks": lvlm_without_sinks.METHOD,
    "value norm": lvlm_value_norm.METHOD,
    "relative": lvlm_relative.METHOD,
    "gradient": lvlm_gradient.METHOD,
}
PUBLISHED_METHOD = "attention"
DEFAULT_METHOD = "attention"
"""Of the precise reading."""


def list_lvlm_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(LVLM_METHODS)
