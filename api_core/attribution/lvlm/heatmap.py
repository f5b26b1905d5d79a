"""From pictures and questions to heatmaps of a vision-language model's own attention, word by word."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import cast

import torch
from torch import Tensor

from ... import choices
from ...broadcast import broadcast, broadcast_texts, broadcast_words
from ...choices import READINGS, Reading
from ...errors import AttentionPromptingError, InvalidInput, quoted, require_one_of
from ...models.catalog import mask_defaults
from ...models.conversation.case import Case, Prepared, Reply
from ...models.lvlm.calibration import Head
from ...models.lvlm.inputs.token_views import views_of_pictures
from ...models.own_code import runs_a_model
from ...models.vision_language import VisionLanguageModel, require
from ...pictures import AnyPicture, opaque_picture
from ...progress import Progress, ignore_progress, share_of
from ...results import Heatmap, PictureMap
from ...settings import require_number
from ..frames import Frames
from .method import LvlmRequest, TokenRelevance, WhatIsRead
from .word_labels import label_maps

PART = "attention"
NO_ANSWER = Reply("", "", (), (), True)
"""Of a model that cannot write one."""
_CASES_AT_ONCE = 8
# CLIP's mean colour: what the official LLaVA fills a square with.
_MEAN = (0.48145466, 0.4578275, 0.40821073)


@dataclass(frozen=True)
class LvlmMethod:
    """A way from cases to the relevance of their image tokens. describes: one sentence for people.

    Its code is the file beside this that is called after it.
    """

    name: str
    describes: str

    @property
    def compute(self) -> Callable[[VisionLanguageModel, Prepared, LvlmRequest], list[TokenRelevance]]:
        """The relevance by case, in order."""
        return cast(Callable[[VisionLanguageModel, Prepared, LvlmRequest], list[TokenRelevance]], self._file.compute)

    def what_is_read(
        self, model: VisionLanguageModel, layers: Sequence[int] | None, heads: Sequence[Head] | None
    ) -> WhatIsRead:
        """Of the model; None for the method's own choice, which its file makes where that is not the model's layers."""
        own = getattr(self._file, "what_is_read", None)
        if own is not None:
            return cast(WhatIsRead, own(model, layers, heads))
        if heads:
            raise InvalidInput(f"The method {quoted(self.name)} takes all heads of a layer. Give no heads.")
        return WhatIsRead(model.resolve_layers(layers))

    @property
    def _file(self) -> ModuleType:
        return import_module(f".{self.name.replace(' ', '_')}", __package__)


LVLM_METHODS = {name: LvlmMethod(name, describes) for name, describes in choices.LVLM_METHODS.items()}
DEFAULT_METHOD = "attention"
"""Of both readings."""


@dataclass(frozen=True)
class LvlmHeatmap:
    """heatmap: of the first picture of each case. replies: the answers that were read. further: of each further slot of
    pictures, a heatmap of all cases."""

    heatmap: Heatmap
    replies: tuple[Reply, ...]
    further: tuple[Heatmap, ...] = ()


def list_lvlm_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(LVLM_METHODS)


@runs_a_model
def lvlm_heatmap(
    model: VisionLanguageModel,
    pictures: Sequence[AnyPicture],
    questions: str | Sequence[str],
    *,
    answers: str | Reply | Sequence[str | Reply | None] | None = None,
    hint_words: Sequence[str] | Sequence[Sequence[str]] = (),
    method: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[Head] | None = None,
    reading: Reading = "precise",
    max_new_tokens: int = 20,
    more_pictures: Sequence[Sequence[AnyPicture]] = (),
    system_prompt: str = "",
    batch_size: int | None = None,
    on_progress: Progress = ignore_progress,
    every: int = 1,
) -> LvlmHeatmap:
    """Where a model looks on the picture while it gives, or would give, an answer.

    pictures: one per case, [H, W, 3 or 4] of 0..1, of any sizes (or PIL pictures). questions, answers: one for all
    cases, or one for each. answers: None or blank ones are generated, up to max_new_tokens; a text may come from
    anywhere, and the map shows how this model reads it; a Reply is read token for token. Of a model that cannot answer,
    only the question's words are read where none is given. hint_words: words or phrases
    of the answer (any case) that the map of the whole is made of; one list for all cases, or a list of lists, one for
    each. method: one of `list_lvlm_methods()`, None for the default. layers: of the decoder, negative from the end;
    None is the method's choice: the catalog's for the model, of `few heads` all. heads: of `few heads`, (layer, head)
    each; None for those that a calibration kept for the model and else for each question's own, which () always asks
    for. more_pictures: further pictures of each prompt, slot by slot, each slot with one for all cases or one for each.
    batch_size: cases at once, None for a few; fewer where memory does not last.
    every: 1 … 16, of the cases of a clip only every n-th of those asked alike is read, and the last; the raw maps
    between them are linear, of the words that both have, and the reply is that of the case before.

    Each map has one part, `attention`, and a label for the whole, for every word of the question and for every word of
    the answer, in this order, all from one pass. Attention is shared between all pictures of a prompt.

    The upstream reading pads each picture to a square and lays its grid over the whole picture, as the official code
    does; models that look at a picture in several grids have the precise reading only.
    """
    count = len(pictures)
    chosen = find_lvlm_method(method)
    require_one_of(reading, READINGS, "reading")
    if not count:
        raise InvalidInput("There is no picture to make a heatmap of. Pass at least one.")
    require_number(max_new_tokens, "max_new_tokens", 1, whole=True)
    if batch_size is not None:
        require_number(batch_size, "batch_size", 1, whole=True)
    each_question = broadcast_texts(questions, count, "questions")
    each_answer = broadcast_texts(answers, count, "answers")
    hints = broadcast_words(hint_words, count, "lists of hint words")
    slots = [
        broadcast([opaque_picture(one) for one in slot], count, "further pictures")
        for slot in (pictures, *more_pictures)
    ]
    sizes_of = [tuple((one.shape[0], one.shape[1]) for one in case) for case in zip(*slots, strict=True)]
    frames = Frames.of(sizes_of, list(zip(each_question, each_answer, hints, strict=True)), every)
    require(model, "places")
    if reading == "upstream":
        require(model, "the upstream reading")
    read = chosen.what_is_read(model, layers, heads)
    maps: list[list[PictureMap]] = [[] for _ in slots]
    replies: list[Reply] = []
    size = batch_size or _CASES_AT_ONCE
    for start in range(0, len(frames.read), size):
        group = frames.read[start : start + size]
        shown = [tuple(_shown(slot[i], model, reading) for slot in slots) for i in group]
        cases = [Case(shown_of, each_question[i], system_prompt) for i, shown_of in zip(group, shown, strict=True)]
        prepared = model.prepare(cases)
        report = share_of(on_progress, start / len(frames.read), (start + len(group)) / len(frames.read))
        given = tuple(_given_reply(model, each_answer[i]) for i in group)
        request = LvlmRequest(read.layers, given, max_new_tokens, reading, report, read.heads)
        computed = chosen.compute(model, prepared, request)
        for index, row, relevance in zip(group, prepared.rows, computed, strict=True):
            replies.append(relevance.reply)
            sizes = list(sizes_of[index])
            try:
                _require_seen(relevance, read.layers, model)
                labelled = label_maps(row, relevance, hints[index], reading)
                views = views_of_pictures(row, labelled.values, reading, sizes)
            except AttentionPromptingError as error:
                raise type(error)((f"Picture {index + 1}: " if count > 1 else "") + str(error)) from error
            for slot_maps, picture_views, picture_size in zip(maps, views, sizes, strict=True):
                slot_maps.append(
                    PictureMap(
                        size=picture_size,
                        labels=labelled.labels,
                        parts={PART: picture_views},
                        method=f"{chosen.name}, {read.found}" if read.found else chosen.name,
                        model=model.name,
                        layer=read.layers[0] if len(read.layers) == 1 else None,
                        reading=reading,
                        signed=relevance.signed,
                        warnings=(*_no_answer(relevance, model), *labelled.warnings),
                        defaults=mask_defaults(model.name),
                    )
                )
    on_progress(1000, 1000)
    first, *further = (Heatmap(frames.filled(slot)) for slot in maps)
    return LvlmHeatmap(first, frames.held(replies), tuple(further))


def _shown(picture: Tensor, model: VisionLanguageModel, reading: Reading) -> Tensor:
    return padded_to_square(picture, model) if reading == "upstream" else picture


def padded_to_square(picture: Tensor, model: VisionLanguageModel) -> Tensor:
    """A picture [H, W, 3] in the middle of a square of the mean colour, as the official LLaVA is shown it."""
    height, width = picture.shape[:2]
    side = max(height, width)
    if height == width:
        return picture
    images = getattr(getattr(model, "processor", None), "image_processor", None)
    mean = getattr(images, "image_mean", None) or _MEAN
    levels = torch.tensor([math.floor(255 * level) / 255 for level in mean], dtype=torch.float32)
    square = levels.expand(side, side, 3).clone()
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def find_lvlm_method(name: str | None) -> LvlmMethod:
    """The method of that name, None for the default."""
    name = DEFAULT_METHOD if name is None else name
    require_one_of(name, LVLM_METHODS, "LVLM method")
    return LVLM_METHODS[name]


def _given_reply(model: VisionLanguageModel, answer: str | Reply | None) -> Reply | None:
    if isinstance(answer, str):
        answer = model.reply_of_text(answer) if answer.strip() else None
    return NO_ANSWER if answer is None and model.why_not("answers") else answer


def _no_answer(relevance: TokenRelevance, model: VisionLanguageModel) -> tuple[str, ...]:
    return () if relevance.reply.token_ids else (model.why_not("answers"),)


def _require_seen(relevance: TokenRelevance, layers: Sequence[int], model: VisionLanguageModel) -> None:
    read = relevance.answer if relevance.reply.token_ids else relevance.question
    if not bool(read.any()):
        raise InvalidInput(
            f"Nothing of the picture is attended to in layer {', '.join(map(str, layers))} of {model.name} while it "
            f"answers. Choose among the layers that see it: {', '.join(map(str, model.seeing_layers))}."
        )
