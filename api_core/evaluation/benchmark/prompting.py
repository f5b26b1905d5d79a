"""The experiment on prompting: a setting chosen on development scenes only, then judged on untouched test questions.

The hard split (`splits.HARD`) leaves the embedded model room to gain. For every map source one look is chosen among
`GRID` by its accuracy on development questions; on the test questions it is compared, question by question, with the
plain picture and with its two controls, and on easy scenes with the plain picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from ...overlay import BlurStyle, FadeStyle, Style
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase
from ..runner.map_sources import MapSource
from ..runner.prompt_and_ask import Answerer
from ..runner.results_file import Record
from ..tables import Table
from .answers import PLAIN, accuracy_table, difference
from .arms import ORACLE, Arm, AskArms, Look, describe, with_controls
from .experiment import Experiment, Results
from .splits import EASY, HARD, Split, asked_cases

_FADES: tuple[Style, ...] = (FadeStyle.grey(128), FadeStyle())
GRID: tuple[Look, ...] = (
    *(
        Look(contrast, 3.0, 0.0, style, strength)
        for strength in (0.3, 0.6, 1.0)
        for style in (*_FADES, BlurStyle(3.0))
        for contrast in (1.0, 5.0)
    ),
    *(
        Look(0.1, 3.0, threshold, style, strength)
        for strength in (0.6, 1.0)
        for style in _FADES
        for threshold in (0.65, 0.8)
    ),
)
"""The looks that are tried for each map, gentle ones first: of equal ones the first is taken."""

_BATCH = 16
_Run = tuple[list[QuestionCase], tuple[Record, ...]]


def prompting(
    answer: Answerer,
    maps: Mapping[str, MapSource],
    *,
    model: str,
    questions: int = 2000,
    development: int = 240,
    easy: int = 1000,
    grid: Sequence[Look] = GRID,
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """The tables of the whole experiment: what was chosen, the hard test questions, the easy ones."""
    trials = {(source, look): Arm(f"{source} | {look.title}", source, look) for source in maps for look in grid}
    steps = development * (1 + len(trials)) + questions * (2 + 3 * len(maps)) + easy * (1 + len(maps))
    experiment = Experiment("prompting", folder, on_progress, steps)

    def run(split: Split, stream: str, count: int, arms: Sequence[Arm]) -> _Run:
        cases = asked_cases(split, stream, count)
        settings = {"benchmark": f"prompting, {split.name} {stream}", "model": model, "seed": seed}
        work = AskArms(answer, arms, maps, seed, keep_answers=stream == "test")
        part, settings = f"{split.name}-{stream}", settings | describe(arms, maps)
        return cases, experiment.run(part, cases, work, settings, batch_size=_BATCH, steps=len(arms))

    tried = run(HARD, "development", development, [PLAIN, *trials.values()])
    chosen = {source: choose(tried[1], {look: trials[source, look].name for look in grid}) for source in maps}
    tables = [_chosen_table(*tried, chosen, {source: trials[source, look] for source, look in chosen.items()})]
    looks = list(chosen.values())
    arms = [PLAIN, *(arm for source, look in chosen.items() for arm in with_controls(source, look))]
    arms.append(Arm("oracle box", ORACLE, looks[0]))
    cases, records = run(HARD, "test", questions, arms)
    tables.append(accuracy_table("Hard test questions", cases, records, arms))
    tables.append(_against_controls(cases, records, chosen))
    gentle = [PLAIN, *(with_controls(source, look)[0] for source, look in chosen.items())]
    cases, records = run(EASY, "test", easy, gentle)
    alike = [index for index, case in enumerate(cases) if case.kind in HARD.kinds]
    own = [cases[i] for i in alike], [records[i] for i in alike]
    tables.append(accuracy_table("Easy test questions of the same kinds, the same settings", *own, gentle))
    tables.append(accuracy_table("Easy test questions of all kinds, the same settings", cases, records, gentle))
    return tables


def choose(records: Sequence[Record], names: Mapping[Look, str]) -> Look:
    """The look whose arm answered most questions right; the first of equal ones."""
    right = [record["right"] for record in records if "right" in record]
    return max(names, key=lambda look: sum(found[names[look]] for found in right))


def _chosen_table(
    cases: Sequence[QuestionCase], records: Sequence[Record], chosen: Mapping[str, Look], arms: Mapping[str, Arm]
) -> Table:
    results = Results.of(cases, records, "right")
    rows = [("plain picture", "", results.percent(itemgetter(PLAIN.name)), "")]
    for source, look in chosen.items():
        arm = arms[source]
        right = results.percent(itemgetter(arm.name))
        rows.append((f"{source} map", look.title, right, difference(results, arm, PLAIN)))
    note = (
        f"{len(results.found)} questions of the hard split. Chosen as the best of the looks tried on these very "
        "questions, so the gains here flatter; the next table is the judgement."
    )
    columns = ("picture", "chosen look", "right", "difference to plain")
    return Table("Chosen on development scenes", columns, tuple(rows), (note,))


def _against_controls(cases: Sequence[QuestionCase], records: Sequence[Record], chosen: Mapping[str, Look]) -> Table:
    results = Results.of(cases, records, "right")
    rows = []
    for source, look in chosen.items():
        own, *controls = with_controls(source, look)
        rows.append((own.name, *(difference(results, own, other) for other in (PLAIN, *controls))))
    columns = ("picture", "against plain", "against the map moved by lot", "against its mean everywhere")
    return Table("Hard test questions: paired differences, in points", columns, tuple(rows))
