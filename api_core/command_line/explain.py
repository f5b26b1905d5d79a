"""Show which parts of a picture an answer needed: map, curves and report of each picture."""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from ..errors import InvalidInput, quoted
from ..explanation.curves import draw_curves
from ..explanation.explain import explain, find_method
from ..explanation.result import Explanation, full_report
from ..masks import tune
from ..models.lvlm.model import LvlmModel
from ..overlay import HeatStyle, Style, apply
from ..panel import side_by_side
from ..pictures import to_picture
from ..progress import Progress, share_of
from ..results import Heatmap, PictureMap
from ..settings import resolve
from .explain_options import NO_BASELINE
from .files import Job, find_jobs, write_results
from .loading import load_lvlm_model
from .options import chosen_mask, chosen_style
from .prompt import save_heatmap, save_picture, save_png
from .terminal import ProgressBar, Steps, do_each, one_line, say

MOST_ON_A_PANEL = 6


def run(options: argparse.Namespace) -> int:
    """Explain the answer to every picture; returns how many failed. Raises where nothing could be done as asked."""
    if not options.question.strip():
        raise InvalidInput("The question is empty. Say what was asked, such as 'what colour is the star?'.")
    style = chosen_style(options)
    method = find_method(options.method)
    resolve(method.name, method.settings, dict(options.settings))
    jobs = find_jobs(options, heatmap=True, report=True, curves=True, panel=options.panel)
    model = load_lvlm_model(options, options.model)
    if model is None:
        raise InvalidInput("A model has to be explained. Give its name or folder with --model.")
    with ProgressBar("explaining") as bar:

        def work(number: int, job: Job) -> Steps:
            part = share_of(bar, number / len(jobs), (number + 1) / len(jobs))
            found = explain_one(model, job, style, options, part)
            yield from found.map.warnings
            if not found.reply.complete:
                yield f"the answer was cut at {options.max_new_tokens} tokens"
            with bar.aside():
                say(f"{job.picture}\n    {one_line(f'{quoted(found.reply.text)}: {found.verdict.text}')}")
            return None

        return do_each(jobs, work, bar, "answers explained", options.debug)


def explain_one(
    model: LvlmModel, job: Job, style: Style, options: argparse.Namespace, on_progress: Progress
) -> Explanation:
    """Do one picture and write its files."""
    picture = to_picture(job.source)
    (found,) = explain(
        model,
        [picture],
        options.question,
        answers=options.answer,
        instead_of=options.instead_of,
        words=options.words,
        per_word=options.per_word,
        method=options.method,
        settings=dict(options.settings),
        baseline=options.baseline,
        other_baseline=None if options.other_baseline == NO_BASELINE else options.other_baseline,
        steps=options.steps,
        system_prompt=options.system_prompt,
        max_new_tokens=options.max_new_tokens,
        seed=options.seed,
        on_progress=on_progress,
    )
    whole, *_ = masks(found.map.pick([0]), options)
    drawn = apply(picture, whole, style, options.strength)
    writers: dict[str, Callable[[Path], None]] = {
        "picture": lambda path: save_picture(drawn, job.picture, path),
        "heatmap": partial(save_heatmap, Heatmap((found.map,))),
        "report": partial(save_report, found, options.question, job.source),
        "curves": lambda path: save_png(draw_curves(found), path),
        "panel": lambda path: save_png(beside_each_other(picture, found, options), path),
    }
    write_results(job, writers)
    return found


def masks(picture: PictureMap, options: argparse.Namespace) -> list[Tensor]:
    """A mask for each of the map's labels, tuned as the options say."""
    each = Heatmap(tuple(picture.pick([index]) for index in range(len(picture.labels))))
    return list(tune(each, chosen_mask(options)).masks)


def beside_each_other(picture: Tensor, found: Explanation, options: argparse.Namespace) -> Tensor:
    """The picture, the whole answer's map, and the first words' where there are such."""
    count = min(len(found.map.labels), MOST_ON_A_PANEL)
    shown = found.map.pick(list(range(count)))
    heated = [apply(picture, mask, HeatStyle()) for mask in masks(shown, options)]
    return side_by_side([picture, *heated], [options.question, *(label.text for label in shown.labels)])


def save_report(found: Explanation, question: str, source: Path, path: Path) -> None:
    """Write everything but the map as JSON."""
    text = json.dumps({"picture": str(source), **full_report(found, question)}, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
