"""The options of the commands that ask, `ask` and `serve`, and of `servers`."""

import argparse
from pathlib import Path

from ..answering import TEMPLATES
from ..choices import QUERIES
from ..masks import MaskSettings
from ..models.catalog import EMBEDDED_LVLM, PRESETS
from ..settings import settings_of
from .decoding_options import add_decoding_options
from .flags import OptionHelp, add_flag, number
from .options import (
    add_heatmap_options,
    add_keep_options,
    add_loading_options,
    add_mask_options,
    add_overlay_options,
    add_system_prompt,
)

AT_ONCE_HELP = "questions under way together on the server (default: 4); vLLM and SGLang like 32 and more"


def add_ask_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ask a vision-language model about pictures, one answer for each. Answers go to stdout, under their pictures' "
        "names when there are several."
    )
    parser.usage = "%(prog)s PICTURE [PICTURE …] -q QUESTION [options]"
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE", help="picture files, or folders of them")
    parser.add_argument("-q", "--question", required=True, help="what you want to know")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: the answer and how it was got")

    model = parser.add_argument_group("model")
    model.add_argument("--model", default=EMBEDDED_LVLM, help="a name from the `models` command, or a folder")
    add_loading_options(model, pixels="that the model sees, 0: its own")
    _add_server_choice(model, "ask this server instead")

    put = parser.add_argument_group("how it is asked")
    _add_prompted_by(put)
    (least_presence,) = settings_of(MaskSettings, ["least_presence"])
    add_flag(put, least_presence, least_presence.default)
    put.add_argument("--hint", default="", metavar="WORDS", help="what to look at, for templates with {hint}")
    put.add_argument("--previous-answer", default="", metavar="TEXT", help="for templates with {previous_answer}")
    add_system_prompt(put)

    add_overlay_options(parser)
    answer = parser.add_argument_group("answer")
    answer.add_argument("--max-new-tokens", type=number(1, kind=int), default=256, help="the longest answer")
    add_decoding_options(answer)
    _add_think(answer)
    answer.add_argument("--show-thinking", action="store_true", help="also show what the model thought")
    add_keep_options(answer, "prompted", "the answer to the picture as it is shown")


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serve a model at an OpenAI-compatible address, /v1/chat/completions, which prompts the picture of a request, "
        "then answers, or asks another server. Pictures come as data addresses; nothing is fetched. What a request "
        "says, such as its temperature, goes before the options here."
    )
    parser.usage = "%(prog)s [MODEL] [options]"
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"that answers (default: {EMBEDDED_LVLM})")
    listen = parser.add_argument_group("address")
    listen.add_argument("--host", default="127.0.0.1", help="to listen at; others than this machine's need a key")
    listen.add_argument("--port", type=number(0, 65535, kind=int), default=8765, help="0: any that is free")
    listen.add_argument("--key-variable", metavar="VARIABLE", help="the environment variable with the clients' key")
    listen.add_argument(
        "--batch-size", type=number(1, kind=int), default=8, help="requests a local model answers at once"
    )

    model = parser.add_argument_group("model")
    add_loading_options(model, "of the models' weights", pixels="that the model sees, 0: its own")
    _add_server_choice(model, "let the model of this server answer")

    put = parser.add_argument_group("how it is asked")
    _add_prompted_by(put)
    put.add_argument(
        "--query", choices=QUERIES, default=QUERIES[0], help="what of the last user's text the picture is prompted with"
    )
    add_system_prompt(put)

    add_heatmap_options(parser)
    add_mask_options(parser)
    add_overlay_options(parser)
    answer = parser.add_argument_group("answer")
    answer.add_argument("--max-new-tokens", type=number(1, kind=int), default=256, help="where a request does not say")
    add_decoding_options(answer)
    _add_think(answer)
    add_keep_options(answer, "prompted", "the answer to the picture as it is shown")


def _add_server_choice(model: argparse._ArgumentGroup, says: str) -> None:
    model.add_argument("--server", metavar="PROFILE", help=f"{says}; `servers list` names them")
    model.add_argument("--server-model", default="", metavar="NAME", help="as the server calls it; not needed for one")
    model.add_argument("--at-once", type=number(1, kind=int), metavar="N", help=AT_ONCE_HELP)
    add_folder_option(model)


def _add_prompted_by(put: argparse._ArgumentGroup) -> None:
    put.add_argument("--prompted-by", metavar="MODEL", help="show the picture prompted by this model: CLIP or LVLM")
    put.add_argument("--with-original", action="store_true", help="show the original picture before the prompted one")
    named = ", ".join(TEMPLATES)
    put.add_argument("--template", default="plain", help=f"{named}; or your own text with {{question}} in it")


def _add_think(answer: argparse._ArgumentGroup) -> None:
    answer.add_argument("--think", action="store_true", help="let a local model that can choose think first")


def add_servers_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Servers that answer, by profile. A key is never typed on the command line: a profile names the environment "
        "variable that holds it, or keeps it in a file that you alone can read."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    add = actions.add_parser("add", help="add a profile", formatter_class=OptionHelp)
    add.add_argument("name", metavar="NAME", help=f"your name for it; {', '.join(PRESETS)} have an address already")
    add.add_argument("address", metavar="ADDRESS", nargs="?", help="such as http://127.0.0.1:8000/v1")
    key = add.add_mutually_exclusive_group()
    key.add_argument("--key-variable", metavar="VARIABLE", help="the environment variable that holds the key")
    key.add_argument("--store-key", action="store_true", help="type the key, unseen, to be kept in the profile")
    add.add_argument(
        "--patience", type=number(0), default=0.0, metavar="SECONDS", help="to its first word, 0: the usual"
    )
    add.add_argument("--replace", action="store_true", help="replace the profile of that name")

    listing = actions.add_parser("list", help="list the profiles")
    remove = actions.add_parser("remove", help="remove a profile and the key in it")
    remove.add_argument("name", metavar="NAME")
    test = actions.add_parser("test", help="list a server's models and find out whether one sees pictures")
    test.add_argument("name", metavar="NAME")
    test.add_argument("--model", default="", metavar="NAME", help="as the server calls it; not needed for one")
    for action in (add, listing, remove, test):
        add_folder_option(action)


def add_folder_option(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where server profiles lie (default: your configuration folder)"
    )
