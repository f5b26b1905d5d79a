"""Attention rows of an answer and of the question's words, at chosen decoder layers, for cases in a batch.

The row that *predicts* an answer's token is the one before it: the prompt's last row for the first token. A word of the
question is read in the row *at* its last token, which has seen the whole word.
"""

import logging
from collections.abc import Sequence

from torch import Tensor

from ....errors import InvalidInput
from ....progress import Progress, ignore_progress, share_of
from ...conversation.case import Prepared, Reply
from ...memory import in_batches_that_fit
from ...vision_language import VisionLanguageModel
from ..generate.teacher_forcing import part_of
from .layer_recorder import FirstLook, RowReducer, scores_and_totals
from .recorder import AttentionRecorder, RecordedAttention, RecorderSettings

log = logging.getLogger(__name__)


def answer_rows(
    model: VisionLanguageModel,
    prepared: Prepared,
    *,
    layers: Sequence[int],
    answers: Sequence[Reply | None],
    max_new_tokens: int = 20,
    question_rows: bool = False,
    reduce: RowReducer = scores_and_totals,
    sink_activation: float | None = None,
    look: FirstLook | None = None,
    on_progress: Progress = ignore_progress,
) -> list[RecordedAttention]:
    """Read the rows of each case's answer, and reduce them layer by layer.

    layers: 0 … depth - 1. answers: one per case; None is generated greedily. question_rows: also the rows of the
    question's words. reduce: what is kept of some rows of one layer; without one their scores. sink_activation: also
    measure, for the reduction, what enters the layer against the prompt's first token, in the dimensions in which that
    reaches so many root mean squares (see `LayerRows.sink_activation`). look: looks at the prompt's last row of each
    layer before the layer's rows are reduced; a generated answer is then read in the layers that it needs.

    A generated answer is read while it is generated; a given one with its prompt in one pass, up to the last wanted
    layer.
    """
    wanted = sorted(set(layers))
    _check(model, prepared, wanted, answers)
    found: list[RecordedAttention | None] = [None] * len(prepared)
    settings = RecorderSettings(tuple(wanted), question_rows, reduce, sink_activation, look)
    for given in (False, True):
        chosen = [i for i, answer in enumerate(answers) if (answer is not None) == given]
        if not chosen:
            continue
        part = part_of(model, prepared, chosen)
        if given:
            replies = [answer for answer in answers if answer is not None]
            read = _second_pass(model, part, replies, settings, on_progress)
        else:
            read = _of_generated(model, part, settings, max_new_tokens, on_progress)
        for index, rows in zip(chosen, read, strict=True):
            found[index] = rows
    return [rows for rows in found if rows is not None]


def prompt_rows(
    model: VisionLanguageModel,
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
    _check(model, prepared, wanted, [None] * len(prepared))
    settings = RecorderSettings(tuple(wanted), False, reduce, None)
    read = _second_pass(model, prepared, [nothing_yet] * len(prepared), settings, on_progress)
    return [dict(rows.answer) for rows in read]


def _of_generated(
    model: VisionLanguageModel,
    prepared: Prepared,
    settings: RecorderSettings,
    max_new_tokens: int,
    on_progress: Progress,
) -> list[RecordedAttention]:
    if model.cases_at_once and len(prepared) > model.cases_at_once:
        parts = [part_of(model, prepared, [case]) for case in range(len(prepared))]
        shares = [share_of(on_progress, case / len(parts), (case + 1) / len(parts)) for case in range(len(parts))]
        read = [
            _of_generated(model, part, settings, max_new_tokens, own) for part, own in zip(parts, shares, strict=True)
        ]
        return [rows for of_part in read for rows in of_part]
    recorder = AttentionRecorder(model, prepared, settings)
    with recorder.recording():
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
    if not recorder.complete(replies):
        log.info("%s did not show every row while it generated: the answers are read in a second pass", model.name)
        return _second_pass(model, prepared, replies, settings, ignore_progress)
    return recorder.results(replies)


def _second_pass(
    model: VisionLanguageModel,
    prepared: Prepared,
    replies: Sequence[Reply],
    settings: RecorderSettings,
    on_progress: Progress,
) -> list[RecordedAttention]:
    """As many cases at once as there is memory for."""

    def read(cases: range) -> list[RecordedAttention]:
        part, answers = part_of(model, prepared, cases), [replies[i] for i in cases]
        recorder = AttentionRecorder(model, part, settings, [len(reply.token_ids) for reply in answers], on_progress)
        recorder.run(answers)
        return recorder.results(answers)

    return in_batches_that_fit(
        read,
        len(prepared),
        model.cases_at_once or len(prepared),
        model=model.name,
        device=model.device,
        single="while one answer was read",
        advice="lower max_pixels, choose a smaller model, or run it on the CPU",
    )


def _check(
    model: VisionLanguageModel, prepared: Prepared, layers: Sequence[int], answers: Sequence[Reply | None]
) -> None:
    if len(answers) != len(prepared):
        raise InvalidInput(f"{len(answers)} answers for {len(prepared)} cases: give one for each, None to generate it.")
    if not layers or not 0 <= layers[0] <= layers[-1] < model.depth:
        raise InvalidInput(f"{model.name} has the layers 0 to {model.depth - 1}, not {list(layers)}.")
