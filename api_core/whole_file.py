"""Files that are written whole or not at all, and refusals of the system in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import CannotWrite

_left: dict[Path, dict[str, list[Path]]] = {}
"""By folder, and by the name of a file that was to be: what was there of it when this process first wrote there."""


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` when the block ends well and vanishes when it does not.

    What a killed process had written of the same file goes. Raises CannotWrite where the system refuses.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with written_to(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_left_parts(target)
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


def _remove_left_parts(target: Path) -> None:
    """Remove unfinished copies of a file whose process has ended. A folder is looked into once."""
    folder = target.parent
    if folder not in _left:
        found: dict[str, list[Path]] = {}
        for part in folder.glob(".*.part"):
            found.setdefault(part.name[1:].rsplit(".", 2)[0], []).append(part)
        _left[folder] = found
    for part in _left[folder].pop(target.name, ()):
        if not _is_alive(part.name.rsplit(".", 2)[1]):
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _is_alive(process: str) -> bool:
    """Whether a process of that number runs here; asked of Windows it would be ended, where open files stay anyway."""
    if os.name == "nt" or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
