"""Which pictures are read and which files are written: names, refusals, and writing whole files or none."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from ..whole_file import whole_file

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Job:
    """One picture and where its results go; a result of None is not asked for."""

    source: Path
    picture: Path
    mask: Path | None = None
    heatmap: Path | None = None
    panel: Path | None = None
    report: Path | None = None
    curves: Path | None = None

    @property
    def targets(self) -> tuple[Path, ...]:
        places = (self.picture, self.mask, self.heatmap, self.panel, self.report, self.curves)
        return tuple(path for path in places if path)


def find_pictures(source: Path) -> list[Path]:
    """The file itself, or the picture files directly inside the folder, by name."""
    if source.is_dir():
        found = sorted(path for path in source.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
        if not found:
            raise InvalidInput(f"The folder {source} holds no picture ({', '.join(PICTURE_SUFFIXES)}).")
        return found
    if not source.exists():
        raise InvalidInput(f"There is no picture or folder at {source}.")
    return [source]


ENDINGS = {
    "mask": ".mask.png",
    "heatmap": ".heatmap.npz",
    "panel": ".panel.png",
    "report": ".report.json",
    "curves": ".curves.png",
}
"""What stands beside a picture, by its field of a job."""


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
        jobs.append(Job(source, picture, **asked))
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


def write_all(writers: Sequence[tuple[Path, Callable[[Path], None]]]) -> None:
    """Write one picture's files: all are written aside first, so that a failing one leaves none of them behind."""
    with ExitStack() as stack:
        for target, write in writers:
            write(stack.enter_context(whole_file(target)))
