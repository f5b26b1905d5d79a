"""What the paper's published package `apiprompting` offers, under the same names."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..attribution import clip_heatmap, lvlm_heatmap
from ..choices import Reading
from ..masks import tune
from ..models.conversation.case import Case
from ..models.lvlm.model import LvlmModel
from ..overlay import FadeStyle, apply
from ..pictures import flatten_alpha, open_image, to_picture, to_pil
from ..progress import Progress, ignore_progress
from ..results import Heatmap
from .model_cache import cached_clip, cached_lvlm
from .one_picture import FEW_TOKENS

log = logging.getLogger(__name__)

AnyImage = str | Path | Image.Image


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
    sources = _listed(images)
    if not sources:
        return []
    style = FadeStyle.grey(grayscale, "truncate" if reading == "upstream" else "round")
    if reading == "upstream" and precision == "auto":
        precision = "fp32"
    opened = [_open_raw(source) if reading == "upstream" else to_picture(source) for source in sources]
    model = cached_clip(model_name, precision=precision, device=device, allow_download=allow_download, folders=folders)
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
    pictures = [_to_rgb(picture) for picture in opened]
    return _draw(pictures, heatmap, enhance_coe, kernel_size, interpolate_method_name, style)


def llava_api(
    images: AnyImage | Sequence[AnyImage],
    queries: str | Sequence[str],
    model_name: str | Path,
    batch_size: int = 1,
    layer_index: int | None = None,
    enhance_coe: float | None = None,
    kernel_size: float | None = None,
    interpolate_method_name: str = "LANCZOS",
    grayscale: float = 0,
    *,
    reading: Reading = "precise",
    method: str | None = None,
    max_new_tokens: int = FEW_TOKENS,
    answers: str | Sequence[str | None] | None = None,
    hint_words: Sequence[str] | Sequence[Sequence[str]] = (),
    precision: str = "auto",
    attention: str = "auto",
    max_pixels: int = 0,
    device: str = "auto",
    allow_download: bool = False,
    folders: Sequence[Path] = (),
    on_progress: Progress = ignore_progress,
    system_prompt: str | None = None,
) -> list[Image.Image]:
    """Prompt pictures with questions, as `llava_api` of the paper's package `apiprompting` does.

    images, queries, kernel_size, interpolate_method_name, grayscale: as for `clip_api`. model_name: `llava-v1.5-7b`,
    `llava-v1.5-13b`, any other vision-language model of the catalog, or its folder. batch_size: pictures at once. What
    is None is the model's own value, which for those two is the package's (layer 20, contrast 10, smoothing 3).
    reading: "upstream" repeats the official code on the weights as transformers runs them: its steps and roundings, the
    picture in the middle of a square and resized by Pillow. The answer whose attention is read has at most
    max_new_tokens; answers: given ones instead. hint_words: the words of the answer that count. system_prompt: None is
    `VICUNA_SYSTEM_PROMPT` in the upstream reading of LLaVA-1.5, as the official code has it, and else none. The last
    model is kept between calls; `release()` frees it.

    Returns RGB pictures of the same sizes, in order.
    """
    sources = _listed(images)
    if not sources:
        return []
    style = FadeStyle.grey(grayscale, "truncate" if reading == "upstream" else "round")
    opened = [_open_raw(source) if reading == "upstream" else to_picture(source) for source in sources]
    model = cached_lvlm(
        model_name,
        precision=precision,
        attention=attention,
        max_pixels=max_pixels,
        resize="pil" if reading == "upstream" else "auto",
        device=device,
        allow_download=allow_download,
        folders=folders,
    )
    pictures = [_to_rgb(picture) for picture in opened]
    if system_prompt is None:
        system_prompt = _unsaid_system_prompt(model) if reading == "upstream" else ""
    heatmap = lvlm_heatmap(
        model,
        pictures,
        queries,
        answers=answers,
        hint_words=hint_words,
        method=method,
        layers=None if layer_index is None else [layer_index],
        reading=reading,
        max_new_tokens=max_new_tokens,
        system_prompt=system_prompt,
        batch_size=batch_size,
        on_progress=on_progress,
    ).heatmap
    return _draw(pictures, heatmap, enhance_coe, kernel_size, interpolate_method_name, style)


def _unsaid_system_prompt(model: LvlmModel) -> str:
    return model.family.unsaid_system_prompt(model.writer.write(Case((torch.zeros(1, 1, 3),), "?")))


def _listed(images: AnyImage | Sequence[AnyImage]) -> list[AnyImage]:
    return [images] if isinstance(images, AnyImage) else list(images)


def _draw(
    pictures: Sequence[Tensor],
    heatmap: Heatmap,
    contrast: float | None,
    smoothing: float | None,
    interpolation: str,
    style: FadeStyle,
) -> list[Image.Image]:
    """Tune the map and fade the pictures; what there is to warn of is logged."""
    tuned = tune(heatmap, contrast=contrast, smoothing=smoothing, interpolation=interpolation)
    for warning in dict.fromkeys((*heatmap.warnings, *tuned.warnings)):
        log.warning(warning)
    return [to_pil(apply(picture, mask, style)) for picture, mask in zip(pictures, tuned.masks, strict=True)]


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
    pixels = picture.convert("RGB")
    # The same pixels without the note on how to turn them, which this reading ignores.
    return to_picture(Image.frombytes(pixels.mode, pixels.size, pixels.tobytes()))
