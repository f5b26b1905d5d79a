"""Does a model say that there is what is not? Yes/no questions in the manner of POPE (Li et al., arXiv 2305.10355).

Of every scene things that are there are asked about, and as many that are not, drawn by lot (random), among those that
the other pictures show most (popular), or put together from a colour and a shape that are both there, on different
things (adversarial; where there are too few of these, from a colour that is there). They are answered plainly, by
AvisC, VCD and M3ID; greedily, and drawn as the papers draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...answering import M3ID, VCD, Answer, AvisC, Decoding, Greedy, Sample
from ...progress import Progress, ignore_progress
from ...scenes import Scene
from ...scenes.captions import Concept, with_article
from ...scenes.world import stream_generator
from ..cases import QuestionCase, pictures_of
from ..runner.results_file import Record
from ..scorers.answers import normalise
from ..tables import Table, percent, picture_numbers, resampled
from .experiment import Experiment, Results, failures
from .splits import HARD, PAIRS, Split, boxes_of, drawn_scenes

Decoder = Callable[[Sequence[Tensor], Sequence[str], Decoding, Progress], Sequence[Answer]]
"""Pictures [H, W, 3], the question of each, and how to answer: one answer for each."""

PRESENT = "present"
ABSENT = ("random", "popular", "adversarial")
PER_KIND = 2
"""Things that are there, and things of each kind that are not, asked about in one scene."""

COUNTED_SCENES = 40
SEEDS = (0, 1, 2)
_SEED_PURPOSE = 9  # of the random numbers that choose what is asked
_BATCH = 64
_DRAWS = 1000
_DENIALS = frozenset({"no", "not"})


@dataclass(frozen=True)
class DecodingArm:
    """A way to answer. decoding: from the seed of a draw. draws: how many there are; greedy ones have one."""

    name: str
    decoding: Callable[[int], Decoding]
    draws: int = 1


GREEDY: tuple[DecodingArm, ...] = (
    DecodingArm("greedy", lambda seed: Greedy()),
    DecodingArm("AvisC", lambda seed: AvisC()),
    DecodingArm("VCD", lambda seed: VCD(seed=seed)),
    DecodingArm("M3ID", lambda seed: M3ID()),
)
DRAWN: tuple[DecodingArm, ...] = (
    DecodingArm("sample", lambda seed: Sample(1.0, 1.0, seed=seed), len(SEEDS)),
    DecodingArm("AvisC, drawn", lambda seed: AvisC(temperature=1.0, seed=seed), len(SEEDS)),
    DecodingArm("VCD, drawn", lambda seed: VCD(temperature=1.0, seed=seed), len(SEEDS)),
    DecodingArm("M3ID, drawn", lambda seed: M3ID(temperature=1.0, seed=seed), len(SEEDS)),
)


def existence_questions(split: Split, stream: str, scenes: int) -> list[QuestionCase]:
    """Questions about the first `scenes` scenes: PER_KIND things that are there, and PER_KIND of every kind of ABSENT.

    What is popular is counted in COUNTED_SCENES of them, so that fewer scenes are asked the same questions.
    """
    found = list(islice(drawn_scenes(split, stream), max(scenes, COUNTED_SCENES)))
    shown = Counter(
        concept for _, drawn in found[:COUNTED_SCENES] for concept in PAIRS if concept.found_in(drawn.scene)
    )
    ranked = sorted(PAIRS, key=lambda concept: -shown[concept])
    cases: list[QuestionCase] = []
    for reference, drawn in found[:scenes]:
        rng = stream_generator(stream, reference.number, _SEED_PURPOSE)
        for kind, concepts in _asked(drawn.scene, ranked, rng).items():
            for concept in concepts:
                name = f"{split.name} {stream} {reference.number} {kind} {concept.phrase}"
                text = f"Is there {with_article(concept.phrase)}?"
                answers, boxes = ("yes" if kind == PRESENT else "no",), boxes_of(drawn, concept.found_in(drawn.scene))
                cases.append(QuestionCase(name, reference, text, answers, *boxes, kind, scorer="yes-no"))
    return cases


def _asked(scene: Scene, ranked: Sequence[Concept], rng: np.random.Generator) -> dict[str, list[Concept]]:
    there = [concept for concept in PAIRS if concept.found_in(scene)]
    absent = [concept for concept in ranked if concept not in there]
    colours, shapes = {item.colour for item in scene.objects}, {item.shape for item in scene.objects}
    crossed = [concept for concept in absent if concept.colour in colours and concept.shape in shapes]
    related = [concept for concept in absent if concept not in crossed and concept.colour in colours]
    pools = {
        PRESENT: _shuffled(there, rng),
        "random": _shuffled(absent, rng),
        "popular": absent,
        "adversarial": [*_shuffled(crossed, rng), *_shuffled(related, rng)],
    }
    return {kind: pool[:PER_KIND] for kind, pool in pools.items()}


def _shuffled(concepts: Sequence[Concept], rng: np.random.Generator) -> list[Concept]:
    return [concepts[int(i)] for i in rng.permutation(len(concepts))]


def says_yes(text: str) -> bool:
    """As POPE's answers are read: whatever does not deny is a yes."""
    return not any(word in _DENIALS or word.endswith("n't") for word in normalise(text).split())


@dataclass(frozen=True)
class AskPresence:
    """The work of `runner.run_cases`: every question in every way and draw; whether the answer was yes.

    The draws of a picture have a seed of their own, made of the draw's and the picture's: with one seed for all, all
    first words would be drawn by the same number.
    """

    answer: Decoder
    ways: Sequence[DecodingArm]
    seed: int = 0

    def __call__(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        pictures = pictures_of(cases)
        said: list[dict[str, list[bool]]] = [{way.name: [] for way in self.ways} for _ in cases]
        for way in self.ways:
            for draw in range(way.draws):
                groups = [list(range(len(cases)))] if way.draws == 1 else _by_picture(cases)
                for group in groups:
                    decoding = way.decoding(self._seed(cases[group[0]], draw) if way.draws > 1 else self.seed)
                    questions = [cases[i].question for i in group]
                    answers = self.answer([pictures[i] for i in group], questions, decoding, on_progress)
                    for i, answer in zip(group, answers, strict=True):
                        said[i][way.name].append(says_yes(answer.text))
        return [{"kind": case.kind, "yes": own} for case, own in zip(cases, said, strict=True)]

    def _seed(self, case: QuestionCase, draw: int) -> int:
        number = getattr(case.picture, "number", 0)
        return int(np.random.SeedSequence([self.seed, SEEDS[draw], number]).generate_state(1)[0])


def _by_picture(cases: Sequence[QuestionCase]) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for index, number in enumerate(picture_numbers(cases)):
        groups.setdefault(number, []).append(index)
    return list(groups.values())


def hallucination(
    answer: Decoder,
    *,
    model: str,
    scenes: int = COUNTED_SCENES,
    stream: str = "test",
    seed: int = 0,
    ways: Sequence[DecodingArm] = (*GREEDY, *DRAWN),
    folder: Path | None = None,
    on_progress: Progress = ignore_progress,
) -> list[Table]:
    """The table of hard scenes: on easy ones the embedded model hardly errs. model: what answers, for the results."""
    cases = existence_questions(HARD, stream, scenes)
    settings = {
        "benchmark": f"hallucination, {HARD.name}",
        "model": model,
        "ways": [f"{way.name}: {way.decoding(0)!r} x {way.draws}" for way in ways],
        "seed": seed,
    }
    experiment = Experiment("hallucination", folder, on_progress, len(cases))
    records = experiment.run(HARD.name, cases, AskPresence(answer, ways, seed), settings, batch_size=_BATCH)
    return [presence_table(f"Is there …? Hard {stream} scenes", cases, records, ways)]


def presence_table(
    title: str, cases: Sequence[QuestionCase], records: Sequence[Record], ways: Sequence[DecodingArm]
) -> Table:
    """Every way's figures for each kind of absent thing; "yes" is what counts as found."""
    results = Results.of(cases, records, "yes")
    asked = list(zip(results.cases, results.found, results.pictures, strict=True))
    rows = []
    for kind in ABSENT:
        chosen = [(said, case.kind == PRESENT, n) for case, said, n in asked if case.kind in (PRESENT, kind)]
        truth = np.array([there for _, there, _ in chosen])
        pictures = [number for _, _, number in chosen]
        base: dict[int, list[float]] = {}
        for way in ways:
            yes = np.array([said[way.name] for said, _, _ in chosen], float)
            right = [float(share) for share in np.where(truth[:, None], yes, 1 - yes).mean(1)]
            plain = base.setdefault(way.draws, right)
            gains = [own - other for own, other in zip(right, plain, strict=True)]
            gain = "" if plain is right else percent(gains, pictures, signed=True)
            found = _found_figures(truth, yes, pictures)
            rows.append((kind, way.name, percent(right, pictures), gain, *found, percent(list(yes.mean(1)), pictures)))
    note = (
        f"{len(cases)} questions about {len(set(picture_numbers(cases)))} pictures, {PER_KIND} things that are there "
        f"and {PER_KIND} of each kind that are not in every one. Percent ± half the 95 % interval, by picture; drawn "
        f"answers: {len(SEEDS)} draws at temperature 1 of every question, together. Differences are paired, to the "
        "plain way above."
    )
    columns = ("absent things", "decoding", "right", "difference", "precision", "recall", "F1", "yes")
    return Table(title, columns, tuple(rows), (note, *failures(results.failed)))


def _found_figures(truth: np.ndarray, yes: np.ndarray, pictures: Sequence[int]) -> list[str]:
    """Precision, recall and F1 with intervals from drawing pictures anew. yes: [questions, draws]."""
    outcomes = (yes * truth[:, None], yes * ~truth[:, None], (1 - yes) * truth[:, None])
    each, drawn = resampled([values.mean(1) for values in outcomes], pictures, _DRAWS)
    texts = []
    for whole, parts in zip(_rates(each.sum(1)), _rates(drawn), strict=True):
        low, high = np.nanpercentile(parts, [2.5, 97.5])
        texts.append(f"{100 * float(whole):.1f} ± {50 * (high - low):.1f}")
    return texts


def _rates(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of hits, false alarms and misses; 0 where nothing was found."""
    hits, alarms, misses = (np.asarray(part, float) for part in counts)
    return tuple(
        hits / np.maximum(bottom, 1e-12) for bottom in (hits + alarms, hits + misses, hits + (alarms + misses) / 2)
    )  # type: ignore[return-value]
