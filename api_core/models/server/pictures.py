"""Pictures as a server takes them: data addresses in PNG or JPEG."""

from __future__ import annotations

import base64
import io

from torch import Tensor

from ...errors import InvalidInput
from ...pictures import to_pil

PNG_UP_TO = 2 * 1024 * 1024
"""Pixels. Up to this a picture goes as PNG, exactly as it is; a larger one as JPEG of quality 95 without subsampling,
which no eye tells apart and which is a fifth of the bytes."""

LARGEST = 20_000_000
"""Bytes of one picture's data address: what hosted servers take at most."""


def data_url(picture: Tensor) -> str:
    """A picture, float32 [H, W, 3] in 0..1, as `data:image/png;base64,…` or `data:image/jpeg;base64,…`."""
    height, width = picture.shape[:2]
    kind, settings = ("png", {}) if height * width <= PNG_UP_TO else ("jpeg", {"quality": 95, "subsampling": 0})
    stream = io.BytesIO()
    to_pil(picture).save(stream, format=kind, **settings)
    address = f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
    if len(address) > LARGEST:
        raise InvalidInput(
            f"A picture of {width} x {height} pixels is {len(address) / 1e6:.0f} MB to send; servers take at most "
            f"{LARGEST / 1e6:.0f} MB. Make it smaller first: models see few of so many pixels."
        )
    return address
