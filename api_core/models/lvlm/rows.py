"""Attention rows of an answer and of the question's words, at chosen decoder layers, for cases in a batch.

The row that *predicts* an answer's token is the one before it: the prompt's last row for the first token. A word of the
question is read in the row *at* its last token, which has seen the whole word.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ...autograd import frozen, without_autocast
from ...errors import InvalidInput, UnsupportedModel
from ...progress import Progress, ignore_progress
from .attention_tap import DecoderCall, Output, Read, attention_of, tapping
from .case import Prepared, Reply, Row
from .layer_rows import LayerReader, Reduce, Wanted, keep_scores, massive_activations
from .model import LvlmModel

log = logging.getLogger(__name__)

Path = Literal["auto", "generation", "cache", "second pass"]
PATHS: tuple[Path, ...] = ("auto", "generation", "cache", "second pass")
_Kept = Mapping[int, tuple[Tensor, ...]]


@dataclass(frozen=True)
class RowAttention:
    """What was read of one case. question, answer: layer -> what the reduction kept, tensors [Q, …] and [R, …]: a row
    for each word of the question (nothing where none were asked for), and one for each token of the reply."""

    reply: Reply
    question: _Kept
    answer: _Kept


def answer_rows(
    model: LvlmModel,
    prepared: Prepared,
    *,
    layers: Sequence[int],
    answers: Sequence[str | None],
    max_new_tokens: int = 20,
    question_rows: bool = False,
    path: Path = "auto",
    reduce: Reduce = keep_scores,
    massive: float | None = None,
    on_progress: Progress = ignore_progress,
) -> list[RowAttention]:
    """Read the rows of each case's answer, and reduce them layer by layer.

    layers: 0 … depth - 1. answers: one per case; None is generated greedily. question_rows: also the rows of the
    question's words. reduce: what is kept of some rows of one layer; without one their scores. massive: also measure,
    for the reduction, what enters the layer against the prompt's first token (see `LayerRows.massive`).

    path: how an answer is read. "generation": while it is generated; "cache": afterwards, in one piece, on what
    generation remembers of the prompt (families that are proven to do it exactly, and no question rows); "second pass":
    prompt and answer together, up to the last wanted layer. "auto" is the first where the answer is generated, and the
    last where it is given.
    """
    wanted = sorted(set(layers))
    _check(model, prepared, wanted, answers, path)
    found: list[RowAttention | None] = [None] * len(prepared)
    settings = _Settings(tuple(wanted), question_rows, reduce, massive)
    for given in (False, True):
        chosen = [i for i, answer in enumerate(answers) if (answer is not None) == given]
        if not chosen:
            continue
        part = prepared if len(chosen) == len(prepared) else model.prepare([prepared.cases[i] for i in chosen])
        if given:
            replies = [model.reply_of(model.encode_answer(str(answers[i]))) for i in chosen]
            read = _second_pass(model, part, replies, settings, on_progress)
        else:
            read = _of_generated(model, part, settings, max_new_tokens, path, on_progress)
        for index, rows in zip(chosen, read, strict=True):
            found[index] = rows
    return [rows for rows in found if rows is not None]


@dataclass(frozen=True)
class _Settings:
    layers: tuple[int, ...]
    question_rows: bool
    reduce: Reduce
    massive: float | None


def _of_generated(
    model: LvlmModel,
    prepared: Prepared,
    settings: _Settings,
    max_new_tokens: int,
    path: Path,
    on_progress: Progress,
) -> list[RowAttention]:
    if path == "second pass":
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
        return _second_pass(model, prepared, replies, settings, ignore_progress)
    if path == "cache":
        return _on_cache(model, prepared, settings, max_new_tokens, on_progress)
    readers = _Readers(model, prepared, settings)
    with readers.reading():
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
    if readers.interrupted:
        log.info("%s generated in several goes: the answers are read in a second pass", model.name)
        return _second_pass(model, prepared, replies, settings, ignore_progress)
    return readers.results(replies)


def _second_pass(
    model: LvlmModel, prepared: Prepared, replies: Sequence[Reply], settings: _Settings, on_progress: Progress
) -> list[RowAttention]:
    readers = _Readers(model, prepared, settings, [len(reply.token_ids) for reply in replies], on_progress)
    inputs = answered_inputs(model, prepared, replies)
    with frozen(), without_autocast(model.device.type), readers.reading():
        try:
            model.module(**inputs, use_cache=False)
        except _Enough:
            pass
    return readers.results(replies)


def answered_inputs(model: LvlmModel, prepared: Prepared, replies: Sequence[Reply]) -> dict[str, Any]:
    """The inputs on the model's device, each prompt followed by its answer less the last token, which predicts nothing."""
    inputs = {name: _normal(tensor) for name, tensor in prepared.inputs.items()}
    ids = answer_ids(model, replies)[:, :-1]
    if ids.shape[1]:
        inputs = model.family.with_answer(inputs, ids)
    return {name: _moved(tensor, model) for name, tensor in inputs.items()}


def answer_ids(model: LvlmModel, replies: Sequence[Reply]) -> Tensor:
    """The answers' tokens [B, R], shorter ones filled up at the end, where nothing that is read can see it."""
    longest = max(len(reply.token_ids) for reply in replies)
    tokenizer = model.tokenizer
    filler = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    rows = [[*reply.token_ids, *[filler] * (longest - len(reply.token_ids))] for reply in replies]
    return torch.tensor(rows, dtype=torch.long)


def _normal(tensor: Tensor) -> Tensor:
    """The same values in a tensor that may take part in a gradient, and be moved, outside inference mode."""
    with torch.inference_mode(False):
        return tensor.clone() if tensor.is_inference() else tensor


def _moved(value: Any, model: LvlmModel) -> Any:
    if not isinstance(value, Tensor):
        return value
    with torch.inference_mode(False):
        return value.to(model.device, model.dtype if value.is_floating_point() else None)


def _on_cache(
    model: LvlmModel, prepared: Prepared, settings: _Settings, max_new_tokens: int, on_progress: Progress
) -> list[RowAttention]:
    with _remembering(model) as remembered:
        replies = model.generate(prepared, max_new_tokens=max_new_tokens, on_progress=on_progress)
    length = prepared.rows[0].length
    cache = remembered.get("past_key_values")
    longest = max(len(reply.token_ids) for reply in replies)
    inputs = {name: _moved(_normal(tensor), model) for name, tensor in prepared.inputs.items()}
    if cache is None or cache.get_seq_length() != length + longest - 1:
        raise UnsupportedModel(
            f"{model.name} keeps no cache of the prompt that an answer could be read on. Use path='second pass'."
        )
    cache.crop(-longest)  # the prompt's last row predicts the first token and is run again with the answer
    ids = torch.cat([prepared.inputs["input_ids"][:, -1:], answer_ids(model, replies)[:, :-1]], 1).to(model.device)
    with frozen(), without_autocast(model.device.type):
        extra = model.family.chunk_inputs(model.module, inputs, ids, cache)
        if extra is None:
            raise UnsupportedModel(
                f"Reading an answer in one piece on the prompt's cache is not proven for {model.family.title}. "
                "Use path='second pass'."
            )
        counts = [len(reply.token_ids) for reply in replies]
        readers = _Readers(model, prepared, settings, counts, begin=length - 1)
        with readers.reading():
            try:
                model.module(**extra)
            except _Enough:
                pass
    return readers.results(replies)


@contextmanager
def _remembering(model: LvlmModel) -> Iterator[dict[str, Any]]:
    """Keeps the last cache that the decoder was called with."""
    held: dict[str, Any] = {}

    def look(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        held["past_key_values"] = kwargs.get("past_key_values")

    handle = model.decoder.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield held
    finally:
        handle.remove()


class _Enough(Exception):  # noqa: N818 - no error: how a pass is ended after the last layer that is read
    pass


class _Readers:
    """The readers of all wanted layers of one batch.

    counts: the tokens of each answer where they are known, and then all of the input comes in one call: it ends after
    the last layer. begin: the position of the first row that comes.
    """

    def __init__(
        self,
        model: LvlmModel,
        prepared: Prepared,
        settings: _Settings,
        counts: Sequence[int] | None = None,
        on_progress: Progress = ignore_progress,
        begin: int = 0,
    ) -> None:
        self.interrupted = False
        self._model = model
        self._settings = settings
        self._in_one = counts is not None
        self._on_progress = on_progress
        self._prepared = prepared
        self._wanted = [
            Wanted(
                image_columns(model, row),
                question_positions(row) if settings.question_rows else (),
                row.length - 1,
                None if counts is None else counts[i],
            )
            for i, row in enumerate(prepared.rows)
        ]
        self._readers = {n: LayerReader(n, self._wanted, settings.reduce, begin) for n in settings.layers}
        self._found: dict[int, list[dict[int, tuple[Tensor, ...]]]] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read while the model runs in this block."""
        blocks = self._model.decoder_layers
        modules = {layer: attention_of(blocks[layer], layer) for layer in self._settings.layers}
        with ExitStack() as stack:
            if self._settings.massive is not None:
                for layer in self._settings.layers:
                    stack.callback(self._watch(layer).remove)
            read: Read = self._read
            stack.enter_context(tapping(modules, read))
            yield

    def _read(self, layer: int, call: DecoderCall, proceed: Any) -> Output:
        reader = self._readers[layer]
        if call.query.shape[0] != len(self._wanted) or (call.query.shape[2] > 1 and reader.past_prompt):
            self.interrupted = True  # the batch was run again in parts
        if self.interrupted:
            return proceed()  # type: ignore[no-any-return]
        reader.read(call)
        if self._in_one:
            self._found[layer] = reader.finish()
            self._on_progress(len(self._found), len(self._readers))
            if layer == self._settings.layers[-1]:
                raise _Enough
        return proceed()  # type: ignore[no-any-return]

    def _watch(self, layer: int) -> Any:
        """Measure what enters a layer when the prompt goes through it."""

        def look(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            if self._readers[layer].massive is None and hidden.shape[1] >= self._prepared.rows[0].length:
                self._readers[layer].massive = [
                    massive_activations(hidden[i], row.padding, self._wanted[i].columns, float(self._settings.massive or 0))
                    for i, row in enumerate(self._prepared.rows)
                ]

        return self._model.decoder_layers[layer].register_forward_pre_hook(look, with_kwargs=True)

    def results(self, replies: Sequence[Reply]) -> list[RowAttention]:
        """What was kept, by case; raises UnsupportedModel where a layer was never heard of."""
        for layer, reader in self._readers.items():
            if layer not in self._found:
                self._found[layer] = reader.finish()
            missing = next((i for i, reply in enumerate(replies) if not self._covers(layer, i, reply)), None)
            if missing is not None:
                raise UnsupportedModel(
                    f"Layer {layer} of {self._model.name} did not show its attention to transformers' interface. "
                    "Choose another layer."
                )
        return [
            RowAttention(
                reply,
                {layer: _stack(found[i], self._wanted[i].positions) for layer, found in self._found.items()},
                {layer: _stack(found[i], self._answer(i, reply)) for layer, found in self._found.items()},
            )
            for i, reply in enumerate(replies)
        ]

    def _answer(self, case: int, reply: Reply) -> range:
        first = self._wanted[case].first
        return range(first, first + len(reply.token_ids))

    def _covers(self, layer: int, case: int, reply: Reply) -> bool:
        found = self._found[layer][case]
        return all(p in found for p in (*self._wanted[case].positions, *self._answer(case, reply)))


def _stack(found: Mapping[int, tuple[Tensor, ...]], positions: Sequence[int]) -> tuple[Tensor, ...]:
    rows = [found[position] for position in positions]
    return tuple(torch.stack(kept) for kept in zip(*rows, strict=True))


def image_columns(model: LvlmModel, row: Row) -> Tensor:
    """The positions of every image token of a row, picture after picture: long [n]."""
    if row.places is None:
        raise UnsupportedModel(f"{model.name} cannot say where it looks: {model.family.no_places}")
    if not row.places:
        raise InvalidInput("There is no picture to make a heatmap of. Pass at least one.")
    return torch.cat([places.positions for places in row.places])


def question_positions(row: Row) -> tuple[int, ...]:
    """Where each word of the question is read: at its last token."""
    return tuple(word.last - 1 for word in row.question_words)


def _check(
    model: LvlmModel, prepared: Prepared, layers: Sequence[int], answers: Sequence[str | None], path: Path
) -> None:
    if path not in PATHS:
        raise InvalidInput(f"There is no path {path!r}. Choose one of {', '.join(PATHS)}.")
    if len(answers) != len(prepared):
        raise InvalidInput(f"{len(answers)} answers for {len(prepared)} cases: give one for each, None to generate it.")
    if not layers or not 0 <= layers[0] <= layers[-1] < model.depth:
        raise InvalidInput(f"{model.name} has the layers 0 to {model.depth - 1}, not {list(layers)}.")
