"""The command line: `python -m api_core`, or `attention-prompting` where the package is installed.

Exit codes: 0 everything done; 1 some pictures failed, each named on stderr; 2 nothing could be done as asked (usage, a
missing file or model); 130 interrupted. Files are written whole or not at all.
"""

import argparse
import gc
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from ..errors import AttentionPromptingError, MissingPackage
from .ask_options import add_ask_options, add_serve_options, add_servers_options
from .data_options import add_data_options, add_export_options, add_judge_options, add_score_options
from .explain_options import add_explain_options
from .flags import OptionHelp
from .options import add_calibrate_options, add_doctor_options, add_models_options, add_prompt_options
from .reproduce_options import add_reproduce_options
from .run_options import add_benchmark_options, add_merge_options, add_run_options
from .terminal import complain, one_line

REPOSITORY = "https://github.com/attention-prompting/attention-prompting"
DONE, SOME_FAILED, NOT_AS_ASKED, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "prompt": (add_prompt_options, "prompt pictures with a question: what does not matter to it fades"),
    "ask": (add_ask_options, "ask a model, here or on a server, about pictures"),
    "explain": (add_explain_options, "show which parts of a picture an answer needed, and how far that can be trusted"),
    "run": (add_run_options, "ask many questions from a file, plain and prompted; stops and goes on"),
    "merge": (add_merge_options, "put files of results together that parts of one run wrote"),
    "data": (add_data_options, "list published data sets, and read one into a file of cases"),
    "judge": (add_judge_options, "have a model on a server judge the answers to a published data set"),
    "score": (add_score_options, "score the answers to a published data set by its official rules"),
    "export": (add_export_options, "write answers to a published data set as its official program takes them"),
    "reproduce": (add_reproduce_options, "make a published table again: what is missing, rows that go on, the table"),
    "benchmark": (add_benchmark_options, "measure maps, answers and prompting on drawn scenes"),
    "calibrate": (add_calibrate_options, "find and keep the heads and the layer of an LVLM that see best"),
    "serve": (add_serve_options, "serve a model to any chat client or benchmark, with prompted pictures"),
    "servers": (add_servers_options, "add, list, remove and test servers that answer"),
    "models": (add_models_options, "list the models known by name, what each weighs, and whether it is here"),
    "doctor": (add_doctor_options, "say what this machine is and whether the pack works on it, to paste into an issue"),
}
"""Command -> what gives its parser the options, and what it does."""


_LEFT_OUT = ("evaluation", "serving")

_INTERRUPTED = "interrupted; what was finished is complete, nothing is half-written"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Raises SystemExit only for argparse's own usage errors and --help."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if given and given[0] in COMMANDS else None
    if name is None:
        _overview().parse_args(given)
        _overview().print_help()
        return NOT_AS_ASKED
    parser = argparse.ArgumentParser(prog=f"{_program()} {name}", formatter_class=OptionHelp)
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    add_options, _ = COMMANDS[name]
    add_options(parser)
    options = parser.parse_args(given[1:])
    try:
        return SOME_FAILED if _command(name).run(options) else DONE
    except KeyboardInterrupt:
        complain(_INTERRUPTED)
        return INTERRUPTED
    except AttentionPromptingError as error:
        if options.debug:
            traceback.print_exc()
        complain(f"error: {one_line(error)}")
        return NOT_AS_ASKED
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # pressed while a class of a package was being made
            complain(_INTERRUPTED)
            return INTERRUPTED
        if options.debug:
            raise
        complain(f"error: {type(error).__name__}: {one_line(error)} (unexpected; --debug shows where)")
        return SOME_FAILED


def _command(name: str) -> ModuleType:
    """A command's module, imported only now, so that --help does not wait for torch."""
    try:
        return importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        missing = (error.name or "").rpartition(".")[2]
        if missing not in _LEFT_OUT or error.name != f"{__name__.rpartition('.')[0]}.{missing}":
            raise
        raise MissingPackage(
            f"`{name}` needs api_core/{missing}, which ComfyUI's copy of this pack leaves out: clone {REPOSITORY}, "
            'run `pip install ".[standalone]"` in the clone, and call the command there.'
        ) from error


def run() -> None:
    """The entry point of the `attention-prompting` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that its encoding lacks, as on Windows, ends no work
            stream.reconfigure(errors="backslashreplace")
    code = main()
    gc.freeze()  # else Python looks through all of torch for garbage before it ends, for a second
    sys.exit(code)


def _program() -> str:
    called = os.path.basename(sys.argv[0])
    return "python -m api_core" if called in ("__main__.py", "-m", "-c", "") else called


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(),
        description="Ask a picture a question and fade out what does not matter to it.",
        epilog="Exit codes: 0 done, 1 some pictures failed, 2 not possible as asked, 130 interrupted. "
        f"`{_program()} COMMAND --help` lists a command's options.",
    )
    choices = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, (_, summary) in COMMANDS.items():
        choices.add_parser(name, help=summary, add_help=False)
    return parser
