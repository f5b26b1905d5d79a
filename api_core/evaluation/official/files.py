"""Official text files: JSON, lines of JSON, CSV. UTF-8 with or without a byte order mark, with any line ends."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, reason, shortened
from ...whole_file import whole_file

_BEYOND = (ValueError, RecursionError)
"""What Python says of JSON with numbers of thousands of digits, or as many brackets."""


def text_of(path: Path) -> str:
    """The text of a file, lines ended by line feeds alone."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: byte {error.start + 1} is not UTF-8. Is this the official file?") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def json_of(path: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"{path} is no JSON, or is cut: {error.msg} in line {error.lineno}, column {error.colno}."
        ) from error
    except _BEYOND as error:
        raise InvalidInput(f"{path} is no official file: {reason(error)}.") from error


def objects_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that is one JSON array, or has one object a line."""
    text = text_of(path)
    found = json_of(path) if text.lstrip().startswith("[") else [_line(path, *line) for line in _lines(text)]
    for number, one in enumerate(found, 1):
        if not isinstance(one, dict):
            raise InvalidInput(f"{path}: entry {number} is no object in braces: {shortened(one)}.")
    return list(found)


def table_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by the names in its first line."""
    try:
        rows = list(csv.DictReader(io.StringIO(text_of(path), newline="")))
    except csv.Error as error:
        raise InvalidInput(f"{path} is no table, or is cut: {reason(error)}.") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InvalidInput(f"{path}: row {number} has not as many cells as the first row names. Is the file cut?")
    return rows


def field_of(path: Path, entry: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of `names` that an entry has."""
    for name in names:
        if name in entry:
            return entry[name]
    raise InvalidInput(f"{path}: an entry has no {names[0]!r}: {shortened(json.dumps(entry, default=str))}.")


def first_below(folder: Path, *names: str) -> Path:
    """The first of some files that lies anywhere below a folder."""
    for name in names:
        if found := sorted(folder.rglob(name)):
            return found[0]
    raise InvalidInput(f"There is no {' or '.join(names)} in or below {folder}. Name the folder that holds it.")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file."""
    with whole_file(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def write_lines(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of one JSON object a line."""
    text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _lines(text: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _line(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}, line {number} is no JSON, or is cut: {shortened(line)}.") from error
