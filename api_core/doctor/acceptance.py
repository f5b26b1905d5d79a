"""The acceptance run of a device: the embedded models, then models of the size that people use, with what they cost.

Each model goes through the same steps: the same answer before and after it was explained, a map read while generating
equal to one read in a second pass, maps equal to the processor's where the model is small enough, costs as ratios, and
its memory given back.
"""

import gc
import itertools
import statistics
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..answering import AvisC
from ..answering.asking import ask
from ..attribution.clip.heatmap import clip_heatmap
from ..attribution.lvlm.heatmap import lvlm_heatmap
from ..autograd import frozen
from ..errors import ModelNotFound
from ..explanation.explain import explain
from ..models.clip import ClipModel
from ..models.clip.load import load_clip
from ..models.devices import resolve_device
from ..models.lvlm.load import load_lvlm
from ..models.lvlm.model import LvlmModel
from ..models.random_models import QUESTION, SMALL_EYES, VIT_L, random_clip, random_lvlm
from ..models.threads import one_thread
from .checks import BOUNDS, Row, check_embedded, distance, guarded, precisions_of, values_of

SECONDS = 8 * 60
TOKENS, ROUNDS, STEPS = 32, 5, 3
COMPARED_WEIGHTS = 1_000_000_000
"""A model with more is not run on the processor beside its device."""

COST_BOUNDS = {"map / encoding": 1.15, "map / generating": 1.10, "AvisC / plain": 2.2}
ROOM_7B = 24 * 2**30
LEFT_BYTES = 32 * 2**20
FUSED = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
}
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class Clock:
    """When the run has to be over."""

    seconds: float = SECONDS
    begun: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        return time.monotonic() - self.begun > self.seconds


def accept(
    names: Sequence[str] = (), *, device: str = "auto", small: bool | None = None, clock: Clock | None = None
) -> Iterator[Row]:
    """The rows of the acceptance run, as they are found.

    names: models of the catalogs, or folders, whose weights are here; none: random ones, shaped as ViT-L-14-336 and
    an LVLM of seven billion weights. small: random ones of a size for a processor; None: on a processor, or where
    there is little memory.
    """
    place, clock = resolve_device(device), clock or Clock()
    yield from fused_attention(place)
    yield from check_embedded(str(place))
    for name, load in _loaders(names, place, small):
        if clock.is_over():
            yield Row(name, f"left out: {clock.seconds / 60:.0f} minutes are over")
            continue
        yield from guarded(name, partial(_one_model, name, load, place, clock))


def fused_attention(place: torch.device) -> Iterator[Row]:
    """Which of torch's fused kernels run here, in which precisions."""
    for name, backend in FUSED.items():
        can = [precision for precision in precisions_of(place) if _attends(backend, place, precision)]
        yield Row(f"{name} attention, {place.type}", ", ".join(can) or "absent")


def _attends(backend: SDPBackend, place: torch.device, precision: str) -> bool:
    dtype = next(dtype for dtype, name in NAMES.items() if name == precision)
    values = torch.ones(1, 2, 16, 64, device=place, dtype=dtype)
    try:
        with sdpa_kernel(backend), frozen():
            torch.nn.functional.scaled_dot_product_attention(values, values, values)
    except RuntimeError:  # how torch says that it has no such kernel
        return False
    return True


Model = ClipModel | LvlmModel


def _loaders(
    names: Sequence[str], place: torch.device, small: bool | None
) -> Iterator[tuple[str, Callable[[str | torch.device], Model]]]:
    for name in names:
        yield name, partial(_load, name)
    if names:
        return
    if small is None:
        small = place.type != "cuda" or torch.cuda.mem_get_info(place)[0] < ROOM_7B
    if small:
        yield "random ViT-B-32", lambda on: random_clip("ViT-B-32", on)
        yield "random LVLM (tiny)", lambda on: random_lvlm("tiny", on, torch.float32, SMALL_EYES)
        return
    half = torch.bfloat16 if "bf16" in precisions_of(place) else torch.float16
    yield "random ViT-L-14-336", lambda on: random_clip("ViT-L-14-336", on)
    yield "random LVLM (7B)", lambda on: random_lvlm("7b", on, half, VIT_L)


def _load(name: str, device: str | torch.device) -> Model:
    """A CLIP or an LVLM of that name or folder."""
    try:
        return load_clip(name, device=device)
    except ModelNotFound as no_clip:
        try:
            return load_lvlm(name, device=device)
        except ModelNotFound:
            raise no_clip from None


def _one_model(
    name: str, load: Callable[[str | torch.device], Model], place: torch.device, clock: Clock
) -> Iterator[Row]:
    before = _held(place)
    model = load(place)
    weights = sum(weight.numel() for weight in model.module.parameters())
    yield Row(name, f"{weights / 1e6:,.0f} million weights, {place.type} {NAMES.get(model.dtype, model.dtype)}")
    steps = _clip_steps if isinstance(model, ClipModel) else _lvlm_steps
    compared = load if weights <= COMPARED_WEIGHTS and place.type != "cpu" else None
    yield from steps(name, model, compared, clock)  # type: ignore[arg-type]
    alive = weakref.ref(model.module)
    del model
    gc.collect()
    if place.type == "cuda":
        torch.cuda.empty_cache()
    left = _held(place) - before
    gone = alive() is None and left <= LEFT_BYTES
    yield Row(f"{name}: given back", f"{max(left, 0) / 2**20:.0f} MB left", f"≤ {LEFT_BYTES >> 20} MB", gone)


def _held(place: torch.device) -> int:
    """Bytes that torch holds on a device; on the processor it does not count them."""
    return torch.cuda.memory_allocated(place) if place.type == "cuda" else 0


def _picture() -> Tensor:
    return torch.rand(336, 448, 3, generator=torch.Generator().manual_seed(0))


def _clip_steps(name: str, model: ClipModel, compared: Callable[..., Any] | None, clock: Clock) -> Iterator[Row]:
    pictures, query = [_picture()], "a red bicycle in front of the house"
    if compared is not None:
        right = values_of(clip_heatmap(compared("cpu"), pictures, query))
        far = distance(values_of(clip_heatmap(model, pictures, query)), right)
        bound = BOUNDS[NAMES.get(model.dtype, "fp32")]
        yield Row(f"{name}: map, against the processor's", f"{far:.1e} of its spread", f"≤ {bound}", far <= bound)
    numbers = itertools.count()
    encode_image: Callable[[Tensor], Tensor] = getattr(model.module, "encode_image")  # noqa: B009 - torch types it

    def fresh() -> tuple[Tensor, str]:
        """A picture of the model's size and a text, neither of which it remembers."""
        number = next(numbers)
        noise = torch.rand(model.side, model.side, 3, generator=torch.Generator().manual_seed(number))
        return noise, f"{query} {number}"

    def encoding() -> None:
        picture, text = fresh()
        pixels = model.spec.normalise(picture.movedim(-1, 0)[None])
        with frozen():
            encode_image(pixels.to(model.device, model.dtype))
            model.encode_texts([text])

    def mapping() -> None:
        picture, text = fresh()
        clip_heatmap(model, [picture], text, words=False)

    yield _ratio(name, "map / encoding", mapping, encoding, model.device, clock)


def _lvlm_steps(name: str, model: LvlmModel, compared: Callable[..., Any] | None, clock: Clock) -> Iterator[Row]:
    pictures = [_picture()]
    settings: dict[str, Any] = {"max_new_tokens": TOKENS}
    (first,) = ask(model, pictures, QUESTION, **settings)
    explain(model, pictures, QUESTION, answers=first.text or "w7", steps=STEPS)
    (again,) = ask(model, pictures, QUESTION, **settings)
    yield Row(
        f"{name}: ask, explain, ask",
        "the same answer" if first.text == again.text else f"{first.text!r}, then {again.text!r}",
        "the same answer",
        first.text == again.text,
    )
    while_generating = lvlm_heatmap(model, pictures, QUESTION, **settings)
    second = lvlm_heatmap(model, pictures, QUESTION, answers=while_generating.replies[0])
    bound = BOUNDS[NAMES.get(model.dtype, "fp32")]
    far = distance(values_of(second.heatmap), values_of(while_generating.heatmap))
    yield Row(f"{name}: map in a second pass", f"{far:.1e} of its spread", f"≤ {bound}", far <= bound)
    if compared is not None:
        right = lvlm_heatmap(compared("cpu"), pictures, QUESTION, answers=while_generating.replies[0].text)
        found = lvlm_heatmap(model, pictures, QUESTION, answers=while_generating.replies[0].text)
        far = distance(values_of(found.heatmap), values_of(right.heatmap))
        yield Row(f"{name}: map, against the processor's", f"{far:.1e} of its spread", f"≤ {bound}", far <= bound)

    def plain() -> None:
        ask(model, pictures, QUESTION, **settings)

    yield _ratio(
        name,
        "map / generating",
        lambda: lvlm_heatmap(model, pictures, QUESTION, **settings),
        plain,
        model.device,
        clock,
    )
    yield _ratio(
        name,
        "AvisC / plain",
        lambda: ask(model, pictures, QUESTION, decoding=AvisC(), **settings),
        plain,
        model.device,
        clock,
    )


def _ratio(
    name: str, what: str, dear: Callable[[], object], plain: Callable[[], object], place: torch.device, clock: Clock
) -> Row:
    """The median of the ratios of alternating runs, after one of each."""
    bound = COST_BOUNDS[what]
    ratios: list[float] = []
    with one_thread():  # processor time of several would count how long they wait for each other
        dear()
        plain()
        while len(ratios) < ROUNDS and not (ratios and clock.is_over()):
            ratios.append(_seconds(dear, place) / (base := _seconds(plain, place)))
    ratio = statistics.median(ratios)
    seen = f"{ratio:.2f} times {base:.3f} s ({len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f})"
    return Row(f"{name}: {what}", seen, f"≤ {bound}", ratio <= bound)


def _seconds(work: Callable[[], object], place: torch.device) -> float:
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    now = time.process_time if place.type == "cpu" else time.perf_counter
    begun = now()
    work()
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return now() - begun
