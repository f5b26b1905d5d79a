"""What a table is made of: rows of data set, model, arm and settings, with the published values and where they stand.

A plan is a JSON file. `arms` are ways to ask, by name; the others are compared with the first. What an arm, a model, a
set, or an arm in a set says is put together, the later before the earlier, and is what `run` takes on the command line:

    {"title": "...", "notes": ["..."], "sources": {"tutorial": "where its values stand"},
     "settings": {"precision": "fp16"},
     "arms": {"plain": {"settings": {"map": "none"}}, "clip": {"settings": {"map-model": "ViT-L-14-336"}}},
     "models": {"llava-1.5-13b": {}},
     "sets": [{"set": "mm-vet", "settings": {"max-new-tokens": 2048}, "source": "tutorial",
               "arm settings": {"clip": {"contrast": 1}},
               "published": {"llava-1.5-13b": {"plain": {"total": 31.2}, "clip": {"total": 33.9}}}}]}

An arm may say `explain` instead of `settings`, which is what the command `explain` takes; and `after`, the arm whose
answers are put into its template as {previous_answer}. A set may also say its `split`, `wording` and `rule`, which
`models` and `arms` it is for, `seeds`, how many `verdicts` a judge gives on each answer, and `figures` to print without
a published value. A figure is a name that `score` prints, behind the rule where that is another ("avisc: perception"),
or a sum of some ("existence + count"). A published value is a number, or an object with its `value`, its standard
deviation `sd`, and its `source` where that is another than the set's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, shortened
from ..official.files import json_of
from ..runner.controls import Change

PLANS = Path(__file__).parent / "plans"

Kind = tuple[type, ...]
_TEXT, _LIST, _OBJECT, _WHOLE, _NUMBER = (str,), (list,), (dict,), (int,), (int, float)
_CALLED: Mapping[Kind, str] = {
    _TEXT: "text",
    _LIST: "list",
    _OBJECT: "object in braces",
    _WHOLE: "whole number",
    _NUMBER: "number",
}
_PLAN: Mapping[str, Kind] = {
    "title": _TEXT,
    **dict.fromkeys(("notes", "sets", "seeds"), _LIST),
    **dict.fromkeys(("sources", "settings", "arms", "models"), _OBJECT),
}
_ARM: Mapping[str, Kind] = {"settings": _OBJECT, "explain": _OBJECT, "after": _TEXT}
_SET: Mapping[str, Kind] = {
    **dict.fromkeys(("set", "split", "wording", "rule", "source"), _TEXT),
    **dict.fromkeys(("models", "arms", "seeds", "figures"), _LIST),
    **dict.fromkeys(("settings", "arm settings", "published"), _OBJECT),
    "verdicts": _WHOLE,
}
_ENTRIES: Mapping[str, Kind] = {
    **dict.fromkeys(("notes", "figures", "sources"), _TEXT),
    **dict.fromkeys(("sets", "arm settings", "published"), _OBJECT),
    "seeds": _WHOLE,
}
"""What lists and objects hold; `arms` and `models` are objects of objects in a plan, and lists of texts in a set."""
_VALUE: Mapping[str, Kind] = {"value": _NUMBER, "sd": _NUMBER, "source": _TEXT}


@dataclass(frozen=True)
class Figure:
    """A figure to print. parts: the figures that it is the sum of. published: with its deviation where that is known.

    source: where it was published. Without a rule the set's first is meant.
    """

    parts: tuple[str, ...]
    rule: str = ""
    published: float | None = None
    deviation: float | None = None
    source: str = ""

    @property
    def name(self) -> str:
        return " + ".join(self.parts)


@dataclass(frozen=True)
class Row:
    """One way of asking one model about one set. settings: of `run`, or of `explain` where `explained`.

    after: the arm whose answers are shown with the questions. seeds: one journal each. verdicts: of a judge, on each
    answer. control: what is drawn in the place of each mask. base: the arm that it is compared with.
    """

    data_set: str
    split: str
    wording: str
    model: str
    arm: str
    settings: Mapping[str, Any]
    figures: tuple[Figure, ...]
    base: str
    explained: bool = False
    after: str = ""
    seeds: tuple[int, ...] = (0,)
    verdicts: int = 1
    control: Change = ""

    @property
    def cases(self) -> str:
        """The set as this row reads it, for a folder."""
        return "-".join(filter(None, (self.data_set, self.split, self.wording)))

    @property
    def shown(self) -> str:
        """The arm, and the control in its place."""
        return f"{self.arm}.{self.control}" if self.control else self.arm

    @property
    def name(self) -> str:
        return f"{self.cases}/{self.model}/{self.shown}"

    @property
    def prompts(self) -> bool:
        """Whether maps are made for it, so that there are controls."""
        return not self.explained and self.settings.get("map") != "none"


@dataclass(frozen=True)
class Plan:
    """notes: what a reader has to know about all rows."""

    name: str
    title: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]


def list_plans() -> list[str]:
    """The names of the plans that are part of the package."""
    return sorted(path.stem for path in PLANS.glob("*.json"))


def read_plan(named: str) -> Plan:
    """The plan of that name, or in the file of that path. InvalidInput says what in it is wrong."""
    path = PLANS / f"{named}.json" if named in list_plans() else Path(named)
    if not path.is_file():
        raise InvalidInput(
            f"There is no plan {shortened(named)!r}. Choose one of {', '.join(list_plans())}, or name a file."
        )
    found = json_of(path)
    _require(str(path), found, _PLAN, ("arms", "models", "sets"))
    for name, arm in found["arms"].items():
        _require(f"{path}, arm {name!r}", arm, _ARM, ())
    rows: list[Row] = []
    for number, one in enumerate(found["sets"], 1):
        where = f"{path}, set {number}"
        _require(where, one, _SET, ("set",))
        rows += _rows(where, found, one)
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"{path} has the row {name} twice. Tell them apart by their split, wording or arm.")
    title = found.get("title") or path.stem
    return Plan(path.stem, title, tuple(found.get("notes", ())), tuple(rows))


def select_rows(rows: Sequence[Row], only: Sequence[str]) -> list[Row]:
    """The rows that are named: by a whole name, its first parts, or a pattern with * in it; all where none is."""
    for one in only:
        if not any(_is_named(row, one) for row in rows):
            known = shortened(", ".join(row.name for row in rows), 600)
            raise InvalidInput(f"The plan has no row {shortened(one)!r}. It has {known}.")
    return [row for row in rows if not only or any(_is_named(row, one) for one in only)]


def _is_named(row: Row, named: str) -> bool:
    return fnmatchcase(row.name, named) or row.name.startswith(named.rstrip("/") + "/")


def _rows(where: str, plan: Mapping[str, Any], one: Mapping[str, Any]) -> Iterator[Row]:
    arms = {name: plan["arms"].get(name) for name in one.get("arms", plan["arms"])}
    models = {name: plan["models"].get(name) for name in one.get("models", plan["models"])}
    published = one.get("published", {})
    for model, of in published.items():
        _require_entries(f"{where}: an entry of published {model!r}", of, _OBJECT)
    seeds = tuple(one.get("seeds", plan.get("seeds", (0,))))
    if not seeds or one.get("verdicts", 1) < 1:
        raise InvalidInput(
            f"{where} has no seed, or no verdict: leave `seeds` and `verdicts` out, or have one at least."
        )
    _require_known(where, "model", [*models, *published], plan["models"])
    _require_known(where, "arm", [*arms, *one.get("arm settings", {})], plan["arms"])
    _require_known(where, "arm", [arm for of in published.values() for arm in of], arms)
    for model, own in models.items():
        for name, arm in arms.items():
            of_arm = arm.get("explain") or arm.get("settings", {})
            layers = (plan.get("settings", {}), of_arm, own, one.get("settings", {}))
            settings = {key: value for layer in layers for key, value in layer.items()}
            settings |= one.get("arm settings", {}).get(name, {})
            before = {one: arms[one] for one in list(arms)[: list(arms).index(name)]}
            _require_known(f"{where}, before the arm {name!r}", "arm", [arm["after"]] if "after" in arm else [], before)
            if "after" in arm and not settings.get("template"):
                raise InvalidInput(
                    f"{where}: the arm {name!r} has no template to put the answers of {arm['after']!r} in."
                )
            yield Row(
                data_set=one["set"],
                split=one.get("split", ""),
                wording=one.get("wording", ""),
                model=model,
                arm=name,
                settings=settings,
                figures=tuple(_figures(where, plan, one, published.get(model, {}).get(name, {}))),
                base=next(iter(arms)),
                explained="explain" in arm,
                after=arm.get("after", ""),
                seeds=seeds,
                verdicts=one.get("verdicts", 1),
            )


def _figures(
    where: str, plan: Mapping[str, Any], one: Mapping[str, Any], published: Mapping[str, Any]
) -> Iterator[Figure]:
    every = [name for of in one.get("published", {}).values() for arm in of.values() for name in arm]
    every += one.get("figures", ())
    for name in dict.fromkeys(every):
        rule, _, parts = name.rpartition(": ")
        value = published.get(name, {})
        given = value if isinstance(value, dict) else {"value": value}
        _require(f"{where}, {name!r}", given, _VALUE, ())
        source = given.get("source", one.get("source", "") if given else "")
        _require_known(where, "source", [source] if source else [], plan.get("sources", {}))
        yield Figure(
            parts=tuple(parts.split(" + ")),
            rule=rule or one.get("rule", ""),
            published=given.get("value"),
            deviation=given.get("sd"),
            source=plan["sources"][source] if source else "",
        )


def _require(where: str, found: object, kinds: Mapping[str, Kind], needed: Sequence[str]) -> None:
    if not isinstance(found, dict):
        raise InvalidInput(f"{where} is no object in braces: {shortened(found)}.")
    for name, value in found.items():
        if name not in kinds:
            raise InvalidInput(f"{where} has a {shortened(name)!r}, which is not known. Known: {', '.join(kinds)}.")
        _require_kind(f"{where}: {name}", value, kinds[name])
        if name not in ("settings", "explain"):  # which the command itself reads
            _require_entries(f"{where}: an entry of {name}", value, _ENTRIES.get(name))
    for name in needed:
        if not found.get(name):
            raise InvalidInput(f"{where} has no {name!r}, which a plan needs.")


def _require_entries(where: str, found: object, kind: Kind | None = None) -> None:
    for entry in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        _require_kind(where, entry, kind or (_OBJECT if isinstance(found, dict) else _TEXT))


def _require_kind(where: str, found: object, kind: Kind) -> None:
    if not isinstance(found, kind) or isinstance(found, bool):
        raise InvalidInput(f"{where} is no {_CALLED[kind]}: {shortened(json.dumps(found))}.")


def _require_known(where: str, what: str, named: Sequence[str], known: Mapping[str, Any]) -> None:
    for name in named:
        if name not in known:
            raise InvalidInput(f"{where}: there is no {what} {shortened(name)!r}. There are {', '.join(known)}.")
