"""Grad-CAM and T-MM against their formulas, worked out through transformers alone."""

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.explanation.answer_objective import AnswerObjective
from pack.api_core.explanation.baselines import baseline_picture
from pack.api_core.explanation.explain import explain
from pack.api_core.explanation.explain_one import PART
from pack.api_core.explanation.methods import attention
from pack.api_core.explanation.methods.token_maps import map_of_tokens, token_row
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.attention.recorder import placed_image_positions
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.results import Label

QUESTION, ANSWER, WORD = "What is there?", "a red star", "red"


@pytest.fixture(scope="module")
def model():
    return load_lvlm("tiny-lvlm")


def asked(model, picture):
    """The objective of one word, its row of tokens, and the inputs with the whole answer."""
    case = Case((picture,), QUESTION)
    reply = model.reply_of_text(ANSWER)
    (word,) = (piece for piece in reply.words if piece.text == WORD)
    tokens = tuple(range(word.first, word.last))
    objective = AnswerObjective(model, case, baseline_picture(picture, "blur"), reply.token_ids, tokens)
    return objective, reply, token_row(objective), answered_inputs(model, model.prepare([case]), [reply])


def found_by(model, picture, method):
    (made,) = explain(model, [picture], QUESTION, answers=ANSWER, words=[WORD], method=method, steps=0)
    return made.map.parts[PART][0].values[0]


def log_likelihood(logits, objective, row):
    places = torch.tensor([row.length - 1 + token for token in objective.tokens])
    wanted = torch.tensor([objective.token_ids[token] for token in objective.tokens])
    return logits[0, places].log_softmax(-1).gather(1, wanted[:, None]).sum()


def test_grad_cam_is_activation_times_mean_gradient(model, picture):
    objective, _, row, inputs = asked(model, picture)
    module = model.module
    columns = placed_image_positions(model, row)
    embedded = module.get_input_embeddings()(inputs["input_ids"]).detach()
    seen = module.get_image_features(pixel_values=inputs["pixel_values"], return_dict=True).pooler_output[0]
    embedded[0, columns] = seen.detach()
    embedded.requires_grad_()
    logits = module(inputs_embeds=embedded, attention_mask=inputs["attention_mask"], use_cache=False).logits
    (slope,) = torch.autograd.grad(log_likelihood(logits, objective, row), embedded)
    cam = torch.relu((embedded.detach()[0, columns] * slope[0, columns].mean(0)).sum(1))
    assert cam.max() > 0
    wanted = map_of_tokens(objective, row, cam)
    assert torch.allclose(found_by(model, picture, "grad-cam"), wanted, atol=1e-4 * float(wanted.max()))


def test_t_mm_is_the_product_of_all_layers(model, picture):
    objective, reply, row, inputs = asked(model, picture)
    module = model.module
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        seeing = inputs["pixel_values"].clone().requires_grad_()
        made = module(**{**inputs, "pixel_values": seeing}, output_attentions=True, use_cache=False)
        slopes = torch.autograd.grad(log_likelihood(made.logits, objective, row), made.attentions)
    finally:
        module.set_attn_implementation(before)
    relevance = torch.eye(row.length - 1 + len(reply.token_ids))
    for weights, slope in zip(made.attentions, slopes, strict=True):
        relevance = relevance + torch.relu(weights[0] * slope[0]).mean(0).detach() @ relevance
    rows = [row.length - 1 + token for token in objective.tokens]
    wanted = map_of_tokens(objective, row, relevance[rows].sum(0)[placed_image_positions(model, row)])
    found = found_by(model, picture, "attention x gradient")
    assert wanted.max() > 0
    assert torch.allclose(found, wanted, atol=1e-3 * float(wanted.max()))


@pytest.mark.parametrize("method", ["grad-cam", "attention x gradient", "attention"])
def test_against_another_answer_the_other_s_map_is_taken_away(model, picture, method):
    common = {"method": method, "steps": 0}
    (both,) = explain(model, [picture], QUESTION, answers="red", instead_of="blue", **common)
    one, other = (
        explain(model, [picture], QUESTION, answers=text, words=[text], **common)[0] for text in ("red", "blue")
    )
    values = [made.map.parts[PART][0].values for made in (both, one, other)]
    assert torch.allclose(values[0], values[1] - values[2], atol=1e-5)


@pytest.mark.parametrize("method", ["grad-cam", "attention x gradient"])
def test_inside_inference_mode(model, picture, method):
    with torch.inference_mode():
        (made,) = explain(model, [picture.clone()], QUESTION, answers=ANSWER, words=[WORD], method=method, steps=0)
    assert torch.equal(made.map.parts[PART][0].values[0], found_by(model, picture, method))


def test_each_time_a_word_occurs_has_an_attention_of_its_own(model, picture):
    """And the whole of the two is their mean."""
    common = {"answers": "a red star left of a red cross", "words": ["red"], "method": "attention", "steps": 0}
    (made,) = explain(model, [picture], QUESTION, per_word=True, **common)
    assert [label.text for label in made.map.labels[1:]] == ["red", "red"]
    whole, first, second = made.map.parts[PART][0].values
    assert not torch.allclose(first, second)
    assert torch.allclose(whole, (first + second) / 2, atol=1e-6)


LABELS = [Label("red and red", "whole"), Label("red", "question word", (3, 4))]
LABELS += [Label(text, "answer word", span) for text, span in (("red", (4, 6)), ("and", (6, 7)), ("red", (7, 8)))]


@pytest.mark.parametrize(
    ("tokens", "shares"), [((7,), [0, 0, 0, 0, 1]), ((4,), [0, 0, 1, 0, 0]), ((5, 6), [0, 0, 2 / 3, 1 / 3, 0])]
)
def test_words_count_by_their_tokens(tokens, shares):
    assert attention._shares(LABELS, tokens).tolist() == pytest.approx(shares)


def test_tokens_that_are_no_words_are_an_error_and_no_empty_map():
    with pytest.raises(InvalidInput, match="another method"):
        attention._shares(LABELS, (3,))
