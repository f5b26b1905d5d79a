"""Does a prompted picture help to answer? Accuracy by kind of question, for styles and strengths, beside controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from ...overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle, Style
from ...progress import Progress, ignore_progress
from ...scenes.questions import QUESTION_KINDS
from ..cases import QuestionCase
from ..runner.map_sources import MapSource
from ..runner.prompt_and_ask import Answerer
from ..runner.results_file import Record
from ..scorers.answers import is_right
from ..tables import Table
from .arms import ORACLE, Arm, AskArms, Look, describe, with_controls
from .experiment import Experiment, Results
from .splits import EASY, HARD, asked_cases, majority_answer

PLAIN = Arm("plain picture")
STYLES: dict[str, Style] = {
    "fade to black": FadeStyle(),
    "fade to grey": FadeStyle.grey(128),
    "blur": BlurStyle(3.0),
    "desaturate": DesaturateStyle(),
    "heat colours": HeatStyle(),
    "outline": OutlineStyle(width=1),
}
STRENGTHS = (0.6, 1.0)
TIGHT = Look(0.1, 3.0, 0.8, FadeStyle.grey(128), 1.0)
"""Only what a map marks most stays; everything else goes."""
NOTE = (
    "Percent right ± half the 95 % interval, by picture; the difference to the plain picture is paired, question by "
    "question. *moved by lot*: the same mask at another place, mirrored or not; *mean everywhere*: as much fading, "
    "evenly; *oracle*: the box of what was asked for; *gist*: what somebody answers who sees what there is but not "
    "which is which."
)
_BATCH = 16


def style_arms(sources: Sequence[str], quick: bool = False) -> list[Arm]:
    """The plain picture; every style under the first source's map; fading under every source's, with its controls."""
    usual = Look(strength=0.6)
    arms = [PLAIN]
    for source in sources[:1]:
        for title, style in STYLES.items():
            for strength in (0.6,) if quick else STRENGTHS:
                look = replace(usual, style=style, strength=strength)
                arms.append(Arm(f"{source} map, {title}, {strength:g}", source, look))
    for source in sources:
        arms += with_controls(source, usual)[1 if source == sources[0] else 0 :]
        arms.append(Arm(f"{source} map, tight, fade to grey, 1", source, TIGHT))
    arms.append(Arm("oracle box, fade to black, 0.6", ORACLE, usual))
    return [*arms, Arm("oracle box, fade to grey, 1", ORACLE, TIGHT)]


def answers(
    answer: Answerer,
    maps: Mapping[str, MapSource],
    *,
    model: str,
    questions: int = 500,
    stream: str = "test",
    quick: bool = False,
    seed: int = 0,
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """One table for easy scenes and one for hard ones, all kinds of questions in both.

    maps: the map sources by name; the first is drawn in every style. model: what answers, for the results.
    """
    arms = style_arms(list(maps), quick)
    work = AskArms(answer, arms, maps, seed)
    splits = (EASY, HARD)
    experiment = Experiment("answers", folder, on_progress, questions * len(splits))
    tables = []
    for split in splits:
        cases = asked_cases(replace(split, kinds=QUESTION_KINDS), stream, questions)
        settings = {"benchmark": f"answers, {split.name}", "model": model, **describe(arms, maps), "seed": seed}
        records = experiment.run(split.name, cases, work, settings, batch_size=_BATCH)
        tables.append(accuracy_table(f"Answers about {split.name} {stream} scenes", cases, records, arms))
    return tables


def accuracy_table(title: str, cases: Sequence[QuestionCase], records: Sequence[Record], arms: Sequence[Arm]) -> Table:
    """Accuracy of each arm: all questions, the paired difference to the first arm, and each kind of question."""
    results = Results.of(cases, records, "right")
    kinds = [kind for kind in QUESTION_KINDS if any(case.kind == kind for case in results.cases)]
    rows = []
    for arm in arms:
        gain = "" if arm is arms[0] else difference(results, arm, arms[0])
        right = [found[arm.name] for found in results.found]
        by_kind = (
            _share([r for r, case in zip(right, results.cases, strict=True) if case.kind == kind]) for kind in kinds
        )
        rows.append((arm.name, results.percent(itemgetter(arm.name)), gain, *by_kind))
    gist = (_share(_gist(case for case in results.cases if case.kind == kind)) for kind in kinds)
    rows.append(("gist", "", "", *gist))
    return Table(title, ("picture", "all", "difference to plain", *kinds), tuple(rows), results.notes(NOTE))


def difference(results: Results, arm: Arm, other: Arm) -> str:
    """How many more questions an arm answers right than another, question by question."""
    return results.percent(lambda found: found[arm.name] - found[other.name], signed=True)


def _gist(cases: Iterable[QuestionCase]) -> list[bool]:
    """Whether the gist of the picture answers, of those questions that it says anything about."""
    said = [(majority_answer(case), case) for case in cases]
    return [bool(is_right(text, case.answers, case.scorer)) for text, case in said if text]


def _share(right: Sequence[bool]) -> str:
    return f"{100 * sum(right) / len(right):.1f}" if right else ""
