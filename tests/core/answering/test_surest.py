"""Confidence is what the model itself gives an answer, and the surest of several answers is taken by it alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core import ask, load_lvlm, to_picture
from pack.api_core.answering import Answer, AvisC, Greedy, Sample, surest
from pack.api_core.answering.surest import ask_surest
from pack.api_core.errors import InvalidInput
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.overlay import MagnifyStyle, apply
from torch import Tensor

ASSETS = Path(__file__).parents[3] / "assets"
QUESTION = "Where is the heart?"


@pytest.fixture(scope="module")
def model() -> LvlmModel:
    return load_lvlm("tiny-lvlm")


@pytest.fixture(scope="module")
def plain() -> Tensor:
    return to_picture(ASSETS / "long-scene.png")


@pytest.fixture(scope="module")
def magnified(plain: Tensor) -> Tensor:
    """The heart, which is small and to the right, made larger."""
    mask = torch.zeros(plain.shape[:2])
    mask[90:130, 360:410] = 1
    return apply(plain, mask, MagnifyStyle())


def test_confidence_is_the_probability_of_the_answer_with_its_end(model: LvlmModel, plain: Tensor) -> None:
    answers = ask(model, [plain, to_picture(ASSETS / "scene.png")], [QUESTION, "What colour is the cross?"])
    for picture, answer in zip((plain, to_picture(ASSETS / "scene.png")), answers, strict=True):
        (alone,) = ask(model, [picture], answer.question_as_sent)
        assert alone.confidence == pytest.approx(answer.confidence, abs=1e-5)
        assert answer.confidence == pytest.approx(by_teacher_forcing(model, picture, answer), abs=1e-4)


def by_teacher_forcing(model: LvlmModel, picture: Tensor, answer: Any) -> float:
    from pack.api_core import Case

    prepared = model.prepare([Case((picture,), answer.question_as_sent)])
    inputs = answered_inputs(model, prepared, [model.reply_of(answer.token_ids)])
    with torch.no_grad():
        rows = model.module(**inputs).logits[0, -len(answer.token_ids) :].float().log_softmax(-1)
    return float(rows.gather(1, torch.tensor(answer.token_ids)[:, None]).sum().exp())


def test_the_surer_answer_is_kept_with_its_picture(model: LvlmModel, plain: Tensor, magnified: Tensor) -> None:
    (found,) = ask_surest(model, [plain], [[magnified]], QUESTION)
    assert (found.which, found.answer.text) == (1, "right")
    assert torch.equal(found.picture, magnified)
    assert [answer.text for answer in found.answers] == ["left", "right"]
    assert found.confidence > 0.9 > found.answers[0].confidence


def test_a_picture_that_is_no_list_of_pictures_is_refused(model: LvlmModel, plain: Tensor) -> None:
    with pytest.raises(InvalidInput, match=r"plain pictures must be \[B, H, W, 3\]"):
        ask_surest(model, plain, [[plain]], QUESTION)
    with pytest.raises(InvalidInput, match=r"prompted pictures no. 1 must be"):
        ask_surest(model, [plain], [plain], QUESTION)


def test_equal_pictures_keep_the_plain_one(model: LvlmModel, plain: Tensor) -> None:
    (found,) = ask_surest(model, [plain], [[plain.clone()], [plain.clone()]], QUESTION)
    assert found.which == 0
    assert len(found.answers) == 3


def test_a_sure_plain_answer_is_not_asked_about_again(
    model: LvlmModel, plain: Tensor, magnified: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    generate = LvlmModel.generate

    def counting(self: LvlmModel, prepared: Any, **more: Any) -> Any:
        asked.append(len(prepared))
        return generate(self, prepared, **more)

    monkeypatch.setattr(LvlmModel, "generate", counting)
    found = ask_surest(model, [plain, magnified], [[magnified, plain]], QUESTION, skip_above=0.9)
    assert asked == [2, 1]  # the second plain picture's answer is sure
    assert [one.which for one in found] == [1, 0]
    assert len(found[1].answers) == 1
    asked.clear()
    ask_surest(model, [plain], [[magnified]], QUESTION, skip_above=0)
    assert asked == [1]


def test_one_way_for_several_cases_and_progress_to_the_end(model: LvlmModel, plain: Tensor, magnified: Tensor) -> None:
    told: list[tuple[int, int]] = []
    found = ask_surest(
        model,
        [plain, plain],
        [[magnified]],
        [QUESTION, "Is the heart pink?"],
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert len(found) == 2
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_what_belongs_to_a_case_stays_with_it_when_only_some_are_asked_again(
    model: LvlmModel, plain: Tensor, magnified: Tensor
) -> None:
    found = ask_surest(
        model,
        [magnified, plain, magnified],
        [[plain, magnified, plain]],
        ["Where is the heart?", "Is the {hint} pink?", "Where is the heart?"],
        hints=["star", "heart", "cross"],
        previous_answers=["one", "two", "three"],
        more_pictures=[[magnified, plain, magnified]],
        template="Look at the {hint}, not {previous_answer}. {question}",
        skip_above=0.9,
    )
    sent = [[answer.question_as_sent for answer in one.answers] for one in found]
    for texts, (hint, previous) in zip(sent, [("star", "one"), ("heart", "two"), ("cross", "three")], strict=True):
        assert all(text.startswith(f"Look at the {hint}, not {previous}.") for text in texts)


def test_pictures_are_prompted_for_those_cases_alone_that_are_asked_again(
    model: LvlmModel, plain: Tensor, magnified: Tensor
) -> None:
    wanted: list[list[int]] = []

    def prompt(cases: Sequence[int]) -> list[Tensor]:
        wanted.append(list(cases))
        return [magnified] * len(cases)

    found = ask_surest(model, [magnified, plain, magnified], [prompt], QUESTION, skip_above=0.9)
    assert wanted == [[1]]
    assert [(one.which, one.answer.text) for one in found] == [(0, "right"), (1, "right"), (0, "right")]
    assert torch.equal(found[1].picture, magnified)
    ask_surest(model, [magnified], [prompt], QUESTION, skip_above=0.9)
    assert len(wanted) == 1


def test_rounding_in_another_batch_makes_no_answer_surer(model: LvlmModel, plain: Tensor, magnified: Tensor) -> None:
    """Alone, a question is computed in another order than beside longer ones."""
    questions = [QUESTION, "How many stars are there in this picture?", "What colour is the cross beside the heart?"]
    together = ask_surest(model, [plain] * 3, [[plain] * 3, [plain] * 3], questions, skip_above=1)
    assert [one.which for one in together] == [0, 0, 0]
    for question, one in zip(questions, together, strict=True):
        (alone,) = ask_surest(model, [plain], [[magnified]], question, skip_above=1)
        assert alone.answers[0].confidence == pytest.approx(one.answers[0].confidence, rel=1e-5)
    barely = [answer_with(0.5), answer_with(0.5 * (1 + 1e-6)), answer_with(0.5001)]
    assert surest._surest(barely) == 2
    assert surest._surest(barely[:2]) == 0


def answer_with(confidence: float) -> Answer:
    return Answer("x", "", "x", Greedy(), True, confidence=confidence)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"decoding": Sample()}, "sample.*greedily"),
        ({"decoding": AvisC()}, "AvisC.*greedily"),
        ({"skip_above": 1.5}, "skip_above"),
        ({"skip_above": float("nan")}, "skip_above"),
        ({"prompted": []}, "no prompted pictures"),
        ({"prompted": [[torch.rand(8, 8, 3)] * 3]}, "do not go together"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    model: LvlmModel, plain: Tensor, settings: dict[str, Any], problem: str
) -> None:
    given = {"prompted": [[plain, plain]], **settings}
    with pytest.raises(InvalidInput, match=problem):
        ask_surest(model, [plain, plain], given.pop("prompted"), QUESTION, **given)
