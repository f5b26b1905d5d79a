"""Contrastive decoding, in every family: against plain answers, full passes, and two caches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pack.api_core.choices import SCHEMES, Scheme
from pack.api_core.errors import Cancelled, UnsupportedModel
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.contrastive import decoder_call, second_pass
from pack.api_core.models.lvlm.contrastive.decoder_call import (
    all_seen,
    close_up,
    concat_masks,
    duplicate_rows,
    earlier_positions,
    mask_out,
)
from pack.api_core.models.lvlm.contrastive.second_pass import (
    PromptState,
    WeakenedPrompt,
    all_image_positions,
    contrastive_decoding,
)
from pack.api_core.models.lvlm.contrastive.weakened_prompts import (
    left_out,
    noised_pictures,
    taken_out,
    with_other_pictures,
)
from pack.api_core.models.lvlm.generate.sampling import Sampling
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.tests import zoo
from pack.tests.core.models.eager import calmer, eager, eager_attentions
from torch import Tensor

Models = Callable[[str], Any]
Choose = Callable[[int], Tensor]
LENGTH = 5
ALPHA = 2.5
ALL = [name for name in (*zoo.FAMILIES, *zoo.FURTHER) if not zoo.cannot_answer(name)]
FEW = ("llava-1.5", "qwen3-vl", "qwen3.5", "gemma3", "gemma4", "paligemma", "instructblip")


def case(height: int, width: int, question: str) -> Case:
    return Case((torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height)),), question)


CASES = (case(60, 80, "Where is the blue star on the left?"), case(90, 50, "Red?"), case(64, 64, "How many are there?"))


def none(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.bool)


def every(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.bool)


def every_other(count: int) -> Tensor:
    return torch.arange(count) % 2 == 0


class Without:
    """A second pass without some image tokens; remembers the scores of both."""

    def __init__(
        self, choose: Choose, scheme: Scheme = "zeros", alpha: float = ALPHA, needs_attention: bool = False
    ) -> None:
        self.needs_attention = needs_attention
        self.alpha = alpha
        self.plain: list[Tensor] = []
        self.weakened: list[Tensor] = []
        self.attention: tuple[dict[int, Tensor], ...] = ()
        self._choose = choose
        self._scheme = scheme

    def begin(self, model: Any, prepared: Any) -> None:
        pass

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        self.attention = prompt.attention
        return left_out(prompt, [self._choose(len(columns)) for columns in prompt.columns], self._scheme)

    def combine_logits(self, plain: Tensor, weakened: Tensor, step: int) -> Tensor:
        assert step == len(self.plain)
        self.plain.append(plain)
        self.weakened.append(weakened)
        return (1 + self.alpha) * plain - self.alpha * weakened


class Noised(Without):
    """A second pass of noised pictures."""

    def __init__(self, share: float) -> None:
        super().__init__(none)
        self._share = share
        self._pictures: Any = None

    def begin(self, model: Any, prepared: Any) -> None:
        self._pictures = noised_pictures(model, prepared, self._share, 3)

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        return with_other_pictures(prompt, self._pictures)


class NoPicture(Without):
    """A second pass without any image token."""

    def __init__(self, alpha: float = ALPHA) -> None:
        super().__init__(every, alpha=alpha)

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        return taken_out(prompt)


def tokens(model: Any, cases: Sequence[Case], contrast: Any = None, **more: Any) -> list[tuple[int, ...]]:
    prepared = model.prepare(cases, with_places=False)
    return [reply.token_ids for reply in generated(model, prepared, contrast, **more)]


def generated(model: Any, prepared: Any, contrast: Any, length: int = LENGTH, **more: Any) -> list[Any]:
    around = None if contrast is None else partial(contrastive_decoding, model, contrast)
    return model.generate(prepared, max_new_tokens=length, around=around, **more)  # type: ignore[no-any-return]


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


def test_caches_that_are_not_known_are_left_apart() -> None:
    from transformers import DynamicCache

    def filled(rows: int, value: float) -> DynamicCache:
        cache = DynamicCache()
        cache.update(torch.full((rows, 1, 3, 2), value), torch.full((rows, 1, 3, 2), value), 0)
        return cache

    own, other = filled(2, 1.0), filled(2, 5.0)
    assert decoder_call.append_rows(own, other, 2)
    assert own.layers[0].keys[:, 0, 0, 0].tolist() == [1, 1, 5, 5]
    assert own.get_seq_length() == 3

    class Unknown(DynamicCache):
        pass

    assert not decoder_call.append_rows(Unknown(), DynamicCache(), 2)
    odd, even = filled(2, 1.0), filled(2, 1.0)
    odd.layers[0].extra = torch.zeros(7, 3)  # type: ignore[attr-defined]
    even.layers[0].extra = torch.zeros(7, 3)  # type: ignore[attr-defined]
    assert not decoder_call.append_rows(odd, even, 2)
    assert odd.layers[0].keys.shape[0] == 2


def test_arguments_are_doubled_where_the_rows_are() -> None:
    rows = torch.arange(3)[:, None]
    both = duplicate_rows(
        {
            "inputs_embeds": rows[..., None].float(),
            "position_ids": torch.arange(9).reshape(3, 3, 1),
            "cache_position": torch.arange(3),
            "attention_mask": {"a": None, "b": torch.ones(1, 1, 1, 4)},
            "further": [rows, "text"],
        }
    )
    assert both["inputs_embeds"].flatten().tolist() == [0, 1, 2, 0, 1, 2]
    assert both["position_ids"][1, :, 0].tolist() == [3, 4, 5, 3, 4, 5]
    assert both["cache_position"].tolist() == [0, 1, 2]
    assert both["attention_mask"]["b"].shape == (1, 1, 1, 4)
    assert both["further"][0].flatten().tolist() == [0, 1, 2, 0, 1, 2]


def test_hidden_tokens_in_every_form_of_mask() -> None:
    hidden = torch.tensor([[False, True, False], [True, False, False]])
    step = {"inputs_embeds": torch.zeros(2, 1, 4)}
    prompt = {"inputs_embeds": torch.zeros(2, 3, 4)}
    assert mask_out(None, hidden, step, 4, False).tolist() == [[1, 0, 1, 1], [0, 1, 1, 1]]
    given = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    assert mask_out(given, hidden, step, 4, False).tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    window = mask_out(torch.ones(1, 1, 1, 2, dtype=torch.bool), hidden, step, 4, False)
    assert window.tolist() == [[[[True, True]]], [[[True, True]]]]
    whole = mask_out({"full": None}, hidden, prompt, 3, False)["full"]
    assert whole[0, 0].tolist() == [[True, False, False], [True, True, False], [True, False, True]]
    assert whole[1, 0].tolist() == [[True, False, False], [False, True, False], [False, True, True]]
    added = mask_out(torch.zeros(2, 1, 3, 3), hidden, prompt, 3, False)
    assert added[0, 0, 2].tolist() == [0, torch.finfo(torch.float32).min, 0]
    assert mask_out({"full": None}, hidden, step, 4, True)["full"].tolist() == [[1, 0, 1, 1], [0, 1, 1, 1]]
    assert concat_masks({"a": whole}, {"a": whole})["a"].shape == (4, 1, 3, 3)
    with pytest.raises(UnsupportedModel, match="SimpleNamespace"):
        mask_out(SimpleNamespace(), hidden, step, 4, False)


def test_what_is_left_closes_up_in_every_form_of_mask() -> None:
    """Two prompts of five tokens, the second with one of padding; tokens 1 and 2, and 3, are taken out."""
    gone = torch.tensor([[False, True, True, False, False], [False, False, False, True, False]])
    causal = torch.ones(5, 5, dtype=torch.bool).tril().expand(2, 1, 5, 5).clone()
    causal[1, :, :, 0] = False
    window = causal & torch.ones(5, 5, dtype=torch.bool).triu(-1)  # a token and the one before it
    added = torch.zeros(2, 1, 5, 5).masked_fill(~window, torch.finfo(torch.float32).min)
    marks = torch.arange(10).reshape(2, 5)
    given = {
        "inputs_embeds": torch.arange(10.0).reshape(2, 5, 1),
        "marks": marks,
        "position_ids": torch.tensor([[0, 1, 1, 2, 3], [1, 0, 1, 2, 3]]).expand(3, 2, 5),
        "attention_mask": {"full": causal, "window": added},
        "cache": object(),
    }
    closed = close_up(given, gone, torch.tensor([0, 1]))
    assert closed.arguments["marks"].tolist() == [[1, 2, 0, 3, 4], [5, 8, 6, 7, 9]]
    assert closed.arguments["inputs_embeds"][..., 0].tolist() == closed.arguments["marks"].tolist()
    assert closed.hidden.tolist() == [[True, True, False, False, False]] * 2
    assert closed.arguments["position_ids"][0].tolist() == [[0, 0, 0, 1, 2]] * 2
    assert closed.earlier is not None
    assert closed.earlier.tolist() == [[1, 1]] * 3
    kept = torch.ones(3, 3, dtype=torch.bool).tril()
    masks = closed.arguments["attention_mask"]
    for row in range(2):
        assert torch.equal(masks["full"][row, 0, 2:, 2:], kept)
        assert torch.equal(masks["window"][row, 0, 2:, 2:] == 0, kept & kept.new_ones(3, 3).triu(-1))
    alone = close_up({**given, "attention_mask": {"full": None, "window": added}}, gone, torch.tensor([0, 1]))
    assert alone.arguments["attention_mask"]["full"] is None
    assert torch.equal(alone.arguments["attention_mask"]["window"][0], masks["window"][0])
    later = {"inputs_embeds": torch.zeros(2, 1, 1), "position_ids": torch.full((3, 1, 1), 4)}
    assert earlier_positions(later, closed.earlier, both=True)["position_ids"].tolist() == [[[4], [4], [3], [3]]] * 3
    assert earlier_positions(later, closed.earlier, both=False)["position_ids"].tolist() == [[[3], [3]]] * 3
    assert close_up({"inputs_embeds": given["inputs_embeds"]}, gone, torch.tensor([0, 1])).earlier is None
    assert earlier_positions(later, None, both=True) == {}
    seen = all_seen({"bool": torch.zeros(1, dtype=torch.bool), "added": torch.tensor([-9.0]), "none": None})
    assert (seen["bool"].tolist(), seen["added"].tolist(), seen["none"]) == ([True], [0.0], None)
