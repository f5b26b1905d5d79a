"""Values of every type that a public function takes: what works, what may work, and what is odd."""

import collections.abc
import contextlib
import dataclasses
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from hypothesis import strategies as st
from pack import api_core
from pack.api_core import choices, overlay
from pack.api_core.answering import DECODINGS
from pack.api_core.answering.templates import TEMPLATES, Template
from pack.api_core.map_back import Cut, Way
from pack.api_core.masks import MaskSettings
from pack.api_core.models.conversation.case import Turn
from pack.api_core.models.server import Limits, Profile, Secret, ServerModel
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from pack.api_core.settings import PAPER_DEFAULTS, MaskDefaults
from PIL import Image

Strategy = st.SearchStrategy[Any]

SAID = (
    "what color is the star?",
    "red star",
    "a",
    "",
    "  ",
    "<image>",
    "</s><image><|im_end|>",
    "<think>a</think>red",
    "half \ud83d",
    "\udcff\udcfe",
    "a\x00b",
    "[[label|https://example.org]]",
    "{question} {hint}",
    "{unknown}",
    "star, , ,star",
    "\u202eright\u2066 \N{ZERO WIDTH JOINER}",
    "../../etc/passwd",
    "https://127.0.0.1:9/v1",
    "none",
    "auto",
    "wörd " * 400,
    "x" * 5000,
)
WORDS = tuple(
    name
    for known in vars(choices).values()
    for name in (known if isinstance(known, Mapping | tuple) else ())
    if isinstance(name, str)
)
NUMBERS = (0, 1, 2, 3, 7, 16, -1, -2, 99, 4096, 2**31, 2**32 - 1, 2**63, 2**64, -(2**64), 10**400)
FRACTIONS = (0.0, 0.5, 1.0, 2.5, -0.5, 1e-30, 1e30, -1e30, 1e308, 5e-324, math.nan, math.inf, -math.inf, 1 + 1e-7)
SHAPES = (
    (9, 12, 3),
    (9, 12, 4),
    (1, 1, 3),
    (1, 40, 3),
    (2, 9, 12, 3),
    (9, 12),
    (2, 9, 12),
    (1, 9, 12),
    (9, 12, 1),
    (9, 12, 2),
    (3, 9, 12),
    (9,),
    (),
    (0, 12, 3),
    (1, 1, 1, 1, 1),
)


def weighted(*some: tuple[int, Strategy]) -> Strategy:
    """One of several, each so often; `one_of` takes what it is given twice once."""
    choices = [strategy for weight, strategy in some for _ in range(weight)]
    return st.sampled_from(range(len(choices))).flatmap(choices.__getitem__)


def texts() -> Strategy:
    return st.one_of(st.sampled_from(SAID), st.sampled_from(WORDS), st.text(max_size=20))


def numbers() -> Strategy:
    return st.one_of(st.sampled_from(NUMBERS[:6]), st.sampled_from(NUMBERS), st.integers(-5, 40))


def fractions() -> Strategy:
    return st.one_of(st.floats(0, 1), st.sampled_from(FRACTIONS), numbers())


@st.composite
def tensors(draw: Any) -> torch.Tensor:
    shape = draw(st.sampled_from(SHAPES[:3]) | st.sampled_from(SHAPES))
    made = torch.rand(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 3))))
    kind = draw(st.sampled_from(["as it is"] * 6 + ["nan", "inf", "far", "whole", "truth", "double", "half", "flat"]))
    changed: dict[str, Callable[[], torch.Tensor]] = {
        "as it is": lambda: made,
        "nan": lambda: torch.where(made > 0.9, math.nan, made),
        "inf": lambda: torch.where(made > 0.9, math.inf, made),
        "far": lambda: made * 1e30 - 5e29,
        "whole": lambda: (made * 255).to(torch.uint8),
        "truth": lambda: made > 0.5,
        "double": lambda: made.double(),
        "half": lambda: made.half(),
        "flat": lambda: torch.zeros(shape),
    }
    return changed[kind]()


@st.composite
def images(draw: Any) -> Image.Image:
    mode = draw(st.sampled_from(["RGB", "RGBA", "L", "1", "P", "CMYK", "I;16", "F", "LA"]))
    return Image.new(mode, draw(st.sampled_from([(12, 9), (1, 1), (0, 5), (40, 1)])))


@st.composite
def arrays(draw: Any) -> np.ndarray:
    kind = draw(st.sampled_from(["u1", "<u2", ">u2", "f4", "f8", "f2", "i4", "?", "c8", "U3", "O", "M8[s]"]))
    return np.zeros(draw(st.sampled_from(SHAPES)), dtype=kind)


@st.composite
def picture_maps(draw: Any) -> PictureMap:
    """Maps of any grids, boxes, values, labels."""
    height, width = draw(st.sampled_from([(24, 32), (24, 32), (9, 12), (1, 1), (1, 40), (0, 5)]))
    texts = draw(st.sampled_from([("red star", "red", "star"), ("red star", "red", "red"), ("a",), ("",), ()]))
    labels = tuple(Label(text, "query word" if number else "whole") for number, text in enumerate(texts))
    whole = Box(0.0, 0.0, float(width), float(height))
    near = st.sampled_from(
        [whole, whole, Box(-4.0, 0.0, width + 4.0, float(height)), Box(2.0, 3.0, 4.5, 5.0), Box(3, 3, 3, 3)]
    )

    def view() -> View:
        rows, columns = draw(st.sampled_from([(3, 4), (6, 6), (6, 6), (1, 1), (1, 9)]))
        values = torch.randn(
            len(texts), rows, columns, generator=torch.Generator().manual_seed(draw(st.integers(0, 5)))
        )
        kind = draw(st.sampled_from(["as it is"] * 6 + ["nan", "inf", "far", "near", "flat", "nothing", "hollow"]))
        changed = {"nan": values.log(), "inf": values / 0, "far": values * 3e38, "near": values * 1e-42}
        changed |= {"flat": torch.ones_like(values), "hollow": values.clamp(max=0)}
        valid = torch.full((rows, columns), kind != "nothing")
        if not draw(st.integers(0, 3)):
            valid = torch.rand(rows, columns, generator=torch.Generator().manual_seed(0)) > 0.5
        return View(changed.get(kind, values), draw(near), valid)

    names = draw(st.lists(st.sampled_from(["attention", "patch", "class_token"]), max_size=3, unique=True))
    return PictureMap(
        (height, width),
        labels,
        {name: tuple(view() for _ in range(draw(st.sampled_from([1, 1, 1, 2, 0])))) for name in names or ["attention"]},
        "attention",
        draw(st.sampled_from(["tiny-lvlm", "tiny-clip", "another"])),
        None,
        reading=draw(st.sampled_from(choices.READINGS)),
        signed=draw(st.booleans()),
        defaults=draw(st.sampled_from([PAPER_DEFAULTS, MaskDefaults(0.0, 0), MaskDefaults(1e30, 1e30)])),
        presence=tuple(draw(st.sampled_from(FRACTIONS)) for _ in labels) if draw(st.booleans()) else (),
    )


def varied(base: Any, known: Mapping[Any, Strategy]) -> Strategy:
    """An object of a dataclass with none to two of its fields any value of their types, where the class takes it."""
    names = {**vars(api_core), "Tensor": torch.Tensor, **vars(sys.modules[type(base).__module__])}
    hints = typing.get_type_hints(type(base), names)
    made: dict[str, Strategy] = {}
    for field in dataclasses.fields(base):
        with contextlib.suppress(NotImplementedError):  # parts of a result that nobody makes by hand
            made |= {field.name: of_type(hints[field.name], known)} if field.init else {}

    @st.composite
    def drawn(draw: Any) -> Any:
        changed = draw(st.lists(st.sampled_from(sorted(made)), max_size=2)) if made else ()
        given = {name: draw(made[name]) for name in changed}
        try:
            return dataclasses.replace(base, **given)
        except api_core.AttentionPromptingError:
            return base

    return drawn()


def pools(**extra: Any) -> dict[Any, Strategy]:
    """The strategies of the classes, with what takes long to make made once. extra: by the class's name."""
    made = {
        str: texts(),
        int: numbers(),
        float: fractions(),
        bool: st.booleans(),
        torch.Tensor: tensors(),
        np.ndarray: arrays(),
        Image.Image: images(),
        Path: st.sampled_from([Path("no/such/file"), Path("/"), Path("."), Path("a\x00b")]),
        PictureMap: picture_maps(),
        Heatmap: st.sampled_from(extra["heatmaps"])
        | st.lists(picture_maps(), max_size=2).map(lambda maps: Heatmap(tuple(maps))),
        api_core.ClipModel: st.just(extra["clip"]),
        api_core.LvlmModel: st.just(extra["lvlm"]),
        Box: st.builds(Box, *[fractions()] * 4),
    }
    made[Secret] = st.builds(Secret, st.just("sk-1234567890"))
    nobody = ServerModel(Profile("a", "http://127.0.0.1:9"), "m", limits=Limits(retries=0, connect=1))
    made[ServerModel] = st.just(nobody)
    made[Limits] = st.builds(Limits)
    made[Profile] = st.builds(Profile, st.just("a"), st.just("http://127.0.0.1:9"))
    made[Turn] = st.builds(Turn, st.sampled_from(["user", "assistant"]), st.tuples(st.none() | texts()))
    made[Template] = st.sampled_from([*TEMPLATES.values()])
    made[torch.dtype] = st.sampled_from([torch.float32, torch.int64])
    made[extra["model"]] = st.just(extra["lvlm"])
    made[MaskSettings] = varied(MaskSettings(), made)
    made[Way] = varied(Cut(1, 2, 5, 5, (24, 32)), made)
    made[overlay.Style] = st.one_of([varied(kind(), made) for kind in overlay.STYLES])
    made[extra["decoding"]] = st.one_of([varied(kind(), made) for kind in DECODINGS])
    for name in ("answer", "reply", "explanation", "region", "case"):
        made[type(extra[name])] = varied(extra[name], made)
    return made


def of_type(hint: Any, known: Mapping[Any, Strategy]) -> Strategy:
    """Values of a type hint."""
    if hint in known:
        return known[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in (None, type(None)):
        return st.none()
    if hint in (Any, object):
        return st.one_of(texts(), numbers(), tensors(), st.none())
    if origin is Literal:
        return st.sampled_from(inner) | texts()
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(one, known) for one in inner if one is not type(None) or len(inner) < 3])
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return st.tuples(*[of_type(one, known) for one in inner])
    if origin in (collections.abc.Sequence, list, tuple):
        return st.lists(of_type(inner[0], known), max_size=3)
    if origin in (collections.abc.Mapping, dict):
        return st.dictionaries(of_type(inner[0], known), of_type(inner[1], known), max_size=2)
    if origin is collections.abc.Callable:  # what is called back is told something, or has to be made by hand
        return st.just(lambda *_: None) if inner[-1] in (None, type(None), object) else st.nothing()
    raise NotImplementedError(f"no values are known for {hint}")


def finite(found: Any) -> bool:
    """Whether every number in a result is one."""
    if isinstance(found, torch.Tensor):
        return not found.is_floating_point() or bool(torch.isfinite(found).all())
    if isinstance(found, float):
        return math.isfinite(found)
    if isinstance(found, str | bytes):
        return True
    if isinstance(found, Mapping):
        return all(finite(one) for one in found.values())
    if isinstance(found, Sequence | set):
        return all(finite(one) for one in found)
    if dataclasses.is_dataclass(found) and not hasattr(found, "module"):
        return all(finite(getattr(found, field.name)) for field in dataclasses.fields(found))
    return True


def brief(value: Any) -> Any:
    """A value as a report shows it: of tensors and models what they are."""
    if isinstance(value, torch.Tensor):
        bounds = f" {value.min():.3g} to {value.max():.3g}" if value.numel() and not value.is_complex() else ""
        return f"<{str(value.dtype).removeprefix('torch.')} {list(value.shape)}{bounds}>"
    if isinstance(value, Mapping):
        return {name: brief(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [brief(one) for one in value]
    if isinstance(value, Heatmap):
        return f"<Heatmap of {[(one.size, one.method) for one in value.pictures]}>"
    model = getattr(value, "model", value)
    return f"<{model.name}, {model.dtype}>" if hasattr(model, "module") else value
