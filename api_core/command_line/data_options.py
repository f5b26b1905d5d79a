"""The options of the commands for published data sets: `data`, `score`, `judge` and `export`."""

import argparse
from pathlib import Path

from .ask_options import AT_ONCE_HELP, add_folder_option
from .flags import OptionHelp, number


def add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Published data sets: list them, or read one from its official files into a file of cases."
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|read", title="what to do")
    actions.add_parser("list", help="name each data set, where it comes from, its licence, splits, wordings and rules")
    read = actions.add_parser("read", help="read one into OUT/cases.jsonl, for `run`", formatter_class=OptionHelp)
    read.description = (
        "Read a data set from the folder of its official files, or of the hub's parquet files, which you have "
        "downloaded, and write OUT/cases.jsonl for the command `run`. Pictures out of parquet files go to OUT/pictures."
    )
    read.add_argument("data_set", metavar="SET", help="a name that `data list` names")
    read.add_argument("folder", type=Path, metavar="FOLDER", help="where its files are")
    read.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder of the cases")
    read.add_argument("--split", default="", metavar="S", help="a split (default: the first that `data list` names)")
    read.add_argument("--wording", default="", metavar="W", help="how questions are put (default: the first likewise)")
    read.add_argument("--pictures", type=Path, metavar="FOLDER", help="where its picture files are (default: FOLDER)")
    read.add_argument("--partial", action="store_true", help="take fewer or more questions than were published")


def add_score_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Score the answers in RESULTS.jsonl, which the command `run` wrote, by the official rule of their data set and "
        "by the others that it has, each named on its line. ± is half the 95 % interval; failed cases are left out."
    )
    _add_results(parser)
    parser.add_argument("--rule", metavar="R", help="only this one")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the official files, for rules that read them")
    parser.add_argument(
        "--verdicts", type=Path, metavar="VERDICTS.jsonl", help="what `judge` wrote, for rules of a judge"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the scores as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table to a file")


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Have a model on a server judge the answers in RESULTS.jsonl, for data sets whose rules count verdicts (`data "
        "list` names the judge). VERDICTS.jsonl gets a line for each answer, with all that was said about it; run it "
        "again to go on after a stop. The prompts are the authors': clone their repository, and name its folder."
    )
    _add_results(parser)
    parser.add_argument(
        "--judge", required=True, metavar="PROFILE:MODEL", help="a server's profile (see `servers`) and its model"
    )
    add_folder_option(parser)
    parser.add_argument("--official", type=Path, required=True, metavar="CHECKOUT", help="the official repository")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="VERDICTS.jsonl", help="where verdicts are added"
    )
    parser.add_argument("--shown", metavar="ARM", help="only these answers: plain, prompted or kept (default: all)")
    parser.add_argument(
        "--runs", type=number(1, kind=int), default=1, help="verdicts on each answer; MM-Vet's paper: 5"
    )
    parser.add_argument("--at-once", type=number(1, kind=int), metavar="N", help=AT_ONCE_HELP)
    parser.add_argument("--overwrite", action="store_true", help="start VERDICTS.jsonl afresh")


def add_export_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the answers in RESULTS.jsonl in the format that the data set's official program, or its server, takes."
    )
    _add_results(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="what to write")
    parser.add_argument("--shown", default="plain", metavar="ARM", help="which answers: plain, prompted or kept")


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, metavar="RESULTS.jsonl", help="the answers")
    parser.add_argument("--cases", type=Path, required=True, metavar="CASES.jsonl", help="what `data read` wrote")
