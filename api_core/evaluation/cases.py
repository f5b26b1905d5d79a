"""Cases: pictures with questions, their accepted answers and boxes, in a JSONL file of one object a line.

    {"id": "cat-1", "picture": "pictures/cat.jpg", "question": "What is on the sofa?", "answers": ["cat", "kitten"]}
    {"id": "s-7", "scene": {"stream": "test", "number": 7, "height": 112, "width": 112}, "question": "..."}

`picture` is a path relative to the file; `scene` is a drawn scene instead. Optional: `answer` (one text) or `answers`,
`boxes` ([left, top, right, bottom] in pixels, of what is asked about), `other_boxes` (of everything else that could be
meant), `kind` (tables are made by it), `query` (what the map is asked for, where it is not the question), `scorer`, and
`meta` for everything else. The text is UTF-8, with or without a byte order mark, with any line ends.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InvalidInput
from ..pictures import flatten_alpha, to_picture
from ..scenes import DrawnScene, SceneOptions, draw_scene, make_scene
from ..scenes.world import STREAMS
from .scoring import SCORERS

Box = tuple[float, float, float, float]

_TEXTS = ("id", "picture", "question", "answer", "kind", "query", "scorer")
_FIELDS = (*_TEXTS, "scene", "answers", "boxes", "other_boxes", "meta")
_LARGEST_SIDE = 8192


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
        plain = SceneOptions()
        changed = {f.name: getattr(self.options, f.name) for f in fields(SceneOptions)}
        changed = {name: value for name, value in changed.items() if value != getattr(plain, name)}
        own = {"stream": self.stream, "number": self.number, "height": self.height, "width": self.width}
        return own | ({"options": changed} if changed else {})


@dataclass(frozen=True)
class QuestionCase:
    """One question about one picture. `answers`: those that count as right, none where the answer is not judged."""

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
        return line | ({} if self.scorer == "auto" else {"scorer": self.scorer})


def read_cases(path: Path) -> list[QuestionCase]:
    """Every case of a JSONL file, all checked. Raises InvalidInput, which names the line of the first mistake."""
    cases: list[QuestionCase] = []
    lines: dict[str, int] = {}
    for number, text in _lines(path):
        try:
            case = _case(_object(text), path.parent)
        except InvalidInput as error:
            raise InvalidInput(f"{path}, line {number}: {error}") from error
        if case.id in lines:
            raise InvalidInput(f"{path}, line {number}: the id {case.id!r} is that of line {lines[case.id]} too.")
        lines[case.id] = number
        cases.append(case)
    if not cases:
        raise InvalidInput(f"{path} holds no case. Write one JSON object a line: id, picture, question, answers.")
    return cases


def write_cases(cases: Iterable[QuestionCase], path: Path) -> None:
    """Write cases as `read_cases` reads them, pictures relative to the file where they lie below it."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for case in cases:
            line = case.to_json()
            if isinstance(case.picture, Path) and case.picture.is_relative_to(path.parent):
                line["picture"] = case.picture.relative_to(path.parent).as_posix()
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    """(number, text) of every line that is not blank. Only a line feed ends a line, whatever else a text holds."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput(f"{path} is UTF-16. Save it as UTF-8 (PowerShell: `Out-File -Encoding utf8`).")
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8. Save it as UTF-8."
            ) from error
        if text:
            yield number, text


def _object(text: str) -> dict[str, Any]:
    def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"the field {name!r} is there twice.")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise InvalidInput(f"{constant} is no number that JSON has.")

    try:
        found = json.loads(text, object_pairs_hook=without_doubles, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"no JSON at column {error.colno} ({error.msg}): {_short(text)}.") from error
    except RecursionError as error:
        raise InvalidInput("nested too deeply to be a case.") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"a case is an object in braces, not {_short(text)}.")
    return found


def _case(line: dict[str, Any], folder: Path) -> QuestionCase:
    for name, value in line.items():
        if name not in _FIELDS:
            raise InvalidInput(f"unknown field {name!r}. Known: {', '.join(_FIELDS)}; `meta` takes everything else.")
        if name in _TEXTS and not (name == "id" and isinstance(value, int) and not isinstance(value, bool)):
            _text(name, value, empty=name in ("kind", "query"))
    for name in ("id", "question"):
        if name not in line:
            raise InvalidInput(f"the field {name!r} is missing.")
    if ("picture" in line) == ("scene" in line):
        raise InvalidInput("a case has a picture or a scene, one of the two.")
    scorer = line.get("scorer", "auto")
    if scorer not in SCORERS:
        raise InvalidInput(f"there is no scorer {scorer!r}. Choose one of {', '.join(SCORERS)}.")
    meta = line.get("meta", {})
    if not isinstance(meta, dict):
        raise InvalidInput(f"`meta` is an object in braces, not {_short(json.dumps(meta))}.")
    return QuestionCase(
        id=str(line["id"]),
        picture=_scene(line["scene"]) if "scene" in line else folder / line["picture"],
        question=line["question"],
        answers=_answers(line),
        boxes=_boxes("boxes", line.get("boxes", [])),
        other_boxes=_boxes("other_boxes", line.get("other_boxes", [])),
        kind=line.get("kind", ""),
        query=line.get("query", ""),
        scorer=scorer,
        meta=meta,
    )


def _text(name: str, value: object, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"`{name}` must be a text, not {_short(json.dumps(value))}.")
    if not empty and not value.strip():
        raise InvalidInput(f"`{name}` is empty.")
    return value


def _answers(line: dict[str, Any]) -> tuple[str, ...]:
    if "answer" in line and "answers" in line:
        raise InvalidInput("give `answer` or `answers`, not both.")
    if "answer" in line:
        return (line["answer"],)
    answers = line.get("answers", [])
    if not isinstance(answers, list):
        raise InvalidInput(f"`answers` is a list of texts, not {_short(json.dumps(answers))}. One text: `answer`.")
    return tuple(_text("answers", answer) for answer in answers)


def _boxes(name: str, value: object) -> tuple[Box, ...]:
    if not isinstance(value, list):
        raise InvalidInput(f"`{name}` is a list of boxes [left, top, right, bottom], not {_short(json.dumps(value))}.")
    return tuple(_box(name, box) for box in value)


def _box(name: str, value: object) -> Box:
    fine = isinstance(value, list) and len(value) == 4 and all(_is_number(edge) for edge in value)
    if not isinstance(value, list) or not fine or not (value[0] < value[2] and value[1] < value[3]):
        raise InvalidInput(
            f"a box of `{name}` is [left, top, right, bottom] in pixels, left of right and top above bottom, "
            f"not {_short(json.dumps(value))}."
        )
    left, top, right, bottom = (float(edge) for edge in value)
    return left, top, right, bottom


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _scene(value: object) -> SceneReference:
    known = ("stream", "number", "height", "width", "options")
    if not isinstance(value, dict) or not set(value) <= set(known) or not set(known[:4]) <= set(value):
        raise InvalidInput(
            f"`scene` is an object with stream, number, height, width and, if wanted, options, "
            f"not {_short(json.dumps(value))}."
        )
    if value["stream"] not in STREAMS:
        raise InvalidInput(f"there is no stream {value['stream']!r}. Choose one of {', '.join(STREAMS)}.")
    for name, lowest in (("number", 0), ("height", 1), ("width", 1)):
        number = value[name]
        if not isinstance(number, int) or isinstance(number, bool) or number < lowest:
            raise InvalidInput(
                f"a scene's {name} is a whole number from {lowest} on, not {_short(json.dumps(number))}."
            )
        if name != "number" and number > _LARGEST_SIDE:
            raise InvalidInput(f"a scene's {name} is at most {_LARGEST_SIDE} pixels, not {number}.")
    return SceneReference(
        value["stream"], value["number"], value["height"], value["width"], _scene_options(value.get("options", {}))
    )


def _scene_options(value: object) -> SceneOptions:
    plain = SceneOptions()
    names = {f.name for f in fields(SceneOptions)}
    if not isinstance(value, dict) or not set(value) <= names:
        raise InvalidInput(
            f"a scene's options are an object of {', '.join(sorted(names))}, not {_short(json.dumps(value))}."
        )
    changes: dict[str, Any] = {}
    for name, given in value.items():
        usual = getattr(plain, name)
        listed = name == "grounds" or isinstance(usual, tuple)
        if listed != isinstance(given, list) or not (listed or _is_number(given)):
            raise InvalidInput(f"the scene option `{name}` cannot be {_short(json.dumps(given))}; usual is {usual!r}.")
        changes[name] = tuple(given) if listed else given
    return replace(plain, **changes)


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def pictures_of(cases: Sequence[QuestionCase]) -> list[Tensor]:
    """The pictures of some cases; one that several of them share is loaded once."""
    loaded: dict[object, Tensor] = {}
    for case in cases:
        if case.picture not in loaded:
            loaded[case.picture] = case.load()
    return [loaded[case.picture] for case in cases]
