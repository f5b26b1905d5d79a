"""What deletion and insertion curves say of a map, in words for people who never saw such curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from .faithfulness import Faithfulness

GOOD_SHARE = 0.25
"""From this share of what a perfect map would reach, on every baseline, a map counts as good; a map drawn by chance
reaches 0 on average."""


@dataclass(frozen=True)
class Verdict:
    """kind: good (the map shows what the answer needs), weak (it may), bad (it does not), none (the answer does not
    depend on the picture). text: one sentence that says why."""

    kind: Literal["good", "weak", "bad", "none"]
    text: str


def judge(why_not: str, faithful: Mapping[str, Faithfulness]) -> Verdict:
    """How far a map can be trusted. why_not: why there is nothing to show, if there is not. faithful: by baseline."""
    if why_not:
        return Verdict("none", why_not)
    if not faithful:
        return Verdict("weak", "no curves were measured, so nobody knows whether the map shows what the answer needs.")
    telling = {name: found for name, found in faithful.items() if found.depends_on_the_picture}
    if not telling:
        return Verdict("weak", "the words are hardly less likely without the picture, so the curves say little.")
    failing = [name for name, found in telling.items() if found.gap <= 0]
    if failing:
        return Verdict("bad", f"judged by {_named(failing)}, what it marks matters no more than the rest.")
    shares = {name: share_of_perfect(found) for name, found in telling.items()}
    told = " and ".join(f"{share:.0%} ({name})" for name, share in shares.items())
    reaches = f"it reaches {told} of what a perfect map would; chance reaches 0%."
    silent = [name for name in faithful if name not in telling]
    if silent:
        return Verdict("weak", f"{reaches} With {_named(silent)} in its place the words stay as likely.")
    return Verdict("good" if min(shares.values()) >= GOOD_SHARE else "weak", reaches)


def share_of_perfect(found: Faithfulness) -> float:
    """Insertion less deletion as a share of the most there is, which all of the answer gone, or back, with the first
    cell would be: at most 1, and below 0 worse than chance.

    What goes beyond the likelihoods with the picture and with the baseline is not counted.
    """
    insertion, deletion = (
        torch.trapezoid(curve.probability.clamp(found.baseline, found.picture), curve.shares)
        for curve in (found.insertion, found.deletion)
    )
    return float(insertion - deletion) / (found.picture - found.baseline)


def _named(baselines: list[str]) -> str:
    return " and ".join(repr(name) for name in baselines)
