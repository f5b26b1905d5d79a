"""Measure maps, answers and prompting on drawn scenes, and print the tables."""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..answering import Answer, Decoding
from ..errors import InvalidInput
from ..evaluation.benchmark.answers import answers
from ..evaluation.benchmark.clips import clips
from ..evaluation.benchmark.explanations import explanations
from ..evaluation.benchmark.hallucination import hallucination
from ..evaluation.benchmark.localisation import localisation
from ..evaluation.benchmark.presence import presence_benchmark
from ..evaluation.benchmark.prompting import GRID, prompting
from ..evaluation.benchmark.surest import surest
from ..evaluation.runner.file_lock import FileLock
from ..evaluation.runner.map_sources import ClipMaps, LvlmMaps, MapSource, identity
from ..evaluation.runner.run_plan import answerer
from ..evaluation.tables import Table
from ..explanation.methods import list_explanation_methods
from ..models.clip import ClipModel
from ..models.conversation.case import Case
from ..models.lvlm.model import LvlmModel
from ..progress import Progress
from ..whole_file import whole_file, written_to
from .loading import load_clip_model, load_lvlm_model
from .run_options import NO_MODEL
from .terminal import ProgressBar, say

# Usually, and with --quick: scenes or test questions of each benchmark, those a setting is chosen on, points of curves.
SCENES = {"localisation": (250, 12), "hallucination": (40, 12), "presence": (250, 12), "clips": (100, 4)}
QUESTIONS = {"answers": (500, 60), "prompting": (2000, 60), "explanations": (270, 3), "surest": (2000, 60)}
OF_A_CLIP = {"presence": presence_benchmark, "clips": clips}
DEVELOPMENT = (240, 30)
STEPS = (25, 6)
SLOW_METHODS = ("igos++ (paper)", "igos+ (paper)", "rise")
_NEW_TOKENS = 8
_BATCH = 64
_SIDE = 112


def run(options: argparse.Namespace) -> int:
    """Run one benchmark and print its tables; nothing in it can fail and be counted, so the result is 0."""
    _require_suitable(options)
    if options.out and options.overwrite:
        for file in options.out.glob(f"{options.benchmark}-*.jsonl"):
            with FileLock(file), written_to(file):
                file.unlink()
    makes_maps = options.clip != NO_MODEL and options.benchmark not in ("hallucination", "explanations")
    clip = load_clip_model(options, options.clip) if makes_maps else None
    lvlm = None if options.benchmark in OF_A_CLIP else load_lvlm_model(options, options.model)
    with ProgressBar(options.benchmark) as bar:
        tables = _tables(options, clip, lvlm, bar)
    text = "\n".join(table.to_markdown() for table in tables)
    if options.markdown:
        with whole_file(options.markdown) as path:
            path.write_text(text, encoding="utf-8")
    say(text)
    return 0


def _tables(
    options: argparse.Namespace, clip: ClipModel | None, lvlm: LvlmModel | None, bar: ProgressBar
) -> list[Table]:
    shared: dict[str, Any] = {"seed": options.seed, "folder": options.out, "on_progress": bar}
    scenes = options.scenes or SCENES.get(options.benchmark, (0, 0))[options.quick]
    if options.benchmark == "localisation":
        return localisation(clip, lvlm, scenes=scenes, stream=options.stream, quick=options.quick, **shared)
    if options.benchmark in OF_A_CLIP:
        if clip is None:
            raise InvalidInput(f"The benchmark {options.benchmark} judges the maps of a CLIP. Name one with --clip.")
        return OF_A_CLIP[options.benchmark](clip, scenes=scenes, stream=options.stream, **shared)
    if lvlm is None:
        raise InvalidInput(f"The benchmark {options.benchmark} needs a model that answers. Name one with --model.")
    how = {"max_new_tokens": _NEW_TOKENS, "batch_size": _BATCH}

    def decode(
        pictures: Sequence[Tensor], questions: Sequence[str], decoding: Decoding, on_progress: Progress
    ) -> Sequence[Answer]:
        return answerer(lvlm, decoding=decoding, **how)(pictures, questions, on_progress)

    if options.benchmark == "hallucination":
        return hallucination(decode, model=identity(lvlm), scenes=scenes, stream=options.stream, **shared)
    questions = options.questions or QUESTIONS[options.benchmark][options.quick]
    shared["questions"] = questions
    if options.benchmark == "explanations":
        methods = [name for name in list_explanation_methods() if not (options.quick and name in SLOW_METHODS)]
        return explanations(lvlm, stream=options.stream, methods=methods, steps=STEPS[options.quick], **shared)
    shared["model"] = identity(lvlm)
    maps: dict[str, MapSource] = {} if clip is None else {"CLIP": ClipMaps(clip)}
    maps["LVLM"] = LvlmMaps(lvlm, batch_size=_BATCH)
    answer = answerer(lvlm, **how)
    if options.benchmark == "answers":
        return answers(answer, maps, stream=options.stream, quick=options.quick, **shared)
    if options.benchmark == "surest":
        return surest(answer, maps, stream=options.stream, image_tokens=_image_tokens(lvlm), **shared)
    development = options.development or DEVELOPMENT[options.quick]
    grid = GRID[::7] if options.quick else GRID
    return prompting(answer, maps, development=development, easy=questions // 2, grid=grid, **shared)


def _image_tokens(lvlm: LvlmModel) -> int:
    """Image tokens that the model reads for a picture as large as the benchmark's smallest."""
    prepared = lvlm.prepare([Case((torch.zeros(_SIDE, _SIDE, 3),), "?")], with_places=False)
    return len(lvlm.family.positions_of_image_tokens(lvlm.config, prepared.inputs["input_ids"][0]))


def _require_suitable(options: argparse.Namespace) -> None:
    if options.scenes and options.benchmark not in SCENES:
        raise InvalidInput(f"--scenes is for {', '.join(SCENES)}; say --questions for {options.benchmark}.")
    if options.questions and options.benchmark in SCENES:
        raise InvalidInput(f"--questions is for {', '.join(QUESTIONS)}; say --scenes for {options.benchmark}.")
    if options.development and options.benchmark != "prompting":
        raise InvalidInput("--development is for prompting, which alone chooses a setting.")
    if options.overwrite and not options.out:
        raise InvalidInput("--overwrite starts the results in --out afresh; name that folder.")
    if options.clip == NO_MODEL and options.model == NO_MODEL:
        raise InvalidInput("Without a CLIP and an LVLM there is nothing to measure. Name one of them.")
