"""A case: one question about one picture, with the answers that count as right and the boxes of what is asked about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..pictures import flatten_alpha, to_picture
from ..scenes import DrawnScene, SceneOptions, draw_scene, make_scene

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


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
        """A short digest of everything but the id: whether a case is still the same."""
        content = {name: value for name, value in self.to_json().items() if name != "id"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

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


def pictures_of(cases: Sequence[QuestionCase]) -> list[Tensor]:
    """The pictures of some cases; one that several of them share is loaded once."""
    loaded: dict[object, Tensor] = {}
    for case in cases:
        if case.picture not in loaded:
            loaded[case.picture] = case.load()
    return [loaded[case.picture] for case in cases]
