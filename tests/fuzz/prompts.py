"""Inputs for a node, from what its schema says: what a page sends, and in place of a few what no page sends."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from pack.tests.fuzz.values import SAID, tensors, texts, weighted
from pack.tests.promised import Input, inputs, schemas

Strategy = st.SearchStrategy[Any]
Scene = Mapping[str, Sequence[Any]]
"""Values that go together, by the type of socket they travel on: pictures, masks and heatmaps of one batch."""
LEFT_OUT = object()
CONNECTED = "connected outputs"
ODD = st.sampled_from(
    [None, "x", 5, -1, 0.5, math.nan, math.inf, 10**30, True, [], {}, ["a"], {"x": 1}, b"x", object(), torch.zeros(2)]
)
FEW = {"max_new_tokens": 4, "frames": 3, "width": 96, "height": 96, "steps": 3, "blends": 3, "shares": 3, "window": 60}
"""What work grows with: no more of it than a test has time for."""
PREVIOUS = ("iterative", "evaluate")
"""Templates that need an earlier answer."""
USUAL = {
    "words": ("", "", "", "", "red"),
    "hint_words": ("",),
    "layer": ("auto", "auto", "0", "-1"),
    "layers": ("auto", "auto", "0", "0, 1"),
    "neutral_text": ("", "a picture"),
    "previous_answer": ("",),
    "instead_of": ("", "blue"),
    "answer": ("", "red", "it is a red star"),
    "template": ("plain", "step by step", "masked hint", *PREVIOUS),
    "names": ("", "plain, prompted"),
    "system_prompt": ("", "Be brief."),
}
"""Texts that suit an input of a name."""
HOW_MANY_ODD = (0, 0, 0, 0, 1, 1, 2, 3)
SELDOM = st.integers(0, 49).map(lambda number: number == 49)
TEXTS = st.sampled_from(["red star", "what color is the star?", "a blue square, and red"])


class Drawing:
    """How the inputs of nodes are drawn.

    scenes: what goes together; mostly everything in a prompt is of one. sockets: the values of further types. own: by
    the node, those of types or of inputs of some name.
    """

    def __init__(
        self, scenes: Sequence[Scene], sockets: Mapping[str, Strategy], own: Mapping[str, Mapping[str, Strategy]]
    ) -> None:
        self.scenes, self.sockets, self.own = scenes, sockets, own
        everything = {kind: [value for scene in scenes for value in scene[kind]] for kind in scenes[0]}
        self._all = {kind: st.sampled_from(values) for kind, values in everything.items()}
        self.inputs = functools.cache(self._inputs)  # to build strategies takes longer than to draw from them

    def _inputs(self, node: str, scene: int) -> Mapping[str, tuple[Strategy, Strategy]]:
        """For each input of a node what a page sends, and what it does not."""
        together = {
            kind: weighted((15, st.sampled_from(values)), (1, self._all[kind]))
            for kind, values in self.scenes[scene].items()
        }
        sockets = {**self.sockets, **together, **self.own.get(node, {})}
        return {name: (usual(name, one, sockets), unusual(name, one, sockets)) for name, one in inputs(node).items()}

    def prompts(self, node: str, lists: bool) -> Strategy:
        """All needed inputs of a node and some others, as a page sends them but for none to three of them, and which of
        its outputs something takes. lists: whether the node takes lists."""
        return _prompts(self, node, lists)


@st.composite
def _prompts(draw: Any, drawing: Drawing, node: str, lists: bool) -> dict[str, Any]:
    known, given = drawing.inputs(node, draw(st.sampled_from(range(len(drawing.scenes))))), inputs(node)
    optional = [name for name in known if given[name].get("optional")]
    left_out = draw(st.sets(st.sampled_from(optional))) if optional else ()
    made = {name: draw(page) for name, (page, _) in known.items() if name not in left_out}
    if made.get("template") in PREVIOUS and "previous_answer" in known:
        made["previous_answer"] = "a red star"
    for name in draw(st.lists(st.sampled_from(sorted(known)), max_size=draw(st.sampled_from(HOW_MANY_ODD)))):
        made[name] = draw(known[name][1])
    if draw(SELDOM):
        made["magic"] = 1
    made = {name: value for name, value in made.items() if value is not LEFT_OUT}
    if lists:
        several = {name: known[name][0] for name in known if name in SEVERAL}
        made = {name: _listed(draw, value, several.get(name)) for name, value in made.items()}
        if made and draw(SELDOM):
            made[draw(st.sampled_from(sorted(made)))] = []
    return {**made, CONNECTED: draw(st.sets(st.integers(0, len(schemas()[node]["outputs"]) - 1)))}


SEVERAL = {"image", "mask", "mapping", "bboxes", "points", "question", "answer", "words", "hint_words", "instead_of"}
"""Inputs that a node which takes lists may get several values of; of a setting it takes one."""


def _listed(draw: Any, value: Any, more: Strategy | None) -> Any:
    """A value as ComfyUI hands it to a node that takes lists, now and then with another of its kind."""
    if isinstance(value, Mapping):
        return {name: _listed(draw, inner, None) for name, inner in value.items()}
    return [value, draw(more)] if more is not None and not draw(st.integers(0, 7)) else [value]


def parts(example: tuple[str, Mapping[str, Any]]) -> list[str]:
    """What an example tries: the node, and each of its inputs, by their names."""
    node, given = example
    found = [node]
    for name in inputs(node):
        if name in given:
            value, dynamic = given[name], inputs(node)[name]["type"].startswith("COMFY_")
            found.append(f"{node}.{name}")
            if dynamic and isinstance(value, Mapping):
                option = value.get(name, "")
                found += [f"{node}.{name}.{option if inner == name else inner}" for inner in value]
    return found


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
    here = [kind for kind in kinds if kind not in NOT_HERE or kind in sockets]
    made = [(WEIGHTS.get(kind, 1), _of_kind(kind, name, given, sockets)) for kind in here]
    return weighted(*made) if made else st.just(LEFT_OUT)


WEIGHTS = {"ATTNPROMPT_LVLM": 4, "CLIP": 2}
NOT_HERE = ("CLIP", "CLIP_VISION")
"""Types whose values only a real ComfyUI has."""


def _chosen(name: str, option: Mapping[str, Any], sockets: Mapping[str, Strategy]) -> Strategy:
    made = {inner["id"]: usual(inner["id"], inner, sockets) for inner in option["inputs"]}
    needed = {inner: values for inner, values in made.items() if inner in FEW}
    further = {inner: values for inner, values in made.items() if inner not in FEW}
    return st.fixed_dictionaries({name: st.just(option["key"]), **needed}, optional=further)


def _of_kind(kind: str, name: str, given: Input, sockets: Mapping[str, Strategy]) -> Strategy:
    if kind in sockets:
        return sockets[kind]
    if name in sockets:
        return sockets[name]
    plain: dict[str, Strategy] = {
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
    some = [(3, ODD), (1, st.just(LEFT_OUT))]
    if {"IMAGE", "MASK"} & {*kinds}:
        some.append((12, tensors()))
    if "STRING" in kinds or "COMBO" in kinds or "COLOR" in kinds:
        some.append((8, texts()))
    if {"INT", "FLOAT"} & {*kinds} and name not in FEW:
        bounds = [given["min"], given["max"]]
        some.append(
            (4, st.sampled_from([*bounds, *bounds, given["min"] - 1, given["max"] + 1, -(2**63), 2**64, 1e30, 10**400]))
        )
    if "BOUNDING_BOX" in kinds:
        some.append((8, boxes()))
    if "template" in given:
        prefix, inner = given["template"]["prefix"], given["template"]["input"]
        slots = st.sampled_from([f"{prefix}{number}" for number in range(3)])
        values = st.one_of(usual(prefix, inner, sockets), unusual(prefix, inner, sockets).filter(_is_there))
        some.append((12, st.dictionaries(slots, values, max_size=3)))
    if given.get("options") and isinstance(given["options"][0], Mapping):
        some.append((1, st.fixed_dictionaries({name: st.sampled_from(SAID)})))
        odd = st.sampled_from(given["options"]).flatmap(lambda option: _oddly_chosen(name, option, sockets))
        some.append((12, odd))
    return weighted(*some)


def _oddly_chosen(name: str, option: Mapping[str, Any], sockets: Mapping[str, Strategy]) -> Strategy:
    odd = {inner["id"]: unusual(inner["id"], inner, sockets).filter(_is_there) for inner in option["inputs"]}
    few = {inner: st.just(FEW[inner]) for inner in odd if inner in FEW}
    rest = {inner: values for inner, values in odd.items() if inner not in FEW}
    return st.fixed_dictionaries({name: st.just(option["key"]), **few}, optional=rest)


def _is_there(value: Any) -> bool:
    return value is not LEFT_OUT


def boxes() -> Strategy:
    """Boxes as they travel on a socket of ComfyUI's."""
    number = st.integers(0, 12) | st.sampled_from([-3, 10**9, 10**400, 0.5, math.nan, "x"])
    box = st.fixed_dictionaries(dict.fromkeys(("x", "y", "width", "height"), number))
    good = st.just({"x": 1, "y": 1, "width": 6, "height": 5, "label": "a", "score": 1.0})
    several = st.lists(good | box, max_size=3)
    return weighted((2, good), (1, box), (1, several), (1, st.lists(several, max_size=2)))
