"""A request for an answer: its parameters are honoured or refused, never silently left out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

from ..answering import Decoding, Greedy, Sample
from ..errors import InvalidInput, shortened
from .read_messages import Conversation, read_messages, require_letters
from .refusal import UNSUPPORTED, Refused

MOST_DEPTH = 16
MOST_TOKENS = 1 << 17
MOST_STOPS = 16
_SEEDS = 1 << 64

_CHANGE_NOTHING = (
    "metadata", "parallel_tool_calls", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user",
)  # fmt: skip
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"],),
    "n": (1,),
    "num_beams": (1,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "use_beam_search": (False,),
}
"""Parameters that cannot be honoured, and with which values they ask for nothing."""


@dataclass(frozen=True)
class ChatRequest:
    """What is asked for. None: the client left it to the server. max_new_tokens: of the answer. stop: what ends it, and
    is no part of it. logprobs: of the answer's tokens too. stream: piece by piece. with_usage: of a stream, also how
    many tokens there were."""

    model: str
    conversation: Conversation
    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    stream: bool = False
    with_usage: bool = False

    def decoding(self, usual: Decoding) -> Decoding:
        """How the answer's words are chosen: as usual, but for what the client says. Refused for what cannot be."""
        said = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "seed")}
        said = {name: value for name, value in said.items() if value is not None}
        if isinstance(usual, Greedy | Sample):
            warm = said.get("temperature", usual.temperature if isinstance(usual, Sample) else 0)
            if not warm:
                return Greedy()
            usual = usual if isinstance(usual, Sample) else Sample(warm, top_p=1.0)
        known = {field.name for field in fields(usual)}
        try:
            return replace(usual, **{name: value for name, value in said.items() if name in known})
        except InvalidInput as error:
            named = next((name for name in said if name in str(error)), None)
            raise Refused(str(error), named) from None


def read_request(body: bytes) -> ChatRequest:
    """The request in a body of JSON. Refused for what is wrong with it, or cannot be done."""
    given = _parsed(body)
    for name, value in given.items():
        if name not in _KNOWN and name not in _CHANGE_NOTHING and name not in _NEUTRAL:
            raise Refused(f"There is no parameter {shortened(name)!r} here.", shortened(name), code="unknown_parameter")
        if name in _NEUTRAL and value is not None and not any(_same(value, neutral) for neutral in _NEUTRAL[name]):
            raise Refused(
                f"{name} cannot be honoured here; leave it out, or at {json.dumps(_NEUTRAL[name][0])}.",
                name,
                code=UNSUPPORTED,
            )
    settings = {name: read(given[name], name) for name, read in _READERS.items() if given.get(name) is not None}
    limits = {settings.pop(name) for name in ("max_tokens", "max_completion_tokens") if name in settings}
    if len(limits) > 1:
        raise Refused("max_tokens and max_completion_tokens say different things.", "max_completion_tokens")
    for other in ("stream", "stop"):
        if settings.get("logprobs") and settings.get(other):
            raise Refused(f"logprobs go with whole answers only, not with {other}.", "logprobs", code=UNSUPPORTED)
    model = given.get("model")
    if not isinstance(model, str):
        raise Refused("model must be the name of a model, such as /v1/models lists.", "model")
    return ChatRequest(
        model,
        read_messages(given.get("messages")),
        max_new_tokens=next(iter(limits), None),
        with_usage=settings.pop("stream_options", False),
        **settings,
    )


def _parsed(body: bytes) -> dict[str, Any]:
    def refuse(what: str) -> NoReturn:
        raise Refused(f"The body holds {what}, which is no JSON.")

    try:
        found = json.loads(body.decode(), parse_constant=refuse)
    except RecursionError:
        raise Refused(f"The body is nested deeper than {MOST_DEPTH} levels.") from None
    except UnicodeDecodeError:
        raise Refused("The body is not UTF-8.") from None
    except ValueError as error:
        raise Refused(f"The body is no JSON: {shortened(error)}.") from None
    if not isinstance(found, dict):
        raise Refused("The body must be a JSON object.")
    level: list[Any] = [found]
    for _ in range(MOST_DEPTH):
        level = [child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent)]
        level = [child for child in level if isinstance(child, dict | list)]
    if level:
        raise Refused(f"The body is nested deeper than {MOST_DEPTH} levels.")
    return found


def _same(value: Any, neutral: Any) -> bool:
    return bool(value == neutral) and isinstance(value, bool) == isinstance(neutral, bool)


def _number(low: float, high: float = math.inf, whole: bool = False) -> Callable[[Any, str], Any]:
    def read(value: Any, name: str) -> Any:
        kinds = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high or value == math.inf:
            top = "or more" if high == math.inf else f"to {high}"
            raise Refused(
                f"{name} must be a {'whole ' if whole else ''}number, {low} {top}, not {shortened(value)}.", name
            )
        return value

    return read


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{name} must be true or false, not {shortened(value)}.", name)
    return value


def _top_k(value: Any, name: str) -> int:
    """Some engines say -1 for all, and we 0."""
    return max(0, int(_number(-1, 1 << 31, whole=True)(value, name)))


def _stops(value: Any, name: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MOST_STOPS or not all(isinstance(one, str) for one in listed):
        raise Refused(f"{name} must be a text, or a list of at most {MOST_STOPS}.", name)
    if not all(listed):
        raise Refused(f"{name} holds an empty text, which would end every answer at once.", name)
    return tuple(require_letters(one, name) for one in listed)


def _with_usage(value: Any, name: str) -> bool:
    unknown = sorted(set(value) - {"include_usage", "include_obfuscation"}) if isinstance(value, dict) else [value]
    if unknown:
        raise Refused(f"{name} can say include_usage, not {shortened(unknown[0])}.", name)
    return _flag(value.get("include_usage") or False, f"{name}.include_usage")


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "max_tokens": _number(1, MOST_TOKENS, whole=True),
    "max_completion_tokens": _number(1, MOST_TOKENS, whole=True),
    "temperature": _number(0, 100),
    "top_p": _number(0, 1),
    "top_k": _top_k,
    "seed": _number(0, _SEEDS - 1, whole=True),
    "stop": _stops,
    "logprobs": _flag,
    "stream": _flag,
    "stream_options": _with_usage,
}
_KNOWN = {"model", "messages", *_READERS}
