"""Asking the embedded model: batches, seeds, further pictures, progress and Stop."""

import re
from collections.abc import Sequence

import pytest
import torch
from pack.api_core.answering import DECODINGS, Decoding, Greedy, Sample, ask
from pack.api_core.errors import Cancelled, InvalidInput
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.lvlm.model import LvlmModel
from torch import Tensor

QUESTIONS = ["what shape is the red one?", "how many stars are there?", "what color is the star?"]


@pytest.fixture(scope="module")
def model() -> LvlmModel:
    return load_lvlm("tiny-lvlm", device="cpu")


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 70, 90, 3, generator=torch.Generator().manual_seed(seed))


def test_a_batch_gives_one_answer_each_and_the_same_as_alone(model: LvlmModel) -> None:
    shown = pictures(3)
    together = ask(model, shown, QUESTIONS, max_new_tokens=6)
    alone = [ask(model, shown[i : i + 1], QUESTIONS[i], max_new_tokens=6)[0] for i in range(3)]
    in_parts = ask(model, list(shown), QUESTIONS, max_new_tokens=6, batch_size=2)
    assert [answer.token_ids for answer in together] == [answer.token_ids for answer in alone]
    assert together == in_parts
    assert [answer.question_as_sent for answer in together] == QUESTIONS
    assert all(answer.model == "tiny-lvlm" and answer.decoding == Greedy() for answer in together)
    assert all(" ".join(word.text for word in answer.words) for answer in together if answer.text)


def test_one_of_anything_serves_all(model: LvlmModel) -> None:
    assert len(ask(model, pictures(3), "what is it?", max_new_tokens=2)) == 3
    answers = ask(model, pictures(1), QUESTIONS, max_new_tokens=2, template="hint", hints="the left")
    assert [answer.question_as_sent for answer in answers] == [
        f"{q}\nHint: pay attention to the left." for q in QUESTIONS
    ]
    both = ask(model, pictures(2), "x", template="evaluate", previous_answers=["a cat", "a dog"], max_new_tokens=2)
    assert ["a cat" in answer.question_as_sent for answer in both] == [True, False]


@pytest.mark.parametrize(
    ("shown", "questions", "more", "says"),
    [
        (3, ["a", "b"], [], "3 pictures, 2 questions"),
        (3, "a", [pictures(2)], "3 pictures, 2 further pictures no. 1"),
        (2, ["a", " "], [], "question no. 2 is empty"),
        (1, "", [], "The question is empty"),
        (0, "a", [], "no pictures"),
        (1, [], [], "no question"),
    ],
)
def test_what_does_not_go_together_is_said(
    model: LvlmModel, shown: int, questions: str | Sequence[str], more: list[Tensor], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        ask(model, pictures(shown), questions, more_pictures=more)
    with pytest.raises(InvalidInput, match="B, H, W"):
        ask(model, pictures(1)[0], "a")


def test_samples_follow_their_seed_and_leave_torch_s_own_state_alone(model: LvlmModel) -> None:
    def answers(seed: int) -> list[tuple[int, ...]]:
        found = ask(
            model, pictures(3), QUESTIONS, decoding=Sample(temperature=2.0, top_p=1, seed=seed), max_new_tokens=8
        )
        return [answer.token_ids for answer in found]

    before = torch.get_rng_state()
    assert answers(1) == answers(1)
    assert answers(1) != answers(2)
    assert torch.equal(torch.get_rng_state(), before)
    alone = ask(
        model, pictures(3)[1:2], QUESTIONS[1], decoding=Sample(temperature=2.0, top_p=1, seed=1), max_new_tokens=8
    )
    assert alone[0].token_ids == answers(1)[1]


def test_further_pictures_are_seen(model: LvlmModel) -> None:
    shown, more = pictures(2), pictures(2, seed=5)
    cases: list[object] = []
    prepare = type(model).prepare

    class Watching(LvlmModel):
        def prepare(self, given, **options):  # type: ignore[no-untyped-def]
            cases.extend(given)
            return prepare(self, given, **options)

    watched = Watching(model.name, model.module, model.processor, model.family)
    ask(watched, shown, "x", more_pictures=[more, pictures(1, seed=6)], max_new_tokens=1)
    assert [len(case.pictures) for case in cases] == [3, 3]  # type: ignore[attr-defined]
    assert torch.equal(cases[1].pictures[1], more[1])  # type: ignore[attr-defined]
    assert torch.equal(cases[0].pictures[2], cases[1].pictures[2])  # type: ignore[attr-defined]


def test_what_is_transparent_lies_on_white(model: LvlmModel) -> None:
    clear = torch.zeros(1, 70, 90, 4)
    white = torch.ones(1, 70, 90, 3)
    assert (
        ask(model, clear, "x", max_new_tokens=4)[0].token_ids == ask(model, white, "x", max_new_tokens=4)[0].token_ids
    )


def test_tokens_and_progress_are_told_as_they_come(model: LvlmModel) -> None:
    texts: dict[int, list[str]] = {0: [], 1: [], 2: []}
    done: list[tuple[int, int]] = []
    answers = ask(
        model,
        pictures(3),
        QUESTIONS,
        max_new_tokens=5,
        batch_size=2,
        on_token=lambda row, text: texts[row].append(text),
        on_progress=lambda now, most: done.append((now, most)),
    )
    for row, answer in enumerate(answers):
        assert texts[row][-1].strip() == answer.text
    assert [now for now, _ in done] == sorted(now for now, _ in done)
    assert {most for _, most in done} == {15}
    assert done[-1][0] == 15


def test_stop_ends_within_a_token(model: LvlmModel) -> None:
    calls: list[int] = []

    def stop(now: int, most: int) -> None:
        calls.append(now)
        if now >= 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        ask(
            model,
            pictures(1),
            "x",
            max_new_tokens=200,
            decoding=Sample(temperature=5.0, top_p=1, seed=3),
            on_progress=stop,
        )
    assert calls[-1] == 2


def test_the_limit_makes_an_answer_incomplete(model: LvlmModel) -> None:
    long = Sample(temperature=5.0, top_p=1.0, seed=3)
    assert ask(model, pictures(1), "x", max_new_tokens=1, decoding=long)[0].complete is False


def test_kinds_of_decoding_are_listed_and_others_refused(model: LvlmModel) -> None:
    class Beams(Decoding):
        pass

    assert [kind.name for kind in DECODINGS][:2] == ["greedy", "sample"]
    assert Sample().name == "sample"
    with pytest.raises(InvalidInput, match=r"Beams.*Greedy, Sample"):
        ask(model, pictures(1), "x", decoding=Beams())
    for wrong in ({"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"seed": -1}):
        with pytest.raises(InvalidInput):
            Sample(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="max_new_tokens must be 1 or more, not 0"):
        ask(model, pictures(1), "x", max_new_tokens=0)


@pytest.mark.parametrize("shape", [(), (3,), (4,), (9, 12), (1, 9, 12, 3)])
def test_a_list_of_what_is_no_picture_is_refused_with_its_shape(shape: tuple[int, ...], model: LvlmModel) -> None:
    with pytest.raises(InvalidInput, match=rf"must have the shape \[H, W, 3 or 4\].*not {re.escape(str(list(shape)))}"):
        ask(model, [torch.zeros(shape)], "what is it?")
