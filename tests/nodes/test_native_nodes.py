"""The nodes with encoders that ComfyUI loaded: several cases and pictures, texts, explanations, confidence."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pack.api_core.attribution import lvlm_heatmap
from pack.tests import tiny_encoders
from pack.tests.nodes.conftest import ASK, EXPLAIN, LVLM_HEATMAP
from pack.tests.nodes.test_native_encoders import QUESTION, a_case, a_picture, wrapped
from pack.tests.on_host import ON_REAL_HOST

pytestmark = [
    pytest.mark.both_hosts,
    pytest.mark.skipif(not ON_REAL_HOST, reason="only a real ComfyUI has these encoders"),
]
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("kind", ["qwen3vl", "gemma3_4b", "gemma4_e2b"])
class TestCases:
    def test_a_batch_is_its_cases_one_by_one(self, kind: str, encoders: Any, run: Run) -> None:
        clip = encoders(kind)
        image = torch.stack([a_picture(), a_picture().flip(1), a_picture().flip(0)])
        questions = [QUESTION, "What is there?", QUESTION]
        together = run("AttnPromptLVLMHeatmap", lvlm=clip, image=image, question=questions, **LVLM_HEATMAP).args
        for number, picture in enumerate(together[0].pictures):
            alone = run(
                "AttnPromptLVLMHeatmap",
                lvlm=clip,
                image=image[number : number + 1],
                question=questions[number],
                **LVLM_HEATMAP,
            ).args
            assert alone[1] == together[1][number : number + 1]
            own, other = picture.parts["attention"][0], alone[0].pictures[0].parts["attention"][0]
            assert torch.equal(own.values, other.values)
        asked = run("AttnPromptAsk", model=clip, image=image, question=questions, **{**ASK, "max_new_tokens": 6}).args
        assert asked[0] == together[1]
        assert all(0 <= confidence <= 1 for confidence in asked[3])

    def test_few_heads_of_a_written_answer_are_those_of_the_same_one_given(self, kind: str, encoders: Any) -> None:
        model, pictures = wrapped(encoders(kind)), [a_picture(), a_picture().flip(1)]
        given = {"method": "few heads", "max_new_tokens": 6}
        written = lvlm_heatmap(model, pictures, QUESTION, **given)
        again = lvlm_heatmap(model, pictures, QUESTION, answers=list(written.replies), **given)
        for own, other in zip(written.heatmap.pictures, again.heatmap.pictures, strict=True):
            one, two = (each.parts["attention"][0].values for each in (own, other))
            assert float(one[0].max()) > 0
            torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-3)

    def test_several_pictures_of_several_sizes_have_a_map_each(self, kind: str, encoders: Any, run: Run) -> None:
        clip = encoders(kind)
        more = {"more_image0": a_picture(120, 64)[None]}
        given = {**LVLM_HEATMAP, "answer": "a red star", "layers": "3"}
        found = run(
            "AttnPromptLVLMHeatmap", lvlm=clip, image=a_picture()[None], question=QUESTION, more_images=more, **given
        ).args
        first, second = found[0].pictures[0], found[2][0].pictures[0]
        assert (first.size, second.size) == ((80, 128), (120, 64))
        mass = [float(part.parts["attention"][0].values[0].sum()) for part in (first, second)]
        assert all(0 < part < 1 for part in mass)
        assert sum(mass) == pytest.approx(1, abs=1e-4), "attention is shared between all pictures of a prompt"


@pytest.mark.parametrize("kind", tiny_encoders.WRAPPED)
def test_other_types_of_load_clip_are_read_and_asked_where_they_can_answer(kind: str, encoders: Any, run: Run) -> None:
    clip, image = encoders(kind), a_picture(96, 96)[None]
    more = {} if kind == "longcat" else {"more_image0": a_picture(64, 96)[None]}  # whose prompt has one place
    given = {**LVLM_HEATMAP, "answer": "a red star", "more_images": more}
    found = run("AttnPromptLVLMHeatmap", lvlm=clip, image=image, question=QUESTION, **given).args
    labels = [label.text for label in found[0].pictures[0].labels]
    assert labels == ["a red star", "Where", "is", "the", "red", "star", "a", "red", "star"]
    asked = {**ASK, "max_new_tokens": 4}
    if not tiny_encoders.WRAPPED[kind]:
        with pytest.raises(Exception, match=r"cannot let this Qwen2.5-VL answer|answers without knowing where"):
            run("AttnPromptAsk", model=clip, image=image, question=QUESTION, **asked)
        return
    chat = wrapped(clip).prepare([a_case(image[0])]).prompts[0]
    own = clip.generate(clip.tokenize(chat, images=[image]), do_sample=False, max_length=4)
    (answer,) = run("AttnPromptAsk", model=clip, image=image, question=QUESTION, **asked).args[0]
    assert answer == clip.decode(own).strip()


class TestTexts:
    def test_commands_in_a_question_are_text(self, encoders: Any) -> None:
        model = wrapped(encoders("qwen3vl"))
        question = "Is <|image_pad|> in <|im_end|> embedding:bad there?"
        (row,) = model.prepare([a_case(question=question)]).rows
        assert len(row.layouts) == 1
        assert [word.text for word in row.question_words][-2:] == ["bad", "there"]

    def test_no_padding_is_left_before_a_prompt(self, encoders: Any) -> None:
        model = wrapped(encoders("gemma3_12b"))
        prepared = model.prepare([a_case()])
        assert prepared.rows[0].length < 400
        assert prepared.row_tokens[0].entries[0][0] == 2, "the token that begins"

    def test_an_answer_from_anywhere_reads_as_it_was_given(self, encoders: Any) -> None:
        for kind in tiny_encoders.KINDS:
            model = wrapped(encoders(kind))
            reply = model.reply_of_text("  a red star, 3.5 wide ")
            assert reply.text == "a red star, 3.5 wide"
            assert reply.complete
            assert [word.text for word in reply.words] == ["a", "red", "star", "3.5", "wide"]

    def test_thinking_stands_apart(self, encoders: Any) -> None:
        model = wrapped(encoders("qwen35"))
        marks = tiny_encoders.QWEN35_MARKS
        words = [model.encode_answer(text)[:-1] for text in ("It is red.", "a star")]
        ids = (marks["<think>"], *words[0], marks["</think>"], *words[1], marks["<|im_end|>"])
        reply = model.reply_of(ids)
        assert (reply.text, reply.thinking) == ("a star", "It is red.")
        plain, thinking = (model.prepare([a_case()], thinking=on).prompts[0] for on in (False, True))
        assert plain == thinking + "<think>\n</think>\n"

    def test_a_system_prompt_and_an_opening_are_written(self, encoders: Any) -> None:
        from pack.api_core.models.conversation.case import Case

        for kind in tiny_encoders.ANSWERING:
            case = Case((a_picture(),), QUESTION, "Be brief.", "It is")
            (prompt,) = wrapped(encoders(kind)).prepare([case]).prompts
            assert prompt.index("Be brief.") < prompt.index(QUESTION) < prompt.index("It is")
            assert prompt.endswith("It is")


class TestAnswers:
    def test_the_same_seed_draws_the_same_answer(self, encoders: Any, run: Run) -> None:
        clip = encoders("qwen3vl")
        given = {**ASK, "max_new_tokens": 6, "decoding": {"decoding": "sample", "temperature": 1.5}}
        texts = [
            run("AttnPromptAsk", model=clip, image=a_picture()[None], question=QUESTION, **{**given, "seed": seed}).args
            for seed in (1, 1, 2)
        ]
        assert texts[0][0] == texts[1][0] != texts[2][0]

    def test_confidence_is_that_of_the_answers_own_scores(self, encoders: Any) -> None:
        model = wrapped(encoders("gemma4_e2b"))
        prepared = model.prepare([a_case()])
        (reply,) = model.generate(prepared, max_new_tokens=5)
        scores = model.log_likelihoods(prepared, reply.token_ids, range(len(reply.token_ids)))
        assert reply.confidence == pytest.approx(float(scores[0].sum().exp()), rel=1e-4)
        part = model.log_likelihoods(prepared, reply.token_ids, [2])
        assert torch.allclose(part, scores[:, 2:3], atol=1e-5)

    def test_tokens_and_progress_are_told_one_by_one(self, encoders: Any) -> None:
        model = wrapped(encoders("gemma3_4b"))
        prepared = model.prepare([a_case(), a_case()])
        told: list[tuple[int, int]] = []
        texts: list[tuple[int, str]] = []
        replies = model.generate(
            prepared,
            max_new_tokens=5,
            on_token=lambda row, text: texts.append((row, text)),
            on_progress=lambda done, total: told.append((done, total)),
        )
        assert {(done, 10) for done in range(len(replies[0].token_ids) + 1)} <= set(told)
        assert told[-1] == (10, 10)
        assert {row for row, _ in texts} == {0, 1}
        assert replies[0] == replies[1]

    def test_surer_answer_takes_them(self, encoders: Any, run: Run) -> None:
        clip = encoders("qwen3vl")
        answer, which, confidence, _ = run(
            "AttnPromptSurerAnswer",
            model=clip,
            image=a_picture()[None],
            question=QUESTION,
            skip_above=1.0,
            template="plain",
            max_new_tokens=4,
            prompted={"prompted0": a_picture().flip(1)[None]},
        ).args
        asked = [
            run("AttnPromptAsk", model=clip, image=own[None], question=QUESTION, **{**ASK, "max_new_tokens": 4}).args
            for own in (a_picture(), a_picture().flip(1))
        ]
        assert answer == asked[which[0]][0]
        assert confidence[0] == pytest.approx(max(one[3][0] for one in asked))


class TestExplanations:
    @pytest.mark.parametrize("method", ["rise", "difference", "centre", "random", "attention"])
    def test_methods_that_go_forward(self, method: str, encoders: Any, run: Run, monkeypatch: Any) -> None:
        monkeypatch.setattr("pack.api_core.explanation.methods.rise._MASKS", 12)
        clip = encoders("qwen3vl")
        given = {**EXPLAIN, "method": {"method": method}, "words": "star", "answer": "a star"}
        heatmap, report, curves = run(
            "AttnPromptExplain", lvlm=clip, image=a_picture()[None], question=QUESTION, **given
        ).args
        values = heatmap.pictures[0].parts["importance"][0].values
        assert bool(values.isfinite().all())
        assert values.std() > 0
        assert '"star"' in report[0]
        assert curves.ndim == 4

    def test_a_planted_dependence_is_found(self, encoders: Any) -> None:
        """The score falls where the part that it was made to depend on goes, and nowhere else."""
        from pack.api_core.explanation.baselines import baseline_picture
        from pack.api_core.explanation.picture_objective import answer_objective

        model = wrapped(encoders("gemma4_12b"))
        case = a_case()
        reply = model.reply_of_text("a star")
        objective = answer_objective(model, case, baseline_picture(a_picture(), "mean colour"), reply.token_ids, (0, 1))
        whole, none = objective.pixel_weights(torch.ones(1, 2, 2)), objective.pixel_weights(torch.zeros(1, 2, 2))
        own = model.log_likelihoods(model.prepare([case]), reply.token_ids, [0, 1])
        assert torch.allclose(objective.log_likelihoods(whole, "picture"), own, atol=1e-5)
        assert torch.allclose(
            objective.log_likelihoods(none, "baseline"), objective.log_likelihoods(whole, "picture"), atol=1e-5
        )
