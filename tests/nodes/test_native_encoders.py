"""Encoders of ComfyUI's own classes, read where they lie: on the real host, tiny and random."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pack.tests import encoder_rows, tiny_encoders
from pack.tests.nodes.conftest import ASK
from pack.tests.on_host import ON_REAL_HOST

pytestmark = [
    pytest.mark.both_hosts,
    pytest.mark.skipif(not ON_REAL_HOST, reason="only a real ComfyUI has these encoders"),
]

QUESTION = "Where is the red star?"
NEW_TOKENS = 6
WINDOW = 40
KINDS = [*((kind, None) for kind in tiny_encoders.KINDS), ("gemma3_4b", WINDOW), ("gemma4_e2b", WINDOW)]
ANSWERING = [(kind, window) for kind, window in KINDS if kind in tiny_encoders.ANSWERING]
SIZES = [(240, 240), (160, 480), (480, 160), (200, 320)]

Encoders = Callable[..., Any]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    """As ComfyUI executes nodes."""
    with torch.inference_mode():
        yield


def a_picture(height: int = 80, width: int = 128) -> torch.Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(5))


def wrapped(clip: Any) -> Any:
    from pack.nodes.native.lvlm import NativeLvlm

    return NativeLvlm(clip)


def a_case(picture: torch.Tensor | None = None, question: str = QUESTION) -> Any:
    from pack.api_core.models.conversation.case import Case

    return Case((a_picture() if picture is None else picture,), question)


def rows_of(model: Any, prepared: Any, reply: Any = None, layers: Any = None) -> Any:
    from pack.api_core.models.lvlm.attention.rows import answer_rows

    layers = layers or [at for at, layer in enumerate(model._encoder.layers) if hasattr(layer, "self_attn")]
    (rows,) = answer_rows(
        model, prepared, layers=layers, answers=[reply], max_new_tokens=NEW_TOKENS, question_rows=True
    )
    return rows


def probabilities(kept: tuple[torch.Tensor, ...]) -> torch.Tensor:
    scores, totals = kept
    return (scores - totals[..., None]).exp()


def nothing_left(clip: Any) -> None:
    import sys

    from comfy.ldm.modules import attention

    for name, module in clip.cond_stage_model.named_modules():
        assert not module._forward_pre_hooks, name
        assert not module._forward_hooks, name
        assert not {"sample_token", "preprocess_embed", "forward"} & set(vars(module)), name
    for name in ("comfy.text_encoders.gemma4", "comfy.text_encoders.llama"):
        if name in sys.modules:
            found = vars(sys.modules[name]).get("optimized_attention_for_device")
            assert found in (None, attention.optimized_attention_for_device)


@pytest.mark.parametrize(("kind", "word"), [("qwen3vl", "assistant"), ("qwen35", "user"), ("gemma4_e2b", "model")])
def test_a_question_in_the_words_of_the_chat_lies_where_it_is_asked(encoders: Encoders, kind: str, word: str) -> None:
    model = wrapped(encoders(kind))
    (found,), (other,) = (model.prepare([a_case(question=text)]).rows[0].question_words for text in (word, "star"))
    assert found.text == word
    assert found.first == other.first


def compare_with_float64(kind: str, clip: Any) -> None:
    model = wrapped(clip)
    prepared = model.prepare([a_case()])
    (row,) = prepared.rows
    reply = model.reply_of_text("a red star on the left")
    with encoder_rows.entering(model._encoder.layers) as entered:
        model.read_once(prepared, [reply])
    read = rows_of(model, prepared, reply)
    (layout,) = row.layouts
    (grid,) = layout.grids
    length = row.length + len(reply.token_ids) - 1
    places = encoder_rows.positions_of(kind, length, int(grid.tokens[0, 0]), *grid.tokens.shape)
    answering = range(row.length - 1, row.length - 1 + len(reply.token_ids))
    asking = [word.last - 1 for word in row.question_words]
    assert [word.text for word in row.question_words] == ["Where", "is", "the", "red", "star"]
    assert entered
    for layer in entered:
        wanted = encoder_rows.attention(kind, model._encoder.layers, model._encoder.config, layer, entered, places)
        for positions, kept in ((answering, read.answer[layer]), (asking, read.question[layer])):
            own = wanted[:, list(positions)][..., layout.positions].transpose(0, 1)
            assert torch.allclose(probabilities(kept).double(), own, atol=1e-5), (layer, kind)
    if not kind.startswith("gemma4"):  # which is asked before it sees the picture
        assert bool((wanted[:, asking][..., layout.positions] > 0).any())
    nothing_left(clip)


@pytest.mark.parametrize(("kind", "window"), KINDS)
def test_rows_are_those_of_a_computation_in_float64(kind: str, window: int | None, encoders: Encoders) -> None:
    compare_with_float64(kind, encoders(kind, window))


@pytest.mark.parametrize(("kind", "window"), ANSWERING)
def test_reading_changes_no_token_and_a_second_pass_reads_the_same(
    kind: str, window: int | None, encoders: Encoders
) -> None:
    model = wrapped(encoders(kind, window))
    prepared = model.prepare([a_case()])
    (plain,) = model.generate(prepared, max_new_tokens=NEW_TOKENS)
    generating = rows_of(model, prepared)
    assert generating.reply.token_ids == plain.token_ids
    assert generating.reply.confidence == pytest.approx(plain.confidence, rel=1e-4)
    again = rows_of(model, prepared, plain)
    for layer, kept in generating.answer.items():
        assert torch.allclose(probabilities(kept), probabilities(again.answer[layer]), atol=1e-6), layer
        assert torch.allclose(
            probabilities(generating.question[layer]), probabilities(again.question[layer]), atol=1e-6
        )
        assert not kept[0].is_inference()
    nothing_left(encoders(kind, window))


@pytest.mark.parametrize(("kind", "window"), ANSWERING)
def test_a_greedy_answer_is_that_of_comfyuis_own_node(
    kind: str, window: int | None, encoders: Encoders, run: Any
) -> None:
    from comfy_extras.nodes_textgen import TextGenerate

    clip = encoders(kind, window)
    image = a_picture(96, 96)[None]  # a square one: ComfyUI cuts the sides of others off for Gemma 3
    model = wrapped(clip)
    (reply,) = model.generate(model.prepare([a_case(image[0])]), max_new_tokens=NEW_TOKENS)
    if kind == "gemma3_12b":  # ComfyUI's own node has it answer behind a thousand tokens of padding
        tokens = clip.tokenize(QUESTION, image=image, skip_template=False)
        tokens = [[entry for entry in tokens[0] if entry[0] != 0]]
        wanted = clip.decode(clip.generate(tokens, do_sample=False, max_length=NEW_TOKENS))
    else:
        wanted = TextGenerate.execute(clip, QUESTION, NEW_TOKENS, {"sampling_mode": "off"}, image=image).args[0]
    assert clip.decode(list(reply.token_ids)) == wanted
    asked = run("AttnPromptAsk", model=clip, image=image, question=QUESTION, **{**ASK, "max_new_tokens": NEW_TOKENS})
    assert asked.args[0] == [reply.text]


@pytest.mark.parametrize("kind", tiny_encoders.KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_what_changes_in_a_cell_changes_its_token_most(kind: str, size: tuple[int, int], encoders: Encoders) -> None:
    model = wrapped(encoders(kind))
    picture = a_picture(*size) * 0.2 + 0.4
    prepared = model.prepare([a_case(picture)])
    (grid,) = prepared.rows[0].layouts[0].grids
    assert (grid.box.left, grid.box.top, grid.box.right, grid.box.bottom) == (0, 0, size[1], size[0])
    high, wide = size[0] / grid.tokens.shape[0], size[1] / grid.tokens.shape[1]
    before = embedded(model, prepared)
    for row in range(0, grid.tokens.shape[0], max(1, grid.tokens.shape[0] // 2)):
        for column in (0, grid.tokens.shape[1] // 2, grid.tokens.shape[1] - 1):
            changed = picture.clone()
            top, bottom = (round((row + part) * high) for part in (0.2, 0.8))
            left, right = (round((column + part) * wide) for part in (0.2, 0.8))
            changed[top:bottom, left:right] += 0.4
            after = embedded(model, model.prepare([a_case(changed)]))
            most = (after - before).norm(dim=-1)[prepared.rows[0].layouts[0].positions].argmax()
            found = divmod(int(most), grid.tokens.shape[1])
            assert found == (row, column)


def embedded(model: Any, prepared: Any) -> torch.Tensor:
    """What enters the decoder: [S, c]."""
    kept: list[torch.Tensor] = []
    first = model._encoder.layers[0]
    hook = first.register_forward_pre_hook(
        lambda _, args, kwargs: kept.append(kwargs["x"][0].float().clone()), with_kwargs=True
    )
    try:
        model.read_once(prepared, [model.reply_of((1,))])
    finally:
        hook.remove()
    return kept[0]


@pytest.mark.parametrize("kind", tiny_encoders.KINDS)
def test_a_token_beyond_the_tokenisers_own_has_no_text(kind: str, encoders: Encoders) -> None:
    from pack.nodes.native.texts import Texts

    texts = Texts(encoders(kind))
    tokens = texts.encode("red star")
    assert texts.decode([*tokens, 10**6]) == texts.decode(tokens)
