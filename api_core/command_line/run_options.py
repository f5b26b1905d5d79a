"""The options of the commands that work on many cases: `run` and `benchmark`."""

import argparse
from pathlib import Path

from ..choices import CLIP_METHODS, CONTROLS, FITS, READINGS, SAVED_AS
from ..models.catalog import EMBEDDED_CLIP, EMBEDDED_LVLM
from .ask_options import AT_ONCE_HELP
from .decoding_options import add_decoding_options
from .flags import number, whole_numbers
from .options import add_keep_options, add_loading_options, add_mask_options, add_overlay_options, add_system_prompt

MAPS = ("clip", "lvlm", "none")
BENCHMARKS = ("localisation", "answers", "prompting", "hallucination", "explanations", "surest", "presence", "clips")
NO_MODEL = "none"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask many questions about pictures, plain and with the prompted picture. CASES.jsonl holds one case a line: "
        '{"id", "picture", "question"} and, if there are any, "answers", "boxes", "kind"; RESULTS.jsonl gets one line '
        "a case with its answers, scores and all settings. Run again to go on after a stop; failed cases are tried "
        "again. Masks and pictures go to the folder RESULTS.files; with --keep surer those of what is asked again."
    )
    parser.usage = "%(prog)s CASES.jsonl --out RESULTS.jsonl [options]"
    parser.add_argument("cases", type=Path, metavar="CASES.jsonl", help="the cases")

    files = parser.add_argument_group("files")
    files.add_argument("-o", "--out", type=Path, required=True, metavar="RESULTS.jsonl", help="where results are added")
    files.add_argument("--range", metavar="A:B", help="only cases A to B, counted from 0, B left out")
    files.add_argument(
        "--shard", metavar="I/N", help="only part I of N, from 1, by the ids; a file for each part, then `merge`"
    )
    files.add_argument("--overwrite", action="store_true", help="start RESULTS.jsonl afresh")
    files.add_argument("--save-masks", action="store_true", help="also write <id>.mask.png, white = relevant")
    files.add_argument("--save-pictures", action="store_true", help="also write the prompted pictures, <id>.png")
    files.add_argument(
        "--save-as",
        choices=SAVED_AS,
        help="what --save-pictures writes (default: png); jpg: as the paper's program, and asked about as written",
    )

    asking = parser.add_argument_group("asking")
    asking.add_argument("--lvlm", default=EMBEDDED_LVLM, help="the model that answers: a name, a folder, or none")
    asking.add_argument("--server", metavar="PROFILE", help="let the model of this server answer instead")
    asking.add_argument("--server-model", default="", metavar="NAME", help="as the server calls it")
    asking.add_argument("--at-once", type=number(1, kind=int), metavar="N", help=AT_ONCE_HELP)
    asking.add_argument("--template", default="plain", help="a name, or a text with {question} in it")
    add_system_prompt(asking)
    asking.add_argument("--max-new-tokens", type=number(1, kind=int), default=128, help="the longest answer")
    add_decoding_options(asking)
    asking.add_argument("--no-plain", action="store_true", help="ask about the prompted picture only")
    add_keep_options(asking, "both", "the answers to the plain and the prompted picture, side by side")
    asking.add_argument("--batch-size", type=number(1, kind=int), default=8, help="cases at once")

    maps = parser.add_argument_group("maps")
    maps.add_argument("--map", choices=MAPS, default=MAPS[0], help="what says where to look")
    maps.add_argument("--map-model", metavar="MODEL", help="default: tiny-clip, or the LVLM that answers")
    maps.add_argument("--method", help=f"how relevance is found; CLIP: {', '.join(CLIP_METHODS)} (default: the first)")
    maps.add_argument("--layers", type=whole_numbers, metavar="A,B", help="layers that are read (default: the model's)")
    maps.add_argument("--reading", choices=READINGS, default=READINGS[0], help="upstream: as the paper's code")
    maps.add_argument("--fit", choices=FITS, help="CLIP: how a picture that is not square is shown")
    maps.add_argument(
        "--control",
        choices=CONTROLS,
        default="",
        help="instead of each mask: the same one moved by lot, or its mean everywhere; a map has to beat both",
    )
    maps.add_argument(
        "--prompted-from",
        type=Path,
        metavar="FOLDER",
        help="no maps: take prompted pictures that are there, <id>.png or .jpg, such as RESULTS.files",
    )

    machine = _add_machine_options(parser)
    add_worker_options(machine)
    add_mask_options(parser)
    add_overlay_options(parser)


def add_worker_options(machine: argparse._ArgumentGroup) -> None:
    """Many processes, which Ray starts."""
    machine.add_argument(
        "--workers",
        type=number(1, kind=int),
        metavar="N",
        help="so many processes, by Ray: the package ray[data]",
    )
    machine.add_argument(
        "--gpus-per-worker", type=number(0), metavar="G", help="0.25: four share one (default: all GPUs shared evenly)"
    )
    machine.add_argument(
        "--ray", metavar="ADDRESS", help="workers on this Ray cluster; auto: the one this machine is in (default: none)"
    )


def add_merge_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Put files of results together that `run --shard` wrote. Their settings must be the same, and a case that is "
        "in two of them must have one result; where one failed, the other counts. Pictures of RESULTS.files come along."
    )
    parser.usage = "%(prog)s RESULTS.1.jsonl RESULTS.2.jsonl … --out RESULTS.jsonl [options]"
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS.jsonl", help="what the parts wrote")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="RESULTS.jsonl", help="what to write")
    parser.add_argument(
        "--cases", type=Path, metavar="CASES.jsonl", help="in the order of these; says how many are missing"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def add_benchmark_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure on drawn scenes whose truth is known, and print tables. localisation: do maps lie on what they were "
        "asked for? answers: does a prompted picture help to answer? prompting: the setting chosen on development "
        "scenes, judged on hard and easy test scenes, beside controls. hallucination: does the model say yes to what "
        "is not there, plainly and with calibrated decodings? explanations: do maps show what answers needed? surest: "
        "what the surest of several answers gains, and what it costs? presence: does a CLIP's map tell what is there "
        "from what is not? clips: do masks stand still where nothing moves, and follow what does?"
    )
    parser.usage = "%(prog)s {" + ",".join(BENCHMARKS) + "} [options]"
    parser.add_argument("benchmark", choices=BENCHMARKS, metavar="BENCHMARK", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="a few scenes, to see that everything runs")
    parser.add_argument("--scenes", type=number(2, kind=int), help="of localisation, hallucination, presence, clips")
    parser.add_argument("--questions", type=number(2, kind=int), help="all others: how many test questions")
    parser.add_argument("--development", type=number(2, kind=int), help="prompting: questions a setting is chosen on")
    parser.add_argument("--clip", default=EMBEDDED_CLIP, metavar="MODEL", help=f"a CLIP for maps, or {NO_MODEL}")
    parser.add_argument("--model", default=EMBEDDED_LVLM, metavar="MODEL", help=f"an LVLM, or {NO_MODEL}")
    parser.add_argument("--stream", choices=("test", "development"), default="test", help="not for prompting")
    parser.add_argument("--seed", type=number(0, kind=int), default=0, help="of controls drawn by lot")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables there")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep every result there, and go on from them")
    parser.add_argument("--overwrite", action="store_true", help="start the results in --out afresh")
    _add_machine_options(parser)


def _add_machine_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    machine = parser.add_argument_group("machine")
    add_loading_options(machine, "of the models' weights", "that the LVLM sees, 0: its own")
    return machine
