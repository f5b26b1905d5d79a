"""Attention rows of an answer and of the question's words, at chosen decoder layers, for cases in a batch.

The row that *predicts* an answer's token is the one before it: the prompt's last row for the first token. A word of the
question is read in the row *at* its last token, which has seen the whole word.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor

from ....autograd import frozen
from ....errors import InvalidInput, UnsupportedModel
from ....progress import Progress, ignore_progress
from ...conversation.case import Prepared, Reply
from ...memory import in_batches_that_fit
from ..generate.caches import cache_of
from ..generate.teacher_forcing import answer_ids, answered_inputs, part_of, prompt_inputs
from ..model import LvlmModel
from .layer_recorder import RowReducer, scores_and_totals
from .recorder import AttentionRecorder, RecordedAttention, RecorderSettings

log = logging.getLogger(__name__)

CapturePath = Literal["auto", "generation", "cache", "second pass"]
CAPTURE_PATHS: tuple[CapturePath, ...] = ("auto", "generation", "cache", "second pass")


def answer_rows(
    model: LvlmModel,
    prepared: Prepared,
    *,
    layers: Sequence[int],
    answers: Sequence[Reply | None],
    max_new_tokens: int = 20,
    question_rows: bool = False,
    path: CapturePath = "auto",
    reduce: RowReducer = scores_and_totals,
    sink_activation: float | None = None,
    on_progress: Progress = ignore_progress,
) -> list[RecordedAttention]:
    """Read the rows of each case's answer, and reduce them layer by layer.

    layers: 0 … depth - 1. answers: one per case; None is generated greedily. question_rows: also the rows of the
    question's words. reduce: what is kept of some rows of one layer; without one their scores. sink_activation: also
    measure, for the reduction, what enters the layer against the prompt's first token, in the dimensions in which that
    reaches so many root mean squares (see `LayerRows.sink_activation`).

    path: how an answer is read. "generation": while it is generated; "cache": afterwards, in one piece, on what
    generation remembers of the prompt (families that are proven to do it exactly, and no question rows); "second pass":
    prompt and answer together, up to the last wanted layer. "auto" is the first where the answer is generated, and the
    last where it is given.
    """
    wanted = sorted(set(layers))
    _check(model, prepared, wanted, answers, path)
    found: list[RecordedAttention | None] = [None] * len(prepared)
    settings = RecorderSettings(tuple(wanted), question_rows, reduce, sink_activation)
    for given in (False, True):
        chosen = [i for i, answer in enumerate(answers) if (answer is not None) == given]
        if not chosen:
            continue
        part = part_of(model, prepared, chosen)
        if given:
            replies = [answer for answer in answers if answer is not None]
            read = _second_pass(model, part, replies, settings, on_progress)
        else:
            read = _of_generated(model, part, settings, max_new_tokens, path, on_progress)
        for index, rows in zip(chosen, read, strict=True):
            found[index] = rows
    return [rows for rows in found if rows is not None]


def prompt_rows(
    model: LvlmModel,
    prepared: Prepared,
    *,
    layers: Sequence[int],
    reduce: RowReducer = scores_and_totals,
    on_progress: Progress = ignore_progress,
) -> list[dict[int, tuple[Tensor, ...]]]:
    """The prompt's last row, which predicts the first token of any answer: by case, layer -> tensors [1, …].

    One pass over the prompts that ends after the last wanted layer. layers, reduce: as for `answer_rows`.
    """
    wanted = sorted(set(layers))
    nothing_yet = Reply("", "", (0,), (), False)  # a token that is never fed: the pass ends with the prompt
    _check(model, prepared, wanted, [None] * len(prepared), "auto")
    settings = RecorderSettings(tuple(wanted), False, reduce, None)
    read = _second_pass(model, prepared, [nothing_yet] * len(prepared), settings, on_progress)
    return [dict(rows.answer) for rows in read]


def _of_generated(
    model: LvlmModel,
    prepared: Prepared,
    settings: RecorderSettings,
    max_new_tokens: int,
    path: CapturePath,
    on_progress: Progress,
) -> list[RecordedAttention]:
    if path == "second pass":
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
        return _second_pass(model, prepared, replies, settings, ignore_progress)
    if path == "cache":
        return _on_cache(model, prepared, settings, max_new_tokens, on_progress)
    recorder = AttentionRecorder(model, prepared, settings)
    with recorder.recording():
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
    if not recorder.complete(replies):
        log.info("%s did not show every row while it generated: the answers are read in a second pass", model.name)
        return _second_pass(model, prepared, replies, settings, ignore_progress)
    return recorder.results(replies)


def _second_pass(
    model: LvlmModel, prepared: Prepared, replies: Sequence[Reply], settings: RecorderSettings, on_progress: Progress
) -> list[RecordedAttention]:
    """As many cases at once as there is memory for."""

    def read(cases: range) -> list[RecordedAttention]:
        part, answers = part_of(model, prepared, cases), [replies[i] for i in cases]
        recorder = AttentionRecorder(model, part, settings, [len(reply.token_ids) for reply in answers], on_progress)
        recorder.run(**answered_inputs(model, part, answers), use_cache=False)
        return recorder.results(answers)

    return in_batches_that_fit(
        read,
        len(prepared),
        len(prepared),
        model=model.name,
        device=model.device,
        single="while one answer was read",
        advice="lower max_pixels, choose a smaller model, or run it on the CPU",
    )


def _on_cache(
    model: LvlmModel, prepared: Prepared, settings: RecorderSettings, max_new_tokens: int, on_progress: Progress
) -> list[RecordedAttention]:
    with _remembering(model) as remembered:
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
    length = prepared.rows[0].length
    cache: Any = remembered.get("cache")
    longest = max(len(reply.token_ids) for reply in replies)
    extra = None
    if model.family.can_chunk(cache) and cache.get_seq_length() == length + longest - 1:
        cache.crop(-longest)  # the prompt's last row predicts the first token and is run again with the answer
        ids, mask = answer_ids(model, replies)
        with frozen():
            inputs = prompt_inputs(model, prepared)
            extra = model.family.chunk_inputs(model.module, inputs, ids[:, :-1], cache, mask[:, :-1])
    if extra is None:
        raise UnsupportedModel(
            f"Reading an answer in one piece on the prompt's cache is not proven for {model.name} "
            f"({model.family.title}). Use path='second pass'."
        )
    recorder = AttentionRecorder(
        model, prepared, settings, [len(reply.token_ids) for reply in replies], begin=length - 1
    )
    recorder.run(**extra)
    return recorder.results(replies)


@contextmanager
def _remembering(model: LvlmModel) -> Iterator[dict[str, Any]]:
    """Keeps the last cache that the decoder was called with."""
    held: dict[str, Any] = {}

    def look(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        held["cache"] = cache_of(kwargs)

    handle = model.family.decoder(model.module).register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield held
    finally:
        handle.remove()


def _check(
    model: LvlmModel, prepared: Prepared, layers: Sequence[int], answers: Sequence[Reply | None], path: CapturePath
) -> None:
    if path not in CAPTURE_PATHS:
        raise InvalidInput(f"There is no path {path!r}. Choose one of {', '.join(CAPTURE_PATHS)}.")
    if len(answers) != len(prepared):
        raise InvalidInput(f"{len(answers)} answers for {len(prepared)} cases: give one for each, None to generate it.")
    if not layers or not 0 <= layers[0] <= layers[-1] < model.depth:
        raise InvalidInput(f"{model.name} has the layers 0 to {model.depth - 1}, not {list(layers)}.")
