"""A case: one question about one picture, with the answers that count as right and the boxes of what is asked about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..pictures import flatten_alpha, to_picture
from ..scenes import DrawnScene, SceneOptions, draw_scene, make_scene

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

_PLACES = ("picture", "more_pictures")
"""Fields of a case's line that say where its files are."""


@dataclass(frozen=True)
class SceneReference:
    """A drawn scene: `options` says what may be drawn, stream and number which of the scenes it is."""

    stream: str
    number: int
    height: int
    width: int
    options: SceneOptions = field(default_factory=SceneOptions)

    def draw(self) -> DrawnScene:
        return draw_scene(make_scene(self.number, self.stream, self.options), self.height, self.width)

    def to_json(self) -> dict[str, Any]:
        options = {option.name: getattr(self.options, option.name) for option in fields(SceneOptions)}
        changed = {name: value for name, value in options.items() if value != getattr(SceneOptions, name)}
        own = {"stream": self.stream, "number": self.number, "height": self.height, "width": self.width}
        return own | ({"options": changed} if changed else {})


@dataclass(frozen=True)
class QuestionCase:
    """One question about one picture. `answers`: those that count as right, none where the answer is not judged.
    `more_pictures`: shown after the picture, which alone is prompted."""

    id: str
    picture: Path | SceneReference
    question: str
    answers: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    other_boxes: tuple[Box, ...] = ()
    kind: str = ""
    query: str = ""
    scorer: str = "auto"
    meta: Mapping[str, Any] = field(default_factory=dict)
    more_pictures: tuple[Path, ...] = ()

    def load(self) -> Tensor:
        """The picture: float32 [H, W, 3], 0..1."""
        if isinstance(self.picture, SceneReference):
            return torch.from_numpy(self.picture.draw().picture)
        return flatten_alpha(to_picture(self.picture))

    @property
    def map_query(self) -> str:
        """What the map is asked for."""
        return self.query or self.question

    @property
    def fingerprint(self) -> str:
        """A short digest of everything but the id and, behind a full stop, of the pictures' content: whether a case is
        still the same, wherever its files lie. Of pictures that cannot be read there is nothing behind it."""
        asked = _short_digest(self._content(without=("id", *_PLACES)))
        return f"{asked}.{self._shown()}" if self._files else asked

    def has_fingerprint(self, recorded: str) -> bool:
        """Whether that is the case's fingerprint; pictures that cannot be read, now or then, speak against nothing.

        Those of earlier versions have no full stop, and hold where the pictures were.
        """
        asked, with_pictures, shown = recorded.partition(".")
        if not with_pictures:
            return recorded == _short_digest(self._content(without=("id",)))
        own, _, shown_now = self.fingerprint.partition(".")
        return asked == own and (shown == shown_now or not shown or not shown_now)

    @property
    def _files(self) -> list[Path]:
        return [path for path in (self.picture, *self.more_pictures) if isinstance(path, Path)]

    def _content(self, without: Sequence[str]) -> dict[str, Any]:
        return {name: value for name, value in self.to_json().items() if name not in without}

    def _shown(self) -> str:
        try:
            states = [(path, path.stat()) for path in (path.expanduser() for path in self._files) if path.is_file()]
            digests = [_file_digest(path, state.st_size, state.st_mtime_ns) for path, state in states]
        except (OSError, ValueError, RuntimeError):  # no right to read it, or a path that no file can have
            return ""
        return _short_digest(digests) if len(digests) == len(self._files) else ""

    def to_json(self) -> dict[str, Any]:
        """The case as a line of a file holds it; the picture's path as it is."""
        scene = self.picture if isinstance(self.picture, SceneReference) else None
        line: dict[str, Any] = {"id": self.id}
        line |= {"scene": scene.to_json()} if scene else {"picture": str(self.picture)}
        line["question"] = self.question
        for name in ("answers", "boxes", "other_boxes", "kind", "query", "meta"):
            value = getattr(self, name)
            line |= {name: value} if value else {}
        line |= {"more_pictures": [str(path) for path in self.more_pictures]} if self.more_pictures else {}
        return line | ({} if self.scorer == "auto" else {"scorer": self.scorer})


def _short_digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _file_digest(path: Path, size: int, changed: int) -> str:
    """Of a file of that size, last changed then: several questions are asked about one picture."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pictures_of(cases: Sequence[QuestionCase]) -> list[Tensor]:
    """The pictures of some cases; one that several of them share is loaded once."""
    loaded: dict[object, Tensor] = {}
    for case in cases:
        if case.picture not in loaded:
            loaded[case.picture] = case.load()
    return [loaded[case.picture] for case in cases]
