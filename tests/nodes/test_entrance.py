"""What comes into a node is of the kinds that its schema names, or one line of its own says what came instead."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.tests.nodes.conftest import ASK, EXPLAIN, HEATMAP, LVLM, LVLM_HEATMAP, MASK, REGIONS
from pack.tests.on_host import TINY, TINY_LVLM, Run, wants_lists
from pack.tests.promised import inputs, schemas

Given = dict[str, Any]
WRONG = [None, "x", 5, 0.5, True, math.nan, -math.inf, 10**400, b"x", ["x"], {"x": 1}, (1,), object(), torch.zeros(2)]
SOCKETS = ("IMAGE", "MASK", "CLIP", "ATTNPROMPT_CLIP", "ATTNPROMPT_LVLM", "ATTNPROMPT_HEATMAP", "ATTNPROMPT_SERVER")


@pytest.fixture
def working(run: Run, clip: Any, lvlm: Any, heatmap: Any, image: torch.Tensor) -> dict[str, Given]:
    """Inputs that each node works with, the optional ones left out; the server's node asks nobody."""
    mask = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0))
    fade = {"style": "fade to grey"}
    ask = {"image": image[:1], "question": "what is it?"}
    plain = {name: value for name, value in LVLM_HEATMAP.items() if name != "answer"}
    return {
        "AttnPromptLoadCLIP": {"model": TINY, "precision": "fp32", "allow_download": False},
        "AttnPromptLoadLVLM": {**LVLM, "model": TINY_LVLM},
        "AttnPromptConnectServer": {"profile": "ollama", "model": "any"},
        "AttnPromptCLIPHeatmap": {"clip": clip, "image": image, "query": "red square", **HEATMAP},
        "AttnPromptCombineHeatmaps": {"mode": "mean", "scale": "z-score", "heatmaps": {"heatmap0": heatmap}},
        "AttnPromptLVLMHeatmap": {"lvlm": lvlm, **ask, **plain},
        "AttnPromptTuneMask": {"heatmap": heatmap, **MASK},
        "AttnPromptOverlay": {"image": image, "mask": mask, "strength": 1.0, "style": fade},
        "AttnPromptFindRegions": {"mask": mask, **REGIONS},
        "AttnPromptView": {"image": image, "map": heatmap},
        "AttnPromptAsk": {"model": lvlm, **ask, **ASK},
        "AttnPromptExplain": {"lvlm": lvlm, **ask, **EXPLAIN},
        "AttnPromptCompareAnswers": {"names": "", "answers": {"answer0": "a", "answer1": "b"}},
        "AttnPromptDemoScene": {"width": 64, "height": 64, "objects": 1, "seed": 0},
        "AttnPromptSurerAnswer": {
            "model": lvlm,
            **ask,
            "skip_above": 1.0,
            "template": "plain",
            "max_new_tokens": 3,
            "prompted": {"prompted0": image[:1]},
        },
        "AttnPromptPairCLIP": {
            "clip_vision": SimpleNamespace(patcher=None, model=None, encode_image=None),
            "clip": SimpleNamespace(patcher=None, tokenizer=None, cond_stage_model=None),
        },
        "AttnPromptMapBack": {"mapping": [{"x": 0, "y": 0, "width": 9, "height": 9}], "points": "[]"},
    }


@pytest.mark.parametrize("node", schemas())
def test_a_wrong_kind_is_one_line_with_what_came_and_what_is_wanted(
    run: Run, working: dict[str, Given], node: str
) -> None:
    for name, given in inputs(node).items():
        if given["type"] not in SOCKETS and not given["type"].startswith(("ATTNPROMPT", "IMAGE,", "COMFY")):
            continue
        for wrong in WRONG:
            if wrong is None and (given.get("optional") or given["type"].startswith("COMFY")):
                continue
            if isinstance(wrong, torch.Tensor) and {"IMAGE", "MASK"} & {*given["type"].split(",")}:
                continue  # a wrong shape has its own error
            if isinstance(wrong, list | tuple | dict) and "BOUNDING_BOX" in given["type"]:
                continue  # and so have odd boxes
            with pytest.raises(InvalidInput) as error:
                run(node, **{**working[node], name: wrong})
            assert name in str(error.value)
            assert len(str(error.value).splitlines()) == 1
            assert len(str(error.value)) < 400


@pytest.mark.parametrize("node", schemas())
def test_an_input_that_no_node_has_is_named(run: Run, working: dict[str, Given], node: str) -> None:
    with pytest.raises(InvalidInput, match=r"has no input 'magic'\. It has: ") as error:
        run(node, **working[node], magic=["1", 0])
    assert next(iter(inputs(node))) in str(error.value)


@pytest.mark.parametrize("node", schemas())
def test_what_is_needed_and_does_not_come_is_named(
    classes: dict[str, Any], run: Run, working: dict[str, Given], node: str
) -> None:
    for name in [
        name for name, given in inputs(node).items() if given["type"] in SOCKETS and not given.get("optional")
    ]:
        without = {key: value for key, value in working[node].items() if key != name}
        for nothing in ({}, {name: [None]} if wants_lists(classes[node]) else {name: None}):
            with pytest.raises(InvalidInput, match=f"needs {name}, and got none"):
                run(node, **without, **nothing)


@pytest.mark.slow
@pytest.mark.parametrize("node", schemas())
def test_whatever_is_optional_can_be_left_out(run: Run, working: dict[str, Given], node: str) -> None:
    """Alone, and of a dynamic input each of its own settings."""
    names = [name for name, given in inputs(node).items() if given.get("optional")]
    if node == "AttnPromptMapBack":  # of which one has to be there
        names.remove("points")
    for name in names:
        without = {key: value for key, value in working[node].items() if key != name}
        run(node, **without)
        run(node, **without, **{name: None})


@pytest.mark.slow
def test_explain_without_a_method_has_the_first_that_is_offered(run: Run, working: dict[str, Given]) -> None:
    first = inputs("AttnPromptExplain")["method"]["options"][0]["key"]
    given = {**working["AttnPromptExplain"], "method": {}}
    heatmap = run("AttnPromptExplain", **given).args[0]
    assert heatmap.pictures[0].method == first


def test_a_choice_that_is_not_known_is_named_although_comfyui_leaves_it_away(
    run: Run, working: dict[str, Given], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pack.nodes.host

    monkeypatch.setattr(pack.nodes.host, "sent", lambda hidden, name: "glitter")
    for node, name in (("AttnPromptExplain", "method"), ("AttnPromptOverlay", "style"), ("AttnPromptAsk", "decoding")):
        given = {key: value for key, value in working[node].items() if key != name}
        with pytest.raises(InvalidInput, match=f"does not know the {name} 'glitter'. Choose one of: "):
            run(node, **given)


def test_whole_numbers_truth_and_texts_are_what_they_are_taken_for(run: Run, working: dict[str, Given]) -> None:
    scene = working["AttnPromptDemoScene"]
    (plain, *_) = run("AttnPromptDemoScene", **scene).args
    (same, *_) = run("AttnPromptDemoScene", **{**scene, "width": 64.0}).args
    assert torch.equal(plain, same)
    with pytest.raises(InvalidInput, match=r"Demo Scene: width takes a whole number, not 64\.5"):
        run("AttnPromptDemoScene", **{**scene, "width": 64.5})
    with pytest.raises(InvalidInput, match="threshold takes a finite number, not nan"):
        run("AttnPromptFindRegions", **{**working["AttnPromptFindRegions"], "threshold": math.nan})
    with pytest.raises(InvalidInput, match="invert takes true or false, not 'x'"):
        run("AttnPromptTuneMask", **{**working["AttnPromptTuneMask"], "invert": "x"})
    with pytest.raises(InvalidInput, match=r"style\.level takes a whole number, not 'dark'"):
        run(
            "AttnPromptOverlay", **{**working["AttnPromptOverlay"], "style": {"style": "fade to grey", "level": "dark"}}
        )


def test_half_an_emoji_goes_through_every_text(run: Run, working: dict[str, Given]) -> None:
    broken = "red \ud83d square"
    heatmap = run("AttnPromptCLIPHeatmap", **{**working["AttnPromptCLIPHeatmap"], "query": broken}).args[0]
    assert heatmap.pictures[0].labels[0].text == "red \N{REPLACEMENT CHARACTER} square"
    differences = run("AttnPromptCompareAnswers", names=broken, answers={"answer0": broken, "answer1": broken}).args[0]
    assert "\N{REPLACEMENT CHARACTER}" in differences[0]


def test_every_node_has_the_door(classes: dict[str, Any]) -> None:
    for node in classes.values():
        assert hasattr(node.execute.__func__, "__wrapped__"), f"{node.__name__}.execute is not `checked`"
