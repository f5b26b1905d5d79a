"""The way back: boxes, points and masks found in what was shown of a picture, in the coordinates of that picture.

What was shown is a prompted picture whose pixels moved (`overlay.Mapping`), or a part that was cut out (`Cut`). Boxes
and points are ComfyUI's: dictionaries of x, y, width, height in pixels, and JSON texts of x and y.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .broadcast import broadcast
from .errors import InvalidInput, shortened
from .geometry import require_size
from .pictures import as_masks
from .settings import is_number

Value = TypeVar("Value")
BoundingBox = Mapping[str, Any]
Point = dict[str, float]

# Detectors put the sides of what is cut off a little beyond the picture: no farther than this share of its side.
_OVERSHOOT = 0.02


class Way(Protocol):
    """From what was shown, of that size [H, W], back to the picture."""

    @property
    def size(self) -> tuple[int, int]: ...

    def to_picture(self, places: Tensor) -> Tensor:
        """Points [..., 2] or boxes [..., 4] (left, top, right, bottom), float64."""

    def mask_to_picture(self, mask: Tensor) -> Tensor:
        """A mask [h, w] of what was shown as one of the picture, [H, W]."""


@dataclass(frozen=True)
class Cut:
    """The part of a picture inside a box. picture: the size [H, W] of the whole, which only masks need."""

    x: float
    y: float
    width: float
    height: float
    picture: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _box_numbers({name: getattr(self, name) for name in _BOX})
        if self.picture is not None:
            require_size(self.picture)

    @classmethod
    def of(cls, box: BoundingBox, picture: tuple[int, int] | None = None) -> "Cut":
        """What was cut out as ComfyUI's box says."""
        x, y, width, height = _box_numbers(box)
        if picture is not None and not (x >= 0 and y >= 0 and x + width <= picture[1] and y + height <= picture[0]):
            raise InvalidInput(
                f"The crop {shortened(box)} does not lie in the picture of {_size(picture)} pixels. "
                "Connect the pictures that the crops were cut from."
            )
        return cls(x, y, width, height, picture)

    @property
    def size(self) -> tuple[int, int]:
        return round(self.height), round(self.width)

    def to_picture(self, places: Tensor) -> Tensor:
        offset = torch.tensor([self.x, self.y], dtype=torch.float64)
        return places.to(torch.float64) + offset.repeat(places.shape[-1] // 2)

    def mask_to_picture(self, mask: Tensor) -> Tensor:
        """Black outside of the crop."""
        if self.picture is None:
            raise InvalidInput("A crop's box does not say how large the picture is. Connect the pictures to image.")
        if not all(float(value).is_integer() for value in (self.x, self.y, self.width, self.height)):
            raise InvalidInput(f"A crop of whole pixels has no box like {shortened(vars(self))}. Round it first.")
        (height, width), left, top = self.size, int(self.x), int(self.y)
        whole = torch.zeros(self.picture)
        whole[top : top + height, left : left + width] = mask
        return whole


@dataclass(frozen=True)
class WaysBack:
    """The ways back of several pictures. owners: for each way the number of its picture, of `count` pictures.

    sizes: of the pictures, [H, W], where they are known.
    """

    ways: Sequence[Way]
    owners: Sequence[int]
    count: int
    sizes: Sequence[tuple[int, int]] = ()

    @classmethod
    def of_each(cls, ways: Sequence[Way]) -> "WaysBack":
        """A way of each picture."""
        return cls(ways, range(len(ways)), len(ways))

    @classmethod
    def of_crops(cls, boxes: Sequence[Sequence[BoundingBox]], sizes: Sequence[tuple[int, int]] = ()) -> "WaysBack":
        """For each picture the boxes of its crops."""
        if sizes and len(sizes) not in (1, len(boxes)):
            raise InvalidInput(
                f"{len(sizes)} pictures for the crops of {len(boxes)}. Connect those that were cut from."
            )
        known = broadcast(sizes, len(boxes), "pictures") if sizes else []
        pairs = [
            (owner, Cut.of(box, known[owner] if known else None)) for owner, frame in enumerate(boxes) for box in frame
        ]
        if not pairs:
            raise InvalidInput("There is no box of a crop, so nothing can have been found in one.")
        return cls([cut for _, cut in pairs], [owner for owner, _ in pairs], len(boxes), known)

    def gather(self, values: Sequence[Value], what: str) -> list[list[tuple[Way, Value]]]:
        """For each picture what was found in each view of it. One value serves all ways, and one way all values: of
        that each value is a result by itself. what: the values are called in the error."""
        if len(self.ways) == self.count == 1:
            return [[(self.ways[0], value)] for value in values]
        if len(values) not in (1, len(self.ways)):
            raise InvalidInput(
                f"{len(values)} {what} for {len(self.ways)} pictures or crops that they were found in: "
                "give one for each, or one for all."
            )
        gathered: list[list[tuple[Way, Value]]] = [[] for _ in range(self.count)]
        for owner, way, value in zip(self.owners, self.ways, broadcast(values, len(self.ways), what), strict=True):
            gathered[owner].append((way, value))
        return gathered

    def boxes(self, frames: Sequence[Sequence[BoundingBox]]) -> list[list[dict[str, Any]]]:
        """For each picture its boxes."""
        gathered = self.gather(frames, "lists of boxes")
        return [[box for way, frame in parts for box in boxes_to_picture(frame, way)] for parts in gathered]

    def points(self, frames: Sequence[Sequence[Point]]) -> list[list[Point]]:
        """For each picture its points."""
        gathered = self.gather(frames, "lists of points")
        return [[point for way, frame in parts for point in points_to_picture(frame, way)] for parts in gathered]

    def masks(self, masks: Sequence[Tensor]) -> list[Tensor]:
        """For each picture its mask [H, W]: of several crops the greatest value, black where none was cut out."""
        results = []
        for picture, parts in enumerate(self.gather(masks, "masks")):
            moved = [mask_to_picture(mask, way) for way, mask in parts]
            results.append(reduce(torch.maximum, moved) if moved else torch.zeros(self.sizes[picture]))
        return results


def boxes_to_picture(boxes: Sequence[BoundingBox], way: Way) -> list[dict[str, Any]]:
    """Boxes found in what was shown, as boxes of the picture; labels, scores and what else they say stay."""
    moved = []
    for box in boxes:
        x, y, width, height = _box_numbers(box)
        _require_inside(shortened(box), (x, y, x + width, y + height), way, ("box", "boxes"))
        left, top, right, bottom = way.to_picture(
            torch.tensor([x, y, x + width, y + height], dtype=torch.float64)
        ).tolist()
        moved.append({**box, **_whole(x=left, y=top, width=right - left, height=bottom - top)})
    return moved


def points_to_picture(points: Sequence[Point], way: Way) -> list[Point]:
    """Points found in what was shown, as points of the picture: each stands for the middle of the pixel it counts."""
    moved = []
    for point in points:
        x, y = _numbers(point, ("x", "y"), "A point")
        _require_inside(shortened(point), (x, y), way, ("point", "points"))
        across, down = (way.to_picture(torch.tensor([x + 0.5, y + 0.5], dtype=torch.float64)) - 0.5).tolist()
        moved.append({**point, **_whole(x=across, y=down)})
    return moved


def mask_to_picture(mask: Tensor, way: Way) -> Tensor:
    """A mask [h, w] of what was shown as one of the picture, [H, W], 0..1."""
    (cover,) = as_masks(mask)
    if tuple(cover.shape) != way.size:
        raise InvalidInput(
            f"The mask has {_size(tuple(cover.shape))} pixels, and the picture or crop that it should have been found "
            f"in {_size(way.size)}. Connect a mask of that very picture, before anything scales it."
        )
    return way.mask_to_picture(cover).clamp_(0, 1)


def read_boxes(given: Any) -> list[list[BoundingBox]]:
    """What travels on a BOUNDING_BOX socket as lists of boxes, one for each picture: a single box, a list, or lists."""
    frames = [[given]] if isinstance(given, Mapping) else given
    if isinstance(frames, Sequence) and not isinstance(frames, str):
        if not frames or isinstance(frames[0], Mapping):
            frames = [frames]
        if all(isinstance(frame, Sequence) and not isinstance(frame, str) for frame in frames):
            return [list(frame) for frame in frames]
    raise InvalidInput(f"These are no boxes: {shortened(given)}. Connect the boxes of a detector or of Find Regions.")


def read_points(text: str) -> list[Point]:
    """The points of a JSON text, as Find Regions gives and SAM takes them; of an empty one none."""
    try:
        found = json.loads(text) if text.strip() else []
    except ValueError as error:
        raise InvalidInput(f"The points are not JSON: {shortened(text)}. {_POINTS}") from error
    if not isinstance(found, list) or not all(isinstance(point, dict) for point in found):
        raise InvalidInput(f"These are no points: {shortened(text)}. {_POINTS}")
    return found


_POINTS = 'They look like [{"x": 120, "y": 80}].'


_BOX = ("x", "y", "width", "height")


def _box_numbers(box: BoundingBox) -> tuple[float, ...]:
    x, y, width, height = _numbers(box, _BOX, "A box")
    if width < 0 or height < 0:
        raise InvalidInput(f"The box {shortened(box)} has a width or height below 0.")
    return x, y, width, height


def _numbers(given: Any, names: Sequence[str], what: str) -> list[float]:
    values = [given.get(name) if isinstance(given, Mapping) else None for name in names]
    if not all(map(is_number, values)):
        raise InvalidInput(f"{what} needs finite numbers {', '.join(names)}; this is {shortened(given)}.")
    return [float(value) for value in values if value is not None]


def _require_inside(shown: str, at: Sequence[float], way: Way, names: tuple[str, str]) -> None:
    (height, width), (name, plural) = way.size, names
    for position, side in zip(at, (width, height) * 2, strict=False):
        spare = max(1.0, _OVERSHOOT * side)
        if not -spare <= position <= side + spare:
            raise InvalidInput(
                f"The {name} {shown} lies outside of the picture or crop of {_size(way.size)} pixels. "
                f"Connect {plural} that were found in that very picture, before anything scales it."
            )


def _whole(**values: float) -> dict[str, float]:
    """Whole numbers as such, so that boxes of whole pixels stay what they are."""
    return {name: int(value) if value.is_integer() else value for name, value in values.items()}


def _size(size: Sequence[int]) -> str:
    return f"{size[1]} x {size[0]}"
