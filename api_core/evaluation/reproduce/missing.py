"""What a plan needs and what of it is not there, with its place, licence and size; and what its rows will cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidInput
from ...models.catalog import find_clip_model, find_lvlm_model
from ...models.whereabouts import THERE, whereabouts
from ..official.registry import DATA_SETS, find_data_set
from ..runner.results_file import read_results
from .plan import Row
from .rows import Places, count_of


@dataclass(frozen=True)
class Need:
    """Something that rows need. says: what it is and where it is, or where to get it. there: whether it is.

    to_answer: whether the row cannot be asked without it; else it only cannot be scored.
    """

    kind: str
    name: str
    says: str
    there: bool
    to_answer: bool = True


@dataclass(frozen=True)
class Cost:
    """What is still to be done. passes: prompts that a model reads, several for one answer of some decodings. maps:
    pictures that are mapped. explanations: answers that are explained. verdicts: of the judge, each a call or more.
    """

    answers: int = 0
    passes: int = 0
    maps: int = 0
    explanations: int = 0
    verdicts: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(one + more for one, more in zip(self.numbers, other.numbers, strict=True)))

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.answers, self.passes, self.maps, self.explanations, self.verdicts

    @property
    def title(self) -> str:
        names = ("answers", "readings of a prompt", "maps", "explanations", "verdicts")
        return ", ".join(f"{number:,} {name}" for number, name in zip(self.numbers, names, strict=True) if number)


def needs_of(row: Row, places: Places, *, server: bool, judge: bool, download: bool) -> list[Need]:
    """What one row needs. server: one answers. judge: one was named. download: models that are not here are fetched."""
    of_maps = row.settings.get("map-model")
    itself = row.explained or (row.settings.get("map") == "lvlm" and not of_maps)
    models = [row.model] if itself or not server else []
    models += [str(of_maps)] if row.prompts and of_maps else []
    return [*_data(row, places), *(_model(name, places, download) for name in models), *_judge(row, places, judge)]


def _data(row: Row, places: Places) -> Iterator[Need]:
    if row.data_set not in DATA_SETS:
        known = ", ".join(DATA_SETS)
        yield Need("data set", row.data_set, f"is not known; known: {known}", False)
        return
    data_set = find_data_set(row.data_set)
    for what, named, among in (("split", row.split, data_set.counts), ("wording", row.wording, data_set.wordings)):
        if named and named not in among:
            raise InvalidInput(f"{data_set.title} has no {what} {named!r}. Choose one of {', '.join(among)}.")
    folder = places.data / data_set.name
    split = row.split or next(iter(data_set.counts))
    says = f"{data_set.title}, {split}: {data_set.counts[split]:,} questions; licence: {data_set.licence}"
    there = folder.is_dir()
    yield Need("data set", data_set.name, f"{says}; {_where(folder, there, data_set.source)}", there)


def _judge(row: Row, places: Places, judge: bool) -> Iterator[Need]:
    judging = DATA_SETS[row.data_set].judging if row.data_set in DATA_SETS else None
    if judging is None or row.explained:
        return
    name = find_data_set(row.data_set).name
    says = f"answers to {name} are judged, by {judging.judge} in the publication; name one with --judge PROFILE:MODEL"
    yield Need("judge", name, says, judge, to_answer=False)
    folder = places.prompts_of_judge(find_data_set(row.data_set))
    try:
        judging.read_texts(folder)
    except InvalidInput as error:
        says = str(error).replace("name that folder with --official", f"have it as {folder}")
        yield Need("judge prompts", name, says, False, to_answer=False)
    else:
        yield Need("judge prompts", name, f"in {folder}", True, to_answer=False)


def _model(name: str, places: Places, download: bool) -> Need:
    entry = find_lvlm_model(name) or find_clip_model(name)
    if entry is None:
        there = Path(name).expanduser().exists()
        says = name if there else "is neither in the catalog that `models` lists nor a folder or file here"
        return Need("model", name, says, there)
    state = whereabouts(entry, places.models)
    size = f"{entry.size_bytes / 1e9:.1f} GB, {entry.licence}"
    if state in THERE:
        return Need("model", name, f"{state}; {entry.licence}", True)
    how = "to be fetched" if download else "add --allow-download, or put its files into --models under its own name"
    return Need("model", name, f"{size}; {state} from {entry.repo}: {how}", download)


def _where(folder: Path, there: bool, source: str) -> str:
    return f"in {folder}" if there else f"belongs in {folder}; get it from {source}"


def cost_of(row: Row, places: Places, passes: int) -> tuple[Cost, int]:
    """What of a row is still to be done, and how many answers are there. passes: for each answer."""
    count = count_of(places, row)
    done = [_lines_in(places.journal(row, seed)) for seed in row.seeds]
    left = sum(max(0, count - one) for one in done)
    if row.explained:
        return Cost(explanations=left), sum(done)
    judged = find_data_set(row.data_set).judging is not None
    verdicts = [row.verdicts * count - _lines_in(places.verdicts(row, seed)) for seed in row.seeds] if judged else []
    cost = Cost(left, left * passes, left * row.prompts, 0, sum(max(0, one) for one in verdicts))
    return cost, sum(done)


def _lines_in(path: Path) -> int:
    return len(read_results(path)) if path.is_file() else 0


def unique_needs(needs: Sequence[Need]) -> list[Need]:
    """Each need once."""
    return list({(need.kind, need.name, need.says): need for need in needs}.values())
