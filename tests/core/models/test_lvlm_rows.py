"""Rows read while generating and in a second pass against eager attention, step by step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from pack.api_core.errors import Cancelled, InvalidInput, NotEnoughMemory
from pack.api_core.models.conversation.case import Case, PictureLayout, PromptRow, TokenGrid
from pack.api_core.models.lvlm.attention.intercept import intercepting
from pack.api_core.models.lvlm.attention.layer_recorder import (
    LayerRecorder,
    LayerRows,
    RowRequest,
    scores_and_totals,
    sink_activations,
)
from pack.api_core.models.lvlm.attention.recorder import placed_image_positions, question_positions
from pack.api_core.models.lvlm.attention.rows import answer_rows, prompt_rows
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.api_core.results import Box
from pack.tests import zoo
from pack.tests.core.models.eager import calmer, eager, eager_attentions
from torch import Tensor

Models = Callable[[str], Any]
TOKENS = 6
CLOSE = {"atol": 1e-5, "rtol": 0.0}
SEEING = [name for name in (*zoo.FAMILIES, *zoo.FURTHER) if name not in zoo.WITHOUT_PLACES]


def case(height: int, width: int, question: str) -> Case:
    return Case((torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height)),), question)


CASES = (case(60, 80, "Where is the blue star on the left?"), case(90, 50, "Red?"))


def expected(steps: list[list[Tensor]], layer: int, case: int, position: int, length: int, columns: Tensor) -> Tensor:
    """Attention [H, n] of the row at a position of prompt and answer to the columns."""
    step = max(0, position - length + 1)
    attention = steps[step][layer][case]
    row = attention[:, position if step == 0 else -1]
    first = position + 1 - row.shape[-1] if step else 0  # a window's cache holds the last keys only
    whole = torch.zeros(row.shape[0], max(position + 1, length))
    whole[:, first : first + row.shape[-1]] = row
    return whole[:, columns]


@pytest.mark.parametrize("name", SEEING)
def test_rows_are_those_of_eager_attention_in_both_passes(name: str, lvlm: Models, zoo_folder: Models) -> None:
    """Both pictures of a batch with padding, all heads, every layer, rows of the answer and of the question's words."""
    if broken := zoo.cannot_answer(name):
        pytest.skip(broken)
    model = lvlm(name)
    prepared = model.prepare(CASES)
    assert any(row.padding for row in prepared.rows)
    reference = eager(zoo_folder(name))
    layers = list(model.family.readable_layers(model.module))
    wanted = {"layers": layers, "max_new_tokens": TOKENS, "question_rows": True}
    with calmer(model, reference, model.module):
        tokens, steps = eager_attentions(reference, model.to_device(prepared.inputs), TOKENS)
        generated = answer_rows(model, prepared, answers=[None, None], **wanted)
        again = answer_rows(model, prepared, answers=[read.reply for read in generated], **wanted)
    for rows in (generated, again):
        for index, (read, row) in enumerate(zip(rows, prepared.rows, strict=True)):
            ids = read.reply.token_ids
            assert list(ids) == tokens[index, : len(ids)].tolist()
            columns = placed_image_positions(model, row)
            positions = range(row.length - 1, row.length - 1 + len(ids))
            asked = question_positions(row)
            for order, layer in enumerate(layers):
                for kept, wanted in ((read.answer[layer], positions), (read.question[layer], asked)):
                    for i, position in enumerate(wanted):
                        scores, total = (tensor[i] for tensor in kept)
                        found = (scores - total[:, None]).exp()
                        eagerly = expected(steps, order, index, position, row.length, columns)
                        torch.testing.assert_close(found, eagerly, **CLOSE)


@pytest.mark.parametrize("name", ["llava-1.5", "qwen2.5-vl", "paligemma"])
def test_a_given_answer_is_read_as_if_it_had_been_generated(name: str, lvlm: Models, zoo_folder: Models) -> None:
    model = lvlm(name)
    prepared = model.prepare(CASES)
    texts = ["a red star", "two blue circles on the left"]
    rows = answer_rows(model, prepared, layers=[2], answers=[model.reply_of_text(text) for text in texts])
    assert [read.reply.text for read in rows] == texts
    assert all(read.question[2] == () for read in rows)
    inputs = answered_inputs(model, prepared, [read.reply for read in rows])
    with torch.no_grad():
        attention = eager(zoo_folder(name))(**inputs, output_attentions=True).attentions[2]
    for index, (read, row) in enumerate(zip(rows, prepared.rows, strict=True)):
        count = len(read.reply.token_ids)
        wanted = attention[index][:, row.length - 1 : row.length - 1 + count][..., placed_image_positions(model, row)]
        scores, total = read.answer[2]
        torch.testing.assert_close((scores - total[..., None]).exp(), wanted.transpose(0, 1), **CLOSE)


def test_given_and_generated_answers_mix_in_a_batch(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare([*CASES, CASES[0]])
    star = model.reply_of_text("a star")
    mixed = answer_rows(model, prepared, layers=[1, 3], answers=[None, star, None], max_new_tokens=TOKENS)
    plain = answer_rows(model, prepared, layers=[1, 3], answers=[None] * 3, max_new_tokens=TOKENS)
    assert mixed[1].reply.text == "a star"
    for one, other in ((mixed[0], plain[0]), (mixed[2], plain[2])):
        assert one.reply == other.reply
        torch.testing.assert_close(one.answer[3][0], other.answer[3][0], **CLOSE)


def test_the_prompt_s_last_row_is_that_of_the_first_token(lvlm: Models) -> None:
    model = lvlm("qwen2-vl")
    prepared = model.prepare(CASES)
    last = prompt_rows(model, prepared, layers=[0, 2])
    rows = answer_rows(model, prepared, layers=[0, 2], answers=[None, None], max_new_tokens=2)
    for own, read in zip(last, rows, strict=True):
        for layer in (0, 2):
            torch.testing.assert_close(own[layer][0], read.answer[layer][0][:1], **CLOSE)


class Watch:
    """Notes in which order rows are looked at and reduced, and wants the rows of every second layer."""

    def __init__(self, rows: Sequence[PromptRow]) -> None:
        self.rows = rows
        self.looks: list[tuple[int, int]] = []
        self.looks_before: dict[int, int] = {}
        self.seen: dict[tuple[int, int], Tensor] = {}

    def look(self, rows: LayerRows) -> None:
        case = next(i for i, row in enumerate(self.rows) if row is rows.row)
        self.looks.append((rows.layer, case))
        self.seen[rows.layer, case] = rows.probabilities.clone()

    def needed_layers(self) -> list[int]:
        return sorted({layer for layer, _ in self.looks})[::2]

    def reduce(self, rows: LayerRows) -> tuple[Tensor, ...]:
        self.looks_before.setdefault(rows.layer, len(self.looks))
        return (rows.probabilities.transpose(0, 1),)


@pytest.mark.parametrize("name", ["llava-1.5", "gemma3", "qwen3.5"])
def test_the_prompt_s_last_row_is_looked_at_before_rows_are_reduced(name: str, lvlm: Models) -> None:
    """Once, of each case: while generating in all layers before any row is, in one pass in the layers so far."""
    model = lvlm(name)
    prepared, layers = model.prepare(CASES), list(model.seeing_layers)
    found: list[Any] = []
    for given in (False, True):
        watch = Watch(prepared.rows)
        answers = [read.reply for read in found] or [None, None]
        settings = {"layers": layers, "max_new_tokens": TOKENS, "question_rows": True}
        found = answer_rows(model, prepared, answers=answers, reduce=watch.reduce, look=watch, **settings)
        assert watch.looks == [(layer, case) for layer in layers for case in range(2)]
        read_on = layers if given else layers[::2]
        known = [2 * (layers.index(layer) + 1) if given else 2 * len(layers) for layer in read_on]
        assert watch.looks_before == dict(zip(read_on, known, strict=True))
        for case, read in enumerate(found):
            assert list(read.answer) == list(read.question) == read_on
            assert read.row is prepared.rows[case]
            for layer in read_on:
                assert watch.seen[layer, case].shape[1] == 1
                assert len(read.answer[layer][0]) == len(read.reply.token_ids)
                torch.testing.assert_close(watch.seen[layer, case][:, 0], read.answer[layer][0][0])


def test_reading_changes_no_token_and_leaves_nothing_behind(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare(CASES)
    configs = [model.family.attention(model.module, layer).config for layer in range(model.depth)]
    plain = model.generate(prepared, max_new_tokens=TOKENS)
    rows = answer_rows(model, prepared, layers=range(model.depth), answers=[None, None], max_new_tokens=TOKENS)
    assert [read.reply for read in rows] == plain

    def stop(done: int, total: int) -> None:
        if done:
            raise Cancelled("enough")

    for answers in ([None, None], [model.reply_of_text("a star")] * 2):
        with pytest.raises(Cancelled):
            answer_rows(model, prepared, layers=[1, 2], answers=answers, on_progress=stop)
    for layer, config in enumerate(configs):
        attention = model.family.attention(model.module, layer)
        assert attention.config is config
        assert config._attn_implementation == "sdpa"
    assert not any(module._forward_pre_hooks for module in model.module.modules())


@contextmanager
def memory_for(model: Any, rows: int) -> Iterator[list[int]]:
    """A decoder that runs out of memory with more rows than these; the batch sizes that it was called with."""
    sizes: list[int] = []

    def look(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        given = kwargs.get("inputs_embeds")
        sizes.append(len(kwargs["input_ids"] if given is None else given))
        if sizes[-1] > rows:
            raise RuntimeError("out of memory, says this test")

    handle = model.family.layers(model.module)[2].register_forward_pre_hook(
        lambda module, args, kwargs: look(
            module, args, {"inputs_embeds": args[0] if args else kwargs["hidden_states"]}
        ),
        with_kwargs=True,
    )
    try:
        yield sizes
    finally:
        handle.remove()


@pytest.mark.parametrize("texts", [[None, None], ["a red star", "a blue star"]])
def test_where_memory_runs_out_fewer_cases_are_read_at_once(texts: list[Any], lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    answers = [text and model.reply_of_text(text) for text in texts]
    prepared = model.prepare(CASES)
    plenty = answer_rows(model, prepared, layers=[1, 3], answers=answers, max_new_tokens=TOKENS)
    with memory_for(model, 1) as sizes:
        little = answer_rows(model, prepared, layers=[1, 3], answers=answers, max_new_tokens=TOKENS)
    assert sizes[0] == 2
    assert set(sizes[1:]) <= {1, 2}
    for one, other in zip(little, plenty, strict=True):
        assert one.reply == other.reply
        for layer in (1, 3):
            torch.testing.assert_close(one.answer[layer][0], other.answer[layer][0], atol=1e-4, rtol=1e-5)
    with memory_for(model, 0), pytest.raises(NotEnoughMemory):
        answer_rows(model, prepared, layers=[3], answers=answers, max_new_tokens=2)


def test_what_cannot_be_read_is_refused(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare(CASES)
    with pytest.raises(InvalidInput, match="layers 0 to 3"):
        answer_rows(model, prepared, layers=[4], answers=[None, None])
    with pytest.raises(InvalidInput, match="1 answers for 2 cases"):
        answer_rows(model, prepared, layers=[1], answers=[None])
    with pytest.raises(InvalidInput, match="no picture"):
        answer_rows(model, model.prepare([Case((), "Red?")]), layers=[1], answers=[None])


def causal(name: str, **more: Any) -> Any:
    """A tiny decoder of a kind that no vision-language model of the zoo has."""
    import transformers

    config = getattr(transformers, f"{name}Config")(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=128,
        **more,
    )
    torch.manual_seed(0)
    module = getattr(transformers, f"{name}ForCausalLM")._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.3)
    return module


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Gemma2", {"attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 8, "sliding_window": 4}),
        ("GptOss", {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 4}),
    ],
)
def test_softcapping_sinks_and_windows_are_those_of_the_model(name: str, more: dict[str, Any]) -> None:
    module = causal(name, pad_token_id=0, bos_token_id=1, eos_token_id=2, **more)
    ids = torch.arange(3, 17).reshape(1, 14)
    columns = torch.tensor([1, 2, 3, 8, 9])
    wanted = RowRequest(plain_row(14, columns), columns, (5,), 13)
    readers = {layer: LayerRecorder(layer, [wanted], scores_and_totals) for layer in (0, 1)}
    modules = {layer: module.model.layers[layer].self_attn for layer in (0, 1)}

    def read(layer: int, call: Any, proceed: Any) -> Any:
        readers[layer].read(call)
        return proceed()

    with torch.no_grad(), intercepting(modules, read):
        made = module.generate(
            ids,
            max_new_tokens=5,
            do_sample=False,
            output_attentions=True,
            return_dict_in_generate=True,
            eos_token_id=49,
        )
    assert len(made.attentions) == 5
    for layer, reader in readers.items():
        (found,) = reader.finish()
        for position in (5, *range(13, 18)):
            scores, total = found[position]
            reference = expected([list(step) for step in made.attentions], layer, 0, position, 14, columns)
            torch.testing.assert_close((scores - total[:, None]).exp(), reference, **CLOSE)


def plain_row(length: int, columns: Tensor) -> PromptRow:
    grid = TokenGrid(columns[None], torch.ones(1, len(columns), dtype=torch.bool), Box(0, 0, 1, 1))
    return PromptRow(length, 0, (), (PictureLayout((1, 1), (grid,)),))


def test_what_a_reduction_is_given() -> None:
    scores = torch.tensor([[[0.0, 1.0, float("-inf")]], [[2.0, 2.0, 2.0]]])
    rows = LayerRows(plain_row(3, torch.arange(3)), 0, scores, torch.tensor([[2.0], [4.0]]), torch.ones(2, 3))
    torch.testing.assert_close(rows.probabilities[0, 0, 1], torch.tensor(1.0 - 2.0).exp())
    torch.testing.assert_close(rows.among_image().sum(-1), torch.ones(2, 1))
    kept = rows.among_image(torch.tensor([False, False, True]))
    assert kept[0].sum() == 0  # this row sees nothing that is kept
    assert kept[1, 0].tolist() == [0, 0, 1]


def test_massive_activations_are_those_of_the_first_token_s_dimensions() -> None:
    hidden = torch.full((6, 100), 0.1)
    hidden[1, 40] = 50.0  # the first token, after one of padding
    hidden[3, 40] = -30.0  # a sink
    hidden[4, 70] = 60.0  # stands out elsewhere
    found = sink_activations(hidden, 1, torch.tensor([2, 3, 4]), 5.0)
    assert found[1] > 5
    assert found[0] < 2
    assert found[2] < 0.1
    hidden[1, 40] = 0.1
    assert sink_activations(hidden, 1, torch.tensor([2, 3, 4]), 5.0).tolist() == [0, 0, 0]
