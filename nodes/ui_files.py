"""What a node leaves for its face in the browser: small files in ComfyUI's temporary folder, named in its `ui` entry.

A heatmap file holds, little endian: `APM1`; the header's length as uint32; the header, UTF-8 JSON with blanks behind it
so that what follows starts at a multiple of 4; then float32 values, which the header points into by offset in floats.
"""

import hashlib
import io
import json
import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..api_core.pictures import flatten_alpha, to_pil
from ..api_core.results import Heatmap, PictureMap
from . import host, page

KEY = "attention_prompting"
MAGIC = b"APM1"
MOST_PICTURES = 64  # of a batch; a face says how many there are
MOST_FLOATS = 8_000_000  # of one heatmap file, 32 MB; pictures past it keep the map of the whole text alone
PICTURE_SIDE = 1024
MASK_SIDE = 512
JPEG_QUALITY = 88
KEPT_BYTES = 1 << 30  # of all files together; what was used longest ago goes first
KEPT_SHARE = 0.9  # of them stays when some must go, so that the folder is not read anew for every file after that

_held: dict[Path, int] = {}  # bytes of the files in a folder, as far as known: counted once, then added up
_counting = threading.Lock()


def ui_entry(
    *,
    heatmap: Heatmap | None = None,
    masks: Sequence[Tensor] = (),
    pictures: Sequence[Tensor] = (),
    answers: Sequence[str] = (),
    **extra: Any,
) -> dict[str, list[dict[str, Any]]]:
    """A node's `ui` entry: the names of the files that are left, by what they hold, and the answers in full.

    heatmap: raw. masks: [H, W], 0..1. pictures: [H, W, 3 or 4], which leave as JPEG. No more than MOST_PICTURES of each
    are left. extra: what else the face is told as it is, such as the settings that gave the result. Where nothing can
    be written, the log says so and the node's results stay.
    """
    files: dict[str, Any] = {}
    done = False
    with page.comfort("this node's result"):
        if heatmap is not None and heatmap.pictures:
            files["heatmap"] = _write_temp(heatmap_file(heatmap), "bin")
        if masks:
            files["masks"] = _write_temp(mask_file(masks), "bin")
        if pictures:
            files["pictures"] = [_write_temp([_jpeg(picture)], "jpg") for picture in pictures[:MOST_PICTURES]]
        done = True
    if not done:
        return {}
    if answers:
        files["answers"] = list(answers)
    count = max(len(heatmap or ()), len(masks), len(pictures))
    if count > MOST_PICTURES:
        files["count"] = count
    return {KEY: [{**files, **extra}]} if files else {}


def heatmap_file(heatmap: Heatmap) -> Iterator[bytes]:
    """The heatmap file of a heatmap: its first MOST_PICTURES pictures, each with its model's own mask settings."""
    payload = _Payload()
    return payload.file({"pictures": [_describe(picture, payload) for picture in heatmap.pictures[:MOST_PICTURES]]})


def mask_file(masks: Sequence[Tensor]) -> Iterator[bytes]:
    """The same for masks [H, W], made smaller where a side is longer than MASK_SIDE."""
    payload = _Payload()
    described = []
    for mask in masks[:MOST_PICTURES]:
        size = _reduced_size(mask)
        found = {"size": size, "values": payload.add(mask, size)}
        described.append(found if size == list(mask.shape) else {**found, "full": list(mask.shape)})
    return payload.file({"masks": described})


class _Payload:
    """Float values one after the other, and the file around them, which is made piece by piece: of the masks of a clip
    it is large."""

    def __init__(self) -> None:
        self._values: list[tuple[Tensor, list[int]]] = []
        self.floats = 0

    def add(self, values: Tensor, size: list[int] | None = None) -> int:
        """Where the values begin, counted in floats. size: (H, W) of a mask, as large as it is written."""
        begin = self.floats
        size = list(values.shape) if size is None else size
        self._values.append((values, size))
        self.floats += math.prod(size)
        return begin

    def file(self, header: dict[str, Any]) -> Iterator[bytes]:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        yield b"".join([MAGIC, len(text).to_bytes(4, "little"), text])
        for values, size in self._values:
            shown = values if list(values.shape) == size else _reduced(values, size)
            yield shown.to(torch.float32).contiguous().numpy().astype("<f4", copy=False).tobytes()


def _describe(picture: PictureMap, payload: _Payload) -> dict[str, Any]:
    floats = sum(view.values.numel() for views in picture.parts.values() for view in views)
    fits = payload.floats + floats <= MOST_FLOATS
    kept = picture if fits else picture.pick([0])
    parts = [
        {
            "name": name,
            "views": [
                {
                    "grid": list(view.grid),
                    "box": [view.box.left, view.box.top, view.box.right, view.box.bottom],
                    "values": payload.add(view.values),
                    "valid": None if bool(view.valid.all()) else payload.add(view.valid),
                }
                for view in views
            ],
        }
        for name, views in kept.parts.items()
    ]
    described = {
        "size": list(kept.size),
        "labels": [{"text": label.text, "role": label.role} for label in kept.labels],
        "method": kept.method,
        "model": kept.model,
        "layer": kept.layer,
        "reading": kept.reading,
        "signed": kept.signed,
        "defaults": {"contrast": kept.defaults.contrast, "smoothing": kept.defaults.smoothing},
        "presence": list(kept.presence),
        "parts": parts,
    }
    return described if fits else {**described, "words_left_out": len(picture.labels) - 1}


def _reduced_size(mask: Tensor) -> list[int]:
    longest = max(mask.shape)
    return [side if longest <= MASK_SIDE else max(1, round(side * MASK_SIDE / longest)) for side in mask.shape]


def _reduced(mask: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(mask[None, None].to(torch.float32), size=size, mode="area")[0, 0]


def _jpeg(picture: Tensor) -> bytes:
    image = to_pil(flatten_alpha(picture))
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), reducing_gap=2.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


def _write_temp(pieces: Iterable[bytes], ending: str) -> dict[str, str]:
    """Write a file under the name of its content, and say where it lies as ComfyUI's pages want it."""
    folder = host.temporary_folder() / KEY
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b(digest_size=16)
    unfinished = folder / f"{os.getpid()}.{threading.get_ident()}.part"
    try:
        with unfinished.open("wb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
        name = f"{digest.hexdigest()}.{ending}"
        target = folder / name
        fresh = not target.exists()
        if fresh:
            unfinished.replace(target)
        else:  # it may be on its way to a page, and then Windows lets nobody replace it
            os.utime(target)
    finally:
        unfinished.unlink(missing_ok=True)
    if fresh:
        _keep_bounded(folder, target.stat().st_size)
    return {"filename": name, "subfolder": KEY, "type": "temp"}


def _keep_bounded(folder: Path, added: int) -> None:
    """Count a new file, and let old ones go when the folder holds too much. A folder of thousands of files is slow to
    read: this happens once, and then only when the sum passes KEPT_BYTES."""
    with _counting:
        known = _held.get(folder)
        if known is None or known + added > KEPT_BYTES:
            _held[folder] = evict_oldest(folder, KEPT_BYTES, KEPT_SHARE)
        else:
            _held[folder] = known + added


def evict_oldest(folder: Path, most_bytes: int, share: float = 1.0) -> int:
    """Where the files of a folder hold more than `most_bytes`, delete those used longest ago until they hold no more
    than that share of it; returns the bytes that are left."""
    files = []
    with os.scandir(folder) as found:
        for file in found:
            with suppress(FileNotFoundError):  # another process tidies up too
                about = file.stat()
                if file.is_file():
                    files.append((about.st_mtime, about.st_size, file.path))
    held = sum(size for _, size, _ in files)
    kept = share * most_bytes if held > most_bytes else most_bytes
    for _, size, path in sorted(files):
        if held <= kept:
            break
        with suppress(PermissionError):  # on Windows, what a page is being sent
            Path(path).unlink(missing_ok=True)
            held -= size
    return held
