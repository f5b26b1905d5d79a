"""Contrastive decoding, in every family: against plain answers and two caches, seeds, Stop, and what is refused."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from pack.api_core.errors import Cancelled, UnsupportedModel
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.contrastive import decoder_call, second_pass
from pack.api_core.models.lvlm.contrastive.second_pass import contrastive_decoding
from pack.api_core.models.lvlm.generate.sampling import Sampling
from pack.tests.core.models.second_passes import (
    ALL,
    CASES,
    FEW,
    Models,
    Noised,
    NoPicture,
    Without,
    every,
    every_other,
    none,
    tokens,
)


@pytest.mark.parametrize("name", ALL)
def test_with_nothing_left_out_it_is_plain_greedy_token_for_token(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    plain = tokens(model, CASES)
    assert tokens(model, CASES, Without(none)) == plain
    assert tokens(model, CASES, Noised(1.0)) == plain
    assert tokens(model, CASES, Without(every_other)) != plain, "else this test would mean nothing"


@pytest.mark.parametrize("name", ALL)
def test_a_batch_with_padding_answers_as_each_alone_does(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    prepared = model.prepare(CASES, with_places=False)
    assert any(row.padding for row in prepared.rows)
    hidden: Callable[[], Without] = lambda: Without(every, "attention mask")  # noqa: E731
    for contrast in (lambda: Without(every_other), hidden, lambda: Noised(0.5), NoPicture):
        together = tokens(model, CASES, contrast())
        assert together == [tokens(model, [one], contrast())[0] for one in CASES]


@pytest.mark.parametrize("scheme", ["zeros", "attention mask", "taken out"])
@pytest.mark.parametrize("name", ALL)
def test_one_cache_for_both_readings_gives_what_two_caches_give(
    name: str, scheme: Any, lvlm: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lvlm(name)
    joined: list[bool] = []
    append = decoder_call.append_rows

    def watched(*args: Any) -> bool:
        joined.append(append(*args))
        return joined[-1]

    one, two = (NoPicture() if scheme == "taken out" else Without(every_other, scheme) for _ in range(2))
    monkeypatch.setattr(second_pass, "append_rows", watched)
    together = tokens(model, CASES, one)
    assert joined == [True]
    monkeypatch.setattr(second_pass, "append_rows", lambda *args: False)
    assert tokens(model, CASES, two) == together
    for own, other in zip(one.weakened, two.weakened, strict=True):
        torch.testing.assert_close(own, other, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", FEW)
def test_the_picture_is_encoded_once(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    ends = ("vision_tower", "visual", "vision_model")
    tower = next(part for path, part in model.module.named_modules() if path.rpartition(".")[2] in ends)
    calls: list[int] = []
    handle = tower.register_forward_hook(lambda *_: calls.append(1))
    try:
        tokens(model, CASES)
        plain = len(calls)
        tokens(model, CASES, Without(every_other, needs_attention=True))
    finally:
        handle.remove()
    assert plain
    assert len(calls) == 2 * plain


def test_penalties_come_after_both_are_joined(lvlm: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lvlm("qwen2.5-vl")
    free = tokens(model, CASES, Without(none))
    monkeypatch.setattr(model.module.generation_config, "repetition_penalty", 3.0)
    assert tokens(model, CASES, Without(none)) == tokens(model, CASES) != free


def test_drawn_answers_follow_their_seed_and_leave_torch_alone(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    before = torch.get_rng_state()

    def drawn(seed: int, cases: Sequence[Case] = CASES) -> list[tuple[int, ...]]:
        return tokens(model, cases, Without(every_other, "noise"), sampling=Sampling(2.0, 1.0, 0, seed))

    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1, CASES[1:2]) == drawn(1)[1:2]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stop_at", [0, 3, 9])
def test_stop_leaves_the_model_as_it_was(stop_at: int, lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    expected = tokens(model, CASES)
    decoder, head = model.family.decoder(model.module), model.module.get_output_embeddings()
    calls: list[int] = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if done >= stop_at and len(calls) > 1:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        tokens(model, CASES, Without(every_other, needs_attention=True), on_progress=stop)
    assert "forward" not in vars(decoder)
    assert not any((decoder._forward_pre_hooks, head._forward_pre_hooks, model.module._forward_hooks))
    assert tokens(model, CASES) == expected


def test_progress_is_told_in_both_readings_of_the_prompt(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    seen: list[int] = []
    tokens(model, CASES[:1], Without(every_other), on_progress=lambda done, total: seen.append(done))
    assert seen[: 2 * model.depth] == [0] * (2 * model.depth)
    assert seen[2 * model.depth] == 1


def test_a_model_whose_scores_cannot_be_followed_is_refused(lvlm: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lvlm("llava-1.5")
    monkeypatch.setattr(model.module, "get_output_embeddings", lambda: None)
    with pytest.raises(UnsupportedModel, match="does not say what scores its words"):
        tokens(model, CASES, Without(none))
    monkeypatch.undo()
    from transformers import DynamicCache

    spare = torch.nn.Linear(2, 2)
    monkeypatch.setattr(model.module, "get_output_embeddings", lambda: spare)
    with pytest.raises(UnsupportedModel, match="does not say what scores its words"):
        tokens(model, CASES, Without(none))
    monkeypatch.undo()
    decoder = model.family.decoder(model.module)
    prepared = model.prepare(CASES[:1], with_places=False)
    embeddings = model.module.get_input_embeddings()(prepared.inputs["input_ids"])

    def never_scored() -> None:
        with contrastive_decoding(model, Without(none), prepared), torch.no_grad():
            decoder(inputs_embeds=embeddings, past_key_values=DynamicCache(), use_cache=True)

    with pytest.raises(UnsupportedModel, match="scores its words in a way that cannot be followed"):
        never_scored()
