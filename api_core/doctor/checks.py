"""A small check on the embedded models, in every precision that a device has."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..answering.asking import ask
from ..attribution.clip.heatmap import clip_heatmap
from ..attribution.lvlm.heatmap import lvlm_heatmap
from ..errors import reason
from ..models.catalog import EMBEDDED_CLIP, EMBEDDED_LVLM
from ..models.clip.load import load_clip
from ..models.devices import resolve_device
from ..models.lvlm.load import load_lvlm
from ..results import Heatmap
from ..scenes import draw_scene, make_scene

BOUNDS = {"fp32": 1e-3, "bf16": 0.5, "fp16": 0.1}
"""How far a map may be from the processor's in fp32, as a share of that one's standard deviation."""

SCENE = 5
"""Of the development scenes: a red circle and a white heart, which the embedded models have no trouble with."""


@dataclass(frozen=True)
class Row:
    """One line of a table: what was looked at, what was seen, and what it may be; ok: None where there is no bound."""

    what: str
    seen: str
    bound: str = ""
    ok: bool | None = None

    def __str__(self) -> str:
        mark = {True: "ok  ", False: "BAD ", None: "    "}[self.ok]
        return f"{mark}{self.what}: {self.seen}{f' ({self.bound})' if self.bound else ''}"


def precisions_of(device: torch.device) -> list[str]:
    """The precisions that a device computes in."""
    if device.type == "cuda":
        return ["fp32", *(["bf16"] if torch.cuda.is_bf16_supported() else []), "fp16"]
    return ["fp32", "fp16"] if device.type == "mps" else ["fp32", "bf16"]


def guarded(what: str, work: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """The rows of `work`; what goes wrong on somebody's machine becomes a row too, since that is what is looked for."""
    try:
        yield from work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
        yield Row(what, f"{type(error).__name__}: {reason(error, 200)}", "runs", False)


def check_embedded(device: str = "auto") -> Iterator[Row]:
    """The embedded models on a device: right, and as the processor's own maps in fp32, within BOUNDS."""
    place = resolve_device(device)
    yield from guarded("Embedded models, cpu fp32", lambda: _against_the_processor(place))


def _against_the_processor(place: torch.device) -> Iterator[Row]:
    answer = scene()[-1]
    right = _maps("fp32", "cpu")
    for precision in precisions_of(place):

        def rows(precision: str = precision) -> Iterator[Row]:
            found = _maps(precision, str(place))
            for name in ("CLIP map", "LVLM map"):
                far = distance(found[name], right[name])
                ok = far <= BOUNDS[precision]
                yield Row(f"{name}, {place.type} {precision}", f"{far:.1e} of its spread", f"≤ {BOUNDS[precision]}", ok)
            said = found["answer"]
            seconds = f"{said!r} in {found['seconds']:.2f} s"
            yield Row(f"Answer, {place.type} {precision}", seconds, f"is {answer!r}", said == answer)

        yield from guarded(f"{place.type} {precision}", rows)


def scene() -> tuple[Tensor, str, str, str]:
    """A drawn picture [H, W, 3], the name of a thing in it, a question about that, and its answer."""
    drawn = draw_scene(make_scene(SCENE, "development"), 336, 336)
    thing = drawn.scene.objects[0]
    picture = torch.from_numpy(drawn.picture).float()
    return picture, f"the {thing.colour} {thing.shape}", f"What colour is the {thing.shape}?", thing.colour


def values_of(heatmap: Heatmap) -> Tensor:
    """All raw values of a heatmap of one picture."""
    (picture,) = heatmap.pictures
    return torch.cat([view.values.flatten() for views in picture.parts.values() for view in views])


def distance(found: Tensor, right: Tensor) -> float:
    """The largest difference as a share of the spread of `right`."""
    return ((found - right).abs().max() / right.std()).item()


def _maps(precision: str, device: str) -> dict[str, Any]:
    picture, query, question, answer = scene()
    begun = time.perf_counter()
    clip = load_clip(EMBEDDED_CLIP, precision=precision, device=device)
    lvlm = load_lvlm(EMBEDDED_LVLM, precision=precision, device=device)
    (said,) = ask(lvlm, [picture], question)
    return {
        "CLIP map": values_of(clip_heatmap(clip, [picture], query)),
        "LVLM map": values_of(lvlm_heatmap(lvlm, [picture], question, answers=answer).heatmap),
        "answer": said.text,
        "seconds": time.perf_counter() - begun,
    }
