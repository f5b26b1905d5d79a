"""Files that are written whole or not at all, and refusals of the system in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import CannotWrite


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` when the block ends well and vanishes when it does not.

    Raises CannotWrite where the system refuses.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with written_to(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield part
            os.replace(part, target)
    finally:
        with suppress(OSError):  # the folder may be a file, or gone: then there is none of ours
            part.unlink(missing_ok=True)


@contextmanager
def written_to(target: Path) -> Iterator[None]:
    """Inside, `target` is written: what the system refuses becomes CannotWrite, which names it."""
    try:
        yield
    except CannotWrite:
        raise
    except OSError as error:
        if error.errno is None:  # a library's own complaint, such as Pillow's
            raise
        raise CannotWrite(target, error) from error
