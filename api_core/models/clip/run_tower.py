"""Running a picture tower once per mini-batch, and keeping what its readout saw."""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...progress import Progress
from ..devices import free_memory
from ..hooks import capturing
from .encoding import Encoding
from .towers import Readout, Tower, TowerOutputs

log = logging.getLogger(__name__)

CPU_BATCH = 4
DEVICE_BATCH = 32
MEMORY_SHARE = 0.25


def encode(
    tower: Tower,
    pixels: Tensor,
    valid: Tensor | None,
    layer: int,
    *,
    readout: Readout,
    on_progress: Progress,
    done: int,
    total: int,
) -> list[Encoding]:
    """One plain forward of a mini-batch: pixels [B, 3, H, W], normalised and on the tower's device.

    readout: the tower's own, or one that reads more of it.

    `on_progress` is called before every block, so that work can be stopped between two of them; done and total count
    pictures times blocks.
    """
    grid = tower.grid(pixels.shape[2], pixels.shape[3])
    batch = pixels.shape[0]
    with capturing() as hooks, readout.record(tower.blocks, layer) as finalise:
        for index, block in enumerate(tower.blocks):

            def report(args: Any, kwargs: Any, so_far: int = done + index * batch) -> None:
                on_progress(so_far, total)

            hooks.before(block, report)
        features = tower.encode(pixels, valid)
        outputs = finalise(features)
    return list(_encodings(outputs, features.float(), grid, layer, readout.complementary))


def _encodings(
    outputs: TowerOutputs, features: Tensor, grid: tuple[int, int], layer: int, complementary: bool
) -> Iterator[Encoding]:
    features = (features / features.norm(dim=-1, keepdim=True)).cpu()
    parts = [outputs.contributions.cpu(), outputs.rest.cpu(), outputs.patches.cpu()]
    optional = (outputs.contribution_offset, outputs.patch_offset, outputs.neighbours)
    further = [None if part is None else part.cpu() for part in optional]

    def one(part: Tensor, index: int) -> Tensor:
        # A row of a shared tensor would keep the whole mini-batch alive in a cache.
        return part[index].clone() if len(part) > 1 else part[index]

    for index in range(len(features)):
        contributions, rest, patches, feature = (one(part, index) for part in (*parts, features))
        more = [None if part is None else one(part, index) for part in further]
        yield Encoding(contributions, rest, patches, feature, grid, layer, complementary, *more)


def batch_size(tower: Tower, height: int, width: int, dtype: torch.dtype, device: torch.device) -> int:
    """How many pictures go through at once: a quarter of the free memory, and no more than pays."""
    most = CPU_BATCH if device.type == "cpu" else DEVICE_BATCH
    fitting = int(MEMORY_SHARE * free_memory(device) / picture_bytes(tower, height, width, dtype))
    size = max(1, min(most, fitting))
    log.debug("Mini-batches of %d pictures of %d x %d on %s", size, width, height, device)
    return size


def picture_bytes(tower: Tower, height: int, width: int, dtype: torch.dtype) -> int:
    """About what one picture's activations take: the stem's maps, and a block's tokens with its hidden layer."""
    rows, columns = tower.grid(height, width)
    itemsize = torch.empty((), dtype=dtype).element_size()
    return itemsize * (64 * height * width + 24 * rows * columns * tower.width)
