"""Ways to use a map, and keeping the surest of several answers: accuracy beside what it costs in readings.

One run asks every question of every way of showing its picture and keeps how sure each answer is; what the surest of
several would have been, and how often asking again is spared, follows from that. Four tiles without any map say what
more pixels alone do; masks moved by lot, what a wrong map costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...answering.keeping import SKIP_ABOVE
from ...overlay import NODE_STRENGTH, FadeStyle, MagnifyStyle
from ...progress import Progress, ignore_progress
from ...scenes.questions import QUESTION_KINDS
from ..cases import QuestionCase
from ..runner.map_sources import MapSource
from ..runner.prompt_and_ask import Answerer
from ..runner.results_file import Record
from ..tables import Table, percent
from .answers import PLAIN
from .arms import ORACLE, Arm, AskArms, CloseUpArm, Look, TileArm, describe
from .experiment import Experiment, Results
from .splits import ALIKE, EASY, HARD, Split, asked_cases

TILES = tuple(TileArm(f"tile {number + 1}", tile=number) for number in range(4))
_BATCH = 16
_FADE = Look(strength=1.0)
_TIGHT = Look(0.1, 3.0, 0.8, FadeStyle.grey(128), 1.0)
_MAGNIFY = Look(style=MagnifyStyle(), strength=1.0)
_TIGHT_MAGNIFY = replace(_TIGHT, style=MagnifyStyle())


@dataclass(frozen=True)
class Row:
    """What the table says of one way, or of the surest of several. again: the arms asked after the plain picture."""

    name: str
    arm: str = ""
    again: tuple[str, ...] = ()


def arms_and_rows(sources: Sequence[str]) -> tuple[list[Arm], list[Row]]:
    """Every way that is asked about, and what is told of them."""
    first = sources[0]
    magnified = Arm(f"{first} map, magnify", first, _MAGNIFY)
    tight = Arm(f"{first} map, magnify, tight mask", first, _TIGHT_MAGNIFY)
    close = CloseUpArm(f"{first} map, close-up", first, _TIGHT_MAGNIFY)
    moved = Arm(f"{first} map moved by lot, magnify", first, _MAGNIFY, "moved")
    alone = [
        Arm(f"{first} map, fade, in full", first, _FADE),
        Arm(f"{first} map, fade, half strength", first, replace(_FADE, strength=0.5)),
        Arm(f"{first} map, fade, a new node's", first, replace(_FADE, strength=NODE_STRENGTH)),
        Arm(f"{first} map, fade, tight mask", first, _TIGHT),
        magnified,
        Arm(f"{first} map, magnify, free", first, replace(_MAGNIFY, style=MagnifyStyle(in_place=False))),
        tight,
        close,
        Arm(f"{first} map moved by lot, fade", first, _FADE, "moved"),
        moved,
        Arm("oracle box, magnify", ORACLE, _TIGHT_MAGNIFY),
    ]
    own = [Arm(f"{source} map, magnify", source, _MAGNIFY) for source in sources[1:]]
    arms = [PLAIN, *alone, *own, *TILES]
    surest = [
        Row("surest of plain and four tiles, no map", again=tuple(tile.name for tile in TILES)),
        Row("surest of plain and magnify", again=(magnified.name,)),
        Row("surest of plain and magnify, tight mask", again=(tight.name,)),
        Row("surest of plain, magnify, close-up", again=(tight.name, close.name)),
        Row("surest of plain and magnify moved by lot", again=(moved.name,)),
        *(Row(f"surest of plain and {arm.name}", again=(arm.name,)) for arm in own),
    ]
    return arms, [*(Row(arm.name, arm.name) for arm in (PLAIN, *alone, *own)), *surest]


def surest(
    answer: Answerer,
    maps: Mapping[str, MapSource],
    *,
    model: str,
    questions: int = 2000,
    stream: str = "test",
    skip_above: float = SKIP_ABOVE,
    image_tokens: int = 0,
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """A table each for hard questions, for half as many about things alike at the size the model sees, and easy ones.

    image_tokens: that the model reads for one picture.
    """
    arms, rows = arms_and_rows(list(maps))
    parts: tuple[tuple[Split, int], ...] = ((HARD, questions), (ALIKE, questions // 2), (EASY, questions // 2))
    experiment = Experiment("surest", folder, on_progress, sum(count for _, count in parts))
    tables = []
    for split, count in parts:
        cases = asked_cases(split, stream, count)
        settings = {"benchmark": f"surest, {split.name} {stream}", "model": model, **describe(arms, maps), "seed": seed}
        work = AskArms(answer, arms, maps, seed, keep_confidence=True)
        records = experiment.run(f"{split.name}-{stream}", cases, work, settings, batch_size=_BATCH)
        tables.append(
            _table(f"{split.name.capitalize()} {stream} questions", cases, records, rows, skip_above, image_tokens)
        )
    return tables


def choose(found: Mapping[str, Any], row: Row, skip_above: float) -> tuple[bool, int]:
    """Whether the answer that a row keeps is right, and how many pictures the model read for it."""
    right, sure = found["right"], found["sure"]
    if row.arm:
        return right[row.arm], 1
    if sure[PLAIN.name] >= skip_above:
        return right[PLAIN.name], 1
    best = max((PLAIN.name, *row.again), key=sure.__getitem__)  # of equal ones the first
    return right[best], 1 + len(row.again)


def _table(
    title: str,
    cases: Sequence[QuestionCase],
    records: Sequence[Record],
    rows: Sequence[Row],
    skip_above: float,
    image_tokens: int,
) -> Table:
    told = [{**record, "found": record} if "right" in record else record for record in records]
    results = Results.of(cases, told, "found")
    kinds = [kind for kind in QUESTION_KINDS if any(case.kind == kind for case in results.cases)]
    plain, *_ = rows

    outcomes = {row.name: [choose(found, row, skip_above) for found in results.found] for row in rows}
    lines = []
    for row in rows:
        right = [one for one, _ in outcomes[row.name]]
        gains = [one - other for one, (other, _) in zip(right, outcomes[plain.name], strict=True)]
        readings = sum(count for _, count in outcomes[row.name]) / max(len(right), 1)
        by_kind = []
        for kind in kinds:
            of_kind = [one for one, case in zip(right, results.cases, strict=True) if case.kind == kind]
            by_kind.append(f"{100 * sum(of_kind) / len(of_kind):.1f}")
        read = f"{readings:.2f}" + (f" / {readings * image_tokens:.0f}" if image_tokens else "")
        gain = "" if row is plain else percent(gains, results.pictures, signed=True)
        lines.append((row.name, percent(right, results.pictures), gain, read, *by_kind))
    cost = ", and the image tokens of that" if image_tokens else ""
    note = (
        "Percent right ± half the 95 % interval, by picture; differences are paired, question by question. *read*: how "
        f"often the model read a picture for an answer{cost}. A surest row asks again where the plain answer's "
        f"confidence is below {skip_above:g}. Paired: {_pairs(results, rows, skip_above)}."
    )
    return Table(title, ("shown", "right", "against plain", "read", *kinds), tuple(lines), results.notes(note))


def _pairs(results: Results, rows: Sequence[Row], skip_above: float) -> str:
    """The comparisons that matter beside those with the plain picture."""
    by_name = {row.name: row for row in rows}
    tiles = by_name["surest of plain and four tiles, no map"]
    best = by_name["surest of plain, magnify, close-up"]
    pair = by_name["surest of plain and magnify"]
    magnified = next(row for row in rows if row.arm.endswith("map, magnify"))
    fade = next(row for row in rows if row.arm.endswith("map, fade, tight mask"))
    compared = (
        (magnified, fade, "magnify less the best fade"),
        (magnified, tiles, "magnify less four tiles"),
        (pair, tiles, "surest of plain and magnify less four tiles"),
        (best, magnified, "surest of three less magnify alone"),
        (best, pair, "surest of three less surest of two"),
    )
    told = []
    for one, other, name in compared:
        gains = [choose(found, one, skip_above)[0] - choose(found, other, skip_above)[0] for found in results.found]
        told.append(f"{name} {percent(gains, results.pictures, signed=True)}")
    return "; ".join(told)
