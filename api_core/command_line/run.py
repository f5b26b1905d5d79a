"""Ask many questions about pictures, plain and with the prompted picture; one line of results a case."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..answering import find_template
from ..answering.keeping import ARMS
from ..attribution import list_lvlm_methods, list_methods
from ..choices import RESIZES
from ..errors import InvalidInput
from ..evaluation.cases import QuestionCase
from ..evaluation.readers.jsonl import read_cases
from ..evaluation.runner.file_lock import FileLock, require_free
from ..evaluation.runner.ready_pictures import ReadyPictures
from ..evaluation.runner.run_cases import RunResult, run_cases, select_range, select_shard
from ..evaluation.runner.run_plan import RunPlan
from ..evaluation.runner.saving import Saving
from ..evaluation.runner.work_plan import LoadedModels, WorkPlan
from ..masks import MASK_SETTINGS
from ..whole_file import written_to
from .decoding_options import chosen_decoding
from .flags import flag_of, given, in_help_order
from .loading import downloading, require_server_named
from .options import SURER, chosen_mask, chosen_style, given_overlay_flags, surer_above
from .run_options import MAPS, NO_MODEL
from .terminal import ProgressBar, complain, say, tally

if TYPE_CHECKING:
    from ..evaluation.runner.scale import Cluster

_OF_MAPS = ("map_model", "method", "layers", "fit", "control", "save_masks", "save_pictures", "save_as")


def run(options: argparse.Namespace) -> int:
    """Do every case that the file of results does not hold yet; returns how many failed."""
    plan = run_plan(options)
    cases = read_cases(options.cases)
    if options.range:
        cases = select_range(cases, options.range)
    if options.out.resolve() == options.cases.resolve():
        raise InvalidInput(f"{options.out} holds the cases; results need a file of their own.")
    require_free(options.out)
    if plan.ready is not None and (missing := plan.ready.require_some(cases)):
        complain(f"warning: {missing} of {len(cases)} cases have no picture in {plan.ready.folder}; they will fail")
    if options.shard:
        cases = select_shard(cases, options.shard)
    if not cases:  # of few cases some parts are empty; their files are there all the same, for `merge`
        with FileLock(options.out), written_to(options.out):
            options.out.touch()
        say(f"no case is in part {options.shard}")
        return 0
    with chosen_cluster(options) as cluster:
        done = do_cases(options, cases, plan, cluster=cluster)
    _summarise(done, options.out)
    return done.failed


def do_cases(
    options: argparse.Namespace,
    cases: Sequence[QuestionCase],
    plan: WorkPlan,
    doing: str = "asking",
    *,
    loaded: LoadedModels | None = None,
    cluster: "Cluster | None" = None,
) -> RunResult:
    """Do the plan with every case that the file of results does not hold yet. loaded: models of the plans before.

    cluster: of the workers, which is there for more than these cases.
    """
    if cluster is None:
        with downloading() as bar:
            work, settings = plan.build(bar, loaded)
    with ProgressBar(doing, shown=len(cases) > 1) as bar:
        how: dict[str, Any] = {"overwrite": options.overwrite, "on_progress": bar}
        if cluster is not None:
            return cluster.run(cases, plan, options.out, **how)
        how |= {"batch_size": plan.cases_at_once, "lanes": plan.lanes}
        return run_cases(cases, work, options.out, settings=settings, **how)


def chosen_cluster(options: argparse.Namespace) -> "AbstractContextManager[Cluster | None]":
    """The workers that were asked for, None where this process does it all."""
    if not options.workers:
        return nullcontext()
    from ..evaluation.runner.scale import Cluster, Workers

    return Cluster(Workers(options.workers, options.gpus_per_worker, options.ray))


def run_plan(options: argparse.Namespace, folders: Sequence[Path] = ()) -> RunPlan:
    """What is to be done, as far as it can be told to be right before a model is loaded. folders: of models."""
    style = chosen_style(options)
    decoding = chosen_decoding(options)
    skip_above = surer_above(options, decoding)
    _require_consistent(options)
    find_template(options.template)
    saving = None
    if options.save_masks or options.save_pictures:
        kind = options.save_as or "png"
        saving = Saving(options.out.with_suffix(".files"), options.save_masks, options.save_pictures, kind)
    return RunPlan(
        decoding,
        chosen_mask(options),
        style,
        options.strength,
        lvlm=None if options.lvlm == NO_MODEL else options.lvlm,
        server=options.server or "",
        maps=None if options.map == NO_MODEL else options.map,
        plain=not options.no_plain,
        skip_above=skip_above,
        ready=ReadyPictures(options.prompted_from) if options.prompted_from else None,
        saving=saving,
        resize=options.resize or RESIZES[0],
        folders=tuple(folders),
        **{name: getattr(options, name) for name in _AS_GIVEN},
    )


_AS_GIVEN = (
    *("server_model", "at_once", "template", "system_prompt", "max_new_tokens", "seed", "batch_size"),
    *("map_model", "method", "layers", "reading", "fit", "control"),
    *("precision", "device", "max_pixels", "allow_download"),
)


def _require_consistent(options: argparse.Namespace) -> None:
    require_server_named(options)
    if not options.workers and (options.ray or options.gpus_per_worker is not None):
        raise InvalidInput("--ray and --gpus-per-worker are of workers; say how many with --workers.")
    if options.workers and options.at_once is not None:
        raise InvalidInput("Each of the --workers asks its own --batch-size questions at once: leave --at-once out.")
    if options.save_as and not options.save_pictures:
        raise InvalidInput("--save-as says how --save-pictures writes them; add that.")
    if options.prompted_from:
        _require_no_maps(options)
    without_maps = options.map == NO_MODEL
    if without_maps and options.no_plain:
        raise InvalidInput("--map none with --no-plain leaves nothing to ask. Leave one of them out.")
    if without_maps and (options.map_model or options.control or options.save_masks or options.save_pictures):
        raise InvalidInput(
            "--map none makes no maps: leave --map-model, --control, --save-masks and --save-pictures out."
        )
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


def _require_no_maps(options: argparse.Namespace) -> None:
    """Raise InvalidInput for what is said of maps and overlays, where prompted pictures are there already."""
    said = ["map"] if options.map != MAPS[0] else []
    said += [name.replace("_", "-") for name in _OF_MAPS if getattr(options, name)]
    masks = in_help_order(MASK_SETTINGS)
    said += [flag_of(setting) for setting in masks if given(options, flag_of(setting)) != setting.default]
    for flag in [*said, *given_overlay_flags(options)]:
        raise InvalidInput(f"--prompted-from takes pictures that are prompted already: leave --{flag} out.")
    if not options.prompted_from.is_dir():
        raise InvalidInput(f"--prompted-from: there is no folder {options.prompted_from}.")


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
