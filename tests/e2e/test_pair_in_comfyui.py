"""A CLIP Vision and a CLIP of ComfyUI's own in a real ComfyUI: seen through, refused, stopped, unloaded."""

import time

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.server import Server
from pack.tests.e2e.test_nodes_in_comfyui import assert_ran

pytestmark = pytest.mark.host

RUNS = 12
MANY = 40  # pictures, whose squares are too many to be kept for another query
BYTES_A_RUN = 50_000


def graph(seed: int = 0, *, mixed: bool = False, query: str = "red square", count: int = 1) -> prompts.Graph:
    return {
        "picture": prompts.pictures(count, 96, 160, seed=seed),
        "halves": prompts.node("ProbeHalves", mixed=mixed),
        "clip": prompts.pair_clip(["halves", 0], ["halves", 1]),
        "heatmap": prompts.heatmap("clip", "picture", query),
        "presence": prompts.node("PreviewAny", source=["heatmap", 1]),
        "mask": prompts.tune("heatmap"),
        "overlay": prompts.overlay("picture", "mask"),
        "shown": prompts.node("PreviewImage", images=["overlay", 0]),
    }


def test_the_halves_find_what_is_there(comfyui: Server) -> None:
    run = comfyui.run(graph())
    assert_ran(run, "shown", "presence")
    (present,) = map(float, run.outputs["presence"]["text"])
    absent = comfyui.run(graph(query="a yellow cross"))
    assert_ran(absent, "shown")
    assert float(absent.outputs["presence"]["text"][0]) < present
    assert "clip" in absent.cached, "another query leaves the pair as it is"


def test_what_does_not_belong_together_is_refused_in_a_line(comfyui: Server) -> None:
    run = comfyui.run(graph(mixed=True))
    assert run.ending == "execution_error"
    assert "ViT-8-112 and clip_l do not share a space" in run.error["exception_message"]


def test_stop_leaves_a_pair_that_works(comfyui: Server) -> None:
    run = comfyui.run(graph(1, count=400), stop_when=lambda run: any(done > 5 for _, done, _ in run.progress))
    assert run.ending == "execution_interrupted"
    assert_ran(comfyui.run(graph(2)), "shown")


def alive_after_freeing(comfyui: Server) -> int:
    """How many remembered modules live once ComfyUI let go of all it would; it hears a wish before it fulfils it."""
    comfyui.free()
    found, since = -1, time.monotonic()
    while time.monotonic() - since < 1.0:
        alive = comfyui.get("/probe/memory")["alive"]
        if alive != found:
            found, since = alive, time.monotonic()
        time.sleep(0.2)
    return found


def test_both_go_when_comfyui_is_asked_and_runs_leave_nothing(comfyui: Server) -> None:
    before = alive_after_freeing(comfyui)
    assert_ran(comfyui.run(graph()), "shown")
    assert comfyui.get("/probe/memory")["alive"] == before + 2
    held = []
    for number in range(RUNS):
        assert_ran(comfyui.run(graph(number + 10, count=MANY)), "shown")
        held.append(comfyui.get("/probe/memory")["tensor_bytes"])
    settled = held[RUNS // 5 :]
    assert (settled[-1] - settled[0]) / len(settled) < BYTES_A_RUN, held
    assert alive_after_freeing(comfyui) == before
