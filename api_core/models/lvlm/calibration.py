"""What a calibration found for a model, kept in the user's folder: the heads and the layer that see best.

It belongs to the weights, not to a name: a model is known again by digests of samples of its weights, in whichever
number format it is loaded, and another one of the same name is not mistaken for it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from ...errors import InvalidInput
from ...user_folder import default_folder
from ...whole_file import whole_file
from ..weight_digests import weight_digests

FILE_NAME = "calibrations.json"
_VERSION = 1
_DIGITS = 16  # of a digest; enough to tell models apart, and short enough to read

Head = tuple[int, int]
"""A head of the decoder: its layer and its number there, both from 0."""


@dataclass(frozen=True)
class Calibration:
    """heads: those that find what was asked for, the best first. layer: the one whose heads together do it best.

    model: what it was called when it was calibrated. weights: its digests by number format. scenes: drawn scenes that
    it was chosen on.
    """

    model: str
    weights: Mapping[str, str]
    layer: int
    heads: tuple[Head, ...]
    scenes: int

    def is_of(self, weights: Mapping[str, str]) -> bool:
        """Whether these are the weights, loaded in this or another number format."""
        return any(self.weights.get(name) == digest for name, digest in weights.items())


def find_calibration(model: Any) -> Calibration | None:
    """That of a model with these weights, None where there is none; of a model without `module` there never is.

    Raises InvalidInput where the file cannot be read.
    """
    module = getattr(model, "module", None)
    known = read_calibrations()
    if module is None or not known:
        return None
    weights = digests_of(module)
    return next((one for one in known if one.is_of(weights)), None)


def digests_of(module: nn.Module) -> Mapping[str, str]:
    """The weights' digests as they are kept; taken once of a module."""
    if module not in _DIGESTS:
        _DIGESTS[module] = {name: digest[:_DIGITS] for name, digest in weight_digests(module).items()}
    return _DIGESTS[module]


_DIGESTS: WeakKeyDictionary[nn.Module, Mapping[str, str]] = WeakKeyDictionary()


def calibrations_file() -> Path:
    """Where calibrations are kept; it need not exist."""
    return default_folder() / FILE_NAME


def read_calibrations() -> tuple[Calibration, ...]:
    """All that are kept. Raises InvalidInput where the file cannot be read."""
    file = calibrations_file()
    try:
        found = file.stat()
        return _read(file, found.st_mtime_ns, found.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise _unreadable(file, f"cannot be read ({type(error).__name__})") from error


def save_calibration(calibration: Calibration) -> Path:
    """Keep it in place of an earlier one of the same weights; returns the file. InvalidInput where that cannot be."""
    _write([*(one for one in read_calibrations() if not one.is_of(calibration.weights)), calibration])
    return calibrations_file()


def forget_calibration(model: Any) -> bool:
    """Remove what is kept of a model's weights; whether there was anything."""
    found = find_calibration(model)
    if found is not None:
        _write([one for one in read_calibrations() if one is not found])
    return found is not None


def require_writable() -> None:
    """InvalidInput where nothing could be kept, before somebody works for it."""
    read_calibrations()
    file = calibrations_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise _unwritable(file, error) from error


def _write(calibrations: Sequence[Calibration]) -> None:
    content = {"version": _VERSION, "calibrations": [asdict(one) for one in calibrations]}
    file = calibrations_file()
    try:
        with whole_file(file) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(file, error) from error


@lru_cache(maxsize=4)
def _read(file: Path, _changed: int, _size: int) -> tuple[Calibration, ...]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["version"] == _VERSION:
            return tuple(_from_entry(**entry) for entry in content["calibrations"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(file, "are damaged: this is not what the program wrote") from error
    raise _unreadable(file, f"are of another version than {_VERSION}, the one that this program reads")


def _from_entry(model: str, weights: Mapping[str, str], layer: int, heads: Any, scenes: int) -> Calibration:
    pairs = tuple((int(own), int(head)) for own, head in heads)
    if not pairs or not isinstance(layer, int) or not isinstance(weights, dict):
        raise ValueError("no heads, layer or weights")
    return Calibration(str(model), weights, layer, pairs, int(scenes))


def _unreadable(file: Path, problem: str) -> InvalidInput:
    return InvalidInput(f"The calibrations in {file} {problem}. Delete the file and calibrate the models again.")


def _unwritable(file: Path, error: OSError) -> InvalidInput:
    return InvalidInput(f"Calibrations cannot be kept in {file} ({type(error).__name__}). Make its folder writable.")
