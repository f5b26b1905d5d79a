"""What the second pass of a contrastive decoding reads, in every family: against full passes of the model's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from pack.api_core.choices import SCHEMES
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.contrastive.second_pass import all_image_positions
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.tests.core.models.eager import calmer, eager, eager_attentions
from pack.tests.core.models.second_passes import (
    ALL,
    CASES,
    FEW,
    Choose,
    Models,
    NoPicture,
    Without,
    every,
    every_other,
    generated,
    none,
    tokens,
)
from torch import Tensor


@contextmanager
def zeroed(model: Any, prepared: Any, choose: Choose) -> Iterator[None]:
    """Image tokens left out by a hook of the test's own, for full passes."""
    columns = all_image_positions(model, prepared)

    def hook(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        embeddings = kwargs["inputs_embeds"].clone()
        for row, own in enumerate(columns):
            embeddings[row, own[choose(len(own))]] = 0
        changed = {**kwargs, "inputs_embeds": embeddings}
        if kwargs.get("deepstack_visual_embeds") is not None:
            kept = ~torch.cat([choose(len(own)) for own in columns])[:, None]
            changed["deepstack_visual_embeds"] = [part * kept for part in kwargs["deepstack_visual_embeds"]]
        return args, changed

    handle = model.family.decoder(model.module).register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize("name", ALL)
def test_the_second_reading_is_a_full_pass_without_those_tokens_at_every_step(name: str, lvlm: Models) -> None:
    """No cache there, so a second pass that lost its own, or took the first one's, would show from step 2 on."""
    model = lvlm(name)
    (one,) = CASES[:1]
    prepared = model.prepare([one], with_places=False)
    contrast = Without(every_other)
    with calmer(model, model.module):
        replies = generated(model, prepared, contrast)
        inputs = answered_inputs(model, prepared, replies)
        with torch.no_grad():
            plain = model.module(**inputs, use_cache=False).logits[0]
            with zeroed(model, prepared, every_other):
                weakened = model.module(**inputs, use_cache=False).logits[0]
    start = prepared.rows[0].length - 1
    assert len(replies[0].token_ids) > 1
    for step in range(len(replies[0].token_ids)):
        torch.testing.assert_close(contrast.plain[step][0], plain[start + step], atol=2e-3, rtol=1e-3)
        torch.testing.assert_close(contrast.weakened[step][0], weakened[start + step], atol=2e-3, rtol=1e-3)
        assert (contrast.plain[step] - contrast.weakened[step]).abs().max() > 0.05


@pytest.mark.parametrize("scheme", ["zeros", "attention mask", "taken out"])
@pytest.mark.parametrize("name", ALL)
def test_nothing_of_what_is_left_out_gets_through(name: str, scheme: Any, lvlm: Models) -> None:
    model = lvlm(name)
    inverse = [Case((1 - one.pictures[0],), one.question) for one in CASES]
    seen, other = (NoPicture(0) if scheme == "taken out" else Without(every, scheme, alpha=0) for _ in range(2))
    tokens(model, CASES, seen)
    tokens(model, inverse, other)
    assert torch.equal(seen.weakened[0], other.weakened[0])
    assert not torch.allclose(seen.plain[0], other.plain[0], atol=1e-2)


@pytest.mark.parametrize("name", [name for name in ALL if name != "ovis2"])  # its marks mean nothing in a text
def test_without_its_picture_a_prompt_is_read_as_if_it_never_had_one(name: str, lvlm: Models) -> None:
    """Against the model's own pass over the text alone, at its own positions, without a cache."""
    model = lvlm(name)
    prepared = model.prepare(CASES, with_places=False)
    contrast = NoPicture()
    with calmer(model, model.module):
        replies = generated(model, prepared, contrast)
        for row, (reply, columns) in enumerate(zip(replies, all_image_positions(model, prepared), strict=True)):
            ids = prepared.inputs["input_ids"][row]
            text = torch.ones_like(ids, dtype=torch.bool)
            text[columns] = False
            text[: prepared.rows[row].padding] = False
            whole = torch.cat([ids[text], torch.tensor(reply.token_ids[:-1], dtype=ids.dtype)])
            expected = text_alone(model, whole[None], int(text.sum()))
            for step in range(len(reply.token_ids)):
                own = contrast.weakened[step][row]
                torch.testing.assert_close(own, expected[int(text.sum()) - 1 + step], atol=2e-3, rtol=1e-3)


def text_alone(model: Any, ids: Tensor, prompt: int) -> Tensor:
    """The scores [S, V] of a text of which `prompt` tokens are the prompt, by the model's own forward."""
    more: dict[str, Tensor] = {}
    if model.config.model_type in ("gemma3", "gemma4", "paligemma"):
        more["token_type_ids"] = torch.zeros_like(ids)
    if model.config.model_type == "paligemma":
        more["token_type_ids"][:, prompt:] = 1
    module = model.module.language_model if model.config.model_type == "instructblip" else model.module
    with torch.no_grad():
        logits = module(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **more).logits
    return logits[0]  # type: ignore[no-any-return]


def test_hidden_tokens_are_those_of_an_attention_mask(lvlm: Models) -> None:
    """Against the model's own mask, with the positions that the prompt has without it."""
    model = lvlm("llava-1.5")
    prepared = model.prepare(CASES[:1], with_places=False)
    contrast = Without(every_other, "attention mask")
    replies = generated(model, prepared, contrast)
    inputs = answered_inputs(model, prepared, replies)
    (columns,) = all_image_positions(model, prepared)
    positions = torch.arange(inputs["input_ids"].shape[1])[None]
    inputs["attention_mask"][0, columns[every_other(len(columns))]] = 0
    with torch.no_grad():
        expected = model.module(**inputs, position_ids=positions, use_cache=False).logits[0]
    for step, own in enumerate(contrast.weakened):
        torch.testing.assert_close(own[0], expected[prepared.rows[0].length - 1 + step], atol=1e-3, rtol=1e-4)


def test_schemes_and_seeds_differ(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    scores = []
    for scheme in SCHEMES:
        contrast = Without(every_other, scheme)
        tokens(model, CASES, contrast)
        scores.append(contrast.weakened[0])
    for index, own in enumerate(scores):
        for other in scores[index + 1 :]:
            assert (own - other).abs().max() > 1e-2


@pytest.mark.parametrize("name", FEW)
def test_where_the_prompt_looks_is_what_eager_attention_says(name: str, lvlm: Models, zoo_folder: Models) -> None:
    model = lvlm(name)
    prepared = model.prepare(CASES, with_places=False)
    reference = eager(zoo_folder(name))
    contrast = Without(none, needs_attention=True)
    with calmer(model, reference, model.module):
        generated(model, prepared, contrast, 1)
        _, steps = eager_attentions(reference, model.to_device(prepared.inputs), 1)
    layers = model.family.readable_layers(model.module)
    assert all(tuple(sorted(own)) == layers for own in contrast.attention)
    for row, (own, columns) in enumerate(zip(contrast.attention, all_image_positions(model, prepared), strict=True)):
        for place, layer in enumerate(layers):
            expected = steps[0][place][row, :, -1][:, columns].mean(0)
            torch.testing.assert_close(own[layer], expected, atol=1e-5, rtol=0)
