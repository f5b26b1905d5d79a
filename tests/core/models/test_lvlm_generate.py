"""Answers of local models: greedy and drawn, batches, streaming, Stop, memory, thinking."""

import json
import logging
import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.errors import Cancelled, InvalidInput, NotEnoughMemory, UnsupportedModel
from pack.api_core.models.conversation.case import Case, Prepared
from pack.api_core.models.lvlm.generate import decoding_loop as generation
from pack.api_core.models.lvlm.generate.sampling import Sampler, Sampling, truncated_probabilities
from pack.api_core.models.lvlm.load import load_lvlm
from pack.tests import zoo

QUESTION = "Where is the blue Zebra on the left?"
LENGTH = 8
Models = Callable[[str], Any]


def case(height: int = 60, width: int = 80, question: str = QUESTION, **more: Any) -> Case:
    pixels = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height))
    return Case((pixels,), question, **more)


CASES = (case(), case(90, 50, "Red?"), case(64, 64, "How many circles are there in the whole picture?"))


def stock(folder: Path, prepared: Prepared, **more: Any) -> list[list[int]]:
    """What transformers' own greedy `generate` writes, each row up to its end token."""
    from transformers import AutoModelForImageTextToText

    module = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    made = module.generate(**prepared.inputs, max_new_tokens=LENGTH, do_sample=False, **more)
    start = prepared.inputs["input_ids"].shape[1] if made.shape[1] > LENGTH else 0
    ends = module.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else ends
    rows = []
    for row in made[:, start:].tolist():
        stop = next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
        rows.append(row[:stop])
    return rows


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_greedy_is_transformers_own_greedy_token_for_token(name: str, lvlm: Models, zoo_folder: Models) -> None:
    model = lvlm(name)
    prepared = model.prepare(CASES, with_places=False)
    replies = model.generate(prepared, max_new_tokens=LENGTH)
    assert [list(reply.token_ids) for reply in replies] == stock(zoo_folder(name), prepared)
    assert len({reply.token_ids for reply in replies}) > 1, "the answers should differ for this test to mean anything"


SAMPLED = Sampling(temperature=0.9, seed=7)


@pytest.mark.parametrize(
    ("name", "sampling"),
    [*((name, None) for name in zoo.FAMILIES), ("llava-1.5", SAMPLED), ("qwen2.5-vl", SAMPLED), ("gemma3", SAMPLED)],
)
def test_a_batch_answers_as_each_alone_does_in_any_order(name: str, sampling: Sampling | None, lvlm: Models) -> None:
    model = lvlm(name)

    def answers(cases: Any) -> list[Any]:
        return model.generate(model.prepare(cases, with_places=False), max_new_tokens=LENGTH, sampling=sampling)

    together = answers(CASES)
    assert together[:2] == [answers([one])[0] for one in CASES[:2]]
    assert together == answers(CASES[::-1])[::-1]


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_the_reply_is_the_text_of_its_tokens_and_its_words_are_found(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    for reply in model.generate(model.prepare(CASES, with_places=False), max_new_tokens=LENGTH):
        assert reply.text == model.tokenizer.decode(reply.token_ids, skip_special_tokens=True).strip()
        assert reply.complete == (reply.token_ids[-1] in model.ends)
        for word in reply.words:
            assert word.text in model.tokenizer.decode(
                reply.token_ids[word.first : word.last], skip_special_tokens=True
            )


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_given_answer_becomes_tokens_that_read_as_it_does(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    tokens = model.encode_answer(" The Elephant is red. ")
    reply = model.reply_of(tokens)
    assert (reply.text, reply.complete, reply.token_ids) == ("The Elephant is red.", True, tokens)
    assert [word.text for word in reply.words] == ["The", "Elephant", "is", "red"]
    prepared = model.prepare([case()], with_places=False)
    row = prepared.inputs["input_ids"][0].tolist()
    plain = model.tokenizer.decode(row, skip_special_tokens=True)
    read = model.tokenizer.decode([*row, *tokens], skip_special_tokens=True)
    gap = "" if plain[-1:].isspace() or row[-1] in model.special else " "
    assert read == f"{plain}{gap}The Elephant is red."


@pytest.mark.parametrize("name", ["llava-1.5", "smolvlm2", "qwen2.5-vl", "gemma3"])
def test_its_own_answer_is_encoded_as_it_was_generated(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    tokens = model.encode_answer("The circle is red")
    again = model.encode_answer(model.reply_of(tokens).text)
    assert again == tokens
    assert tokens[-1] in model.ends


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare([case()], with_places=False)

    def answer(**options: Any) -> Any:
        return model.generate(prepared, max_new_tokens=LENGTH, sampling=Sampling(**options))[0].token_ids

    assert answer(seed=1) == answer(seed=1)
    assert len({answer(seed=seed, temperature=1.5, top_p=1.0) for seed in range(5)}) > 1
    greedy = model.generate(prepared, max_new_tokens=LENGTH)[0].token_ids
    assert answer(seed=3, top_k=1) == greedy
    assert answer(seed=3, top_p=1e-9) == greedy
    assert answer(seed=3, temperature=1e-6) == greedy
    assert answer(seed=(1 << 64) - 1)


def test_neither_way_touches_torchs_random_state(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare([case()], with_places=False)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model.generate(prepared, max_new_tokens=3)
    model.generate(prepared, max_new_tokens=3, sampling=Sampling())
    assert torch.equal(torch.get_rng_state(), before)


def test_what_sampling_keeps() -> None:
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert truncated_probabilities(scores, Sampling(temperature=1, top_p=0.75))[0].gt(0).tolist() == [
        [True, True, False, False]
    ]
    assert truncated_probabilities(scores, Sampling(temperature=1, top_p=0.81))[0].gt(0).tolist() == [
        [True, True, True, False]
    ]
    assert truncated_probabilities(scores, Sampling(temperature=1, top_p=1, top_k=3))[0].gt(0).tolist() == [
        [True, True, True, False]
    ]
    chances, tokens = truncated_probabilities(scores[:, [3, 0, 2, 1]], Sampling(temperature=0.5, top_p=1))
    assert tokens.tolist() == [[1, 3, 2, 0]]
    assert torch.allclose(chances, (scores * 2).softmax(-1))


def test_tokens_are_drawn_as_often_as_their_chances_say() -> None:
    scores = torch.tensor([[0.6, 0.3, 0.1]]).log()
    sampler = Sampler(Sampling(temperature=1, top_p=1, seed=1), rows=1)
    drawn = torch.cat([sampler(scores) for _ in range(3000)])
    assert torch.allclose(drawn.bincount(minlength=3) / 3000, torch.tensor([0.6, 0.3, 0.1]), atol=0.03)


@pytest.mark.parametrize(
    "options", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"seed": -1}, {"seed": 1 << 64}]
)
def test_settings_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=str(next(iter(options.values())))):
        Sampling(**options)


def test_an_answer_of_no_tokens_is_refused(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    with pytest.raises(InvalidInput, match="max_new_tokens must be 1 or more, not 0"):
        model.generate(model.prepare([case()], with_places=False), max_new_tokens=0)


def changed_settings(folder: Path, target: Path, **settings: Any) -> Path:
    shutil.copytree(folder, target)
    path = target / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return target


def test_sampling_settings_of_the_checkpoint_do_not_leak_into_greedy(
    zoo_folder: Models, tmp_path: Path, lvlm: Models
) -> None:
    sampled = {"do_sample": True, "temperature": 0.01, "top_k": 1, "top_p": 0.001, "max_length": 9, "num_beams": 1}
    model = load_lvlm(changed_settings(zoo_folder("llava-1.5"), tmp_path / "m", **sampled), device="cpu")
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("transformers").addHandler(handler)
    try:
        replies = model.generate(model.prepare(CASES, with_places=False), max_new_tokens=LENGTH)
        wide = model.generate(
            model.prepare([case()], with_places=False),
            max_new_tokens=LENGTH,
            sampling=Sampling(temperature=2.0, top_p=1.0, seed=2),
        )
    finally:
        logging.getLogger("transformers").removeHandler(handler)
    plain = lvlm("llava-1.5")
    assert replies == plain.generate(plain.prepare(CASES, with_places=False), max_new_tokens=LENGTH)
    assert wide[0].token_ids != replies[0].token_ids
    assert not said


def test_what_shapes_the_scores_is_the_models_own_and_stays(zoo_folder: Models, tmp_path: Path, lvlm: Models) -> None:
    folder = changed_settings(zoo_folder("qwen2.5-vl"), tmp_path / "m", repetition_penalty=3.0)
    model = load_lvlm(folder, device="cpu")
    prepared = model.prepare(CASES, with_places=False)
    replies = model.generate(prepared, max_new_tokens=LENGTH)
    assert [list(reply.token_ids) for reply in replies] == stock(folder, prepared)
    plain = lvlm("qwen2.5-vl")
    assert replies != plain.generate(plain.prepare(CASES, with_places=False), max_new_tokens=LENGTH)


def test_every_kind_of_end_token_ends_an_answer(zoo_folder: Models, tmp_path: Path, lvlm: Models) -> None:
    plain = lvlm("llava-1.5")
    prepared = plain.prepare([case()], with_places=False)
    tokens = plain.generate(prepared, max_new_tokens=LENGTH)[0].token_ids
    end = tokens[4]
    first = tokens.index(end)
    folder = changed_settings(zoo_folder("llava-1.5"), tmp_path / "m", eos_token_id=[2, end])
    model = load_lvlm(folder, device="cpu")
    (reply,) = model.generate(prepared, max_new_tokens=LENGTH)
    assert reply.token_ids == tokens[: first + 1]
    assert reply.complete
    assert model.ends == {2, end}


def test_a_checkpoint_without_end_tokens_takes_the_configurations(zoo_folder: Models, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(zoo_folder("llava-1.5"), folder)
    (folder / "generation_config.json").unlink()
    assert load_lvlm(folder, device="cpu").ends == {2}


def test_text_streams_row_by_row(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    seen: dict[int, list[str]] = {}
    replies = model.generate(
        model.prepare(CASES, with_places=False),
        max_new_tokens=LENGTH,
        on_token=lambda row, text: seen.setdefault(row, []).append(text),
    )
    for row, reply in enumerate(replies):
        texts = seen[row]
        assert texts[-1].strip() == reply.text
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
        assert len(texts) > LENGTH // 2


def test_stop_ends_the_work_within_a_token(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare(CASES, with_places=False)
    for stop_at in (0, 3, 9):
        calls: list[tuple[int, int]] = []
        steps: list[int] = []
        handle = model.module.register_forward_pre_hook(lambda *_, steps=steps: steps.append(1))

        def stop(done: int, total: int, calls: list[Any] = calls, stop_at: int = stop_at) -> None:
            calls.append((done, total))
            if done >= stop_at:
                raise Cancelled("stop")

        try:
            with pytest.raises(Cancelled):
                model.generate(prepared, max_new_tokens=LENGTH, on_progress=stop)
        finally:
            handle.remove()
        assert len(steps) == max(1, stop_at // 3)
        assert all(total == 3 * LENGTH for _, total in calls)
    assert not any(layer._forward_pre_hooks for layer in model.family.layers(model.module))


def test_progress_is_reported_before_each_layer_of_the_prompt_and_after_each_token(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    seen: list[int] = []
    model.generate(
        model.prepare([case()], with_places=False), max_new_tokens=4, on_progress=lambda done, total: seen.append(done)
    )
    assert seen[: model.depth] == [0] * model.depth
    assert seen[model.depth :] == sorted(seen[model.depth :])
    assert seen[-1] == 4


def test_fewer_rows_go_at_once_where_memory_runs_out(lvlm: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lvlm("llava-1.5")
    cases = [*CASES, case(40, 40, "Blue?"), case(50, 70, "Green?")]
    prepared = model.prepare(cases, with_places=False)
    whole = model.generate(prepared, max_new_tokens=LENGTH)
    real, sizes = generation.decode, []

    def tight(module: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return real(module, inputs, *args, **kwargs)

    monkeypatch.setattr(generation, "decode", tight)
    rows = set()
    assert model.generate(prepared, max_new_tokens=LENGTH, on_token=lambda row, text: rows.add(row)) == whole
    assert sizes == [5, 2, 2, 1]
    assert rows == set(range(5))

    def never(*args: Any, **kwargs: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(generation, "decode", never)
    with pytest.raises(NotEnoughMemory, match=r"llava-1\.5 ran out of memory on cpu with a single question"):
        model.generate(prepared, max_new_tokens=LENGTH)


def test_other_failures_are_not_taken_for_a_lack_of_memory(lvlm: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lvlm("llava-1.5")

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(generation, "decode", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        model.generate(model.prepare([case()], with_places=False))


def test_thinking_goes_apart_and_its_words_are_no_words_of_the_answer(lvlm: Models) -> None:
    model = lvlm("qwen3.5")
    tokens = model.tokenizer("<think>\nIs it blue?\n</think>\n\nIt is red.", add_special_tokens=False)["input_ids"]
    end = next(iter(model.ends))
    reply = model.reply_of([*tokens, end])
    assert (reply.text, reply.thinking) == ("It is red.", "Is it blue?")
    assert [word.text for word in reply.words] == ["It", "is", "red"]
    assert model.tokenizer.decode(reply.token_ids[reply.words[-1].first : reply.words[-1].last]).strip() == "red"
    unclosed = model.reply_of(
        model.tokenizer("Is it blue", add_special_tokens=False)["input_ids"], inside_thinking=True
    )
    assert (unclosed.text, unclosed.thinking, unclosed.words, unclosed.complete) == ("", "Is it blue", (), False)


def test_a_prompt_that_opened_thinking_has_the_answer_begin_inside_it(
    lvlm: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lvlm("qwen3.5")
    prepared = model.prepare([case()], with_places=False, thinking=True)
    assert prepared.prompts[0].rstrip().endswith("<think>")
    thought, answer = (
        tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in ("Hm.</think>", "Red.")
    )
    said = generation.Written(thought + answer, (-3.0,) * len(thought) + (-0.5,) * len(answer))
    monkeypatch.setattr(generation, "decode", lambda *args, **kwargs: [said])
    (reply,) = model.generate(prepared)
    assert (reply.thinking, reply.text) == ("Hm.", "Red.")
    assert reply.confidence == pytest.approx(math.exp(-0.5 * len(answer)))  # of the answer, not of the thinking
    cut = generation.Written(thought[:2], (-3.0, -3.0))
    monkeypatch.setattr(generation, "decode", lambda *args, **kwargs: [cut])
    cut_off = model.generate(prepared)[0]
    assert (cut_off.text, cut_off.confidence) == ("", 0.0)  # and not 1, the product of nothing


def test_a_decoding_can_read_two_prompts_and_pick_for_both(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare([CASES[0], CASES[2]], with_places=False)

    def contrasted(scores: torch.Tensor) -> torch.Tensor:
        return (2 * scores[0] - scores[1]).argmax().expand(2)

    both = generation.decode(
        model.module,
        model.to_device(prepared.inputs),
        contrasted,
        max_new_tokens=5,
        ends=model.ends,
        pad=0,
        on_step=lambda new: None,
    )
    assert both[0].token_ids == both[1].token_ids
    assert list(both[0].token_ids) != list(model.generate(prepared, max_new_tokens=5)[0].token_ids)


def test_it_answers_inside_inference_mode_and_leaves_ordinary_weights(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare([case()], with_places=False)
    expected = model.generate(prepared, max_new_tokens=3)
    with torch.inference_mode():
        inside = model.generate(model.prepare([case()], with_places=False), max_new_tokens=3)
    assert inside == expected
    assert not any(tensor.is_inference() for tensor in [*model.module.parameters(), *model.module.buffers()])


@pytest.mark.parametrize("sampling", [Sampling(temperature=5e-324), Sampling(top_p=5e-324), Sampling(1e-30, 1e-9, 3)])
def test_the_coldest_sampling_draws_the_likeliest_token(sampling: Sampling) -> None:
    scores = torch.tensor([[0.5, 7.0, 6.9, -math.inf], [3e4, -3e4, 0.0, 2.9e4]])
    assert Sampler(sampling, 2)(scores).tolist() == [1, 0]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("sampling", [None, SAMPLED])
def test_scores_that_are_no_numbers_are_told_and_not_picked_from(
    broken: float, sampling: Sampling | None, lvlm: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lvlm("llava-1.5")
    head = model.module.get_output_embeddings()
    monkeypatch.setattr(head, "forward", lambda states: torch.full((*states.shape[:-1], head.out_features), broken))
    with pytest.raises(UnsupportedModel, match="no finite numbers"):
        model.generate(model.prepare(CASES[:1], with_places=False), max_new_tokens=2, sampling=sampling)
