"""An answer as a function of the picture in every family: gradients reach all tiles, batches are loops."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.api_core.autograd import differentiable
from pack.api_core.explanation.answer_objective import AnswerObjective
from pack.api_core.explanation.baselines import baseline_picture
from pack.api_core.explanation.picture_objective import PictureObjective
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.api_core.models.lvlm.load import load_lvlm
from pack.tests import zoo

Models = Callable[[str], Any]


def objective_of(model: Any) -> AnswerObjective:
    picture = torch.rand(60, 100, 3, generator=torch.Generator().manual_seed(1))
    reply = model.reply_of_text("a red star")
    tokens = tuple(range(len(reply.token_ids) - 1))
    case = Case((picture,), "Where is the star?")
    return AnswerObjective(model, case, baseline_picture(picture, "mean colour"), reply.token_ids, tokens)


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_gradients_reach_every_tile_and_a_batch_is_a_loop(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    objective = objective_of(model)
    masks = torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(2))
    with differentiable(model.module):
        lifted = objective.pixel_weights(masks).detach().requires_grad_()
        together = objective.score(lifted, "picture")
        (slope,) = torch.autograd.grad(together.sum(), lifted)
    with torch.no_grad():
        alone = torch.cat([objective.score(objective.pixel_weights(mask[None]), "picture") for mask in masks])
        swapped = objective.score(1 - objective.pixel_weights(masks) * 1.0, "baseline")
        whole = objective.log_likelihoods(objective.pixel_weights(torch.ones(1, 2, 2)), "picture")[0]
        reply = model.reply_of(objective.token_ids)
        logits = model.module(
            **answered_inputs(model, model.prepare([objective.case], with_places=False), [reply])
        ).logits
    ids = torch.tensor(objective.token_ids)
    own = logits[0, -len(ids) :].log_softmax(-1).gather(1, ids[:, None])[list(objective.tokens), 0]
    assert torch.allclose(whole, own, atol=1e-4), "the whole picture is the picture"
    assert torch.allclose(together.detach(), alone, atol=2e-4)
    if all(bool(places.known.all()) for places in objective.blends.maps.values()):
        assert torch.allclose(swapped, alone, atol=2e-4), "w of the picture is 1 - w of the baseline"
    first = 0
    for name, pixels in objective.blends.picture.items():
        known = objective.blends.maps[name].known
        part = slope[:, first : first + pixels.numel()].abs() * known
        first += pixels.numel()
        views = len(pixels.reshape(-1, *pixels.shape[-3:])) if pixels.ndim >= 4 else 1
        sees = known.reshape(views, -1).any(1)
        assert bool((part.reshape(len(masks), views, -1).amax(2) > 0)[:, sees].all()), "a tile without a gradient"


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_whole_pictures_shown_one_by_one_score_as_the_models_own_pixels(name: str, lvlm: Models) -> None:
    pixels = objective_of(lvlm(name))
    hidden = baseline_picture(pixels.case.pictures[0], "mean colour")
    whole = PictureObjective(pixels.model, pixels.case, hidden, pixels.token_ids, pixels.tokens)
    with torch.no_grad():
        for towards in ("picture", "baseline"):
            wanted, found = (
                one.log_likelihoods(one.pixel_weights(torch.ones(1, 2, 2)), towards) for one in (pixels, whole)
            )
            assert torch.allclose(found, wanted, atol=1e-4), towards
    masks = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(2))
    weights = whole.pixel_weights(masks)
    assert weights.shape == (2, 60 * 100)
    assert 0 <= float(weights.min()) <= float(weights.max()) <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_precisions_say_about_the_same(precision: str, zoo_folder: Models) -> None:
    model = load_lvlm(zoo_folder("qwen2.5-vl"), device="cpu", precision=precision)
    objective = objective_of(model)
    with differentiable(model.module):
        weights = objective.pixel_weights(torch.full((1, 4, 4), 0.5)).requires_grad_()
        score = objective.score(weights, "picture")
        (slope,) = torch.autograd.grad(score.sum(), weights)
    assert score.dtype == slope.dtype == torch.float32
    assert slope.isfinite().all()
    assert slope.any()
    reference = objective_of(load_lvlm(zoo_folder("qwen2.5-vl"), device="cpu", precision="fp32"))
    with torch.no_grad():
        wanted = reference.score(weights.detach(), "picture")
    assert score.detach() == pytest.approx(wanted, rel=0.02)
