"""Encoding what a model is shown, each thing once: what its cache holds is not run again."""

from collections.abc import Sequence

import torch

from ...models.clip import ClipModel, Encoding
from ...models.clip.cache import EncodingCache, encoding_key, encodings_of
from ...progress import Progress
from .looking import ModelView


def encode_views(
    model: ClipModel,
    looks: Sequence[ModelView],
    layer: int,
    fit: str,
    batch_size: int | None,
    on_progress: Progress,
) -> list[Encoding]:
    """The encodings of `looks` at `layer`, in order; on_progress counts looks times blocks."""
    cache: EncodingCache[Encoding] = encodings_of(model)
    settings = (model.name, layer, str(model.dtype), fit)
    keys = [encoding_key(look.pixels, *settings, _cells(look)) for look in looks]
    found = {key: encoding for key in keys if (encoding := cache.get(key)) is not None}
    missing = {key: look for key, look in zip(keys, looks, strict=True) if key not in found}
    total = len(looks) * model.depth
    done = total - len(missing) * model.depth
    # Pictures without padding go through by themselves: a mask of padding costs the attention its quickest kernels.
    for padded in (False, True):
        group = {key: look for key, look in missing.items() if bool(look.valid.all()) != padded}
        if not group:
            continue

        def report(steps: int, _: int, base: int = done) -> None:
            on_progress(base + steps, total)

        encodings = model.encode_pictures(
            torch.stack([look.pixels for look in group.values()]),
            layer,
            valid=torch.stack([look.valid for look in group.values()]) if padded else None,
            batch_size=batch_size,
            on_progress=report,
        )
        for key, encoding in zip(group, encodings, strict=True):
            found[key] = encoding
            cache.put(key, encoding)
        done += len(group) * model.depth
    on_progress(total, total)
    return [found[key] for key in keys]


def _cells(look: ModelView) -> bytes:
    return bytes(look.valid.flatten().to(torch.uint8).tolist())
