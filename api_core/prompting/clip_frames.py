"""The maps of a clip whose frames are files, of which only a few are held at once."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..attribution.frames import Frames
from ..errors import InvalidInput
from ..models.clip import ClipModel
from ..models.lvlm.model import LvlmModel
from ..pictures import size_of, to_picture
from ..progress import Progress, ignore_progress
from ..results import Heatmap, PictureMap
from .one_picture import read_maps

_PIXELS_AT_ONCE = 1 << 21


def read_clip(
    model: ClipModel | LvlmModel,
    files: Sequence[Path],
    query: str,
    *,
    every: int = 1,
    on_progress: Progress = ignore_progress,
    **how: Any,
) -> Heatmap:
    """A map of every frame, in order: what is in the pictures is forgotten as soon as it is read.

    every: only every n-th is read, and the last; the raw maps between them are linear. on_progress: called with the
    frames that are read. how: as `read_maps` takes it. Raises InvalidInput for a frame of another size than the first,
    before anything is read.
    """
    sizes = [size_of(file) for file in files]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise InvalidInput(
                f"The frame {file.name} is {size[0]} x {size[1]} pixels (height x width), and {files[0].name} "
                f"{sizes[0][0]} x {sizes[0][1]}: the frames of a clip are of one size. Bring them to one, or take the "
                "other pictures out of the folder."
            )
    frames = Frames.of([(size,) for size in sizes], [query] * len(files), every)
    maps: list[PictureMap] = []
    chosen = frames.taken(files)
    at_once = max(1, _PIXELS_AT_ONCE // math.prod(sizes[0]))
    for start in range(0, len(chosen), at_once):
        on_progress(start, len(chosen))
        pictures = [to_picture(file) for file in chosen[start : start + at_once]]
        maps += read_maps(model, pictures, query, **how)[0].pictures
    on_progress(len(chosen), len(chosen))
    return Heatmap(frames.filled(maps))
