"""The node that explains answers."""

import gc
import importlib
import json
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.explanation.methods import DEFAULT_METHOD, METHODS
from pack.tests.nodes.conftest import ASK, EXPLAIN, LVLM, MASK
from pack.tests.on_host import TINY_LVLM, Run

Image = torch.Tensor
QUESTION = "what color is the star?"
ANSWER = "a red star"
GIVEN = {**EXPLAIN, "question": QUESTION, "answer": ANSWER, "words": "red, star"}
QUICK_IGOS = {"method": "igos++", "steps": 4, "blends": 1}


@pytest.fixture
def warnings(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node warned of."""
    from pack.nodes import page

    said: list[str] = []
    monkeypatch.setattr(page, "warn", lambda node_id, lines: said.extend(lines))
    return said


@pytest.fixture
def previews(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pictures that the progress bar was given, all of them."""
    utils = importlib.import_module("comfy.utils")
    from pack.nodes import page

    shown: list[Any] = []
    move = utils.ProgressBar.update_absolute

    def update_absolute(self: Any, value: int, total: int | None = None, preview: Any = None) -> None:
        if preview is not None:
            shown.append(preview)
        move(self, value, total, preview)

    monkeypatch.setattr(utils.ProgressBar, "update_absolute", update_absolute)
    monkeypatch.setattr(page, "PREVIEW_SECONDS", 0.0)
    return shown


@pytest.mark.both_hosts
def test_a_batch_of_three_gives_three_of_everything(run: Run, lvlm: Any, image: Image) -> None:
    heatmap, reports, curves = run("AttnPromptExplain", lvlm=lvlm, image=image, **GIVEN).args
    assert [picture.size for picture in heatmap.pictures] == [(40, 56)] * 3
    assert curves.shape == (3, 480, 640, 3)
    told = [json.loads(report) for report in reports]
    assert [each["answer"] for each in told] == [ANSWER] * 3
    assert {word["word"] for word in told[0]["words"] if word["explained"]} == {"red", "star"}
    assert set(told[0]["faithfulness"]) == {"blur", "mean colour"}
    alone = run("AttnPromptExplain", lvlm=lvlm, image=image[1:2], **GIVEN).args
    assert json.loads(alone[1][0])["faithfulness"] == told[1]["faithfulness"]
    (mask,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK).args
    assert mask.shape == (3, 40, 56)


def test_texts_go_case_by_case(run: Run, lvlm: Any, image: Image) -> None:
    given = {**GIVEN, "answer": ["a red star", "blue", "green"], "words": ["star", "blue", "green"]}
    _, reports, _ = run("AttnPromptExplain", lvlm=lvlm, image=image, **given).args
    told = [json.loads(report) for report in reports]
    assert [each["answer"] for each in told] == given["answer"]
    explained = [[word["word"] for word in each["words"] if word["explained"]] for each in told]
    assert explained == [["star"], ["blue"], ["green"]]


def test_an_empty_answer_is_the_model_s_own(run: Run, lvlm: Any, image: Image, warnings: list[str]) -> None:
    answers, *_ = run("AttnPromptAsk", model=lvlm, image=image[:1], question=QUESTION, **ASK).args
    warnings.clear()
    given = {**GIVEN, "answer": " ", "words": ""}
    (report,) = run("AttnPromptExplain", lvlm=lvlm, image=image[:1], **given).args[1]
    assert json.loads(report)["answer"] == answers[0]
    assert any("max_new_tokens" in line for line in warnings), "it was cut"


def test_instead_of_and_per_word(run: Run, lvlm: Any, image: Image) -> None:
    given = {**GIVEN, "per_word": True, "words": "red, star"}
    heatmap, *_ = run("AttnPromptExplain", lvlm=lvlm, image=image[:1], **given).args
    labels = [(label.text, label.role) for label in heatmap.pictures[0].labels]
    assert labels == [(ANSWER, "whole"), ("red", "answer word"), ("star", "answer word")]
    (mask,) = run("AttnPromptTuneMask", heatmap=heatmap, **{**MASK, "words": "star"}).args
    assert mask.shape == (1, 40, 56)
    other = {**GIVEN, "words": "", "instead_of": "a blue star"}
    (report,) = run("AttnPromptExplain", lvlm=lvlm, image=image[:1], **other).args[1]
    assert json.loads(report)["instead of"] == "a blue star"


def test_settings_reach_the_method(run: Run, lvlm: Any, image: Image) -> None:
    def evaluations(**settings: float) -> int:
        given = {**GIVEN, "method": {"method": "igos++", "steps": 2, "settled": 1.0, **settings}}
        (report,) = run("AttnPromptExplain", lvlm=lvlm, image=image[:1], **given).args[1]
        return json.loads(report)["model evaluations"]

    assert evaluations(blends=3) == 3 * evaluations(blends=1)


def test_the_default_is_the_library_s(classes: dict[str, Any]) -> None:
    *_, method = classes["AttnPromptExplain"].define_schema().inputs
    assert [option.key for option in method.options] == list(METHODS)
    assert method.options[0].key == DEFAULT_METHOD


def test_widgets_that_come_and_go_are_the_last_ones_on_the_page(classes: dict[str, Any]) -> None:
    """The page lists what is optional after the rest, and a saved workflow holds its values by place."""
    inputs = classes["AttnPromptExplain"].define_schema().inputs
    assert sorted(inputs, key=lambda given: bool(given.optional))[-1].id == "method"


@pytest.mark.both_hosts
def test_the_map_so_far_is_shown_on_the_picture(run: Run, lvlm: Any, image: Image, previews: list[Any]) -> None:
    run("AttnPromptExplain", lvlm=lvlm, image=image[:2], **{**GIVEN, "method": QUICK_IGOS})
    assert len(previews) >= 4
    assert all(kind == "JPEG" and shown.size == (56, 40) and most == 512 for kind, shown, most in previews)
    assert previews[0][1].tobytes() != previews[-1][1].tobytes()


def test_a_large_picture_is_shown_small(nodes: Any, previews: list[Any]) -> None:
    from pack.nodes import explain, page

    explain.preview(page.NodeProgress("1"), [torch.rand(1500, 2000, 3)])(0, torch.rand(32, 32))
    ((_, shown, _),) = previews
    assert shown.width * shown.height <= 512 * 512


@pytest.mark.both_hosts
def test_pictures_that_come_quickly_are_not_all_drawn(nodes: Any, previews: list[Any]) -> None:
    from pack.nodes import page

    page.PREVIEW_SECONDS = 60.0
    drawn: list[int] = []
    progress = page.NodeProgress("1")
    for number in range(20):
        progress.show(lambda number=number: drawn.append(number) or torch.rand(4, 4, 3))
    assert drawn == [0]


def hooks(lvlm: Any) -> int:
    """How many hooks hang on the parts of a model."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in lvlm.model.module.modules())


@pytest.mark.both_hosts
def test_stop_in_the_middle_leaves_the_model_as_it_was(
    run: Run, lvlm: Any, image: Image, previews: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    management = importlib.import_module("comfy.model_management")
    before = run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK).args[0]
    hooked = hooks(lvlm)
    utils = importlib.import_module("comfy.utils")
    move = utils.ProgressBar.update_absolute

    stopped: list[bool] = []

    def stop_at_the_second(self: Any, *given: Any) -> None:
        move(self, *given)
        if len(previews) == 2 and not stopped:
            stopped.append(True)
            management.interrupt_current_processing(True)

    monkeypatch.setattr(utils.ProgressBar, "update_absolute", stop_at_the_second)
    with pytest.raises(management.InterruptProcessingException):
        run("AttnPromptExplain", lvlm=lvlm, image=image, **{**GIVEN, "method": {"method": "igos++"}})
    assert len(previews) == 2
    assert not any(weight.grad is not None for weight in lvlm.model.module.parameters())
    assert hooks(lvlm) == hooked
    assert run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK).args[0] == before


@pytest.mark.both_hosts
def test_weights_moved_inside_inference_mode_are_no_obstacle(run: Run, lvlm: Any, image: Image) -> None:
    """Design decision 5; a change of type stands in for a change of device."""
    with torch.inference_mode():
        lvlm.model.module.to(torch.float64)
        lvlm.model.module.to(torch.float32)
    assert any(weight.is_inference() for weight in lvlm.model.module.parameters())
    heatmap, *_ = run("AttnPromptExplain", lvlm=lvlm, image=image[:1], **GIVEN).args
    assert heatmap.pictures[0].parts["importance"][0].values.std() > 0


@pytest.mark.both_hosts
def test_room_is_asked_for_gradients(run: Run, lvlm: Any, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    management = importlib.import_module("comfy.model_management")
    asked: list[int] = []
    load: Callable[..., Any] = management.load_models_gpu

    def load_models_gpu(models: Any, memory_required: int = 0, **given: Any) -> Any:
        asked.append(memory_required)
        return load(models, memory_required=memory_required, **given)

    monkeypatch.setattr(management, "load_models_gpu", load_models_gpu)
    run("AttnPromptExplain", lvlm=lvlm, image=image, **GIVEN)
    run("AttnPromptAsk", model=lvlm, image=image[:1], question=QUESTION, **ASK)
    explaining, answering = asked
    assert explaining >= 8 * lvlm.model.estimate_gradient_memory(40 * 56)
    assert explaining > answering


@pytest.mark.both_hosts
def test_an_answer_that_needs_no_picture_is_warned_of(run: Run, lvlm: Any, warnings: list[str]) -> None:
    grey = torch.full((2, 40, 56, 3), 0.5)
    heatmap, reports, curves = run("AttnPromptExplain", lvlm=lvlm, image=grey, **{**GIVEN, "words": ""}).args
    assert not any(json.loads(report)["depends on the picture"] for report in reports)
    assert not heatmap.pictures[0].parts["importance"][0].values.any()
    assert curves.shape == (2, 480, 640, 3)
    assert [line for line in warnings if line.startswith("Picture 2: ")]
    assert "without the picture" in warnings[0]


@pytest.mark.both_hosts
def test_model_dies_after_it_was_explained(run: Run, image: Image) -> None:
    (loaded,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, "precision": "fp32", "max_pixels": 8}).args
    run("AttnPromptExplain", lvlm=loaded, image=image[:1], **{**GIVEN, "method": QUICK_IGOS})
    module = weakref.ref(loaded.model.module)
    del loaded
    gc.collect()
    assert module() is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": "  "}, "question"),
        ({"question": ["a", "b"]}, "2 of question"),
        ({"baseline": "soup"}, "soup"),
        ({"words": "zebra"}, "zebra"),
        ({"max_new_tokens": [4, 5]}, "max_new_tokens is one setting"),
        ({"seed": [1, 2]}, "seed is one setting"),
        ({"method": {"method": "magic"}}, r"Choose one of: igos\+,"),
        ({"method": {"method": "igos++", "steps": 0}}, "steps"),
        ({"method": {"method": "igos++", "magic": 1}}, "magic"),
        ({"instead_of": "a red star"}, "instead_of"),
    ],
)
def test_mistakes(run: Run, lvlm: Any, image: Image, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run("AttnPromptExplain", **{"lvlm": lvlm, "image": image, **GIVEN, **changes})


def test_picture_with_nan(run: Run, lvlm: Any, image: Image) -> None:
    image[1, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        run("AttnPromptExplain", lvlm=lvlm, image=image, **GIVEN)
