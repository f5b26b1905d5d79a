"""Ask many questions about pictures, plain and with the prompted picture; one line of results a case."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..answering import Answer, SurestAnswer, ask, ask_surest, find_template
from ..answering.surest import Way, require_confidence
from ..attribution import list_lvlm_methods, list_methods
from ..errors import InvalidInput
from ..evaluation.readers.jsonl import read_cases
from ..evaluation.runner.map_sources import ClipMaps, LvlmMaps, Prompting, identity
from ..evaluation.runner.prompt_and_ask import ARMS, Answerer, AskCases, Further, Surest
from ..evaluation.runner.run_cases import RunResult, run_cases, select_range
from ..masks import MASK_SETTINGS
from ..models.catalog import EMBEDDED_CLIP, mask_defaults
from ..models.lvlm.model import LvlmModel
from ..models.server import ServerModel
from ..progress import Progress
from .decoding_options import chosen_decoding
from .flags import in_help_order
from .loading import load_answering_model, load_clip_model, load_lvlm_model
from .options import SURER, chosen_mask, chosen_style, surer_above
from .run_options import NO_MODEL
from .terminal import ProgressBar, complain, say, tally


def run(options: argparse.Namespace) -> int:
    """Do every case that RESULTS.jsonl does not hold yet; returns how many failed."""
    style = chosen_style(options)
    decoding = chosen_decoding(options)
    skip_above = surer_above(options, decoding)
    cases = read_cases(options.cases)
    if options.range:
        cases = select_range(cases, options.range)
    _require_consistent(options)
    if options.out.resolve() == options.cases.resolve():
        raise InvalidInput(f"{options.out} holds the cases; results need a file of their own.")
    find_template(options.template)
    model = load_answering_model(options, options.lvlm)
    maps = _maps(options, model)
    mask = chosen_mask(options)
    asked = {name: getattr(options, name) for name in ("template", "system_prompt", "max_new_tokens")}
    how = {"decoding": decoding, "batch_size": options.batch_size, **asked}
    if isinstance(model, ServerModel) and skip_above is not None:
        require_confidence(model)
    work = AskCases(
        None if model is None or skip_above is not None else answerer(model, **how),
        None if maps is None else Prompting(maps, mask, style, options.strength),
        plain=not options.no_plain,
        folder=options.out.with_suffix(".files"),
        save_masks=options.save_masks,
        save_pictures=options.save_pictures,
        surest=None if model is None or skip_above is None else surest(model, skip_above=skip_above, **how),
    )
    settings: dict[str, Any] = {"plain": work.plain or maps is None, "prompted": maps is not None}
    if model is not None:
        settings |= {"model": identity(model), **asked, "decoding": repr(decoding), "seed": options.seed}
    if maps is not None:
        settings |= {"map": options.map, **maps.settings, "style": repr(style)}
        made = mask.with_defaults(mask_defaults(maps.model.name))
        settings |= {"mask": {setting.name: getattr(made, setting.name) for setting in in_help_order(MASK_SETTINGS)}}
        settings |= {"strength": options.strength}
    if skip_above is not None:  # what was made without is of the same settings as before there was this
        settings |= {"keep": options.keep, "skip_above": skip_above}
    with ProgressBar("asking", shown=len(cases) > 1) as bar:
        done = run_cases(
            cases,
            work,
            options.out,
            settings=settings,
            batch_size=options.batch_size,
            overwrite=options.overwrite,
            on_progress=bar,
        )
    _summarise(done, options.out)
    return done.failed


def _require_consistent(options: argparse.Namespace) -> None:
    """What can be told to be wrong before a model is loaded."""
    without_maps = options.map == NO_MODEL
    if without_maps and options.no_plain:
        raise InvalidInput("--map none with --no-plain leaves nothing to ask. Leave one of them out.")
    if without_maps and (options.map_model or options.save_masks or options.save_pictures):
        raise InvalidInput("--map none makes no maps: leave --map-model, --save-masks and --save-pictures out.")
    nobody_answers = options.lvlm == NO_MODEL and not options.server
    if options.keep == SURER and (without_maps or options.no_plain or nobody_answers):
        raise InvalidInput(
            f"--keep {SURER} compares answers to the plain and to the prompted picture: leave --map none, --no-plain "
            "and --lvlm none out."
        )
    known = {"clip": list_methods(), "lvlm": list_lvlm_methods()}.get(options.map, [])
    if options.method and options.method not in known:
        raise InvalidInput(f"There is no --method {options.method!r} for --map {options.map}: {', '.join(known)}.")
    if options.map != "lvlm" and options.layers and len(options.layers) > 1:
        raise InvalidInput("A CLIP is read at one layer. Give --layers one number.")
    if options.map == "lvlm" and options.least_presence:
        raise InvalidInput("--least-presence is for the maps of a CLIP; an LVLM's do not say whether a thing is there.")
    if options.map == "lvlm" and options.fit:
        raise InvalidInput("--fit is for the maps of a CLIP; an LVLM's processor shows the picture in its own way.")


def _maps(options: argparse.Namespace, model: LvlmModel | ServerModel | None) -> ClipMaps | LvlmMaps | None:
    if options.map == NO_MODEL:
        return None
    if options.map == "clip":
        layer = options.layers[0] if options.layers else None
        clip = load_clip_model(options, options.map_model or EMBEDDED_CLIP)
        clip.resolve_layer(layer)
        return ClipMaps(clip, options.method or list_methods()[0], layer, options.reading, options.fit)
    chosen = load_lvlm_model(options, options.map_model) if options.map_model else model
    if not isinstance(chosen, LvlmModel):
        raise InvalidInput("--map lvlm needs a model on this machine: name it with --map-model, or say --map clip.")
    chosen.resolve_layers(options.layers)
    return LvlmMaps(chosen, options.method, options.layers, options.reading)


def answerer(model: LvlmModel | ServerModel, **how: Any) -> Answerer:
    """What asks that model in the same way each time; how: the other arguments of `ask`."""

    def answer(
        pictures: Sequence[Tensor], questions: Sequence[str], on_progress: Progress, more: Further = (), /
    ) -> list[Answer]:
        return ask(model, pictures, questions, more_pictures=more, on_progress=on_progress, **how)

    return answer


def surest(model: LvlmModel | ServerModel, **how: Any) -> Surest:
    """What asks that model about plain and prompted pictures in the same way each time, and keeps the surer answer."""

    def answer(
        pictures: Sequence[Tensor],
        ways: Sequence[Way],
        questions: Sequence[str],
        on_progress: Progress,
        more: Further = (),
        /,
    ) -> list[SurestAnswer]:
        return ask_surest(model, pictures, ways, questions, more_pictures=more, on_progress=on_progress, **how)

    return answer


def _summarise(done: RunResult, out: Path) -> None:
    for record in done.records:
        if "error" in record:
            complain(f"failed: {record['id']}: {record['error']}")
    count = len(done.records)
    before = f", {done.skipped} of them before" if done.skipped else ""
    say(tally(count, done.failed, f"cases done{before}"))
    again = [record["kept"]["readings"] > 1 for record in done.records if "kept" in record]
    if again:
        say(f"asked again with the prompted picture: {sum(again)} of {len(again)}")
    for arm in (*ARMS, "kept"):
        judged = [record[arm]["right"] for record in done.records if "right" in record.get(arm, {})]
        if judged:
            say(f"{arm}: {sum(judged)} of {len(judged)} right ({100 * sum(judged) / len(judged):.1f} %)")
    say(str(out))
