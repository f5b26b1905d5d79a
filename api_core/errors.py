"""The errors a caller can act on. Each message says what happened, the value, and what to do."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from .texts import clean


class AttentionPromptingError(Exception):
    """Base of everything this library raises on purpose."""


class InvalidInput(AttentionPromptingError, ValueError):
    """A value that cannot be used: an empty query, a NaN picture, a layer that does not exist."""


class UnsupportedModel(AttentionPromptingError):
    """A model this library cannot read; the message names what to use instead."""


class ModelNotFound(AttentionPromptingError, FileNotFoundError):
    """Weights or files that are not where they were looked for."""


class DamagedWeights(AttentionPromptingError):
    """A weights file that is truncated, unsafe to load, or does not belong to the model."""


class DownloadFailed(AttentionPromptingError):
    """A download that could not start or finish: no network, no room, not allowed."""


class NotEnoughMemory(AttentionPromptingError, MemoryError):
    """A model that does not fit into the memory of its device, even at the least work at once."""


class MissingPackage(AttentionPromptingError, ImportError):
    """An optional package is not installed; the message holds the line that installs it."""


class ServerFailed(AttentionPromptingError):
    """A server that was not reached, refused, or did not answer. Its message never holds a key.

    kind: unreachable, lost, slow, key, address, model, pictures (it takes none), size, busy, trouble, refused, garbled,
    empty or unexpected.
    """

    def __init__(self, message: str, kind: str = "unexpected") -> None:
        super().__init__(message)
        self.kind = kind


class CannotWrite(AttentionPromptingError, OSError):
    """A file that the system did not let be written.

    everywhere: whether the next file beside it will fare no better, so that going on would be work for nothing.
    """

    def __init__(self, path: Path, cause: OSError) -> None:
        folder = path.parent
        shut = cause.errno in _SHUT and folder.is_dir() and not os.access(folder, os.W_OK)
        says, what_now = _SYSTEM.get(cause.errno or 0, (cause.strerror or type(cause).__name__, "Choose another place"))
        super().__init__(f"{path} cannot be written: {says}. {what_now}.")
        self.errno = cause.errno
        self.everywhere = shut or cause.errno in _PLACE


_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_PLACE = {*_FULL, errno.EROFS, errno.EIO, errno.ENOTDIR, errno.EEXIST}
_SHUT = {errno.EACCES, errno.EPERM}
_SYSTEM = {
    **dict.fromkeys(_SHUT, ("you may not write there", "Choose another place, or have it opened to you")),
    **dict.fromkeys(_FULL, ("the disk is full, or your share of it", "Make room, or choose another place")),
    errno.EROFS: ("that disk can only be read", "Choose another place"),
    errno.EISDIR: ("there is a folder of that name", "Choose another name"),
    errno.ENOTDIR: ("a part of that path is a file and no folder", "Choose another place"),
    errno.EEXIST: ("a file has the name of its folder", "Choose another place"),
    errno.ENAMETOOLONG: ("that name is too long for this disk", "Choose a shorter one"),
}
"""What the system's refusals mean, and what to do."""


class Cancelled(AttentionPromptingError):
    """The caller's progress callback asked to stop."""


def reason(error: BaseException, most: int = 300) -> str:
    """What another library's error says, in one line of at most so many characters; its type where it says nothing."""
    return (" ".join(str(error).split())[:most] or type(error).__name__).rstrip(".")


def shortened(value: object, most: int = 80) -> str:
    """What a message shows of a value that somebody gave: one line of at most so many characters."""
    try:
        whole = clean(str(value))
    except ValueError:  # Python writes no whole numbers of more than some thousand digits
        whole = f"a {type(value).__name__} of too many digits"
    text = " ".join(whole[: 20 * most].split())
    return text if len(text) <= most else text[: most - 1] + "…"


def quoted(value: object, most: int = 80) -> str:
    """The same in quotation marks where it is a text; of what is neither text nor number only the type is named."""
    if isinstance(value, str):
        return repr(shortened(value, most))
    if value is None or isinstance(value, bool | int | float | complex):
        return shortened(value, most)
    return f"something of type {type(value).__name__}"


def require_one_of(value: object, known: Iterable[str], what: str) -> None:
    """Raise InvalidInput for what is none of the `known` names. what: they are called."""
    names = [*known]
    if not isinstance(value, str) or value not in names:
        choose = "Choose one of" if len(names) != 2 else "Choose"
        listed = ", ".join(names) if len(names) != 2 else " or ".join(names)
        raise InvalidInput(f"There is no {what} {quoted(value)}. {choose} {listed}.")
