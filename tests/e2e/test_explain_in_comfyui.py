"""Answers explained by the embedded model in a real ComfyUI: alone, in batches, stopped, in inference mode."""

import json
from typing import Any

import numpy as np
import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.server import Run, Server
from pack.tests.e2e.test_lvlm_in_comfyui import EMBEDDED, scene, shown, texts
from pack.tests.e2e.test_mistakes_in_comfyui import assert_readable
from pack.tests.e2e.test_nodes_in_comfyui import assert_ran, saved_pictures

pytestmark = pytest.mark.host

RED_STAR = 22  # the scene with one, beside triangles in yellow and blue
QUESTION = "What colour is the star?"
FEW_STEPS = {"method__steps": 4, "method__blends": 1}


def graph(question: Any = QUESTION, drawn: int = RED_STAR, **explained: Any) -> prompts.Graph:
    """A scene, an answer, what it needed, and everything that comes of it shown."""
    made: prompts.Graph = {"scene": scene(drawn), "lvlm": prompts.load_lvlm(EMBEDDED)}
    made["ask"] = prompts.ask("lvlm", "scene", question)
    made["answer"] = shown("ask")
    made["explain"] = prompts.explain("lvlm", "scene", question, **{"answer": ["ask", 0], **FEW_STEPS, **explained})
    made["view"] = prompts.view("scene", "explain")
    made["report"] = shown("explain", 1)
    made["curves"] = prompts.node("PreviewImage", images=["explain", 2])
    return made


def reports(run: Run) -> list[dict[str, Any]]:
    return [json.loads(text) for text in texts(run, "report")]


def test_what_was_asked_is_explained(comfyui: Server) -> None:
    made = graph()
    run = comfyui.run(made)
    assert_ran(run, *made)
    (report,) = reports(run)
    assert [report["answer"]] == texts(run, "answer")
    assert report["question"] == QUESTION
    assert report["depends on the picture"]
    assert report["verdict"]["kind"] in ("good", "weak", "bad")
    assert run.previews >= 1
    assert any(value > 0 for node, value, _ in run.progress if node == "explain")
    (curves,) = saved_pictures(comfyui, run, "curves")
    assert curves.size == (640, 480)
    (view,) = saved_pictures(comfyui, run, "view")
    left, right = (np.asarray(view.convert("RGB"))[60:, half] for half in (np.s_[:384], np.s_[-384:]))
    assert (left != right).mean() > 0.5, "the map lies over the right one"
    assert "explain" in comfyui.run(made).cached


def test_a_batch_of_three_gives_three_explanations(comfyui: Server) -> None:
    """From Ask on as a list: without that ComfyUI would run Explain three times, over all pictures each."""
    made = graph(["questions", 0])
    for number in range(3):
        made[f"scene {number}"] = scene((20, 22, 41)[number])
    made["two"] = prompts.node("ImageBatch", image1=["scene 0", 0], image2=["scene 1", 0])
    made["scene"] = prompts.node("ImageBatch", image1=["two", 0], image2=["scene 2", 0])
    lines = [QUESTION, "What shape is on the left?", "How many shapes are there?"]
    made["questions"] = prompts.node("ProbeTexts", lines="\n".join(lines))
    made["mask"] = prompts.tune("explain")
    made["masks"] = prompts.node("MaskPreview", mask=["mask", 0])
    run = comfyui.run(made)
    assert_ran(run, *made)
    told = reports(run)
    assert [report["question"] for report in told] == lines
    assert [report["answer"] for report in told] == texts(run, "answer")
    assert run.executed.count("explain") == 1
    for name in ("view", "curves", "masks"):
        assert len(run.outputs[name]["images"]) == 3


AVISC = {
    "decoding": "AvisC",
    "decoding__alpha": -1.0,
    "decoding__threshold": 1.0,
    "decoding__gamma": 0.5,
    "decoding__scheme": "zeros",
    "decoding__beta": 0.1,
    "decoding__temperature": 0.0,
    "decoding__top_p": 1.0,
    "decoding__top_k": 0,
}


def test_trust_or_doubt(comfyui: Server) -> None:
    """The plain and the calibrated answer to one question, each explained; the blind tokens beside them."""
    made = graph()
    made["calibrated"] = prompts.ask("lvlm", "scene", QUESTION, **AVISC)
    made["calibrated answer"] = shown("calibrated")
    made["blind"] = prompts.node("AttnPromptView", image=["scene", 0], map=["calibrated", 2])
    made["explain calibrated"] = prompts.explain("lvlm", "scene", QUESTION, answer=["calibrated", 0], **FEW_STEPS)
    made["calibrated report"] = shown("explain calibrated", 1)
    made["calibrated view"] = prompts.view("scene", "explain calibrated")
    run = comfyui.run(made)
    assert_ran(run, *made)
    (told,) = texts(run, "calibrated report")
    assert [json.loads(told)["answer"]] == texts(run, "calibrated answer")
    assert len(saved_pictures(comfyui, run, "blind")) == 1


def test_stop_in_the_middle_then_the_same_answer_as_before(comfyui: Server) -> None:
    before = comfyui.run(graph())
    assert_ran(before, "answer")
    long = {"seed": 1, "method__steps": 100, "method__blends": 2, "method__settled": 1.0}
    run = comfyui.run(graph(**long), stop_when=lambda run: run.previews >= 2)
    assert run.ending == "execution_interrupted"
    assert "curves" not in run.executed
    assert run.previews <= 5, "of a hundred steps: it went on after Stop"
    after = comfyui.run(asked_afresh(graph()))
    assert_ran(after, "answer", "report")
    assert "ask" in after.executed
    assert texts(after, "answer") == texts(before, "answer")
    assert reports(after) == reports(before)


def asked_afresh(made: prompts.Graph) -> prompts.Graph:
    """The same graph, with an Ask that ComfyUI does not know the result of."""
    made["ask"] = changed(made["ask"], max_new_tokens=21)
    return made


def changed(made: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """The same node with other inputs."""
    return {"class_type": made["class_type"], "inputs": {**made["inputs"], **inputs}}


def test_ask_explain_ask_with_weights_that_were_moved_in_inference_mode(comfyui: Server) -> None:
    """Design decision 5: without `host.on_device` no gradient could pass through such weights."""
    before = comfyui.run(graph())
    made = graph(seed=9)
    made["moved"] = prompts.node("ProbeMoveBadly", lvlm=["lvlm", 0])
    made["explain"] = changed(made["explain"], lvlm=["moved", 0])
    run = comfyui.run(made)
    assert_ran(run, *made)
    assert "explain" in run.executed
    assert reports(run)[0]["with gradients"] > 0
    after = comfyui.run(asked_afresh(graph()))
    assert_ran(after, "answer")
    assert texts(after, "answer") == texts(before, "answer")


def test_words_another_answer_and_a_map_for_each_word(comfyui: Server) -> None:
    made = graph(answer="a red star", words="red, star", per_word=True)
    made["mask"] = prompts.tune("explain", words="star")
    made["masks"] = prompts.node("MaskPreview", mask=["mask", 0])
    made["against"] = prompts.explain("lvlm", "scene", QUESTION, answer="red", instead_of="blue", **FEW_STEPS)
    made["against report"] = shown("against", 1)
    run = comfyui.run(made)
    assert_ran(run, *made)
    (report,) = reports(run)
    assert [word["word"] for word in report["words"] if word["explained"]] == ["red", "star"]
    (against,) = texts(run, "against report")
    assert json.loads(against)["instead of"] == "blue"


def test_an_answer_that_needs_no_picture_warns(comfyui: Server) -> None:
    made = graph(answer="red")
    made["scene"] = prompts.node("EmptyImage", width=96, height=96, batch_size=1, color=8421504)
    run = comfyui.run(made)
    assert_ran(run, "explain", "report", "curves")
    assert not reports(run)[0]["depends on the picture"]
    assert any("without the picture" in text for text in run.texts)


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"answer": "a red star", "words": "zebra"}, ["zebra"]),
            ({"method": "magic"}, ["method", "igos++"]),
            ({"answer": "red", "instead_of": "red"}, ["instead_of"]),
            ({"answer": "..."}, ["..."]),
        ],
    )
    def test_are_told_on_the_node(self, comfyui: Server, changes: dict[str, Any], words: list[str]) -> None:
        assert_readable(comfyui.run(graph(**changes)), "explain", *words)

    def test_a_setting_out_of_its_range_is_refused_by_the_page_s_server(self, comfyui: Server) -> None:
        made = graph(method__steps=0)
        del made["answer"]  # ComfyUI runs what is valid of a prompt
        run = comfyui.run(made)
        assert run.ending == "refused"
        assert "steps" in str(run.refused["node_errors"]["explain"])

    def test_a_server_cannot_be_explained(self, comfyui: Server) -> None:
        made = graph()
        del made["answer"]
        made["server"] = prompts.connect("ollama")
        made["explain"] = changed(made["explain"], lvlm=["server", 0])
        run = comfyui.run(made)
        assert run.ending == "refused"
        assert "ATTNPROMPT_SERVER" in str(run.refused["node_errors"]["explain"])
