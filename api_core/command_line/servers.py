"""Keep the profiles of servers that answer, and find out what a server can do."""

import argparse
import dataclasses
import getpass
import sys

from ..answering.surest import require_confidence
from ..errors import InvalidInput, quoted
from ..models.server import (
    PRESETS,
    Profile,
    Secret,
    ServerModel,
    connect,
    list_profiles,
    probe,
    remove_profile,
    save_profile,
)
from .terminal import ProgressBar, complain, say


def run(options: argparse.Namespace) -> int:
    """Do one action; returns 1 when a tested model does not look at pictures."""
    return {"add": add, "list": show, "remove": remove, "test": test}[options.action](options)


def add(options: argparse.Namespace) -> int:
    address, variable = (options.address, "") if options.address else PRESETS.get(options.name, ("", ""))
    if not address:
        raise InvalidInput(f"{quoted(options.name)} needs its address: `servers add {options.name} http://…/v1`.")
    if options.key_variable is not None or options.store_key:
        variable = options.key_variable
    # Refuses what it must before a key is asked for.
    profile = Profile(options.name, address, variable or "", patience=options.patience)
    if options.store_key:
        profile = dataclasses.replace(profile, stored_key=_ask_for_key(options.name))
    file = save_profile(profile, options.folder, replace=options.replace)
    if (profile.key_variable or profile.stored_key) and profile.address.startswith("http:") and not profile.is_local:
        complain(f"warning: {profile.address} is not encrypted: others on the way can read the key and the pictures")
    say(f"{profile.name}: {profile.address}, {profile.key_source}; kept in {file}")
    return 0


def show(options: argparse.Namespace) -> int:
    profiles = list_profiles(options.folder)
    widths = [max(len(text) for text in texts) for texts in zip(*((p.name, p.address) for p in profiles), strict=True)]
    for profile in profiles:
        say(f"{profile.name:<{widths[0]}}  {profile.address:<{widths[1]}}  {profile.key_source}")
    return 0


def remove(options: argparse.Namespace) -> int:
    remove_profile(options.name, options.folder)
    say(f"removed {options.name}")
    return 0


def test(options: argparse.Namespace) -> int:
    model = connect(options.name, options.model, folder=options.folder)
    with ProgressBar("asking") as bar:
        names = model.list_models(on_progress=bar, on_notice=bar.note)
        with bar.aside():
            say(f"models: {', '.join(names) or 'none'}")
        if not options.model and len(names) != 1:
            raise InvalidInput("Which model shall be tested? Name one with --model.")
        model = connect(options.name, options.model or names[0], folder=options.folder)
        found = probe(model, on_progress=bar)
        sure = "" if found.sees is False else _confidence(model)
    say({True: "sees pictures: yes", False: "sees pictures: no", None: "sees pictures: not sure"}[found.sees])
    say(found.reason)
    if sure:
        say(sure)
    return int(found.sees is False)


def _confidence(model: ServerModel) -> str:
    """Whether the model says how likely its answers are, which keeping the surer one needs."""
    try:
        require_confidence(model)
    except InvalidInput as error:
        return f"says how likely its answers are: no\n{error}"
    return "says how likely its answers are: yes"


def _ask_for_key(name: str) -> Secret:
    if not sys.stdin.isatty():
        raise InvalidInput(
            "--store-key asks for the key on a terminal, and there is none. Put the key into an environment variable "
            "and name that with --key-variable."
        )
    return Secret(getpass.getpass(f"Key for {name} (not shown): "))
