"""Masks and prompted pictures of cases as files."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ...choices import SAVED_AS
from ...errors import InvalidInput
from ...pictures import PNG, to_picture, to_pil
from ...whole_file import whole_file
from ...writing import Writing
from ..cases import QuestionCase

_UNSAFE = re.compile(r"[^\w.\-]+")
_LONGEST_STEM = 80
_MOST_BYTES = 220  # of the 255 that a name may have: others come before and behind


@dataclass(frozen=True)
class Saving:
    """What is written of each case to `folder`: `<id>.mask.png`, white = relevant; `<id>.png`, the prompted picture.

    kind: of the pictures. jpg is what the paper's program writes, at Pillow's usual quality; as its models read that
    file, what is asked about is then the picture as it was written.
    """

    folder: Path
    masks: bool = False
    pictures: bool = True
    kind: str = SAVED_AS[0]

    def __post_init__(self) -> None:
        if self.kind not in SAVED_AS:
            raise InvalidInput(f"Pictures are written as {' or '.join(SAVED_AS)}, not as {self.kind!r}.")

    def tidy(self) -> None:
        """Remove what killed writers left; for whoever knows that nobody is writing."""
        for left in self.folder.glob(".*.part"):
            left.unlink(missing_ok=True)

    def save(self, case: QuestionCase, mask: Tensor, drawn: Tensor, writing: Writing) -> tuple[dict[str, str], Tensor]:
        """Have the files written: their names, and the picture as it is asked about."""
        files, stem = {}, file_stem(case.id)
        if self.masks:
            files["mask"] = f"{stem}.mask.png"
            levels = Image.fromarray(mask.mul(255).round().to(torch.uint8).numpy())
            writing.submit(partial(_write_png, levels, self.folder / files["mask"]))
        if self.pictures:
            files["picture"] = f"{stem}.{self.kind}"
            target = self.folder / files["picture"]
            if self.kind == "png":
                writing.submit(partial(_write_png, to_pil(drawn), target))
            else:
                stream = io.BytesIO()
                to_pil(drawn).save(stream, format="JPEG")
                writing.submit(partial(_write, stream.getvalue(), target))
                drawn = to_picture(Image.open(stream))
        return files, drawn


def file_stem(name: str) -> str:
    """A file name for an id: letters, digits, dots and dashes stay; one that is changed or cut ends in a digest."""
    safe = _UNSAFE.sub("_", name).strip("._")[:_LONGEST_STEM]
    safe = safe.encode()[:_MOST_BYTES].decode(errors="ignore")
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _write_png(image: Image.Image, path: Path) -> None:
    with whole_file(path) as part:
        image.save(part, **PNG)


def _write(content: bytes, path: Path) -> None:
    with whole_file(path) as part:
        part.write_bytes(content)
