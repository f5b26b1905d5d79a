"""AvisC, VCD and M3ID through `ask`: the limits they run into plain decoding at, blind tokens, seeds, batches."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.api_core.answering import DECODINGS, M3ID, VCD, Answer, AvisC, Decoding, Greedy, Sample, ask
from pack.api_core.answering.contrastive.avisc import BlindTokensOnly
from pack.api_core.answering.contrastive.vcd import share_left
from pack.api_core.errors import Cancelled, InvalidInput, UnsupportedModel
from pack.api_core.models.catalog import avisc_alpha, find_lvlm_model
from pack.api_core.models.lvlm.generate import decoding_loop as generation
from pack.api_core.models.lvlm.load import load_lvlm
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.models.server.model import ServerModel
from pack.tests import zoo
from torch import Tensor

Models = Callable[[str], Any]
QUESTIONS = ["what shape is the red one?", "how many stars are there in the picture?", "is there a star?"]
KINDS = (AvisC, VCD, M3ID)


@pytest.fixture(scope="module")
def model() -> LvlmModel:
    return load_lvlm("tiny-lvlm", device="cpu")


def pictures(count: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(count, 70, 90, 3, generator=torch.Generator().manual_seed(seed))


def answers(model: LvlmModel, decoding: Decoding, count: int = 3, **more: Any) -> list[Answer]:
    more = {"max_new_tokens": 6, **more}
    return ask(model, pictures(count), QUESTIONS[:count], decoding=decoding, **more)


def ids(found: list[Answer]) -> list[tuple[int, ...]]:
    return [answer.token_ids for answer in found]


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_every_family_is_plain_where_all_tokens_are_blind_and_not_else(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    plain = ids(answers(model, Greedy()))
    assert ids(answers(model, AvisC(alpha=9.0, threshold=-math.inf))) == plain
    for decoding in (AvisC(beta=0), VCD(beta=0, noise_step=1000, alpha=3), M3ID(beta=0, forgetting=2.0)):
        together = answers(model, decoding)
        assert ids(together) != plain
        assert ids(together) == [
            ask(model, pictures()[i : i + 1], QUESTIONS[i], decoding=decoding, max_new_tokens=6)[0].token_ids
            for i in range(3)
        ]


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_every_family_has_its_blind_tokens_and_shows_them_where_they_have_a_place(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    found = answers(model, AvisC(), max_new_tokens=1)
    for answer, shown in zip(found, pictures(), strict=True):
        assert answer.blind is not None
        count = int(answer.blind.blind.sum())
        assert 0 < count < len(answer.blind.blind)
        assert sum(answer.blind.shares.values()) == pytest.approx(1)
        assert set(answer.blind.layers) <= set(model.family.readable_layers(model.module))
        if name in zoo.WITHOUT_PLACES:
            assert answer.blind_tokens is None
            continue
        assert answer.blind_tokens is not None
        (picture,) = answer.blind_tokens.pictures
        assert picture.size == shown.shape[:2]
        (views,) = picture.parts.values()
        values = torch.cat([view.values.flatten() for view in views])
        assert set(values.tolist()) <= {0.0, 1.0}
        assert values.sum() <= count  # tokens such as the ends of lines have no place


def test_the_map_marks_the_tokens_that_were_kept(model: LvlmModel) -> None:
    (answer,) = ask(model, pictures(1), QUESTIONS[0], decoding=AvisC(threshold=0.3), max_new_tokens=1)
    assert answer.blind is not None
    assert answer.blind_tokens is not None
    (view,) = answer.blind_tokens.pictures[0].parts["blind tokens"]
    mean, spread = answer.blind.attention.mean(), answer.blind.attention.std()
    expected = answer.blind.attention >= mean + 0.3 * spread
    assert view.values.flatten().bool().tolist() == expected.tolist()
    label = answer.blind_tokens.pictures[0].labels[0]
    assert (label.text, label.role) == ("blind tokens", "whole")


def test_an_answer_tells_the_alpha_that_the_catalog_gave(model: LvlmModel) -> None:
    (answer,) = ask(model, pictures(1), QUESTIONS[0], decoding=AvisC(), max_new_tokens=1)
    assert answer.decoding == AvisC(alpha=2.5)


def test_limits_at_which_it_is_plain(model: LvlmModel) -> None:
    plain = ids(answers(model, Greedy()))
    for decoding in (AvisC(alpha=0.0), AvisC(beta=1.0), VCD(alpha=0.0), VCD(beta=1.0), M3ID(forgetting=0.0)):
        assert ids(answers(model, decoding)) == plain
    for decoding in (AvisC(gamma=1.0), AvisC(gamma=0.0), AvisC(threshold=math.inf), AvisC(threshold=50.0)):
        found = answers(model, decoding)
        assert all(answer.blind is not None for answer in found)
    assert answers(model, AvisC(gamma=1.0))[0].blind.shares.keys() == set(range(model.depth))  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_answers_follow_their_seed(kind: Any, model: LvlmModel) -> None:
    before = torch.get_rng_state()

    def drawn(seed: int) -> list[tuple[int, ...]]:
        return ids(answers(model, kind(temperature=2.5, beta=0.0, seed=seed)))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert torch.equal(torch.get_rng_state(), before)
    shown = pictures()[1:2]
    (alone,) = ask(model, shown, QUESTIONS[1], decoding=kind(temperature=2.5, beta=0.0, seed=1), max_new_tokens=6)
    assert alone.token_ids == drawn(1)[1]


def test_a_batch_that_memory_does_not_hold_has_its_blind_tokens_too(
    model: LvlmModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answers(model, AvisC())
    decode, sizes = generation.decode, []

    def tight(module: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        found = decode(module, inputs, *args, **options)
        if len(found) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return found

    monkeypatch.setattr(generation, "decode", tight)
    parts = answers(model, AvisC())
    assert sizes == [3, 1, 1, 1]
    assert parts == whole
    for own, other in zip(parts, whole, strict=True):
        assert torch.equal(own.blind.blind, other.blind.blind)  # type: ignore[union-attr]
        own_map, other_map = (answer.blind_tokens.pictures[0].parts["blind tokens"] for answer in (own, other))  # type: ignore[union-attr]
        assert torch.equal(own_map[0].values, other_map[0].values)


def test_further_pictures_have_their_own_map(model: LvlmModel) -> None:
    (answer,) = ask(model, pictures(1), "x", more_pictures=[pictures(1, 5)[:, :60]], decoding=AvisC(), max_new_tokens=1)
    assert [picture.size for picture in answer.blind_tokens.pictures] == [(70, 90), (60, 90)]  # type: ignore[union-attr]


def test_text_and_progress_come_as_in_plain_decoding_and_stop_stops(model: LvlmModel) -> None:
    texts: dict[int, str] = {}
    done: list[tuple[int, int]] = []
    found = answers(
        model,
        AvisC(temperature=3.0, beta=0.0),
        on_token=lambda row, text: texts.__setitem__(row, text),
        on_progress=lambda now, most: done.append((now, most)),
    )
    assert {row: text.strip() for row, text in texts.items()} == {
        row: answer.text for row, answer in enumerate(found) if answer.text
    }
    assert [now for now, _ in done] == sorted(now for now, _ in done)
    assert done[-1] == (18, 18)

    def stop(now: int, most: int) -> None:
        if now >= 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        answers(model, AvisC(temperature=3.0, beta=0.0), on_progress=stop, max_new_tokens=100)
    assert answers(model, Greedy()) == answers(model, Greedy())


def test_where_no_place_can_be_found_it_still_answers(model: LvlmModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = answers(model, AvisC())

    def lost(*args: Any, **options: Any) -> Any:
        raise UnsupportedModel("64 patches make 9 image tokens.")

    monkeypatch.setattr(type(model.family), "layouts", lost)
    found = answers(model, AvisC())
    assert ids(found) == ids(expected)
    assert all(answer.blind_tokens is None and answer.blind is not None for answer in found)
    assert found[0].notes == ("There is no map: 64 patches make 9 image tokens.",)


def test_a_server_is_told_to_be_of_no_use_here() -> None:
    server = ServerModel.__new__(ServerModel)
    for kind in KINDS:
        with pytest.raises(InvalidInput, match=rf"'{kind.name}' needs the model itself.*greedy or sample"):
            ask(server, pictures(1), "x", decoding=kind())


@pytest.mark.parametrize(
    ("kind", "wrong", "says"),
    [
        (AvisC, {"alpha": -1.0}, "alpha must be 0 or more, not -1.0"),
        (AvisC, {"alpha": math.inf}, "alpha must be 0 or more, not inf"),
        (AvisC, {"beta": 1.5}, "beta must be from 0 to 1, not 1.5"),
        (AvisC, {"gamma": -0.1}, "gamma must be from 0 to 1, not -0.1"),
        (AvisC, {"threshold": math.nan}, "threshold must be a number"),
        (AvisC, {"scheme": "holes"}, "no scheme 'holes'.*attention mask"),
        (AvisC, {"temperature": -0.5}, "temperature must be 0 or more, not -0.5"),
        (VCD, {"noise_step": 1001}, "noise_step must be from 0 to 1000, not 1001"),
        (VCD, {"top_p": 0.0}, "top_p"),
        (M3ID, {"forgetting": -0.1}, "forgetting must be 0 or more"),
        (M3ID, {"seed": -1}, "seed"),
    ],
)
def test_settings_that_mean_nothing_are_refused(kind: Any, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        kind(**wrong)


def test_defaults_are_the_papers() -> None:
    assert [kind.name for kind in DECODINGS] == ["greedy", "sample", "AvisC", "VCD", "M3ID"]
    assert (AvisC().gamma, AvisC().threshold, AvisC().beta, AvisC().scheme) == (0.5, 1.0, 0.1, "zeros")
    assert avisc_alpha("llava-1.5-7b") == avisc_alpha("no such model") == 2.5
    assert avisc_alpha("instructblip-vicuna-7b") == 3.0
    assert avisc_alpha("instructblip-vicuna-7b", 1.0) == 1.0
    assert find_lvlm_model("instructblip-vicuna-7b").avisc_alpha == 3.0  # type: ignore[union-attr]
    assert isinstance(Sample().name, str)


def test_alpha_is_the_catalogs_unless_it_is_given(model: LvlmModel) -> None:
    plain, poorer = torch.tensor([[1.0, 0.9]]), torch.tensor([[1.0, 0.0]])
    for decoding, gap in ((AvisC(), 0.1 - 2.5 * 0.9), (AvisC(alpha=1.0), 0.1 - 0.9)):
        second = decoding.second_pass(model)
        assert isinstance(second, BlindTokensOnly)
        joined = second.combine_logits(plain, poorer, 0)[0]
        assert float(joined[0] - joined[1]) == pytest.approx(gap, abs=1e-5)


def test_how_much_noise_leaves_of_a_picture() -> None:
    """The authors' step t has t + 1 factors, and their last is 999."""
    shares = [share_left(step) for step in range(0, 1001, 50)]
    assert shares == sorted(shares, reverse=True)
    taken = [1e-5 + (5e-3 - 1e-5) / (1 + math.exp(6 - 12 * step / 999)) for step in range(1000)]
    for step in (0, 1, 500, 999):
        assert share_left(step) == pytest.approx(math.prod(1 - one for one in taken[: step + 1]), rel=1e-9)
    assert share_left(500) == pytest.approx(0.745, abs=2e-3)
    assert share_left(1000) == share_left(999)
