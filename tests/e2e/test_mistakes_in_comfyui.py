"""A user's mistake is one readable line on the node that it belongs to."""

from typing import Any

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.conftest import TINY
from pack.tests.e2e.server import Run, Server

pytestmark = pytest.mark.host


def assert_readable(run: Run, node: str, *words: str) -> None:
    assert run.ending == "execution_error", run.ending
    assert run.error["node_id"] == node
    for word in words:
        assert word.lower() in run.message.lower(), run.message
    assert len(run.message) < 1000
    assert len(run.message.splitlines()) == 1, run.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"query": "   "}, ["query"]),
        ({"layer": "99"}, ["layer", "99"]),
        ({"layer": "two"}, ["layer", "two"]),
    ],
)
def test_heatmap_settings(comfyui: Server, changes: dict[str, Any], words: list[str]) -> None:
    graph = prompts.quick_start(TINY)
    graph["heatmap"]["inputs"].update(changes)
    assert_readable(comfyui.run(graph), "heatmap", *words)


def test_picture_with_nan(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY)
    graph["picture"] = prompts.pictures(2, nan=True)
    assert_readable(comfyui.run(graph), "heatmap", "NaN")


def test_word_that_is_not_in_the_query(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY)
    graph["mask"] = prompts.tune("heatmap", words="zebra")
    assert_readable(comfyui.run(graph), "mask", "zebra", "red")


def test_unknown_combo_value_is_refused_before_it_runs(comfyui: Server) -> None:
    graph = prompts.quick_start("someone/else")
    run = comfyui.run(graph)
    assert run.ending == "refused"
    assert "someone/else" in str(run.refused["node_errors"]["clip"])


@pytest.mark.parametrize("name", ["someone/else", "clip_vision/../../secret", "/etc/passwd", "https://example.org/x"])
def test_model_name_over_a_link_is_checked_again(comfyui: Server, name: str) -> None:
    graph = prompts.quick_start(TINY)
    graph["name"] = prompts.node("ProbeText", text=name)
    graph["clip"] = prompts.load_clip(["name", 0])
    assert_readable(comfyui.run(graph), "clip", name, "Load CLIP")


def test_model_that_is_not_here_says_how_to_get_it(comfyui: Server) -> None:
    run = comfyui.run(prompts.quick_start("ViT-B-32/openai"))
    assert_readable(run, "clip", "ViT-B-32", "allow_download")


def test_unknown_style_names_the_styles(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY)
    graph["overlay"] = prompts.overlay("picture", "mask", style="glitter")
    assert_readable(comfyui.run(graph), "overlay", "style", "fade to grey", "outline")


@pytest.mark.parametrize(
    ("node", "changes", "words"),
    [
        ("heatmap", {"image": "x"}, ["image takes an IMAGE", "'x'"]),
        ("heatmap", {"clip": 1}, ["clip takes a model of Load CLIP", "not 1"]),
        ("heatmap", {"magic": ["picture", 0]}, ["no input 'magic'", "query"]),
        ("mask", {"heatmap": {"x": 1}}, ["heatmap takes a heatmap"]),
        ("overlay", {"mask": 0.5}, ["mask takes a MASK", "not 0.5"]),
        ("overlay", {"style": ["query", 0]}, ["does not know the style"]),
    ],
)
def test_what_no_page_sends(comfyui: Server, node: str, changes: dict[str, Any], words: list[str]) -> None:
    graph = prompts.quick_start(TINY)
    graph["query"] = prompts.node("ProbeText", text="red square")
    graph[node]["inputs"].update(changes)
    assert_readable(comfyui.run(graph), node, *words)


def test_explain_answer_without_its_method_has_one_and_an_unknown_one_is_named(comfyui: Server) -> None:
    graph = {
        "picture": prompts.pictures(),
        "lvlm": prompts.load_lvlm("tiny-lvlm"),
        "why": prompts.explain("lvlm", "picture", method="magic"),
        "shown": prompts.node("PreviewAny", source=["why", 1]),
    }
    assert_readable(comfyui.run(graph), "why", "does not know the method 'magic'", "rise")
    graph["why"] = prompts.explain("lvlm", "picture", method="difference")
    del graph["why"]["inputs"]["method"]
    graph["why"]["inputs"]["answer"] = "red"
    assert comfyui.run(graph).ending == "execution_success"


def test_masks_that_do_not_match_the_pictures(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY)
    graph["pictures"] = prompts.pictures(3)
    graph["three"] = prompts.heatmap("clip", "pictures")
    graph["mask"] = prompts.tune("three")
    graph["two"] = prompts.pictures(2)
    graph["overlay"] = prompts.overlay("two", "mask")
    assert_readable(comfyui.run(graph), "overlay", "3", "2")


def test_nothing_to_map_back_and_boxes_of_another_picture(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY)
    graph["back"] = prompts.map_back(["overlay", 1])
    graph["shown"] = prompts.node("PreviewAny", source=["back", 0])
    assert_readable(comfyui.run(graph), "back", "connect bboxes, points or mask")
    graph["box"] = prompts.node("PrimitiveBoundingBox", x=500, y=4, width=30, height=20)
    graph["back"] = prompts.map_back(["overlay", 1], bboxes=["box", 0])
    assert_readable(comfyui.run(graph), "back", "500", "outside", "96 x 64")


def test_a_prompt_without_a_strength_is_refused_and_gets_no_default(comfyui: Server) -> None:
    """So what a new node draws with never reaches a prompt that does not say it."""
    graph = prompts.quick_start(TINY)
    del graph["overlay"]["inputs"]["strength"]
    graph = {name: node for name, node in graph.items() if name != "view"}
    run = comfyui.run(graph)
    assert run.ending == "refused"
    (found,) = run.refused["node_errors"]["overlay"]["errors"]
    assert (found["type"], found["details"]) == ("required_input_missing", "strength")
