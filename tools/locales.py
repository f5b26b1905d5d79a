"""Bring what the nodes say into `locales/`, for ComfyUI's page: python tools/locales.py [LANGUAGE ...]

Where a language has no text, the page shows the node's own. So English is a file of those texts alone that the page
does not find in the nodes: of inputs that appear while a node is used. Every other language is brought into the nodes'
order: texts that no node has any more are dropped, those of numbered sockets are made of the first one's, and what is
still to be translated is listed. A contribution may leave that to the next release, which is complete.
`--check` lists only, and ends with 1 if there is something to do.

`translated_from.txt` holds, for every text of a node and every part of a help page, a digest of the English that its
translations were made of. One whose English has changed since is listed with it until it is mended and
`--fresh [NAME ...]` says so: of the languages given, those names or all. A new translation is made of today's English.
"""

import argparse
import asyncio
import hashlib
import importlib
import json
import re
import runpy
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCALES = ROOT / "locales"
SOURCE = "en"
LANGUAGES = (SOURCE, "zh", "zh-TW", "ja", "ko", "fr", "es", "ru", "pt-BR", "tr")
FILE = "nodeDefs.json"
HELP_PAGES = ROOT / "web" / "docs"
MADE_OF = ROOT / "tools" / "translated_from.txt"
MADE_OF_HEAD = (
    "# What is translated, a digest of the English it was made of, and into which languages: tools/locales.py\n"
)
SYNTAX = "{}|@$%"  # the page compiles texts as messages of vue-i18n, where these have a meaning

# Texts that are the same as in English: what things are called everywhere, and words that a language shares with it.
SAME_EVERYWHERE = {"alpha", "beta", "clip", "gamma", "l1", "l2", "l3", "lvlm", "top_k", "top_p"}
SAME_IN: dict[str, set[str]] = {
    "fr": {"attention", "description", "image", "interpolation", "mode", "points", "question", "style"},
    "pt-BR": {"template"},
    "tr": {"model", "momentum"},
}

_NUMBERED = re.compile(r"(.*\D)([1-9]\d*)")  # the key of a socket that appears when the one before it is used

Texts = dict[str, Any]
Place = tuple[str, ...]
Digests = dict[str, str]


def english(schemas: Sequence[Any]) -> Texts:
    """What the nodes say, as the page looks it up: {node: {display_name, description, inputs, outputs}}."""
    return {schema.node_id: _node(schema) for schema in schemas}


def _node(schema: Any) -> Texts:
    inputs: dict[str, Texts] = {}
    for key, name, tooltip in _inputs(schema.inputs):
        inputs[key] = {"name": name, "tooltip": tooltip}
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": inputs,
        "outputs": {
            str(number): {"name": output.display_name or output.id, "tooltip": output.tooltip}
            for number, output in enumerate(schema.outputs)
        },
    }


def appearing(schemas: Sequence[Any]) -> Texts:
    """Of what the nodes say, the texts of inputs inside dynamic ones: {node: {"inputs": ...}}."""
    found: Texts = {}
    for schema in schemas:
        at_once = {given.id for given in schema.inputs}
        later = {key: text for key, text in _node(schema)["inputs"].items() if key not in at_once}
        if later:
            found[schema.node_id] = {"inputs": later}
    return found


def _inputs(given: Sequence[Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, name and tooltip of every socket and widget that the page can show; it writes the dots of ids as "_"."""
    for part in given:
        key = f"{prefix}{part.id}"
        template = getattr(part, "template", None)
        if template is not None:  # sockets that appear one by one; the page never shows the group's own name
            for number in range(template.max):
                yield f"{key}_{template.prefix}{number}", f"{template.prefix}{number}", template.input.tooltip
            continue
        yield key, part.display_name or part.id, part.tooltip
        yield from _inputs_of_options(getattr(part, "options", None) or (), f"{key}_")


def _inputs_of_options(options: Sequence[Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """The inputs inside the options of a dynamic combo. The page knows one text for all options that share an id."""
    names: dict[str, str] = {}
    options_saying: dict[str, dict[str, list[str]]] = {}
    for option in options:
        for key, name, tooltip in _inputs(getattr(option, "inputs", ()), prefix):
            names[key] = name
            options_saying.setdefault(key, {}).setdefault(tooltip, []).append(option.key)
    for key, tooltips in options_saying.items():
        if len(tooltips) == 1:
            yield key, names[key], next(iter(tooltips))
        else:
            yield key, names[key], " ".join(f"{', '.join(said_by)}: {text}" for text, said_by in tooltips.items())


def flat(texts: Mapping[str, Any], place: Place = ()) -> dict[Place, str]:
    """Every text by where it stands, such as ("AttnPromptAsk", "inputs", "seed", "tooltip")."""
    found: dict[Place, str] = {}
    for key, value in texts.items():
        found |= flat(value, (*place, key)) if isinstance(value, Mapping) else {(*place, key): value}
    return found


def complete(source: Texts, translated: Mapping[str, Any]) -> Texts:
    """The translation in the order of `source`, without what `source` lacks, numbered sockets made of the first."""
    given = flat(translated)
    result: Texts = {}
    for place in flat(source):
        text = _of_first_socket(place, given) or given.get(place)
        if text is not None:
            inner = result
            for key in place[:-1]:
                inner = inner.setdefault(key, {})
            inner[place[-1]] = text
    return result


def _of_first_socket(place: Place, given: Mapping[Place, str]) -> str | None:
    """For the seventh socket of a group the first one's text, with 6 where that has 0; else None."""
    text = given.get(_first_socket(place))
    number = _NUMBERED.fullmatch(place[-2])
    return text.replace("0", number[2]) if text and number and place[-1] == "name" else text


def _first_socket(place: Place) -> Place:
    """Where the first socket of the same group has its text; nowhere for what is not a further socket."""
    found = _NUMBERED.fullmatch(place[-2]) if "inputs" in place else None
    return (*place[:-2], f"{found[1]}0", place[-1]) if found else ()


def lacking(source: Texts, translated: Mapping[str, Any]) -> list[Place]:
    """What is still to be translated."""
    given = flat(translated)
    return [place for place in flat(source) if not given.get(place)]


def originals(language: str, source: Texts) -> dict[str, str]:
    """The English of all that a language has, by name: of `source` "AttnPromptAsk.inputs.seed.tooltip", of the help
    pages "AttnPromptAsk.md#Inputs"."""
    given, english = flat(read(language)), flat(source)
    own = [place for place in english if given.get(place) and _first_socket(place) not in english]
    found = {".".join(place): english[place] for place in own}
    for translated in sorted(HELP_PAGES.glob(f"*/{language}.md")):
        page = HELP_PAGES / f"{translated.parent.name}.md"
        for part in re.split("^(?=#)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            heading, _, text = part.partition("\n")
            name = f"{page.name}#{heading.strip('# ').replace(' ', '-')}"
            found[name] = found.get(name, "") + text.strip()
    return found


def digest(text: str) -> str:
    """What tells a text from another one."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def outdated(made_of: Digests, english: Mapping[str, str]) -> list[str]:
    """What was translated from another English than today's. made_of: digests by name, of one language."""
    return [name for name, text in english.items() if made_of.get(name) != digest(text)]


def renewed(made_of: Digests, english: Mapping[str, str], fresh: Set[str]) -> Digests:
    """The digests when the translations called `fresh`, and those that have none yet, were made of today's English."""
    return {
        name: digest(text) if name in fresh or name not in made_of else made_of[name] for name, text in english.items()
    }


def read_digests(lines: str) -> dict[str, Digests]:
    """What `MADE_OF` holds, by language."""
    found: dict[str, Digests] = {language: {} for language in LANGUAGES if language != SOURCE}
    for line in lines.splitlines():
        if line.startswith("#"):
            continue
        name, made_of, *languages = line.split()
        for language in languages:
            found[language][name] = made_of
    return found


def render_digests(digests: Mapping[str, Digests]) -> str:
    """The same as the file has it: a line for each text, more where its translations were made of different English."""
    languages: dict[tuple[str, str], list[str]] = {}
    for language, made_of in digests.items():
        for entry in made_of.items():
            languages.setdefault(entry, []).append(language)
    return MADE_OF_HEAD + "".join(f"{' '.join([*entry, *languages[entry]])}\n" for entry in sorted(languages))


def read(language: str) -> Texts:
    """The texts of a language; none where there is no file yet."""
    path = LOCALES / language / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def render(texts: Texts) -> str:
    """What a file of `locales/` holds."""
    return json.dumps(texts, ensure_ascii=False, indent=2) + "\n"


def schemas_of_the_nodes() -> list[Any]:
    """Every node's schema, on the tests' double of ComfyUI, so that none has to be installed."""
    runpy.run_path(str(ROOT / "tests" / "conftest.py"))  # makes the repository the package `pack`
    double = importlib.import_module("pack.tests.comfy_double")
    with tempfile.TemporaryDirectory() as models:
        remove = double.install(Path(models))
        try:
            extension = importlib.import_module("pack.nodes").create_extension()
            return [node.define_schema() for node in asyncio.run(extension.get_node_list())]
        finally:
            remove()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE", help=f"of {', '.join(LANGUAGES)}; none: all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--fresh", nargs="*", metavar="NAME", help="these say what the English says now; no name: all")
    options = parser.parse_args()
    unknown = set(options.languages) - set(LANGUAGES)
    if unknown:
        parser.error(f"no language of ComfyUI's page: {', '.join(sorted(unknown))}. Choose of {', '.join(LANGUAGES)}.")
    schemas = schemas_of_the_nodes()
    held = MADE_OF.read_text(encoding="utf-8")
    digests = read_digests(held)
    fresh: set[str] = set(options.fresh or ())
    named, to_do = set(), False
    for language in options.languages or LANGUAGES:
        source = appearing(schemas) if language == SOURCE else english(schemas)
        before = read(language)
        after = source if language == SOURCE else complete(source, before)
        missing = lacking(source, after)
        if not options.check and after:
            (LOCALES / language).mkdir(parents=True, exist_ok=True)
            (LOCALES / language / FILE).write_text(render(after), encoding="utf-8")
        old: dict[str, str] = {}
        if language != SOURCE:
            texts = originals(language, source)
            named |= set(texts)
            digests[language] = renewed(digests[language], texts, set(texts) if options.fresh == [] else fresh)
            old = {name: texts[name] for name in outdated(digests[language], texts)}
        to_do = to_do or bool(missing or old) or render(before) != render(after)
        report(language, missing, old, set(flat(before)) - set(flat(source)), begun=bool(after))
    if fresh - named:
        parser.error(f"nothing translated is called {', '.join(sorted(fresh - named))}")
    after_all = render_digests(digests)
    if not options.check:
        MADE_OF.write_text(after_all, encoding="utf-8")
    return int(options.check and (to_do or after_all != held))


def report(language: str, missing: Sequence[Place], old: Mapping[str, str], gone: Set[Place], *, begun: bool) -> None:
    """Say what there is to do in a language. old: the English of what was translated from another."""
    if not begun:
        print(f"{language}: there is no {FILE} yet")
        return
    to_write = [place for place in missing if _first_socket(place) not in missing]
    print(f"{language}: {len(to_write)} texts lacking, {len(old)} of an older English, {len(gone)} of no node any more")
    for mark, places in (("+", to_write), ("-", sorted(gone))):
        for place in places:
            print(f"  {mark} {'.'.join(place)}")
    for name, text in old.items():
        print(f"  ~ {name}: {text}")


if __name__ == "__main__":
    raise SystemExit(main())
