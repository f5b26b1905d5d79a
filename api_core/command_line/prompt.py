"""Prompt pictures with a question: what does not matter to it fades."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..choices import CLIP_METHODS, LVLM_METHODS
from ..errors import InvalidInput
from ..masks import tune_each
from ..models.clip import ClipModel
from ..models.lvlm.model import LvlmModel
from ..overlay import Style, apply
from ..panel import panel
from ..pictures import PNG, flatten_alpha, to_picture, to_pil
from ..progress import Progress
from ..prompting import PromptedPicture, names_lvlm, prompt_picture, read_clip
from ..results import Heatmap
from .files import Job, find_jobs, write_results
from .flags import given
from .loading import load_clip_model, load_lvlm_model
from .options import chosen_clip, chosen_mask, chosen_style
from .terminal import ProgressBar, Steps, do_each

OF_CLIP = ("fit", "neutral", "least-presence")
OF_LVLM = ("answer", "hint-words", "max-new-tokens", "max-pixels", "resize", "system-prompt")


def run(options: argparse.Namespace) -> int:
    """Prompt every picture; returns how many failed. Raises before any work where nothing could be done as asked."""
    if not options.query.strip():
        raise InvalidInput("The query is empty. Say what to look for, such as 'where is the red star?'.")
    style = chosen_style(options)
    clip = chosen_clip(options)
    wanted = {"mask": options.save_mask, "heatmap": options.save_heatmap, "panel": options.panel}
    jobs = find_jobs(options, by_number=options.clip, **wanted)
    lvlm = names_lvlm(options.model)
    refuse_options(options, lvlm)
    model = load_model(options, lvlm)
    with ProgressBar("prompting", shown=len(jobs) > 1) as bar:
        prompt = partial(prompt_one, model) if clip is None else prompt_frames(model, jobs, clip, options, bar)

        def work(number: int, job: Job) -> Steps:
            bar(number, len(jobs))
            return (yield from prompt(job, style, options))

        return do_each(jobs, work, bar, "pictures prompted", options.debug)


def refuse_options(options: argparse.Namespace, lvlm: bool, flag_of_model: str = "--model") -> None:
    """Raise InvalidInput for an option that the kind of model does not know."""
    named = f"{flag_of_model} {options.model}"
    other, own = ("a CLIP", "an LVLM") if lvlm else ("an LVLM", "a CLIP")
    for flag in OF_CLIP if lvlm else OF_LVLM:
        if given(options, flag):
            raise InvalidInput(f"--{flag} is for {other}; {named} is {own}.")
    methods = LVLM_METHODS if lvlm else CLIP_METHODS
    if options.method not in (None, *methods):
        raise InvalidInput(f"{named} has no method {options.method!r}. It has {', '.join(methods)}.")


def load_model(options: argparse.Namespace, lvlm: bool) -> ClipModel | LvlmModel:
    """The model, whose layers are those that are asked for."""
    if lvlm:
        loaded = load_lvlm_model(options, options.model)
        assert loaded is not None
        loaded.resolve_layers(options.layers)
        return loaded
    if options.layers and len(options.layers) > 1:
        raise InvalidInput(f"A CLIP is read at one layer, not at {', '.join(map(str, options.layers))}.")
    clip = load_clip_model(options, options.model)
    clip.resolve_layer(options.layers[0] if options.layers else None)
    return clip


def prompt_one(model: ClipModel | LvlmModel, job: Job, style: Style, options: argparse.Namespace) -> Steps:
    """Do one picture: yields its warnings, and returns what writes its files."""
    picture = to_picture(job.source)
    mask = chosen_mask(options, options.words)
    how = reading_options(options)
    done = prompt_picture(picture, options.query, model=model, mask=mask, style=style, strength=options.strength, **how)
    yield from dict.fromkeys(done.warnings)
    return partial(write, job, picture, done, options)


def prompt_frames(
    model: ClipModel | LvlmModel, jobs: Sequence[Job], clip: dict[str, Any], options: argparse.Namespace, bar: Progress
) -> Callable[[Job, Style, argparse.Namespace], Steps]:
    """Read a clip; then what `prompt_one` does, for its frames one after another. Each warning comes once."""
    measured = chosen_mask(options, options.words, **{name: value for name, value in clip.items() if name != "every"})
    files = [job.source for job in jobs]
    how = reading_options(options)
    heatmap = read_clip(
        model, files, options.query, every=clip["every"], words=bool(options.words), on_progress=bar, **how
    )
    warnings = dict.fromkeys(heatmap.warnings)
    masks = tune_each(heatmap, measured, warnings.setdefault)
    first = next(masks)  # what is wrong with the clip, and not with one of its frames, comes out here
    each = zip(heatmap.pictures, chain([first], masks), strict=True)

    def prompt(job: Job, style: Style, options: argparse.Namespace) -> Steps:
        found, mask = next(each)
        yield from warnings
        warnings.clear()
        picture = to_picture(job.source)
        drawn = apply(picture, mask, style, options.strength)
        return partial(write, job, picture, PromptedPicture(drawn, mask, Heatmap((found,))), options)

    return prompt


def reading_options(options: argparse.Namespace) -> dict[str, Any]:
    """How the model is read."""
    return {
        "method": options.method,
        "layer": options.layers,
        "reading": options.reading,
        "fit": options.fit,
        "neutral_text": options.neutral,
        "answer": options.answer,
        "hint_words": options.hint_words,
        "max_new_tokens": options.max_new_tokens,
        "system_prompt": options.system_prompt,
    }


def write(job: Job, picture: Tensor, done: PromptedPicture, options: argparse.Namespace) -> None:
    """Write the files of one picture."""
    captions = ("original", options.query, "prompted")
    writers: dict[str, Callable[[Path], None]] = {
        "picture": lambda path: save_picture(done.picture, job.picture, path),
        "mask": partial(save_mask, done.mask),
        "heatmap": partial(save_heatmap, done.heatmap),
        "panel": lambda path: save_png(panel(picture, done.mask, done.picture, captions=captions), path),
    }
    write_results(job, writers)


def save_picture(picture: Tensor, target: Path, path: Path) -> None:
    """Write `picture` to `path` in the format of `target`'s ending; JPEG has no transparency and gets white."""
    kind = Image.registered_extensions()[target.suffix.lower()]
    to_pil(flatten_alpha(picture) if kind == "JPEG" else picture).save(path, **SAVING[kind])


SAVING: dict[str, dict[str, Any]] = {
    "JPEG": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "WEBP": {"format": "WEBP", "lossless": True},
    "PNG": PNG,
}


def save_png(picture: Tensor, path: Path) -> None:
    """Write `picture` as PNG."""
    to_pil(picture).save(path, **PNG)


def save_mask(mask: Tensor, path: Path) -> None:
    """Write a mask [H, W] as an 8-bit grey PNG, white = relevant."""
    Image.fromarray(mask.mul(255).round().to(torch.uint8).numpy()).save(path, **PNG)


def save_heatmap(heatmap: Heatmap, path: Path) -> None:
    """Write the raw map of one picture: for each view `<part>.<i>.values` [M, h, w], `.box`, `.valid`; the labels,
    and the presence of each, where the method says it."""
    picture = heatmap.pictures[0]
    arrays: dict[str, np.ndarray] = {
        "size": np.array(picture.size),
        "labels": np.array([label.text for label in picture.labels]),
        "roles": np.array([label.role for label in picture.labels]),
        "model": np.array(picture.model),
        "method": np.array(picture.method),
        "reading": np.array(picture.reading),
        "layer": np.array(-1 if picture.layer is None else picture.layer),
        "presence": np.array(picture.presence),
    }
    for name, views in picture.parts.items():
        for index, view in enumerate(views):
            box = view.box
            arrays[f"{name}.{index}.values"] = view.values.numpy()
            arrays[f"{name}.{index}.box"] = np.array([box.left, box.top, box.right, box.bottom])
            arrays[f"{name}.{index}.valid"] = view.valid.numpy()
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
