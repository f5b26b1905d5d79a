"""When the surer of several answers can be told, and when none but the plain one is asked for; free of torch."""

from __future__ import annotations

from ..errors import InvalidInput
from ..settings import Setting, require_number
from .decoding import Decoding
from .greedy_and_sample import Greedy

PLAIN, PROMPTED = ARMS = ("plain", "prompted")
"""What the pictures are called in results, by `SurestAnswer.which`, where there is one way of prompting."""

SKIP_ABOVE = 0.995
"""A plain answer this sure is kept without asking again; chosen on development scenes (docs/results-surest.md)."""

SKIP_ABOVE_SETTING = Setting(
    "skip_above",
    SKIP_ABOVE,
    0.0,
    1.0,
    "A plain answer this sure is kept, and nothing more is asked. 1: the prompted pictures are always asked about; "
    "0: never.",
    short=f"surer: a plain answer this sure is kept without asking again (default: {SKIP_ABOVE:g})",
    step=0.001,
)


def require_comparable(decoding: Decoding, skip_above: float) -> None:
    """InvalidInput for a decoding whose answers cannot be compared, and for what is no probability."""
    if not isinstance(decoding, Greedy):
        raise InvalidInput(
            f"The surer answer is told by its words' own probabilities, which {decoding.name} does not follow. Decode "
            "greedily."
        )
    require_number(skip_above, "skip_above, which never asks again at 0 and always at 1,", 0, 1)
