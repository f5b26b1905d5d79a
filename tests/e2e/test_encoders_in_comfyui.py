"""Encoders of ComfyUI's own in a real ComfyUI: beside Generate Text, stopped, unloaded, many runs."""

from typing import Any

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.server import Run, Server, wait_for
from pack.tests.e2e.test_nodes_in_comfyui import assert_ran

pytestmark = pytest.mark.host

QUESTION = "Where is the red square?"
RUNS = 50
BYTES_A_RUN = 50_000


def graph(kind: str = "qwen3vl", question: str = QUESTION, seed: int = 0, **read: Any) -> prompts.Graph:
    """The encoder asked by ComfyUI's own node and by ours, and where it looked."""
    return {
        "picture": prompts.pictures(1, 96, 96, seed=seed),
        "clip": prompts.node("ProbeEncoder", kind=kind),
        "own": prompts.node(
            "TextGenerate",
            clip=["clip", 0],
            prompt=question,
            image=["picture", 0],
            max_length=8,
            sampling_mode="off",
        ),
        "own text": prompts.node("PreviewAny", source=["own", 0]),
        "ask": prompts.ask("clip", "picture", question, max_new_tokens=8),
        "text": prompts.node("PreviewAny", source=["ask", 0]),
        "heatmap": prompts.lvlm_heatmap("clip", "picture", question, **{"max_new_tokens": 8, **read}),
        "answer": prompts.node("PreviewAny", source=["heatmap", 1]),
        "view": prompts.view("picture", "heatmap"),
        "shown": prompts.node("PreviewImage", images=["view", 0]),
    }


def texts(run: Run, node: str) -> list[str]:
    return list(run.outputs[node]["text"])


def test_one_encoder_answers_comfyuis_node_and_ours_and_shows_where_it_looked(comfyui: Server) -> None:
    run = comfyui.run(graph("qwen3vl"))
    assert_ran(run, "own text", "text", "answer", "shown")
    assert texts(run, "text") == texts(run, "answer")
    assert texts(run, "text")[0] in texts(run, "own text")[0]  # which keeps blanks at its ends
    given = comfyui.run(graph("qwen3vl", answer="a red square"))
    assert_ran(given, "shown")
    assert texts(given, "answer") == ["a red square"]


def test_qwen_images_encoder_is_read(comfyui: Server) -> None:
    wanted = graph("qwen25vl")
    for name in ("own", "own text", "ask", "text"):
        del wanted[name]
    run = comfyui.run(wanted)
    assert_ran(run, "shown")
    assert any("cannot let this Qwen2.5-VL answer" in text for text in run.texts)


def test_a_text_encoder_is_refused_in_a_line(comfyui: Server) -> None:
    wanted = graph("gemma2")
    for name in ("own", "own text", "ask", "text"):
        del wanted[name]
    run = comfyui.run(wanted)
    assert run.ending == "execution_error"
    assert "text encoder without eyes (Gemma2_2B)" in run.error["exception_message"]


def test_stop_in_the_middle_of_an_answer(comfyui: Server) -> None:
    def long(number: int) -> prompts.Graph:
        return {
            "picture": prompts.pictures(1, 96, 96),
            "clip": prompts.node("ProbeEncoder", kind="gemma4_e2b"),
            "heatmap": prompts.lvlm_heatmap("clip", "picture", f"stop {number}", max_new_tokens=4000),
            "answer": prompts.node("PreviewAny", source=["heatmap", 1]),
        }

    seconds: list[float] = []
    while len(seconds) < 3 and not any(each < 1.0 for each in seconds):  # what else this machine does is not ours
        run = comfyui.run(long(len(seconds)), stop_when=lambda run: any(done > 5 for _, done, _ in run.progress))
        assert run.ending == "execution_interrupted"
        assert run.seconds_to_stop is not None
        seconds.append(run.seconds_to_stop)
    assert min(seconds) < 1.0, seconds
    assert_ran(comfyui.run(graph("gemma4_e2b")), "shown")


def test_the_encoder_goes_when_comfyui_is_asked_and_runs_leave_nothing(comfyui: Server) -> None:
    comfyui.free()
    assert wait_for(lambda: comfyui.get("/probe/memory")["alive"] == 0)
    assert_ran(comfyui.run(graph()), "shown")
    assert comfyui.get("/probe/memory")["alive"] == 1
    held = []
    for number in range(RUNS):
        assert_ran(comfyui.run(graph(seed=number + 1)), "shown")
        held.append(comfyui.get("/probe/memory")["tensor_bytes"])
    settled = held[RUNS // 5 :]
    assert (settled[-1] - settled[0]) / len(settled) < BYTES_A_RUN
    comfyui.free()
    assert wait_for(lambda: comfyui.get("/probe/memory")["alive"] == 0), "the encoder outlived the node cache"
