"""What `explain` can be asked: words, another answer, settings, batches; and how it is watched and stopped."""

import json

import pytest
import torch
from pack.api_core.errors import Cancelled, InvalidInput, NotEnoughMemory
from pack.api_core.explanation.answer_contrast import differing
from pack.api_core.explanation.answer_objective import AnswerObjective
from pack.api_core.explanation.explain import explain
from pack.api_core.explanation.explain_one import PART
from pack.api_core.explanation.methods import METHODS
from pack.api_core.explanation.result import full_report
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.settings import Setting, resolve

QUESTION = "What colour is the star?"
FEW = {"steps": 3, "blends": 1}


@pytest.fixture(scope="module")
def model():
    return load_lvlm("tiny-lvlm")


def values_of(found):
    return found.map.parts[PART][0].values


def test_each_word_has_a_map_of_its_own(model, picture):
    (found,) = explain(
        model, [picture], "What is there?", answers="a red star and a blue circle", words=["red star", "blue"],
        per_word=True, settings=FEW, steps=0,
    )  # fmt: skip
    labels = found.map.labels
    assert [label.text for label in labels] == ["a red star and a blue circle", "red", "star", "blue"]
    assert [label.role for label in labels] == ["whole"] + 3 * ["answer word"]
    assert labels[1].span == (1, 2)
    assert not torch.equal(values_of(found)[1], values_of(found)[3])
    assert found.evaluations > 0


@pytest.mark.slow
def test_why_this_answer_rather_than_that(model, picture):
    (found,) = explain(model, [picture], QUESTION, answers="red", instead_of="blue", steps=4)
    shown, hidden = found.evidence.preference
    assert shown > hidden
    assert found.depends_on_the_picture
    assert found.faithful["blur"].gap > 0
    told = json.loads(json.dumps(found.report()))
    assert told["instead of"] == "blue"
    (other,) = explain(model, [picture], QUESTION, answers="blue", instead_of="red", steps=0)
    assert other.evidence.preference == pytest.approx((-shown, -hidden), abs=1e-4)
    assert not other.depends_on_the_picture
    assert "preferred to 'red'" in other.map.warnings[0]
    assert full_report(other, QUESTION)["verdict"] == {"kind": "none", "because": other.map.warnings[0]}
    with pytest.raises(InvalidInput, match="so is what it should be set against"):
        explain(model, [picture], QUESTION, answers="red", instead_of="red")


def test_words_left_out_of_a_preference_are_told_apart(model, picture):
    (found,) = explain(
        model, [picture], "What is there?", answers="a red star", instead_of="a blue circle", words=["star"],
        method="random", steps=0,
    )  # fmt: skip
    why = {word.text: word.why for word in found.evidence.words}
    assert (why["a"], why["red"]) == ("the same in both answers", "not asked for")


def test_a_map_is_also_judged_on_a_baseline_it_was_not_made_on(model, picture):
    made = {"method": "random", "answers": "red", "words": ["red"], "steps": 2}
    for baseline, both in (("mean colour", ["mean colour", "blur"]), ("noise", ["noise", "mean colour"])):
        (found,) = explain(model, [picture], QUESTION, baseline=baseline, **made)
        assert list(found.faithful) == both


def test_likelihoods_that_are_no_numbers_are_no_evidence(model, picture, monkeypatch):
    def broken(self, weights, towards, noise=None):
        return torch.full((len(weights), len(self.tokens)), float("nan"))

    monkeypatch.setattr(AnswerObjective, "log_likelihoods", broken)
    with pytest.raises(InvalidInput, match="not finite"):
        explain(model, [picture], QUESTION, answers="red")


def test_memory_that_runs_out_while_words_are_weighed_is_told(model, picture, monkeypatch):
    def full(self, weights, towards, noise=None):
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(AnswerObjective, "log_likelihoods", full)
    with pytest.raises(NotEnoughMemory, match="while its answer was explained"):
        explain(model, [picture], QUESTION, answers="red")


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("a red star", "a blue star", ((1,), (1,))),
        ("red", "blue", ((0,), (0,))),
        ("red", "red star", ((1,), (1,))),  # the end of the one against what the other goes on with
        ("red star", "red", ((1,), (1,))),
    ],
)
def test_the_tokens_that_two_answers_do_not_share(model, one, other, differ):
    replies = [model.reply_of_text(text) for text in (one, other)]
    assert differing(*replies) == differ


@pytest.mark.slow
def test_a_batch_gives_each_case_its_own(model, picture):
    mirrored = picture.flip(1).contiguous()
    questions = [QUESTION, "What colour is the circle?", QUESTION]
    words = [["red"], ["blue"], ["red"]]
    seen = []
    made = explain(
        model, [picture, picture, mirrored], questions, words=words, settings=FEW, steps=0,
        on_preview=lambda case, importance: seen.append((case, tuple(importance.shape))),
    )  # fmt: skip
    assert [found.reply.text.casefold() for found in made] == ["red", "blue", "red"]
    assert {case for case, _ in seen} == {0, 1, 2}
    assert all(rows == columns for _, (rows, columns) in seen)
    (alone,) = explain(model, [mirrored], QUESTION, words=["red"], settings=FEW, steps=0)
    assert torch.equal(values_of(made[2]), values_of(alone))
    with pytest.raises(InvalidInput, match=r"Picture 2: .*'red'"):
        explain(model, [picture, picture], questions[:2], words=["red"], settings=FEW, steps=0)


@pytest.mark.parametrize("where", ["progress", "preview"])
def test_stopping_leaves_the_model_as_it_was(model, picture, where):
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.module.modules())
    learning = next(model.module.parameters())
    learning.requires_grad_(True)
    calls = 0

    def stop(*_):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Cancelled("stopped")

    watch = {"on_progress": stop} if where == "progress" else {"on_preview": stop}
    try:
        with torch.no_grad(), pytest.raises(Cancelled):
            explain(model, [picture], QUESTION, answers="red", **watch)
        assert torch.is_grad_enabled()
        assert learning.requires_grad
        assert all(weight.grad is None for weight in model.module.parameters())
    finally:
        learning.requires_grad_(False)
    left = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.module.modules())
    assert left == hooks


def test_settings_are_named_described_and_checked():
    for method in METHODS.values():
        for setting in method.settings:
            assert setting.describes.endswith(".")
            assert setting.check(setting.default, method.name) == setting.default
    known = (Setting("steps", 9, 1, 20, "Steps."), Setting("rate", 0.5, 0.0, 1.0, "Rate."))
    assert resolve("m", known, {"rate": 1}) == {"steps": 9, "rate": 1.0}
    with pytest.raises(InvalidInput, match=r"no setting 'colour'\. It has steps, rate"):
        resolve("m", known, {"colour": 1})
    for wrong in ({"steps": 2.5}, {"steps": 0}, {"rate": float("nan")}, {"rate": True}, {"rate": "much"}):
        with pytest.raises(InvalidInput, match="number from"):
            resolve("m", known, wrong)


@pytest.mark.slow
def test_progress_goes_one_way_and_arrives(model, picture):
    told = []
    explain(
        model, [picture, picture], QUESTION, answers="red", settings=FEW, steps=4, per_word=True,
        on_progress=lambda done, total: told.append(done / total),
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) > 10


def test_mistakes_are_told(model, picture):
    with pytest.raises(InvalidInput, match=r"igos\+\+"):
        explain(model, [picture], QUESTION, method="magic")
    with pytest.raises(InvalidInput, match="2 questions for 1"):
        explain(model, [picture], [QUESTION, QUESTION])
    with pytest.raises(InvalidInput, match="baseline 'snow'"):
        explain(model, [picture], QUESTION, baseline="snow")
    with pytest.raises(InvalidInput, match="Pass at least one"):
        explain(model, [], QUESTION)
