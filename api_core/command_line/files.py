"""Which pictures are read and which files are written: names, refusals, and writing whole files or none."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from ..whole_file import whole_file

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Job:
    """One picture and where its results go. beside: what stands beside the picture, by the names of ENDINGS."""

    source: Path
    picture: Path
    beside: Mapping[str, Path]

    @property
    def targets(self) -> tuple[Path, ...]:
        return (self.picture, *self.beside.values())


def find_jobs(options: argparse.Namespace, by_number: bool = False, **wanted: bool) -> list[Job]:
    """What `add_file_options` was given, with the results that are `wanted` beside; refused where files collide."""
    jobs = plan(find_pictures(options.picture, by_number), options.out, **wanted)
    refuse_collisions(jobs, options.overwrite)
    return jobs


def find_pictures(source: Path, by_number: bool = False) -> list[Path]:
    """The file itself, or the picture files directly inside the folder, by name; by_number: 2 comes before 10."""
    if source.is_dir():
        found = sorted(path for path in source.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
        if not found:
            raise InvalidInput(f"The folder {source} holds no picture ({', '.join(PICTURE_SUFFIXES)}).")
        return sorted(found, key=_numbers_as_numbers) if by_number else found
    if not source.exists():
        raise InvalidInput(f"There is no picture or folder at {source}.")
    return [source]


def _numbers_as_numbers(path: Path) -> list[tuple[int, str]]:
    """A name in pieces of which those of digits compare as numbers, however many noughts lead them."""
    pieces = re.split("([0-9]+)", path.name.casefold())
    return [(int(piece), "") if piece.isdecimal() else (0, piece) for piece in pieces]


ENDINGS = {
    "mask": ".mask.png",
    "heatmap": ".heatmap.npz",
    "panel": ".panel.png",
    "report": ".report.json",
    "curves": ".curves.png",
}
"""What can stand beside a picture."""


def plan(sources: Sequence[Path], out: Path, **wanted: bool) -> list[Job]:
    """Where each picture's results go.

    `out` with a picture's ending is the one result's file, anything else a folder of `<stem>.png`. Pictures that share
    a stem keep their ending in the name (`cat.jpg.png`). The other results that are `wanted`, by the names of ENDINGS,
    stand beside.
    """
    if out.suffix.lower() in WRITTEN_SUFFIXES and not out.is_dir():
        if len(sources) > 1:
            raise InvalidInput(f"{out} is one file, but there are {len(sources)} pictures. Give a folder instead.")
        pictures = [out]
    else:
        stems = Counter(source.stem.casefold() for source in sources)
        names = [source.stem if stems[source.stem.casefold()] == 1 else source.name for source in sources]
        pictures = [out / f"{name}.png" for name in names]
    jobs = []
    for source, picture in zip(sources, pictures, strict=True):
        stem = picture.name[: -len(picture.suffix)]
        asked = {kind: picture.with_name(stem + ENDINGS[kind]) for kind, is_wanted in wanted.items() if is_wanted}
        jobs.append(Job(source, picture, asked))
    return jobs


def refuse_collisions(jobs: Sequence[Job], overwrite: bool) -> None:
    """Raise before any work when a result would replace an input (always) or another file (without `overwrite`)."""
    inputs = {job.source.resolve() for job in jobs}
    planned = Counter(target.resolve() for job in jobs for target in job.targets)
    for job in jobs:
        for target in job.targets:
            if target.resolve() in inputs:
                raise InvalidInput(f"{target} is an input picture and would be replaced. Choose another place with -o.")
            if planned[target.resolve()] > 1:
                raise InvalidInput(f"Two results would be written to {target}. Rename one of the pictures.")
            if target.exists() and not overwrite:
                raise InvalidInput(f"{target} exists. Add --overwrite to replace it, or choose another place with -o.")


def write_results(job: Job, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Write a job's files: all are written aside first, so that a failing one leaves none of them behind.

    writers: of the "picture" and of what can stand beside it; those that the job does not ask for are not called.
    """
    with ExitStack() as stack:
        for kind, target in {"picture": job.picture, **job.beside}.items():
            writers[kind](stack.enter_context(whole_file(target)))
