"""The whole job in one call: from a picture and a question to the prompted picture.

`prompt_picture` is this library's own; `clip_api` takes what the paper's published package takes.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from .attribution import clip_heatmap
from .masks import tune
from .models.catalog import EMBEDDED_CLIP, mask_defaults
from .models.clip import ClipModel
from .models.clip.load import load_clip
from .overlay import FadeStyle, Style, apply
from .pictures import PictureSource, flatten_alpha, open_image, to_picture, to_pil
from .progress import Progress, ignore_progress
from .results import Heatmap, Reading

log = logging.getLogger(__name__)

AnyImage = str | Path | Image.Image


@dataclass(frozen=True)
class PromptedPicture:
    """A prompted picture and how it came about.

    picture: float32 [H, W, 3 or 4], 0..1. mask: float32 [H, W], 0..1, 1 = relevant. heatmap: the raw map, of one
    picture. warnings: what a reader of the result should know.
    """

    picture: Tensor
    mask: Tensor
    heatmap: Heatmap
    warnings: tuple[str, ...] = ()

    def to_pil(self) -> Image.Image:
        """The prompted picture for PIL."""
        return to_pil(self.picture)


def prompt_picture(
    picture: PictureSource,
    query: str,
    *,
    model: ClipModel | str | Path = EMBEDDED_CLIP,
    method: str = "decomposition",
    layer: int | None = None,
    contrast: float | None = None,
    smoothing: float | None = None,
    interpolation: str = "lanczos",
    words: Sequence[str] = (),
    threshold: float = 0.0,
    grow: int = 0,
    invert: bool = False,
    style: Style | None = None,
    strength: float = 1.0,
    reading: Reading = "precise",
    fit: str | None = None,
    neutral_text: str | None = None,
    allow_download: bool = False,
    on_progress: Progress = ignore_progress,
) -> PromptedPicture:
    """Prompt one picture with a question: what does not matter to it fades, or what `style` says.

    picture: a path, a PIL picture, an array or a tensor; it is turned as its EXIF says and made RGB or RGBA first, in
    the upstream reading too (there `clip_api` takes a file as the official code opens it). model: a loaded CLIP, or
    what `load_clip` takes; the last one loaded is kept until `release()`. words: use the maps of these words of the
    query instead of the whole. None for layer, contrast, smoothing and fit is the catalog's choice for the model; for
    style a fade to black.
    """
    pixels = to_picture(picture)
    loaded = model if isinstance(model, ClipModel) else _keep_loaded(model, allow_download=allow_download)
    heatmap = clip_heatmap(
        loaded,
        [pixels],
        query,
        method=method,
        layer=layer,
        reading=reading,
        fit=fit,
        neutral_text=neutral_text,
        words=bool(words),
        on_progress=on_progress,
    )
    settings = mask_defaults(loaded.name, contrast, smoothing)
    tuned = tune(
        heatmap,
        contrast=settings.contrast,
        smoothing=settings.smoothing,
        interpolation=interpolation,
        words=words,
        threshold=threshold,
        grow=grow,
        invert=invert,
    )
    drawn = apply(pixels, tuned.masks[0], FadeStyle() if style is None else style, strength)
    return PromptedPicture(drawn, tuned.masks[0], heatmap, (*heatmap.warnings, *tuned.warnings))


def clip_api(
    images: AnyImage | Sequence[AnyImage],
    queries: str | Sequence[str],
    model_name: str | Path,
    batch_size: int = 8,
    layer_index: int | None = None,
    enhance_coe: float | None = None,
    kernel_size: float | None = None,
    interpolate_method_name: str = "LANCZOS",
    grayscale: float = 0,
    *,
    reading: Reading = "precise",
    fit: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    allow_download: bool = False,
    folders: Sequence[Path] = (),
    on_progress: Progress = ignore_progress,
) -> list[Image.Image]:
    """Prompt pictures with questions, as `clip_api` of the paper's package `apiprompting` does.

    images: paths or PIL pictures. queries: one for all of them, or one for each. model_name: `ViT-L-14-336`,
    `ViT-L-14`, `ViT-B-32` (OpenAI's weights), any other name of the catalog, or a path. layer_index, enhance_coe
    (contrast) and kernel_size (smoothing, in patches): None is the model's own value, which for those three is the
    package's (22, 10, 3; layer 10 of the 12 of ViT-B-32). grayscale: what fades, fades to this level, 0 (black) to
    255. reading: "upstream" gives the numbers of the official code, in float32 unless `precision` says otherwise. The
    last model is kept between calls; `release()` frees it.

    Returns RGB pictures of the same sizes, in order.
    """
    sources = [images] if isinstance(images, AnyImage) else list(images)
    if not sources:
        return []
    style = FadeStyle.grey(grayscale, "truncate" if reading == "upstream" else "round")
    if reading == "upstream" and precision == "auto":
        precision = "fp32"
    opened = [_open_raw(source) if reading == "upstream" else to_picture(source) for source in sources]
    model = _keep_loaded(
        model_name, precision=precision, device=device, allow_download=allow_download, folders=tuple(folders)
    )
    heatmap = clip_heatmap(
        model,
        opened,
        queries,
        layer=layer_index,
        reading=reading,
        fit=fit,
        words=False,
        batch_size=batch_size,
        on_progress=on_progress,
    )
    settings = mask_defaults(model.name, enhance_coe, kernel_size)
    tuned = tune(
        heatmap,
        contrast=settings.contrast,
        smoothing=settings.smoothing,
        interpolation=interpolate_method_name,
    )
    for warning in dict.fromkeys((*heatmap.warnings, *tuned.warnings)):
        log.warning(warning)
    return [to_pil(apply(_to_rgb(picture), mask, style)) for picture, mask in zip(opened, tuned.masks, strict=True)]


def _open_raw(source: AnyImage) -> Image.Image:
    """A picture as the official code opens it: not turned by its EXIF, in its own mode."""
    if isinstance(source, Image.Image):
        return source
    with open_image(source) as image:
        return image.copy()


def _to_rgb(picture: Tensor | Image.Image) -> Tensor:
    """[H, W, 3]: a tensor's alpha laid on white; a PIL picture's dropped, as the official code drops it."""
    if isinstance(picture, Tensor):
        return flatten_alpha(picture)
    return to_picture(_without_exif(picture.convert("RGB")))


def _without_exif(image: Image.Image) -> Image.Image:
    """The same pixels without the note on how to turn them, which this reading ignores."""
    return Image.frombytes(image.mode, image.size, image.tobytes())


_lock = threading.Lock()
_kept: tuple[tuple[object, ...], ClipModel] | None = None


def _keep_loaded(
    model: str | Path,
    *,
    precision: str = "auto",
    device: str = "auto",
    allow_download: bool = False,
    folders: tuple[Path, ...] = (),
) -> ClipModel:
    """The model of the last call when it was the same, else a new one in its place; never two at once."""
    global _kept
    key = (str(model), precision, device, folders)
    with _lock:
        if _kept is None or _kept[0] != key:
            _kept = None
            loaded = load_clip(
                model, precision=precision, device=device, allow_download=allow_download, folders=folders
            )
            _kept = (key, loaded)
        return _kept[1]


def release() -> None:
    """Forget the model that is kept between calls, and give its memory back."""
    global _kept
    with _lock:
        _kept = None
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
