"""The attention rows of one layer: collected while the model runs, scored once, at the end or as soon as need be.

A row's query is a few thousand numbers and the keys of a prompt do not change once they are in the cache, so nothing
but queries is kept per step; one product in float32 makes the scores of all rows together.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ....autograd import without_autocast
from ...conversation.case import PromptRow
from .intercept import DecoderCall, added_scores, log_totals, score

# Scores of so many bytes are made at once, so that a long answer over many image tokens takes no more memory.
_BYTES_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class LayerRows:
    """What R rows of one case (`row`) do with its n image tokens, picture after picture, in one layer of H heads.

    scores: float32 [H, R, n], as they enter the softmax; -inf where a row may not look. log_total: [H, R], the
    logarithm of the softmax's denominator over every key (and sink). value_norms: [H, n], the lengths of the image
    tokens' values. sink_activation: [n], how far each token's input stands out in the dimensions in which the first
    token of the prompt does, in units of its own root mean square (0 where there are no such dimensions); None unless
    asked for.
    """

    row: PromptRow
    layer: int
    scores: Tensor
    log_total: Tensor
    value_norms: Tensor
    sink_activation: Tensor | None = None

    @property
    def probabilities(self) -> Tensor:
        """The attention itself, of the softmax over all keys: [H, R, n]."""
        return (self.scores - self.log_total.unsqueeze(-1)).exp()

    def among_image(self, kept: Tensor | None = None) -> Tensor:
        """Softmax over the image tokens only, or the `kept` ones (bool [n]): [H, R, n]; 0 for a row that sees none."""
        scores = self.scores if kept is None else self.scores.masked_fill(~kept, float("-inf"))
        return scores.softmax(-1).nan_to_num(0.0)


RowReducer = Callable[[LayerRows], tuple[Tensor, ...]]
"""Makes of some rows what is kept of them: tensors [R, …]. It is given a long answer's rows in several goes."""


class FirstLook(Protocol):
    """Looks at the prompt's last row of each case, and then knows which layers are worth reading on."""

    def look(self, rows: LayerRows) -> None:
        """Called with that row (R = 1) as soon as a layer has read it, before rows of the layer are reduced: while a
        model generates, of all layers before rows of any are; in one pass, of those that have gone by."""

    def needed_layers(self) -> Collection[int]:
        """Of the layers looked at, those whose rows are wanted: asked once the prompt has gone by, while a model
        generates. The others' rows are never reduced."""


def scores_and_totals(rows: LayerRows) -> tuple[Tensor, ...]:
    """Keep scores [R, H, n] and log totals [R, H]."""
    return rows.scores.transpose(0, 1), rows.log_total.transpose(0, 1)


@dataclass(frozen=True)
class RowRequest:
    """What is read of one case: its image tokens, and the rows at `positions` and from `first` on (`count` of them, or
    as many as there are). All count from the beginning of the row, padding included."""

    row: PromptRow
    columns: Tensor
    positions: tuple[int, ...]
    first: int
    count: int | None = None

    def between(self, start: int, stop: int) -> list[int]:
        """The wanted positions in [start, stop), ascending."""
        last = stop if self.count is None else min(stop, self.first + self.count)
        return sorted({*(p for p in self.positions if start <= p < stop), *range(max(start, self.first), last)})


@dataclass
class _Waiting:
    """Rows whose queries are kept until they are scored: at `positions`, query [H, R, d]; added [H or 1, R, keys]."""

    positions: list[int]
    query: Tensor
    added: Tensor | None
    keys: int


class LayerRecorder:
    """Collects the wanted rows of every case of a batch from the calls of one layer."""

    def __init__(
        self, layer: int, wanted: Sequence[RowRequest], reduce: RowReducer, look: FirstLook | None = None
    ) -> None:
        self.layer = layer
        self.sink_activation: list[Tensor] | None = None
        self._wanted = wanted
        self._reduce = reduce
        self._look = look
        self._seen = 0
        self._gone = 0
        self._last: DecoderCall | None = None
        self._waiting: list[list[_Waiting]] = [[] for _ in wanted]
        self._norms: list[Tensor] = []
        self._done: list[list[tuple[list[int], tuple[Tensor, ...]]]] = [[] for _ in wanted]

    @property
    def past_prompt(self) -> bool:
        """Whether the whole prompt has gone by."""
        return any(self._seen > wanted.first for wanted in self._wanted)

    def read(self, call: DecoderCall) -> None:
        """Take note of a call: the whole prompt, a part of it, or one step."""
        keys, count = call.key.shape[2], call.query.shape[2]
        if self._last is None and keys == max(wanted.first + (wanted.count or 1) for wanted in self._wanted):
            self._seen = keys - count  # a layer with another one's keys may be given the last queries only
        start = self._seen
        self._seen += count
        gone = max(0, self._seen - keys)
        if self._last is not None and (gone != self._gone or keys < self._last.key.shape[2]):
            self._flush()  # keys leave this layer's cache: the rows so far need those that were there
        # The keys stay, the prompt's queries do not: over many layers they would be the larger part.
        no_query = call.query.new_empty((*call.query.shape[:2], 0, call.query.shape[-1]))
        self._gone, self._last = gone, replace(call, query=no_query, mask=None)
        for case, wanted in enumerate(self._wanted):
            positions = wanted.between(start, self._seen)
            if positions:
                # A copy, or a view of a step's single row: never a view that keeps a prompt's queries alive. Nothing of
                # a step comes from the host, for which a GPU would have to wait.
                if count == 1:
                    rows, query = call.query.new_zeros(1, dtype=torch.long), call.query[case]
                else:
                    rows = torch.tensor([position - start for position in positions], device=call.query.device)
                    query = call.query[case][:, rows]
                self._waiting[case].append(_Waiting(positions, query, added_scores(call, case, rows), keys))
        if self._look is not None and any(start <= wanted.first < self._seen for wanted in self._wanted):
            with torch.no_grad(), without_autocast(call.query.device.type):
                for case, wanted in enumerate(self._wanted):
                    row = torch.tensor([wanted.first - start], device=call.query.device)
                    last = _Waiting([wanted.first], call.query[case][:, row], added_scores(call, case, row), keys)
                    self._look.look(self._rows(self._last, case, [last]))

    def finish(self) -> list[dict[int, tuple[Tensor, ...]]]:
        """What was kept of each case's rows, by position, on the CPU; the keys are let go."""
        self._flush()
        self._last, self._norms = None, []
        found: list[dict[int, tuple[Tensor, ...]]] = []
        for parts in self._done:
            rows: dict[int, tuple[Tensor, ...]] = {}
            for positions, kept in parts:
                rows.update({position: tuple(k[i] for k in kept) for i, position in enumerate(positions)})
            found.append(rows)
        return found

    def _flush(self) -> None:
        call = self._last
        if call is None:
            return
        with torch.no_grad(), without_autocast(call.query.device.type):
            for case, waiting in enumerate(self._waiting):
                at_once = max(1, _BYTES_AT_ONCE // (4 * call.query.shape[1] * call.key.shape[2]))
                for group in _grouped(waiting, at_once):
                    self._score(call, case, group)
                waiting.clear()

    def _score(self, call: DecoderCall, case: int, group: list[_Waiting]) -> None:
        kept = self._reduce(self._rows(call, case, group))
        positions = [position for rows in group for position in rows.positions]
        self._done[case].append((positions, tuple(tensor.to("cpu", torch.float32) for tensor in kept)))

    def _rows(self, call: DecoderCall, case: int, group: list[_Waiting]) -> LayerRows:
        if not self._norms:
            self._norms = [self._value_norms(call, case) for case in range(len(self._wanted))]
        keys = call.key.shape[2]
        scores = score(torch.cat([rows.query for rows in group], 1), call.key[case], call)
        start = 0
        for rows in group:
            part = scores[:, start : start + len(rows.positions)]
            if rows.added is not None:
                part[..., : rows.keys] += rows.added
            part[..., rows.keys :] = float("-inf")
            start += len(rows.positions)
        total = log_totals(scores, call.sinks)
        columns = self._wanted[case].columns.to(scores.device) - self._gone
        picked = scores[..., columns.clamp(0, keys - 1)].masked_fill_(columns < 0, float("-inf"))
        sink_activation = None if self.sink_activation is None else self.sink_activation[case]
        return LayerRows(self._wanted[case].row, self.layer, picked, total, self._norms[case], sink_activation)

    def _value_norms(self, call: DecoderCall, case: int) -> Tensor:
        """[H, n]; 0 for tokens that had left the cache before the first row was scored."""
        columns = self._wanted[case].columns.to(call.value.device) - self._gone
        norms = call.value[case][:, columns.clamp(min=0)].float().norm(dim=-1)
        norms = norms.masked_fill(columns < 0, 0.0)
        return norms.repeat_interleave(call.query.shape[1] // call.value.shape[1], 0)


def _grouped(waiting: Sequence[_Waiting], most: int) -> list[list[_Waiting]]:
    """The same rows in the same order, in groups of at most `most` rows."""
    groups: list[list[_Waiting]] = []
    room = 0
    for rows in waiting:
        for start in range(0, len(rows.positions), most):
            part = slice(start, start + most)
            added = None if rows.added is None else rows.added[:, part]
            piece = _Waiting(rows.positions[part], rows.query[:, part], added, rows.keys)
            if len(piece.positions) > room:
                groups.append([])
                room = most
            groups[-1].append(piece)
            room -= len(piece.positions)
    return groups


def sink_activations(hidden: Tensor, first: int, columns: Tensor, least: float) -> Tensor:
    """How far image tokens stand out where the prompt's first token does, in root mean squares: float32 [n].

    hidden: [m, c], what enters a layer. The dimensions are those in which the token at `first` reaches `least`.
    """
    begin = hidden[first].float()
    standing_out = begin.abs() >= least * begin.square().mean().sqrt()
    picked = hidden[columns].float()
    unit = picked.square().mean(-1, keepdim=True).sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    return ((picked.abs() / unit) * standing_out).amax(-1)
