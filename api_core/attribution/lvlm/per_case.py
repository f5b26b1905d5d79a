"""From what a caller gives, once or for each picture, to one of it for each case."""

from collections.abc import Sequence
from typing import TypeVar, cast

from torch import Tensor

from ...errors import InvalidInput
from ...pictures import AnyPicture, flatten_alpha, require_picture, to_picture

_T = TypeVar("_T")


def spread(values: list[_T], count: int, what: str) -> list[_T]:
    """One value for each case: a single one serves all of them."""
    if len(values) not in (1, count):
        raise InvalidInput(f"{len(values)} {what} for {count} pictures: give one for all of them, or one for each.")
    return values * count if len(values) == 1 else values


def spread_hints(hints: Sequence[str] | Sequence[Sequence[str]], count: int) -> list[list[str]]:
    """The hint words of each case: one list serves all of them; blank words are left out."""
    if isinstance(hints, str):
        hints = [hints]
    shared = all(isinstance(hint, str) for hint in hints)
    lists = [list(cast(Sequence[str], hints))] if shared else [list(one) for one in hints]
    return [[hint.strip() for hint in one if hint.strip()] for one in spread(lists, count, "lists of hint words")]


def checked_picture(picture: AnyPicture) -> Tensor:
    """A checked picture [H, W, 3]; alpha lies on white."""
    if isinstance(picture, Tensor):
        require_picture(picture)
        return flatten_alpha(picture.detach())
    return flatten_alpha(to_picture(picture))
