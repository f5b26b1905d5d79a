"""Inputs for a node, from what its schema says: what a page sends, and in place of a few what no page sends."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from pack.tests.fuzz.values import SAID, tensors, texts
from pack.tests.promised import Input, inputs

Strategy = st.SearchStrategy[Any]
LEFT_OUT = object()
ODD = st.sampled_from(
    [None, "x", 5, -1, 0.5, math.nan, math.inf, 10**30, True, [], {}, ["a"], {"x": 1}, b"x", object(), torch.zeros(2)]
)
FEW = {"max_new_tokens": 4, "frames": 3, "width": 96, "height": 96, "steps": 3, "masks": 12, "window": 60}
"""What work grows with: no more of it than a test has time for."""
USUAL = {
    "words": ("", "", "red"),
    "hint_words": ("",),
    "layer": ("auto", "auto", "0", "-1"),
    "layers": ("auto", "auto", "0", "0, 1"),
    "neutral_text": ("", "a picture"),
    "previous_answer": ("",),
    "instead_of": ("",),
    "answer": ("", "red", "it is a red star"),
    "points": ("[]", '[{"x": 3, "y": 4}]'),
    "names": ("", "plain, prompted"),
    "model": ("m",),
    "system_prompt": ("", "Be brief."),
    "template": ("plain",),
}
"""Texts that suit an input of a name."""
PICTURES = torch.rand(2, 9, 12, 3, generator=torch.Generator().manual_seed(1))
TEXTS = st.sampled_from(["red star", "what color is the star?", "a blue square, and red"])


def usual(name: str, given: Input, sockets: Mapping[str, Strategy]) -> Strategy:
    """Values that the page sends for an input."""
    kinds = given["type"].split(",")
    if "template" in given:
        template = given["template"]
        inner = usual(template["prefix"], template["input"], sockets)
        slots = [f"{template['prefix']}{number}" for number in range(template["min"] + 1)]
        return st.fixed_dictionaries(dict.fromkeys(slots[: template["min"]], inner), optional={slots[-1]: inner})
    if given.get("options") and isinstance(given["options"][0], Mapping):
        return st.sampled_from(given["options"]).flatmap(lambda option: _chosen(name, option, sockets))
    return st.one_of([_of_kind(kind, name, given, sockets) for kind in kinds])


def _chosen(name: str, option: Mapping[str, Any], sockets: Mapping[str, Strategy]) -> Strategy:
    made = {inner["id"]: usual(inner["id"], inner, sockets) for inner in option["inputs"]}
    needed = {inner: values for inner, values in made.items() if inner in FEW}
    further = {inner: values for inner, values in made.items() if inner not in FEW}
    return st.fixed_dictionaries({name: st.just(option["key"]), **needed}, optional=further)


def _of_kind(kind: str, name: str, given: Input, sockets: Mapping[str, Strategy]) -> Strategy:
    if kind in sockets:
        return sockets[kind]
    plain: dict[str, Strategy] = {
        "IMAGE": st.just(PICTURES),
        "MASK": st.just(PICTURES[..., 0]),
        "BOOLEAN": st.booleans(),
        "COLOR": st.sampled_from(["#808080", "#fff"]),
        "STRING": st.sampled_from(USUAL[name]) if name in USUAL else TEXTS,
    }
    if kind == "COMBO":
        return st.sampled_from(USUAL["template"] if name == "template" else given["options"])
    if kind not in ("INT", "FLOAT"):
        return plain[kind]
    least, most = given["min"], min(given["max"], FEW.get(name, given["max"]))
    inside = st.integers(int(least), int(most)) if kind == "INT" else st.floats(least, most)
    return inside if name in FEW else st.one_of(st.just(given.get("default", least)), inside)


def unusual(name: str, given: Input, sockets: Mapping[str, Strategy]) -> Strategy:
    """What no page sends, a wire may bring, or a person may type."""
    kinds = given["type"].split(",")
    some = [ODD, st.just(LEFT_OUT)]
    if {"IMAGE", "MASK"} & {*kinds}:
        some += [tensors(), tensors(), tensors()]
    if "STRING" in kinds or "COMBO" in kinds or "COLOR" in kinds:
        some += [texts(), texts()]
    if {"INT", "FLOAT"} & {*kinds} and name not in FEW:
        some.append(
            st.sampled_from([given["min"] - 1, given["max"] + 1, given["min"], given["max"], -(2**63), 2**64, 1e30])
        )
    if "template" in given:
        prefix, inner = given["template"]["prefix"], given["template"]["input"]
        slots = st.sampled_from([f"{prefix}{number}" for number in range(3)])
        values = st.one_of(usual(prefix, inner, sockets), unusual(prefix, inner, sockets).filter(_is_there))
        some += [st.dictionaries(slots, values, max_size=3)] * 2
    if given.get("options") and isinstance(given["options"][0], Mapping):
        some.append(st.fixed_dictionaries({name: st.sampled_from(SAID)}))
        some += [st.sampled_from(given["options"]).flatmap(lambda option: _oddly_chosen(name, option, sockets))] * 3
    return st.one_of(some)


def _oddly_chosen(name: str, option: Mapping[str, Any], sockets: Mapping[str, Strategy]) -> Strategy:
    odd = {inner["id"]: unusual(inner["id"], inner, sockets).filter(_is_there) for inner in option["inputs"]}
    few = {inner: st.just(FEW[inner]) for inner in odd if inner in FEW}
    rest = {inner: values for inner, values in odd.items() if inner not in FEW}
    return st.fixed_dictionaries({name: st.just(option["key"]), **few}, optional=rest)


def _is_there(value: Any) -> bool:
    return value is not LEFT_OUT


@st.composite
def prompts(draw: Any, node: str, sockets: Mapping[str, Strategy], lists: bool) -> dict[str, Any]:
    """All inputs of a node, as a page sends them but for none to three of them."""
    given = inputs(node)
    made = {name: draw(usual(name, one, sockets)) for name, one in given.items()}
    for name in draw(st.lists(st.sampled_from([*sorted(given), "magic"]), max_size=3)):
        made[name] = draw(unusual(name, given[name], sockets)) if name in given else 1
        if lists and name in given and not draw(st.integers(0, 5)):
            made[name] = [made[name], draw(usual(name, given[name], sockets))]
    return {name: value for name, value in made.items() if value is not LEFT_OUT}


def boxes() -> Strategy:
    """Boxes as they travel on a socket of ComfyUI's."""
    number = st.integers(0, 12) | st.sampled_from([-3, 10**9, 0.5, math.nan, "x"])
    box = st.fixed_dictionaries(dict.fromkeys(("x", "y", "width", "height"), number))
    good = st.just({"x": 1, "y": 1, "width": 6, "height": 5, "label": "a", "score": 1.0})
    several = st.lists(good | box, max_size=3)
    return st.one_of(good, good, box, several, st.lists(several, max_size=2))
