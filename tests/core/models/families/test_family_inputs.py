"""An answer after its prompt, read in one pass, gives what generating it gave step by step."""

import copy
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pack.api_core.errors import UnsupportedModel
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.families import Family
from pack.tests import zoo
from torch import Tensor, nn

STEPS = 6


@pytest.fixture(scope="module")
def generated(lvlm: Callable[[str], Any]) -> Callable[[str], tuple[Any, dict[str, Tensor], Tensor, Tensor]]:
    """Two rows of different length, padded: the model, its inputs, what it said, and with which logits."""

    def run(name: str) -> tuple[Any, dict[str, Tensor], Tensor, Tensor]:
        model = lvlm(name)
        generator = torch.Generator().manual_seed(11)
        cases = [
            Case((torch.rand(*size, 3, generator=generator),), question)
            for size, question in (((48, 64), "What?"), ((40, 100), "Where is the red ball, and what is blue?"))
        ]
        inputs = model.to_device(model.prepare(cases, with_places=False).inputs)
        assert int((inputs["attention_mask"] == 0).sum())
        with torch.no_grad():
            said = model.module.generate(
                **inputs,
                max_new_tokens=STEPS,
                min_new_tokens=STEPS,
                do_sample=False,
                suppress_tokens=[model.family.image_token(model.config)],
                output_logits=True,
                return_dict_in_generate=True,
            )
        return model, inputs, said.sequences[:, -STEPS:], torch.stack(said.logits, 1)

    return cache(run)


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_one_pass_gives_what_every_step_gave(name: str, generated: Callable[[str], Any]) -> None:
    model, inputs, said, steps = generated(name)
    before = {key: value.clone() for key, value in inputs.items()}
    whole = model.family.with_answer(inputs, said[:, :-1])
    with torch.no_grad():
        logits = model.module(**whole, use_cache=False).logits
    assert relative(logits[:, -STEPS:], steps) < 1e-5
    assert all(torch.equal(value, before[key]) for key, value in inputs.items())


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_shorter_answers_are_padded_on_the_right(name: str, generated: Callable[[str], Any]) -> None:
    model, inputs, said, steps = generated(name)
    mask = torch.ones_like(said[:, :-1])
    mask[0, 2:] = 0
    whole = model.family.with_answer(inputs, said[:, :-1] * mask, mask)
    with torch.no_grad():
        logits = model.module(**whole, use_cache=False).logits[:, -STEPS:]
    assert relative(logits[1], steps[1]) < 1e-5
    assert relative(logits[0, :3], steps[0, :3]) < 1e-5


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_layers_that_see_the_whole_prompt(name: str, lvlm: Callable[[str], Any]) -> None:
    model = lvlm(name)
    depth = len(model.family.layers(model.module))
    assert depth == model.config.get_text_config().num_hidden_layers
    partly = {"gemma3": (2, 5), "gemma4": (1, 3, 5), "qwen3.5": (3, 7), "aya-vision": (1, 3)}
    assert model.family.seeing_layers(model.config, model.module) == partly.get(name, tuple(range(depth)))
    for layer in model.family.seeing_layers(model.config):
        attention = model.family.attention(model.module, layer)
        assert hasattr(attention, "q_proj")


def test_a_layer_without_attention_says_which_have_it(lvlm: Callable[[str], Any]) -> None:
    model = lvlm("qwen3.5")
    with pytest.raises(UnsupportedModel, match=r"Layer 0 .* Choose one of 3, 7"):
        model.family.attention(model.module, 0)


def test_attention_of_a_way_of_its_own_is_refused(lvlm: Callable[[str], Any]) -> None:
    class Own(nn.Module):
        """Attention that asks no one how to compute."""

    model = lvlm("llava-1.5")
    module = copy.deepcopy(model.module)  # the other tests share the model
    model.family.layers(module)[1].self_attn = Own()
    with pytest.raises(UnsupportedModel, match="Own of LlavaForConditionalGeneration computes its attention"):
        model.family.attention(module, 1)


def test_a_module_without_layers_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="layers of Linear"):
        Family("Novel").layers(nn.Linear(2, 2))


def test_when_every_layer_slides_all_are_given() -> None:
    config = SimpleNamespace(num_hidden_layers=3, layer_types=["sliding_attention"] * 3)
    assert Family("Novel").seeing_layers(config) == (0, 1, 2)


def relative(values: Tensor, reference: Tensor) -> float:
    return float((values - reference).abs().max() / reference.abs().max())
