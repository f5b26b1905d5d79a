"""From pictures and queries to a heatmap: each picture is looked at, encoded once, and compared with every text."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import cast

import torch
from PIL import Image
from torch import Tensor

from ... import choices
from ...broadcast import broadcast_texts
from ...choices import FITS, READINGS, Reading
from ...errors import InvalidInput, quoted, require_one_of, shortened
from ...models.catalog import DEFAULT_FIT, find_clip_model, mask_defaults
from ...models.clip import ClipModel, Encoding
from ...models.clip.cache import MOST_PICTURES
from ...models.own_code import runs_a_model
from ...pictures import AnyPicture, require_loaded, require_picture, to_picture
from ...progress import Progress, ignore_progress
from ...results import Heatmap, Label, PictureMap, View, require_finite
from ...settings import require_number
from ...texts import clean
from ..frames import Frames
from .model_views import ModelView, count_views, encode_views, picture_size, view_as_upstream, views_precisely
from .presence import OtherThings, Telling

# Pictures are prepared and encoded in groups of about so many squares, so that a long batch takes no more memory.
_VIEWS_AT_ONCE = 32
_WORD = re.compile(r"\w+(?:['’\-]\w+)*")  # noqa: RUF001 - the typographic apostrophe is meant

Compute = Callable[[Encoding, Tensor, Reading], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Method:
    """A way from an encoded picture and texts to maps. describes: one sentence for people.

    Its code is the file beside this that is called after it.
    """

    name: str
    describes: str

    @property
    def compute(self) -> Compute:
        """Takes an encoding, unit-norm texts [T, e] and the reading; gives a map's parts, each [T, rows, columns]."""
        return cast(Compute, self._module.compute)

    @property
    def telling(self) -> Callable[[Encoding], Telling]:
        """Takes an encoding; gives what says whether a thing is there."""
        return cast(Callable[[Encoding], Telling], self._module.telling)

    @property
    def neighbours(self) -> bool:
        """Whether it reads `Encoding.neighbours`, which class-token towers alone have."""
        return bool(getattr(self._module, "NEIGHBOURS", False))

    def resolve_layer(self, model: ClipModel, layer: int | None) -> int:
        """The block that is read: None is the model's own choice, the last one for neighbours."""
        return model.resolve_layer(-1 if layer is None and self.neighbours else layer)

    @property
    def _module(self) -> ModuleType:
        return import_module(f".{self.name.replace(' ', '_')}", __package__)


METHODS = {name: Method(name, describes) for name, describes in choices.CLIP_METHODS.items()}


@dataclass(frozen=True)
class Query:
    """One question: what its maps are called, and the text that is encoded for each of them, in the same order."""

    labels: tuple[Label, ...]
    texts: tuple[str, ...]


def list_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(METHODS)


@runs_a_model
def clip_heatmap(
    model: ClipModel,
    pictures: Sequence[AnyPicture],
    queries: str | Sequence[str],
    *,
    method: str = "decomposition",
    layer: int | None = None,
    reading: Reading = "precise",
    fit: str | None = None,
    neutral_text: str | None = None,
    words: bool = True,
    batch_size: int | None = None,
    on_progress: Progress = ignore_progress,
    every: int = 1,
) -> Heatmap:
    """Score the parts of each picture by their relevance to its query.

    pictures: [H, W, 3 or 4] of 0..1, of any sizes (or PIL pictures). queries: one for all pictures, or one for each.
    method: one of `list_methods()`. layer: the block to read, negative from the end; None is the catalog's choice for
    the model (the last block for "neighbours"). fit: how a picture that is not square is shown to the model: "stretch",
    "letterbox", "crops" (overlapping squares) or "center"; None is the catalog's choice. neutral_text: subtract the map
    of this text, such as "a picture"; the map is then signed. words: also make a map for each word of the query.
    batch_size: squares per forward pass, None for what memory allows. on_progress: called with the squares encoded and
    those there are, in blocks. every: 1 … 16, of the pictures of a clip only every n-th of those with one query is
    read, and the last; the raw maps between them are linear.

    The upstream reading shows the model the middle of the picture and lays the map over all of it, as the official code
    does, and cuts long queries off; `fit` does not apply there.
    """
    chosen = _find_method(method)
    if not len(pictures):
        raise InvalidInput("There is no picture to make a heatmap of. Pass at least one.")
    queries = _queries_of(queries, len(pictures))
    _check(reading, batch_size, neutral_text)
    pictures = [_prepare(picture, reading) for picture in pictures]
    frames = Frames.of([(picture_size(picture),) for picture in pictures], queries, every)
    pictures = frames.taken(pictures)
    each_query = [_labelled(query, words) for query in frames.taken(queries)]
    layer = chosen.resolve_layer(model, layer)
    shown, notes = _resolve_fit(model, fit, reading)
    total = sum(count_views(picture, shown, model.side) for picture in pictures)
    features = _encode_texts(model, each_query, neutral_text, reading, lambda *_: on_progress(0, total * model.depth))
    lengths = {query: _warn_of_length(model, query, reading) for query in {query.texts[0] for query in each_query}}
    others = OtherThings.known_to(model)
    keep = total <= MOST_PICTURES
    maps: list[PictureMap] = []
    done = 0
    for group in _groups(pictures, shown, model.side):
        group_views = [_views_of(model, pictures[index], shown, reading) for index in group]

        def report(steps: int, _: int, base: int = done) -> None:
            on_progress(base + steps, total * model.depth)

        flat = [view for views in group_views for view in views]
        encodings = iter(
            encode_views(model, flat, layer, shown, batch_size, report, keep, neighbours=chosen.neighbours)
        )
        done += len(flat) * model.depth
        for index, views in zip(group, group_views, strict=True):
            query = each_query[index]
            texts = torch.stack([features[text] for text in query.texts])
            neutral = None if neutral_text is None else features[neutral_text][None]
            encoded = [(view, next(encodings)) for view in views]
            maps.append(
                PictureMap(
                    size=picture_size(pictures[index]),
                    labels=query.labels,
                    parts=_parts(chosen, encoded, texts, neutral, reading),
                    method=chosen.name,
                    model=model.name,
                    layer=layer,
                    reading=reading,
                    signed=neutral is not None,
                    warnings=(*notes, *lengths[query.texts[0]]),
                    defaults=mask_defaults(model.name),
                    presence=others.presence(
                        query.texts, texts, [(chosen.telling(encoding), view.valid) for view, encoding in encoded]
                    ),
                )
            )
        del group_views, flat, encodings  # before the next group's are made: of a long batch one is held at a time
    return Heatmap(frames.filled(maps))


def _queries_of(queries: str | Sequence[str], pictures: int) -> list[str]:
    """One query for each picture, none of them blank."""
    for query in [queries] if isinstance(queries, str) or queries is None else queries:
        if not isinstance(query, str) or not query.strip():
            raise InvalidInput(f"A query must say what to look for; {quoted(query)} is empty or no text.")
    return [clean(query) for query in broadcast_texts(queries, pictures, "queries")]


def _labelled(query: str, words: bool) -> Query:
    """A query's labels and texts: the whole, and with `words` each of its different words when it has several."""
    parts = _different_words(query) if words else []
    parts = parts if len(parts) > 1 else []
    labels = (Label(query, "whole"), *(Label(word, "query word") for word in parts))
    return Query(labels, (query, *parts))


def _different_words(query: str) -> list[str]:
    found: dict[str, str] = {}
    for word in _WORD.findall(query):
        found.setdefault(word.casefold(), word)
    return list(found.values())


def _find_method(name: str) -> Method:
    require_one_of(name, METHODS, "method")
    return METHODS[name]


def _check(reading: Reading, batch_size: int | None, neutral_text: str | None) -> None:
    require_one_of(reading, READINGS, "reading")
    if batch_size is not None:
        require_number(batch_size, "batch_size", 1, whole=True)
    if neutral_text is not None and not neutral_text.strip():
        raise InvalidInput("The neutral text is empty. Leave it out (None), or give one such as 'a picture'.")


def _prepare(picture: AnyPicture, reading: Reading) -> AnyPicture:
    """A checked picture; a PIL picture stays one in the upstream reading, where its mode matters."""
    if isinstance(picture, Tensor):
        require_picture(picture)
        return picture.detach()
    if reading == "upstream" and isinstance(picture, Image.Image):
        require_loaded(picture)
        return picture
    return to_picture(picture)


def _resolve_fit(model: ClipModel, fit: str | None, reading: Reading) -> tuple[str, tuple[str, ...]]:
    """The fit that is used, and a warning where another was asked for."""
    if fit is not None and fit not in FITS:
        raise InvalidInput(f"There is no fit {quoted(fit)}. Choose one of {', '.join(FITS)}.")
    if reading == "upstream":
        ignored = fit not in (None, "center")
        note = f"the upstream reading looks at the middle of a picture only: the fit {quoted(fit)} is not used."
        return "center", (note,) * ignored
    if fit is not None:
        return fit, ()
    entry = find_clip_model(model.name)
    return (DEFAULT_FIT if entry is None else entry.fit), ()


def _encode_texts(
    model: ClipModel,
    each_query: Sequence[Query],
    neutral_text: str | None,
    reading: Reading,
    on_progress: Progress,
) -> dict[str, Tensor]:
    """Each different text once: text -> unit-norm feature [e]."""
    texts = dict.fromkeys(text for query in each_query for text in query.texts)
    if neutral_text is not None:
        texts[neutral_text] = None
    features = model.encode_texts(list(texts), cut=reading == "upstream", on_progress=on_progress)
    return dict(zip(texts, features, strict=True))


def _groups(pictures: Sequence[AnyPicture], fit: str, side: int) -> Iterator[list[int]]:
    group: list[int] = []
    count = 0
    for index, picture in enumerate(pictures):
        group.append(index)
        count += count_views(picture, fit, side)
        if count >= _VIEWS_AT_ONCE:
            yield group
            group, count = [], 0
    if group:
        yield group


def _views_of(model: ClipModel, picture: AnyPicture, fit: str, reading: Reading) -> list[ModelView]:
    if reading == "upstream":
        return [view_as_upstream(picture, model.side, model.grid)]
    return views_precisely(
        cast(Tensor, picture), fit, model.side, model.grid, model.spec.interpolation, model.spec.mean
    )


def _parts(
    method: Method,
    encoded: Sequence[tuple[ModelView, Encoding]],
    texts: Tensor,
    neutral: Tensor | None,
    reading: Reading,
) -> dict[str, tuple[View, ...]]:
    """Part name -> a view for each of the model's, [M, rows, columns]; less the neutral text's map if there is one."""
    parts: dict[str, list[View]] = {}
    for view, encoding in encoded:
        plain = {} if neutral is None else method.compute(encoding, neutral, reading)
        for name, values in method.compute(encoding, texts, reading).items():
            scores = values - plain[name] if name in plain else values
            require_finite(scores, f"The map of the {name} part")
            parts.setdefault(name, []).append(View(scores, view.box, view.valid))
    return {name: tuple(several) for name, several in parts.items()}


def _warn_of_length(model: ClipModel, query: str, reading: Reading) -> tuple[str, ...]:
    pieces = model.split_text(query)
    if len(pieces) == 1:
        return ()
    done = f"its {len(pieces)} pieces are averaged" if reading == "precise" else "its end is cut off, as upstream"
    return (f"the query {shortened(query)!r} is longer than {model.name} reads: {done}.",)
