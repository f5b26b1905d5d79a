"""Pictures in and out: one loader for files, PIL pictures, arrays and tensors.

The library's picture is a float32 CPU tensor [H, W, C], C = 3 or 4, values 0..1, the fourth channel the alpha.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import InvalidInput, quoted, reason
from .results import require_finite

PNG: dict[str, Any] = {"format": "PNG", "compress_type": 3}
"""How Pillow writes pictures without loss: run lengths alone, which of photographs leaves no more bytes than its usual
search for repeats, in a fraction of the time."""

PictureSource = str | Path | Image.Image | np.ndarray | Tensor
AnyPicture = Tensor | Image.Image

_URL = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.\-]+://|data:)")
# Resampling filters overshoot a little beyond 0..1; farther out lies a picture of another scale (0..255, normalised).
_OVERSHOOT = 0.5
_FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0}


def to_picture(source: PictureSource) -> Tensor:
    """Turn `source` into a picture: float32 [H, W, 3 or 4] on the CPU, 0..1.

    source: a file's path, a PIL picture, or an array or tensor [H, W] or [H, W, 1|2|3|4] of bool, uint8, uint16 or
    floats 0..1 (a filter's overshoot of up to 0.5 is clipped). The camera's rotation (EXIF) is applied, palettes, grey,
    1-bit, 16-bit and CMYK become RGB, transparency stays as the fourth channel. Of a moving picture the first frame is
    read. The result may share memory with an array or a tensor, which is never written to.
    """
    if isinstance(source, str | Path):
        with open_image(source) as image:
            return _from_pil(image, f"The picture {_shown(source)}")
    if isinstance(source, Image.Image):
        return _from_pil(source, "The picture")
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Tensor):
        return _from_tensor(source)
    raise InvalidInput(
        f"A picture cannot be made from {type(source).__name__}. Give a path, a PIL picture, a numpy array or a tensor."
    )


def size_of(source: str | Path) -> tuple[int, int]:
    """(H, W) of the picture that `to_picture` makes of a file, of which only the beginning is read."""
    with open_image(source, load=False) as image:
        # The base class's: of a PNG the other decodes all of it, to find what may stand behind the pixels.
        sideways = Image.Image.getexif(image).get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        return (image.width, image.height) if sideways else (image.height, image.width)


@contextmanager
def open_image(source: str | Path, load: bool = True) -> Iterator[Image.Image]:
    """The file's picture as Pillow reads it, in its own mode and not turned; InvalidInput where it cannot."""
    if isinstance(source, str) and _URL.match(source):
        raise InvalidInput(f"{_shown(source)} is an address, not a file. Download the picture first and pass its path.")
    path = Path(source).expanduser()
    try:
        with _explained(_shown(path)):
            if not _may_be_a_path(path):
                raise InvalidInput(f"{_shown(path)} is no path of a file. Check it.")
            if path.exists() and not path.is_file():
                raise InvalidInput(f"{_shown(path)} is a folder or a device. Pass the path of one picture.")
            with Image.open(path) as image:
                if load:
                    image.load()
                yield image
    except FileNotFoundError as error:
        where = f"(relative to {str(Path.cwd())!r})"
        raise InvalidInput(f"There is no picture at {_shown(path)}. Check the path {where}.") from error


def _may_be_a_path(path: Path) -> bool:
    """Whether a file can be called so: no NUL, no half character, no name beyond what file systems take."""
    try:
        return "\0" not in str(path) and all(len(os.fsencode(part)) <= 255 for part in path.parts)
    except UnicodeEncodeError:
        return False


def read_picture(data: bytes, formats: tuple[str, ...], most_pixels: int) -> Tensor:
    """The picture in a file's bytes, as `to_picture` makes it. formats: Pillow's names of those that are read.

    InvalidInput for anything else, for damaged bytes, and, before they are decoded, for more than `most_pixels`.
    """
    try:
        with _explained("The picture"), Image.open(BytesIO(data), formats=formats) as image:
            if image.width * image.height > most_pixels:
                raise InvalidInput(
                    f"A picture has {image.width} x {image.height} pixels, where at most {most_pixels} can be read. "
                    "Make it smaller."
                )
            return _from_pil(image, "The picture")
    except InvalidInput:
        raise
    except Exception as error:  # what readers of metadata raise of damaged bytes is of many kinds
        raise InvalidInput(f"The picture cannot be read: {reason(error)}. It may be damaged.") from error


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """What Pillow raises of a file, said for people."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{what} is not a picture that Pillow can read. Save it as PNG or JPEG.") from error
    except Image.DecompressionBombError as error:
        raise InvalidInput(f"{what} is too large to open safely ({error}). Make it smaller first.") from error
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, EOFError) as error:
        raise InvalidInput(f"{what} cannot be read: {error}. The file may be cut short or damaged.") from error


def require_loaded(image: Image.Image, what: str = "The picture") -> None:
    """Decode a PIL picture whose file is read only now; InvalidInput when that fails, or when it has no pixels."""
    if 0 in image.size:
        raise InvalidInput(f"{what} has no pixels: its size is {image.width} x {image.height}.")
    try:
        image.load()
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        raise InvalidInput(f"{what} cannot be read: {error}. Its file may be cut short, damaged or closed.") from error


def _shown(source: str | Path) -> str:
    text = str(source)
    return repr(text if len(text) <= 200 else text[:197] + "...")


def to_pil(picture: Tensor) -> Image.Image:
    """Turn a picture [H, W, 3 or 4] into a PIL picture, RGB or RGBA; levels are rounded, overshoot is clipped."""
    require_picture(picture)
    levels = picture.detach().to("cpu", torch.float32).mul(255).round_().clamp_(0, 255)
    return Image.fromarray(levels.numpy().astype(np.uint8))  # which is twice as quick there as in torch


def flatten_alpha(picture: Tensor) -> Tensor:
    """Lay a picture [H, W, 3 or 4] over white; returns [H, W, 3]."""
    require_picture(picture)
    if picture.shape[-1] == 3:
        return picture
    return torch.lerp(torch.ones_like(picture[..., :3]), picture[..., :3], picture[..., 3:].clamp(0, 1))


def opaque_picture(source: AnyPicture) -> Tensor:
    """A picture [H, W, 3] of a tensor that is checked, or of a PIL picture; what is transparent lies on white."""
    return flatten_alpha(source.detach() if isinstance(source, Tensor) else to_picture(source))


def require_picture(picture: Tensor) -> None:
    """Raise InvalidInput unless `picture` is a finite floating tensor [H, W, 3 or 4] with at least one pixel."""
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        kind = picture.dtype if isinstance(picture, Tensor) else type(picture).__name__
        raise InvalidInput(
            f"A picture must be a floating-point tensor [H, W, 3 or 4], not {kind}. Use to_picture first."
        )
    if picture.ndim != 3 or picture.shape[-1] not in (3, 4) or 0 in picture.shape:
        raise InvalidInput(
            f"A picture must have the shape [H, W, 3 or 4] with at least one pixel, not {list(picture.shape)}. "
            "Pass the pictures of a batch one at a time, channels last."
        )
    require_finite(picture, "A picture")


def as_masks(mask: Tensor) -> Tensor:
    """Bring [H, W], [B, H, W], [B, 1, H, W] or [B, H, W, 1] to float32 [B, H, W] on the CPU, clipped to 0..1."""
    if not isinstance(mask, Tensor) or not (mask.is_floating_point() or mask.dtype == torch.bool):
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise InvalidInput(f"A mask must be a floating-point or bool tensor, not {kind}. Divide 8-bit levels by 255.")
    shape = list(mask.shape)
    if mask.ndim == 4 and 1 in (shape[1], shape[3]):
        mask = mask.squeeze(1) if shape[1] == 1 else mask.squeeze(3)
    elif mask.ndim == 2:
        mask = mask.unsqueeze(0)
    if mask.ndim != 3 or 0 in shape:
        raise InvalidInput(f"A mask must have the shape [H, W], [B, H, W], [B, 1, H, W] or [B, H, W, 1], not {shape}.")
    masks = mask.detach().to("cpu", torch.float32)
    require_finite(masks, "A mask")
    low, high = (float(bound) for bound in torch.aminmax(masks))
    return masks.clamp(0, 1) if low < 0 or high > 1 else masks


def _from_pil(image: Image.Image, what: str) -> Tensor:
    require_loaded(image, what)
    turned: Image.Image = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I"):
        return _from_wide_levels(np.asarray(turned), what)
    if turned.mode == "F":
        return _from_array(np.asarray(turned))
    transparent = turned.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in turned.info
    try:
        straight = turned.convert("LA") if turned.mode == "La" else turned
        kind = "RGBA" if transparent else "RGB"
        converted = straight if straight.mode == kind else straight.convert(kind)
    except ValueError as error:
        raise InvalidInput(f"{what} has the mode {quoted(turned.mode)}, which cannot become RGB: {error}.") from error
    return torch.from_numpy(np.asarray(converted).astype(np.float32)).div_(255)


def _from_wide_levels(levels: np.ndarray, what: str) -> Tensor:
    """Grey levels of more than 8 bits: Pillow holds 16-bit files as 16- or 32-bit integers."""
    low, high = int(levels.min()), int(levels.max())
    if low < 0 or high > 65535:
        raise InvalidInput(f"{what} has integer levels from {low} to {high}; only 0 to 65535 (16 bit) are understood.")
    return _with_channels(torch.from_numpy(levels.astype(np.float32)).div_(65535))


def _from_array(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "bufi" or array.dtype.hasobject:
        raise InvalidInput(
            f"An array of {array.dtype} is no picture. Use uint8, uint16, bool, or floats between 0 and 1."
        )
    native: Any = array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "f" and native.dtype not in (np.float16, np.float32, np.float64):
        native = native.astype(np.float64)
    if not native.flags.writeable or any(stride < 0 for stride in native.strides):
        native = native.copy()
    return _from_tensor(torch.from_numpy(native))


def _from_tensor(tensor: Tensor) -> Tensor:
    _require_shape(tuple(tensor.shape))
    tensor = tensor.detach()
    if tensor.dtype == torch.bool:
        return _with_channels(tensor.to("cpu", torch.float32))
    if tensor.dtype in _FULL_SCALE:
        return _with_channels(tensor.to("cpu").to(torch.float32).div_(_FULL_SCALE[tensor.dtype]))
    if not tensor.is_floating_point():
        raise InvalidInput(f"A picture of {tensor.dtype} has no known scale. Use uint8, uint16, bool, or floats 0..1.")
    picture = tensor.to("cpu", torch.float32)
    require_finite(picture, "The picture")
    low, high = (float(bound) for bound in torch.aminmax(picture))
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise InvalidInput(
            f"The picture's values run from {low:.4g} to {high:.4g}; floating-point pictures lie between 0 and 1. "
            "Divide 0..255 levels by 255, or undo a model's normalisation."
        )
    return _with_channels(picture.clamp(0, 1) if low < 0 or high > 1 else picture)


def _require_shape(shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[-1] not in (1, 2, 3, 4)):
        raise InvalidInput(
            f"A picture must have the shape [H, W] or [H, W, 1 to 4], channels last, not {list(shape)}. "
            "Pass the pictures of a batch one at a time."
        )
    if 0 in shape:
        raise InvalidInput(f"The picture has no pixels: its shape is {list(shape)}.")


def _with_channels(picture: Tensor) -> Tensor:
    """Make grey [H, W], [H, W, 1] and grey with alpha [H, W, 2] into RGB and RGBA."""
    if picture.ndim == 2:
        picture = picture.unsqueeze(-1)
    channels = picture.shape[-1]
    if channels == 1:
        return picture.expand(-1, -1, 3).contiguous()
    if channels == 2:
        return picture[..., [0, 0, 0, 1]]
    return picture
