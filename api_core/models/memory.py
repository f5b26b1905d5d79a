"""Going on with less at once where memory runs out."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ..errors import NotEnoughMemory, reason

log = logging.getLogger(__name__)

T = TypeVar("T")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory ran out; MPS and the CPU say so in a plain RuntimeError."""
    if isinstance(error, NotEnoughMemory):  # which was told already, with what to do about it
        return False
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    message = str(error).casefold()
    return isinstance(error, RuntimeError) and ("out of memory" in message or "can't allocate memory" in message)


def retry_with_smaller_batch(
    work: Callable[[int], T], size: int, *, model: str, device: torch.device, single: str, advice: str
) -> T:
    """The result of `work`, which is told how much to take at once: `size`, and half of it each time memory runs out.

    single: what is done where one alone is too much, such as "with a single picture", and advice: what helps then, as
    NotEnoughMemory tells it.
    """
    while True:
        try:
            return work(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise NotEnoughMemory(
                    f"{model} ran out of memory on {device} {single} ({reason(error, 200)}). Free some "
                    f"(other models, other programs), {advice}."
                ) from error
        log.warning("%s ran out of memory with %d at once; trying %d", model, size, size // 2)
        size //= 2


def in_batches_that_fit(
    work: Callable[[range], Sequence[T]],
    count: int,
    size: int,
    *,
    model: str,
    device: torch.device,
    single: str,
    advice: str,
) -> list[T]:
    """What `work` gives for 0 … count - 1, in ranges of `size`, or of fewer from where memory runs out."""
    results: list[T] = []
    while (start := len(results)) < count:

        def part(most: int, start: int = start) -> Sequence[T]:
            return work(range(start, min(start + most, count)))

        found = retry_with_smaller_batch(
            part, min(size, count - start), model=model, device=device, single=single, advice=advice
        )
        results += found
        size = min(size, len(found))
    return results
