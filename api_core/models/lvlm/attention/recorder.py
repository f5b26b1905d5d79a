"""The wanted rows of all wanted layers of one batch, read while the model runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....autograd import frozen
from ....errors import InvalidInput, UnsupportedModel
from ....progress import Progress, ignore_progress
from ...conversation.case import Prepared, PromptRow, Reply
from ...vision_language import VisionLanguageModel, require
from .intercept import DecoderCall, Output
from .layer_recorder import FirstLook, LayerRecorder, RowReducer, RowRequest, sink_activations

RecordedRows = Mapping[int, tuple[Tensor, ...]]


@dataclass(frozen=True)
class RecordedAttention:
    """What was read of one case. question, answer: layer -> what the reduction kept, tensors [Q, …] and [R, …]: a row
    for each word of the question (nothing where none were asked for), and one for each token of the reply. row: the
    prompt as it was read."""

    reply: Reply
    question: RecordedRows
    answer: RecordedRows
    row: PromptRow


@dataclass(frozen=True)
class RecorderSettings:
    """What is read: of which layers, whether of the question's words too, what is kept and what else looks at the
    prompt's last row (see `answer_rows`)."""

    layers: tuple[int, ...]
    question_rows: bool
    reduce: RowReducer
    sink_activation: float | None
    look: FirstLook | None = None


class _StopForward(Exception):
    """No error: how a pass is ended after the last layer that is read."""


class AttentionRecorder:
    """The readers of all wanted layers of one batch.

    counts: the tokens of each answer where they are known, and then all of the input comes in one call: it ends after
    the last layer, unless it is read as a whole. columns: of each case, the image tokens that are read, where it is not
    all that have a place.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        prepared: Prepared,
        settings: RecorderSettings,
        counts: Sequence[int] | None = None,
        on_progress: Progress = ignore_progress,
        columns: Sequence[Tensor] | None = None,
        whole: bool = False,
    ) -> None:
        self._interrupted = False
        self._ends = not whole
        self._model = model
        self._settings = settings
        self._in_one = counts is not None
        self._first_look = settings.look
        self._on_progress = on_progress
        self._prepared = prepared
        self._wanted = [
            RowRequest(
                row,
                placed_image_positions(model, row) if columns is None else columns[i],
                question_positions(row) if settings.question_rows else (),
                row.length - 1,
                None if counts is None else counts[i],
            )
            for i, row in enumerate(prepared.rows)
        ]
        self._recorders = {n: LayerRecorder(n, self._wanted, settings.reduce, settings.look) for n in settings.layers}
        self._found: dict[int, list[dict[int, tuple[Tensor, ...]]]] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Read while the model runs in this block."""
        look = None if self._settings.sink_activation is None else self._look
        with self._model.reading(self._settings.layers, self._read, look):
            yield

    def run(self, replies: Sequence[Reply]) -> None:
        """Run the prompts and their answers at once, as far as the last layer that is read."""
        with suppress(_StopForward), self.recording():
            self._model.read_once(self._prepared, replies)

    def _read(self, layer: int, call: DecoderCall, proceed: Any) -> Output:
        recorder = self._recorders.get(layer)
        if recorder is None:
            return proceed()  # type: ignore[no-any-return]
        if call.query.shape[0] != len(self._wanted) or (call.query.shape[2] > 1 and recorder.past_prompt):
            self._interrupted = True  # the batch was run again in parts
        if self._interrupted:
            return proceed()  # type: ignore[no-any-return]
        recorder.read(call)
        if self._in_one:
            self._found[layer] = recorder.finish()
            self._on_progress(len(self._found), len(self._recorders))
            if self._ends and layer == self._settings.layers[-1]:
                raise _StopForward
        elif self._first_look is not None and all(one.past_prompt for one in self._recorders.values()):
            needed, self._first_look = self._first_look.needed_layers(), None
            self._recorders = {n: one for n, one in self._recorders.items() if n in needed}
        return proceed()  # type: ignore[no-any-return]

    def _look(self, layer: int, hidden: Tensor) -> None:
        """Measure what enters a layer when the prompt goes through it."""
        if self._recorders[layer].sink_activation is None and hidden.shape[1] >= self._prepared.rows[0].length:
            self._recorders[layer].sink_activation = [
                sink_activations(
                    hidden[i], row.padding, self._wanted[i].columns, float(self._settings.sink_activation or 0)
                )
                for i, row in enumerate(self._prepared.rows)
            ]

    def complete(self, replies: Sequence[Reply]) -> bool:
        """Whether every wanted row was seen: not where the batch was run in parts, or a layer was given fewer rows."""
        return not self._interrupted and all(self._covers(layer, replies) for layer in self._recorders)

    def results(self, replies: Sequence[Reply]) -> list[RecordedAttention]:
        """What was kept, by case; raises UnsupportedModel where a layer was never heard of."""
        for layer in self._recorders:
            if not self._covers(layer, replies):
                raise UnsupportedModel(self._model.why_unread(layer))
        with frozen():  # a host's inference mode would leave tensors that no later gradient can pass
            return self._results(replies)

    def _results(self, replies: Sequence[Reply]) -> list[RecordedAttention]:
        return [
            RecordedAttention(
                reply,
                {layer: _stack(found[i], self._wanted[i].positions) for layer, found in self._found.items()},
                {layer: _stack(found[i], self._answer(i, reply)) for layer, found in self._found.items()},
                self._wanted[i].row,
            )
            for i, reply in enumerate(replies)
        ]

    def _answer(self, case: int, reply: Reply) -> range:
        first = self._wanted[case].first
        return range(first, first + len(reply.token_ids))

    def _covers(self, layer: int, replies: Sequence[Reply]) -> bool:
        if layer not in self._found:
            self._found[layer] = self._recorders[layer].finish()
        if self._settings.sink_activation is not None and self._recorders[layer].sink_activation is None:
            return False
        return all(
            position in found
            for case, (found, reply) in enumerate(zip(self._found[layer], replies, strict=True))
            for position in (*self._wanted[case].positions, *self._answer(case, reply))
        )


def _stack(found: Mapping[int, tuple[Tensor, ...]], positions: Sequence[int]) -> tuple[Tensor, ...]:
    rows = [found[position] for position in positions]
    return tuple(torch.stack(kept) for kept in zip(*rows, strict=True))


def placed_image_positions(model: VisionLanguageModel, row: PromptRow) -> Tensor:
    """The positions of every image token of a row, picture after picture: long [n]."""
    if row.layouts is None:
        require(model, "places")
        raise UnsupportedModel(f"{model.name} does not say where its image tokens lie, so there is no heatmap of it.")
    if not row.layouts:
        raise InvalidInput("There is no picture to make a heatmap of. Pass at least one.")
    return torch.cat([places.positions for places in row.layouts])


def question_positions(row: PromptRow) -> tuple[int, ...]:
    """Where each word of the question is read: at its last token."""
    return tuple(word.last - 1 for word in row.question_words)
