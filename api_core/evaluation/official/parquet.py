"""Data sets as the hub has them: parquet files, with the pictures inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, MissingPackage, reason

_ROWS_AT_ONCE = 32


def parquet_files(folder: Path, *parts: str) -> list[Path]:
    """The parquet files below a folder whose path has every one of `parts` (a config, a split) in one of its names."""

    def suits(path: Path) -> bool:
        names = [*path.relative_to(folder).parts[:-1], path.name]
        return all(
            any(name == part or name.startswith(f"{part}-") or name == f"{part}.parquet" for name in names)
            for part in parts
        )

    return sorted(path for path in folder.rglob("*.parquet") if suits(path))


def rows_of(files: Sequence[Path], required: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of some parquet files, one after the other. Raises InvalidInput for one that is cut, or has no such
    column."""
    parquet = _pyarrow_parquet()
    for path in files:
        yield from _rows_of_one(parquet, path, required)


def _rows_of_one(parquet: Any, path: Path, required: Sequence[str]) -> Iterator[dict[str, Any]]:
    try:
        with parquet.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            lacking = [name for name in required if name not in names]
            if lacking:
                raise InvalidInput(f"{path} has no column {', '.join(lacking)}; it has {', '.join(sorted(names))}.")
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield from batch.to_pylist()
    except InvalidInput:
        raise
    except (OSError, ValueError) as error:  # what pyarrow raises for a damaged file is a ValueError
        raise InvalidInput(f"{path} cannot be read; is it whole? {reason(error)}.") from error


def _pyarrow_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackage(
            'Parquet files need pyarrow: pip install "attention-prompting[data]", or pip install pyarrow.'
        ) from error
    return parquet
