"""The pictures of a data set: files that are there, or bytes inside parquet files, which are written out."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import InvalidInput, reason, shortened
from ...whole_file import whole_file

_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg"}


def picture_file(folder: Path, name: str, *inside: str) -> Path:
    """The file of a picture: in a folder, or in one of those `inside` it; the first place where it is in none."""
    places = [folder / one / name for one in ("", *inside)]
    return next((place for place in places if place.is_file()), places[0])


def write_picture(found: Any, folder: Path, of: str) -> Path:
    """The file of a picture that a parquet row holds, written as it is; equal ones are one file. of: whose it is."""
    content = found.get("bytes") if isinstance(found, dict) else found
    if not isinstance(content, bytes) or not content:
        raise InvalidInput(f"{of} has no picture in it but {shortened(found)}.")
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = str(image.format)
    except (OSError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"The picture of {of} cannot be read: {reason(error)}.") from error
    path = folder / (hashlib.sha256(content).hexdigest()[:24] + _SUFFIXES.get(kind, f".{kind.lower()}"))
    if not path.is_file() or path.stat().st_size != len(content):
        with whole_file(path) as part:
            part.write_bytes(content)
    return path
