"""Cases in a JSONL file of one object a line.

    {"id": "cat-1", "picture": "pictures/cat.jpg", "question": "What is on the sofa?", "answers": ["cat", "kitten"]}
    {"id": "s-7", "scene": {"stream": "test", "number": 7, "height": 112, "width": 112}, "question": "..."}

`picture` is a path relative to the file; `scene` is a drawn scene instead. Optional: `answer` (one text) or `answers`,
`boxes` ([left, top, right, bottom] in pixels, of what is asked about), `other_boxes` (of everything else that could be
meant), `kind` (tables are made by it), `query` (what the map is asked for, where it is not the question), `scorer`,
`more_pictures` (shown after the picture, which alone is prompted), and `meta` for everything else. The text is UTF-8,
with or without a byte order mark, with any line ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...scenes import SceneOptions
from ...scenes.world import STREAMS
from ...settings import is_number
from ..cases import QuestionCase, SceneReference
from ..scorers.answers import SCORERS

Read = Callable[[str, Any], Any]
"""Gets a field's name and its value as JSON has it; gives what a case holds, or raises InvalidInput."""

_LARGEST_SIDE = 8192


def read_cases(path: Path) -> list[QuestionCase]:
    """Every case of a JSONL file, all checked. Raises InvalidInput, which names the line of the first mistake."""
    cases: list[QuestionCase] = []
    lines: dict[str, int] = {}
    for number, text in _lines(path):
        try:
            case = case_of_line(_object(text), path.parent)
        except InvalidInput as error:
            raise InvalidInput(f"{path}, line {number}: {error}") from error
        if case.id in lines:
            raise InvalidInput(f"{path}, line {number}: the id {case.id!r} is that of line {lines[case.id]} too.")
        lines[case.id] = number
        cases.append(case)
    if not cases:
        raise InvalidInput(f"{path} holds no case. Write one JSON object a line: id, picture, question, answers.")
    return cases


def _lines(path: Path) -> Iterator[tuple[int, str]]:
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


def _object(text: str) -> Any:
    def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"the field {name!r} is there twice.")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise InvalidInput(f"{constant} is no number that JSON has.")

    try:
        return json.loads(text, object_pairs_hook=without_doubles, parse_constant=refuse)
    except InvalidInput:
        raise
    except json.JSONDecodeError as error:
        raise InvalidInput(f"no JSON at column {error.colno} ({error.msg}): {text[:80]}.") from error
    except RecursionError as error:
        raise InvalidInput("nested too deeply to be a case.") from error
    except ValueError as error:
        raise InvalidInput("a number of too many digits.") from error


def case_of_line(line: Any, folder: Path) -> QuestionCase:
    """The case that a line's object says. folder: where its pictures are from."""
    values = _read_fields("", line, _CASE, ("id", "question"), "; `meta` takes everything else")
    if ("picture" in values) == ("scene" in values):
        raise InvalidInput("a case has a picture or a scene, one of the two.")
    if "answer" in values:
        if "answers" in values:
            raise InvalidInput("give `answer` or `answers`, not both.")
        values["answers"] = (values.pop("answer"),)
    picture = values.pop("scene") if "scene" in values else folder / values.pop("picture")
    if "more_pictures" in values:
        values["more_pictures"] = tuple(folder / one for one in values["more_pictures"])
    return QuestionCase(picture=picture, **values)


def _read_fields(
    where: str, value: Any, readers: Mapping[str, Read], required: Sequence[str], more: str = ""
) -> dict[str, Any]:
    """The fields of an object, each read by its reader. where: the field that the object itself is in, if any."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{where or 'a case'} must be an object in braces, not {_short(value)}.")
    inside = f"{where.strip('`')}." if where else ""
    for name in value:
        if name not in readers:
            raise InvalidInput(f"unknown field {inside + name!r}. Known: {', '.join(readers)}{more}.")
    for name in required:
        if name not in value:
            raise InvalidInput(f"the field {inside + name!r} is missing.")
    return {name: readers[name](f"`{inside}{name}`", found) for name, found in value.items()}


def _check(what: str, fine: Callable[[Any], Any], make: Callable[[Any], Any] = lambda value: value) -> Read:
    """A reader of values that are `fine`, which makes of them what a case holds; of others it says `what` they are."""

    def read(name: str, value: Any) -> Any:
        if not fine(value):
            raise InvalidInput(f"{name} must be {what}, not {_short(value)}.")
        return make(value)

    return read


def _one_of(options: Iterable[str]) -> Read:
    known = tuple(options)
    return _check(f"one of {', '.join(known)}", lambda value: value in known)


def _whole(least: int, most: int | None = None) -> Read:
    what = f"a whole number from {least} {'on' if most is None else f'to {most}'}"
    return _check(what, lambda value: _is_whole(value) and least <= value and (most is None or value <= most))


def _list_of(item: Read, what: str) -> Read:
    is_list = _check(f"a list of {what}", lambda value: isinstance(value, list))
    return lambda name, value: tuple(item(f"one of {name}", one) for one in is_list(name, value))


def _object_of(make: Callable[..., Any], readers: Mapping[str, Read], required: Sequence[str] = ()) -> Read:
    return lambda name, value: make(**_read_fields(name, value, readers, required))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and is_number(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_box(value: Any) -> bool:
    fine = isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))
    return fine and value[0] < value[2] and value[1] < value[3]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


_TEXT = _check("a text that is not empty", _is_text)
_ANY_TEXT = _check("a text", lambda value: isinstance(value, str))
_NUMBER = _check("a number", _is_number)
_BOX = _check(
    "[left, top, right, bottom] in pixels, left of right and top above bottom",
    _is_box,
    lambda box: tuple(map(float, box)),
)
_BOXES = _list_of(_BOX, "boxes [left, top, right, bottom]")
_VALUES = _list_of(lambda name, value: value, "values")
_OPTIONS = {
    option.name: _NUMBER if isinstance(option.default, int | float) else _VALUES for option in fields(SceneOptions)
}
_SCENE = {
    "stream": _one_of(STREAMS),
    "number": _whole(0),
    "height": _whole(1, _LARGEST_SIDE),
    "width": _whole(1, _LARGEST_SIDE),
    "options": _object_of(SceneOptions, _OPTIONS),
}
_CASE = {
    "id": _check("a text or a whole number", lambda value: _is_whole(value) or _is_text(value), str),
    "picture": _TEXT,
    "question": _TEXT,
    "answer": _TEXT,
    "kind": _ANY_TEXT,
    "query": _ANY_TEXT,
    "scorer": _one_of(SCORERS),
    "scene": _object_of(SceneReference, _SCENE, ("stream", "number", "height", "width")),
    "answers": _list_of(_TEXT, "texts (one text alone: `answer`)"),
    "boxes": _BOXES,
    "other_boxes": _BOXES,
    "more_pictures": _list_of(_TEXT, "paths of pictures"),
    "meta": _check("an object in braces", lambda value: isinstance(value, dict)),
}
"""Every field of a case, and how it is read."""
