"""Texts of 50,000 letters in every text input of every node: nothing blocks, and Stop ends what takes long.

`pytest -s` prints what each took.
"""

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.server import Run, Server
from pack.tests.promised import Input, inputs, schemas
from pack.tests.servers.process import running

pytestmark = pytest.mark.host

LETTERS = 50_000
UNTIL_STOP = 0.3
BAR = 1.0
MOST_SECONDS = 3.0
"""The bar is for a machine that does nothing else; a busy one has three tries, and so many seconds."""
TEXTS = {
    "one word": "x" * LETTERS,
    "words": " ".join(f"word{number}" for number in range(LETTERS // 9)),
    "emoji and Chinese": ("🐱👩‍👩‍👧 猫在红色的星星左边吗。" * LETTERS)[:LETTERS],
    "brackets and lines": ('[["{\n,' * LETTERS)[:LETTERS],
    "what a CLIP takes": " ".join(f"word{number}" for number in range(2_000)),
    "what an encoder takes": "猫在红色的星星左边吗。 " * 380,
}
RAW = re.compile(r"Traceback|[A-Za-z]+Error\b|object is not|has no attribute|NoneType|unexpected")
TYPED, CHOSEN = ("STRING", "COLOR"), ("COMBO", "COMFY_DYNAMICCOMBO_V3")
"""Types of inputs that any text may be typed into, and that only a wire brings any text to."""
ANSWERING = {
    "ATTNPROMPT_LVLM": prompts.load_lvlm("tiny-lvlm"),
    "CLIP": prompts.node("ProbeEncoder", kind="qwen3vl"),
    "ATTNPROMPT_SERVER": prompts.connect("talker", "scripted-lvlm"),
}
"""Who answers, by the type of the socket: an embedded model, an encoder of ComfyUI's own, a server."""


class Case(NamedTuple):
    """A text input. at: its name in a prompt. model: the socket that takes a model that answers, and its type."""

    node: str
    at: str
    typed: bool
    chosen: Mapping[str, Any]
    model: tuple[str, str]

    def __str__(self) -> str:
        return "-".join([self.node.removeprefix("AttnPrompt"), self.at, *[*self.chosen.values()][:1], self.model[1]])


def base() -> prompts.Graph:
    """What nodes need beside the model that answers."""
    return {
        "picture": prompts.pictures(1, 64, 96),
        "prompted": prompts.pictures(1, 64, 96, seed=1),
        "lvlm": ANSWERING["ATTNPROMPT_LVLM"],
        "clip": prompts.load_clip("tiny-clip"),
        "halves": prompts.node("ProbeHalves", mixed=False),
        "heat": prompts.heatmap("clip", "picture"),
        "mask": prompts.tune("heat"),
        "overlay": prompts.overlay("picture", "mask"),
    }


def under_test() -> prompts.Graph:
    """A node of each kind, by its id."""
    heatmaps = {"heatmaps__heatmap0": ["heat", 0], "heatmaps__heatmap1": ["heat", 0]}
    answers = {"answers__answer0": "a red star", "answers__answer1": "a blue star"}
    made = [
        prompts.load_clip("tiny-clip"),
        prompts.load_lvlm("tiny-lvlm"),
        prompts.connect("talker", "scripted-lvlm"),
        prompts.pair_clip(["halves", 0], ["halves", 1]),
        prompts.heatmap("clip", "picture"),
        prompts.node("AttnPromptCombineHeatmaps", mode="mean", scale="rank", **heatmaps),
        prompts.lvlm_heatmap("lvlm", "picture", answer="a red star"),
        prompts.tune("heat"),
        prompts.overlay("picture", "mask"),
        prompts.find_regions("mask"),
        prompts.view("picture", "heat"),
        prompts.ask("lvlm", "picture"),
        prompts.surer("lvlm", "picture", "prompted"),
        prompts.explain("lvlm", "picture", answer="a red star", method="attention"),
        prompts.node("AttnPromptCompareAnswers", names="", **answers),
        prompts.node("AttnPromptDemoScene", width=64, height=64, objects=1, seed=0),
        prompts.map_back(["overlay", 1], points='[{"x": 3, "y": 4}]'),
    ]
    return {one["class_type"]: one for one in made}


def texts_of(name: str, given: Input, chosen: Mapping[str, Any]) -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
    """The text inputs within an input: name, whether any text may be typed, and what has to be chosen for it."""
    if "template" in given:
        inner = given["template"]["input"]
        yield from texts_of(f"{name}.{given['template']['prefix']}1", inner, chosen)
    elif given["type"] in TYPED + CHOSEN:
        yield name, given["type"] in TYPED, chosen
    for option in given.get("options") or []:
        if isinstance(option, Mapping):
            for inner in option["inputs"]:
                others = {
                    f"{name}.{one['id']}": one.get("default", (one.get("options") or [""])[0])
                    for one in option["inputs"]
                }
                yield from texts_of(f"{name}.{inner['id']}", inner, {name: option["key"], **others})


def cases() -> Iterator[Case]:
    for node in schemas():
        answering = [
            (name, kind)
            for name, given in inputs(node).items()
            for kind in given["type"].split(",")
            if kind in ANSWERING and node != "AttnPromptPairCLIP"
        ]
        for name, given in inputs(node).items():
            for at, typed, chosen in texts_of(name, given, {}):
                for model in answering if typed and answering else answering[:1] or [("", "")]:
                    yield Case(node, at, typed, chosen, model)


def graph_of(case: Case, text: Any) -> prompts.Graph:
    made = {**base(), "long": prompts.node("ProbeText", text=text), "it": under_test()[case.node]}
    given = made["it"]["inputs"]
    given |= case.chosen
    given[case.at] = text if case.typed else ["long", 0]
    if case.model[0]:
        made["answering"] = ANSWERING[case.model[1]]
        given[case.model[0]] = ["answering", 0]
    if not schemas()[case.node]["is_output_node"]:
        made["shown"] = prompts.node("PreviewAny", source=["it", 0])
    return made


@pytest.fixture(scope="module")
def server(comfyui: Server) -> Iterator[Server]:
    """ComfyUI with a server to ask."""
    with running() as behind:
        file = comfyui.base / "user" / "__attention_prompting" / "servers.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"version": 1, "profiles": {"talker": {"address": behind.address}}}))
        yield comfyui
        file.unlink()


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """What each run took, printed at the end."""
    rows: list[str] = []
    yield rows
    sys.stdout.write("\n" + "\n".join(rows) + "\n")


def what_it_needs(graph: prompts.Graph) -> prompts.Graph:
    """The graph without the node itself: everything else is made, and kept for the next run."""
    sources = {name: one for name, one in graph.items() if name not in ("it", "shown")}
    return {**sources, **{f"{name} shown": prompts.node("PreviewAny", source=[name, 0]) for name in sources}}


def run_and_stop(server: Server, graph: prompts.Graph) -> tuple[Run, float]:
    """Run, and press Stop once the node has worked for a while; the seconds that the node had the server."""
    began: list[float] = []

    def worked(run: Run) -> bool:
        if not began and "it" in run.executed:
            began.append(time.perf_counter())
        return bool(began) and time.perf_counter() - began[0] > UNTIL_STOP

    run = server.run(graph, stop_when=worked)
    return run, time.perf_counter() - began[0] if began else 0.0


def test_every_node_has_a_graph_and_text_inputs_are_found() -> None:
    assert {*under_test()} == {*schemas()}
    typed = {(case.node, case.at) for case in cases() if case.typed}
    assert {("AttnPromptAsk", "previous_answer"), ("AttnPromptCompareAnswers", "answers.answer1")} <= typed
    assert {case.node for case in cases()} >= {*schemas()} - {"AttnPromptFindRegions", "AttnPromptDemoScene"} - {
        "AttnPromptView", "AttnPromptPairCLIP"}  # fmt: skip


@pytest.mark.parametrize("case", [*cases()], ids=str)
def test_a_long_text_blocks_nothing(server: Server, table: list[str], case: Case) -> None:
    server.run(what_it_needs(graph_of(case, "red")))
    for kind, text in TEXTS.items() if case.typed else [*TEXTS.items()][:1]:
        for _ in range(3):  # what else this machine does is not ours
            run, seconds = run_and_stop(server, graph_of(case, text))
            stopped = run.seconds_to_stop
            if (stopped or 0.0) < BAR:
                break
        table.append(
            f"{case!s:60} {kind:20} {seconds:6.2f} s"
            + (f", stopped in {stopped:.2f} s" if stopped is not None else "")
            + f"  {run.ending} {run.message[:150]}"
        )
        assert run.ending in ("execution_success", "execution_error", "execution_interrupted")
        assert (stopped or 0.0) < MOST_SECONDS
        assert len(run.message) < 1000
        assert len(run.message.splitlines()) <= 1
        assert not RAW.search(run.message)
