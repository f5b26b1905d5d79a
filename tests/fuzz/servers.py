"""Servers that a prompt may be sent to: an honest one, one where nobody listens, and what a broken one may say."""

import json
from typing import Any

from hypothesis import strategies as st
from pack.api_core.models.server import Limits, Profile, ServerModel
from pack.tests.fuzz.values import FRACTIONS, NUMBERS, SAID, weighted
from pack.tests.servers.chat_server import MODEL_NAME
from pack.tests.servers.process import ServerProcess

HASTY = Limits(connect=1, first_token=2.0, between_tokens=1.0, retries=0, first_wait=0.01, longest_wait=0.1)
NOBODY = "http://127.0.0.1:9"


class Told(ServerModel):
    """A server that is told, before it is asked, how to answer every request of an example."""

    def __init__(self, server: ServerProcess, fault: dict[str, Any]) -> None:
        super().__init__(Profile("a", server.address), MODEL_NAME, limits=HASTY)
        self.server, self.fault = server, fault

    def __repr__(self) -> str:
        return f"Told({self.fault})"

    def prepare(self) -> None:
        self.server.misbehave(*[self.fault] * 12)


def nobody() -> ServerModel:
    return ServerModel(Profile("a", NOBODY), "m", limits=HASTY)


def server_models(server: ServerProcess) -> st.SearchStrategy[ServerModel]:
    """Most answer as they should."""
    return weighted((2, honest()), (1, broken())).map(lambda fault: Told(server, fault))


def honest() -> st.SearchStrategy[dict[str, Any]]:
    """An answer in pieces or whole, with how likely its words are."""
    kinds = {"kind": st.sampled_from(["none", "none", "whole"]), "text": st.sampled_from([*SAID[:3], *SAID[7:13]])}
    more = {"finish": st.sampled_from(["length", "stop", "content_filter", ""])}
    return st.builds(_spelled, st.fixed_dictionaries(kinds, optional=more), st.floats(-9, 0))


def _spelled(answer: dict[str, Any], likely: float) -> dict[str, Any]:
    """An answer with its words told one by one."""
    words = answer["text"].replace(" ", " |").split("|")
    return {**answer, "logprobs": [{"token": word, "logprob": likely, "bytes": None} for word in words]}


def broken() -> st.SearchStrategy[dict[str, Any]]:
    """What no server should say: events of any JSON, errors, an answer that breaks off."""
    said = st.sampled_from(SAID)
    values = st.recursive(
        st.none() | st.booleans() | st.sampled_from([*NUMBERS, *FRACTIONS]) | said,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
        max_leaves=8,
    )
    choices = st.lists(values | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, values)), max_size=2)
    events = st.lists(values | st.fixed_dictionaries({"choices": choices}), max_size=4)
    wire = events.map(lambda found: {"kind": "wire", "body": "".join(f"data: {json.dumps(one)}\n\n" for one in found)})
    status = st.builds(
        lambda number, body, wait: {"kind": "status", "status": number, "body": body, "headers": {"Retry-After": wait}},
        st.sampled_from([200, 204, 302, 400, 401, 404, 413, 422, 429, 500, 503, 599]),
        values,
        st.sampled_from(["0", "-1", "nan", "x", "1e400"]),
    )
    odd = st.lists(st.builds(_entry, values), max_size=3) | st.lists(values, max_size=3)
    logprobs = st.builds(lambda found: {"kind": "whole", "text": "red", "logprobs": found}, odd)
    ends = st.sampled_from(["drop", "empty", "cut", "ends early", "error"]).map(lambda kind: {"kind": kind, "after": 1})
    return weighted((2, wire), (1, status), (1, logprobs), (1, ends))


NAMES = ("choices", "delta", "message", "content", "text", "index", "finish_reason", "logprobs", "error", "usage")


def _entry(likely: Any) -> dict[str, Any]:
    return {"token": "red", "logprob": likely, "bytes": None}
