"""The door of every node: what comes in is of the kinds that its schema names, or one line says what came instead.

ComfyUI's page sends nothing else. A prompt that is made by hand, or a wire that fits every socket, may bring anything.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from comfy_api.latest import io
from torch import Tensor

from ..api_core.errors import InvalidInput, quoted
from ..api_core.models.server import ServerModel
from ..api_core.overlay import Mapping as Moved
from ..api_core.results import Heatmap
from ..api_core.settings import is_number
from ..api_core.texts import clean
from . import host, sockets

Execute = TypeVar("Execute", bound=Callable[..., Any])
_CONNECT = "Connect an output of that type."


@dataclass(frozen=True)
class Kind:
    """What travels on wires of one type. called: how people call it. fits: whether a value is such a thing."""

    called: str
    fits: Callable[[Any], bool]


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _has(*parts: str) -> Callable[[Any], bool]:
    return lambda value: all(hasattr(value, part) for part in parts)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _is_number(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int | float) and is_number(value))


def _is_moved(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, Moved) for one in value)


KINDS = {
    "IMAGE": Kind("an IMAGE", _is_a(Tensor)),
    "MASK": Kind("a MASK", _is_a(Tensor)),
    "STRING": Kind("a text", _is_a(str)),
    "COMBO": Kind("one of its choices", _is_a(str)),
    "COLOR": Kind("a colour such as #808080", _is_a(str)),
    "BOOLEAN": Kind("true or false", _is_a(bool, int)),
    "INT": Kind("a whole number", _is_whole),
    "FLOAT": Kind("a finite number", _is_number),
    "BOUNDING_BOX": Kind("boxes", _is_a(Mapping, list, tuple)),
    sockets.Clip.io_type: Kind("a model of Load CLIP (Attention Prompting)", _is_a(sockets.LoadedClip)),
    sockets.Lvlm.io_type: Kind("a model of Load LVLM", _is_a(sockets.LoadedLvlm)),
    sockets.Server.io_type: Kind("a server of Connect LVLM Server", _is_a(ServerModel)),
    sockets.CoreClip.io_type: Kind("a CLIP of ComfyUI's own", _has("patcher", "tokenizer", "cond_stage_model")),
    sockets.CoreClipVision.io_type: Kind("a CLIP Vision", _has("patcher", "model", "encode_image")),
    sockets.Heatmap.io_type: Kind("a heatmap", _is_a(Heatmap)),
    sockets.Mapping.io_type: Kind("a mapping of Overlay Attention", _is_moved),
}
"""By the type of a socket or widget."""


def checked(execute: Execute) -> Execute:
    """An `execute` that gets no other kinds of values than its node's schema names, and its texts clean.

    What is optional and does not come is left out, so that it has the default of `execute`.
    """
    known: list[io.Schema] = []  # made once: those of loaders look into folders
    needed = {name for name, one in inspect.signature(execute).parameters.items() if one.default is one.empty}

    @functools.wraps(execute)
    def checked_execute(cls: Any, **given: Any) -> Any:
        if not known:
            known.append(cls.define_schema())
        check = _InputCheck(known[0].display_name.split(" (")[0], bool(known[0].is_input_list), needed)
        return execute(cls, **check.all_of(known[0].inputs, given, lambda name: host.sent(cls.hidden, name)))

    return cast(Execute, checked_execute)


@dataclass(frozen=True)
class _InputCheck:
    """node: its name. lists: whether it takes everything as a list. needed: what has no default."""

    node: str
    lists: bool
    needed: Set[str]

    def all_of(
        self, inputs: Sequence[io.Input], given: Mapping[str, Any], sent: Callable[[str], Any]
    ) -> dict[str, Any]:
        """What is given, checked. sent: what the prompt itself says for an input, None where it says nothing."""
        self._require_known(given, [one.id for one in inputs])
        found = {}
        for one in inputs:
            value = given.get(one.id)
            if getattr(one, "template", None) is not None:
                value = self._autogrow(one, value)
            elif hasattr(one, "options") and hasattr(one.options[0], "key"):
                value = self._dynamic_combo(one, value, sent(one.id))
            elif not self._is_missing(value):
                value = self._value(one.id, one, value)
            if not self._is_missing(value):
                found[one.id] = value
            elif one.id in self.needed:
                raise InvalidInput(f"{self.node} needs {one.id}, and got none. Connect it or fill it in.")
        return found

    def _is_missing(self, value: Any) -> bool:
        return value is None or (self.lists and isinstance(value, list | tuple) and [*value] == [None])

    def _require_known(self, given: Iterable[str], names: Sequence[str], within: str = "") -> None:
        for name in given:
            if name not in names:
                known = ", ".join(within + one for one in names) or "none"
                raise InvalidInput(f"{self.node} has no input {quoted(f'{within}{name}')}. It has: {known}.")

    def _autogrow(self, one: io.Input, value: Any) -> dict[str, Any] | None:
        """Sockets that appear as they are used."""
        if self._is_missing(value):
            return None
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{self.node}: {one.id} has sockets of its own, and got {quoted(value)}. {_CONNECT}")
        template = one.template
        self._require_known(value, [f"{template.prefix}{number}" for number in range(template.max)], f"{one.id}.")
        return {
            name: None if self._is_missing(inner) else self._value(f"{one.id}.{name}", template.input, inner)
            for name, inner in value.items()
        }

    def _dynamic_combo(self, one: io.Input, value: Any, sent: Any) -> dict[str, Any] | None:
        """A choice and its own settings. ComfyUI leaves all of it away where it does not know the choice."""
        options = {option.key: option.inputs for option in one.options}
        said = dict(value) if isinstance(value, Mapping) else {one.id: value}
        name = said.pop(one.id, None)
        name = (name[0] if name else None) if self.lists and isinstance(name, list | tuple) else name
        name = sent if name is None else name
        if name is None and one.optional:
            name = next(iter(options))
        if not isinstance(name, str) or name not in options:
            what = f"does not know the {one.id} {quoted(name)}" if name is not None else f"needs a {one.id}"
            raise InvalidInput(f"{self.node} {what}. Choose one of: {', '.join(options)}.")
        self._require_known(said, [inner.id for inner in options[name]], f"{one.id}.")
        checked = {
            inner.id: self._value(f"{one.id}.{inner.id}", inner, said[inner.id])
            for inner in options[name]
            if not self._is_missing(said.get(inner.id))
        }
        return {one.id: [name] if self.lists else name, **checked}

    def _value(self, name: str, one: io.Input, value: Any) -> Any:
        """The value as it goes on, or the error; of a node that takes lists, of each entry."""
        if not self.lists:
            return self._entry(name, one, value)
        if not isinstance(value, list | tuple) or not value:
            raise InvalidInput(f"{self.node}: {name} got an empty list. Connect an output that gives something.")
        return [self._entry(name, one, entry) for entry in value]

    def _entry(self, name: str, one: io.Input, value: Any) -> Any:
        types = one.get_io_type().split(",")
        if not any(KINDS[kind].fits(value) for kind in types):
            wanted = " or ".join(KINDS[kind].called for kind in types)
            raise InvalidInput(f"{self.node}: {name} takes {wanted}, not {quoted(value)}. {_advice(types)}".strip())
        if isinstance(value, str):
            return clean(value)
        return int(value) if types == ["INT"] else value


def _advice(types: Sequence[str]) -> str:
    return "" if {*types} & {"STRING", "COMBO", "COLOR", "BOOLEAN", "INT", "FLOAT"} else _CONNECT
