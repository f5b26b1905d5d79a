"""The estimate that a host makes room by, against what autograd really keeps."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.api_core.autograd import differentiable
from pack.api_core.explanation.answer_objective import AnswerObjective
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.load import load_lvlm

Models = Callable[[str], Any]


def kept_by_autograd(model: Any, case: Case, blends: int) -> int:
    """Bytes that the graph of a score of `blends` blends holds on to, the weights not counted."""
    ids = model.encode_answer("a red star")
    objective = AnswerObjective(model, case, torch.zeros_like(case.pictures[0]), ids, tuple(range(len(ids) - 1)))
    weights = {weight.untyped_storage().data_ptr() for weight in model.module.parameters()}
    sizes: dict[int, int] = {}
    alive = []  # or a storage's address could be used again

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        alive.append(tensor)
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with differentiable(model.module), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        objective.score(objective.pixel_weights(torch.ones(blends, 8, 8, requires_grad=True)), "picture").sum()
    return sum(sizes.values())


@pytest.mark.parametrize("name", ["tiny-lvlm", "llava-1.5", "llava-next", "qwen2.5-vl", "qwen3-vl", "gemma3"])
def test_room_for_gradients_is_enough_and_not_wasteful(name: str, lvlm: Models) -> None:
    model = load_lvlm(name, device="cpu") if name == "tiny-lvlm" else lvlm(name)
    case = Case((torch.rand(112, 112, 3, generator=torch.Generator().manual_seed(1)),), "What colour is the star?")
    blends = 4
    estimate = blends * model.estimate_gradient_memory(model.prepare([case], with_places=False))
    assert 1 <= estimate / kept_by_autograd(model, case, blends) < 2.5


def test_it_grows_with_the_picture_and_is_more_than_an_answer_takes(lvlm: Models) -> None:
    model = lvlm("qwen2.5-vl")
    small = model.estimate_gradient_memory(32 * 32)
    assert model.estimate_gradient_memory(96 * 96) > 1.5 * small
    assert small > model.estimate_memory(32 * 32, 3)
