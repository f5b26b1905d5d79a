"""Magnifying: what matters becomes larger at the cost of the rest, the picture's size stays.

A warp along each axis by itself, as in AttWarp (2510.09741), with the profile of maxima of PM (2503.10183), but
bounded: nothing grows more than `zoom` times or shrinks below `keep` of its size, and what shrinks is averaged.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ..errors import require_one_of
from ..settings import require_in_range, setting
from .style import Style

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .warp import AxisMap, Mapping

Profile = Literal["peak", "mean"]
PROFILES: tuple[Profile, ...] = ("peak", "mean")
MOST_ZOOM = 10.0
LEAST_KEPT = 0.05


@dataclass(frozen=True)
class MagnifyStyle(Style):
    """What matters becomes larger, the rest smaller.

    zoom: how many times larger at most, along each axis, from 1 (not at all) on. keep: what is left of the size of the
    rest at least, 0.05..1. profile: a row or column matters as its greatest value does (`peak`), or its mean.
    in_place: the middle of what matters stays where it is; else it moves towards the middle of the picture.
    """

    name: ClassVar[str] = "magnify"
    zoom: float = setting(
        3.0,
        1.0,
        MOST_ZOOM,
        "How many times larger what matters becomes at most, across and down.",
        short="how many times larger at most",
        step=0.1,
    )
    keep: float = setting(
        0.2,
        LEAST_KEPT,
        1.0,
        "What is left of the width and height of the rest at least. 1: nothing shrinks, so nothing grows.",
        short="what is left of the rest's size at least",
        step=0.05,
        flag="shrink",
    )
    profile: Profile = setting(
        "peak",
        describes="What a row or column of the mask counts as: its greatest value (peak), or the mean of all.",
        short="what a row or column of the mask counts as",
        options=PROFILES,
        advanced=True,
    )
    in_place: bool = setting(
        True,
        describes="The middle of what matters stays where it is. Off: it moves towards the middle of the picture.",
        short="move what matters towards the middle",
        advanced=True,
        flag="free",
    )

    def __post_init__(self) -> None:
        require_in_range(self)
        require_one_of(self.profile, PROFILES, "profile")

    def mapping(self, mask: "Tensor", strength: float) -> "Mapping":
        """Where the points go of a picture whose mask is [H, W], 0..1; at strength 0 nothing moves."""
        from .warp import Mapping

        profiles = (mask.amax(1), mask.amax(0)) if self.profile == "peak" else (mask.mean(1), mask.mean(0))
        rows, columns = (self._axis(profile.double().numpy(), strength) for profile in profiles)
        return Mapping(rows, columns)

    def _axis(self, profile: "np.ndarray", strength: float) -> "AxisMap":
        """Pixel j becomes 1 + strength * u_j wide, within `keep` and `zoom`; the widths add up to the axis' length."""
        import numpy as np

        from .warp import AxisMap, still

        length = len(profile)
        excess = profile - profile.min() if self.in_place else profile
        if not excess.mean() > 0 or np.ptp(profile) == 0:
            return still(length)
        excess = excess / excess.mean()
        if self.in_place:
            squares = excess**2
            anchor = float((squares * (np.arange(length) + 0.5)).sum() / squares.sum())
        else:
            anchor = 0.0
        edges = np.union1d(np.arange(length + 1, dtype=np.float64), [anchor])
        widths = np.diff(edges)
        pieces = excess[np.minimum(edges[:-1].astype(int), length - 1)]
        growth = np.empty_like(pieces)
        for side in (edges[:-1] < anchor, edges[:-1] >= anchor):
            if side.any():  # each side keeps its length, so that the anchor stays
                growth[side] = pieces[side] - np.average(pieces[side], weights=widths[side])
        most, least = growth.max(), growth.min()
        if not most > 0 > least:
            return still(length)
        scale = strength * min(1.0, (self.zoom - 1) / most, (1 - self.keep) / -least)
        if scale == 0:
            return still(length)
        shown = np.concatenate([[0.0], np.cumsum(widths * (1 + scale * growth))])
        shown *= length / shown[-1]
        shown[-1] = length
        return AxisMap(edges, shown)
