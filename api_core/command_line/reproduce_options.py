"""The options of the command `reproduce`."""

import argparse
from pathlib import Path

from .ask_options import AT_ONCE_HELP, add_folder_option
from .flags import number
from .options import add_loading_options
from .run_options import add_worker_options


def add_reproduce_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a published table again. First it says what is missing and what it will cost; then every row is asked, a "
        "journal each in OUT/<set>/<model>/<arm>.jsonl, so that it goes on after a stop; then the table is printed, "
        "published values beside yours, and written to OUT/<plan>.md and .json. Plans: tutorial, paper-main, avisc, "
        "igos, or a file of your own."
    )
    parser.usage = "%(prog)s PLAN --data FOLDER --out FOLDER [options]"
    parser.add_argument("plan", metavar="PLAN", help="tutorial, paper-main, avisc, igos, or a file")
    files = parser.add_argument_group("files")
    files.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="holds a folder of each set's name")
    files.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="journals and table")
    files.add_argument("--models", type=Path, metavar="FOLDER", help="of models' folders, beside the hub's cache")
    files.add_argument("--overwrite", action="store_true", help="start the rows afresh")

    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--only", action="append", default=[], metavar="ROW", help="this row, or SET/MODEL; may be repeated, * allowed"
    )
    rows.add_argument("--list", action="store_true", help="say what is missing and what it costs, and stop")
    rows.add_argument("--quick", type=number(2, kind=int), metavar="N", help="about N questions of each set, to try it")
    rows.add_argument("--partial", action="store_true", help="take sets of fewer or more questions than were published")
    rows.add_argument("--controls", action="store_true", help="also each mask moved by lot, and its mean everywhere")

    asking = parser.add_argument_group("asking")
    asking.add_argument("--server", metavar="PROFILE[:MODEL]", help="let this server answer in the models' place")
    asking.add_argument("--at-once", type=number(1, kind=int), metavar="N", help=AT_ONCE_HELP)
    asking.add_argument("--judge", metavar="PROFILE:MODEL", help="a server's profile and its model, for judged sets")
    add_folder_option(asking)
    asking.add_argument("--batch-size", type=number(1, kind=int), default=8, help="cases at once")
    machine = parser.add_argument_group("machine")
    add_loading_options(machine, "of the models' weights")
    add_worker_options(machine)
