"""Does a prompted picture help to answer? Accuracy by kind of question, for styles and strengths, beside controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle, Style
from ...progress import Progress, ignore_progress
from ...scenes.questions import QUESTION_KINDS
from ..cases import QuestionCase
from ..map_sources import MapSource
from ..prompt_and_ask import Answerer
from ..results_file import Record
from ..runner import run_cases
from ..scoring import is_right
from .arms import ORACLE, Arm, AskArms, Look, describe, with_controls
from .splits import EASY, HARD, asked_cases, gist_answer
from .tables import Table, percent, picture_numbers

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
    tables = []
    splits = (EASY, HARD)
    for index, split in enumerate(splits):
        cases = asked_cases(replace(split, kinds=QUESTION_KINDS), stream, questions)

        def report(steps: int, _: int, before: int = index * questions) -> None:
            on_progress(before + steps, questions * len(splits))

        records = run_cases(
            cases,
            AskArms(answer, arms, maps, seed),
            None if folder is None else folder / f"answers-{split.name}.jsonl",
            settings={"benchmark": f"answers, {split.name}", "model": model, **describe(arms, maps), "seed": seed},
            batch_size=_BATCH,
            on_progress=report,
        ).records
        tables.append(accuracy_table(f"Answers about {split.name} {stream} scenes", cases, records, arms))
    return tables


def accuracy_table(title: str, cases: Sequence[QuestionCase], records: Sequence[Record], arms: Sequence[Arm]) -> Table:
    """Accuracy of each arm: all questions, the paired difference to the first arm, and each kind of question."""
    numbers = picture_numbers(cases)
    done = [(case, r["right"], n) for case, r, n in zip(cases, records, numbers, strict=True) if "right" in r]
    kinds = [kind for kind in QUESTION_KINDS if any(case.kind == kind for case, _, _ in done)]
    pictures = [number for _, _, number in done]
    plain = [right[arms[0].name] for _, right, _ in done]
    rows = []
    for arm in arms:
        right = [found[arm.name] for _, found, _ in done]
        gain = "" if arm is arms[0] else percent([r - p for r, p in zip(right, plain, strict=True)], pictures, True)
        rows.append((arm.name, percent(right, pictures), gain, *_by_kind(kinds, [c.kind for c, _, _ in done], right)))
    rows.append(_gist_row(kinds, [case for case, _, _ in done]))
    notes: tuple[str, ...] = (f"{len(done)} questions about {len(set(pictures))} pictures. {NOTE}",)
    notes += (f"{len(records) - len(done)} questions failed and are not counted.",) if len(done) < len(records) else ()
    return Table(title, ("picture", "all", "difference to plain", *kinds), tuple(rows), notes)


def _by_kind(kinds: Sequence[str], asked: Sequence[str], right: Sequence[bool]) -> list[str]:
    shown = []
    for kind in kinds:
        own = [r for r, k in zip(right, asked, strict=True) if k == kind]
        shown.append(f"{100 * sum(own) / len(own):.1f}")
    return shown


def _gist_row(kinds: Sequence[str], cases: Sequence[QuestionCase]) -> tuple[str, ...]:
    shown = []
    for kind in kinds:
        said = [(gist_answer(case), case) for case in cases if case.kind == kind]
        judged = [is_right(text, case.answers, case.scorer) for text, case in said if text]
        shown.append(f"{100 * sum(map(bool, judged)) / len(judged):.1f}" if judged else "")
    return ("gist", "", "", *shown)
