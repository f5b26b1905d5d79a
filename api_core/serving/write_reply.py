"""What goes back to a client, in the form of OpenAI's interface."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from .request_queue import Finished

OWN = "attention_prompting"
"""The field that is not OpenAI's: which picture the answer is to, and what there is to know about it."""


@dataclass(frozen=True)
class Reply:
    """Writes one answer, whole or in the chunks of a stream."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, done: Finished) -> dict[str, Any]:
        """The answer in one piece."""
        message: dict[str, Any] = {"role": "assistant", "content": done.text, "refusal": None}
        message |= {"reasoning_content": done.thinking} if done.thinking else {}
        choice = {"index": 0, "message": message, "logprobs": _told(done), "finish_reason": _finish(done)}
        return {**self._named("chat.completion"), "choices": [choice], "usage": usage(done), OWN: done.about}

    def begin(self) -> dict[str, Any]:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def grow(self, thinking: str, text: str) -> dict[str, Any]:
        """What is new."""
        delta = {name: new for name, new in (("reasoning_content", thinking), ("content", text)) if new}
        return self._chunk(delta)

    def end(self, done: Finished) -> dict[str, Any]:
        """The last chunk with a choice."""
        return self._chunk({}, _finish(done)) | {OWN: done.about}

    def count(self, done: Finished) -> dict[str, Any]:
        """The chunk with the tokens."""
        return {**self._named("chat.completion.chunk"), "choices": [], "usage": usage(done)}

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._named("chat.completion.chunk"), "choices": [choice]}

    def _named(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage(done: Finished) -> dict[str, int] | None:
    """How many tokens there were; None where a server did not count them."""
    if done.tokens is None:
        return None
    read, written = done.tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def listed_model(name: str, created: int) -> dict[str, Any]:
    """A model as the list of them has it."""
    return {"id": name, "object": "model", "created": created, "owned_by": "attention-prompting"}


def _finish(done: Finished) -> str:
    return "stop" if done.complete else "length"


def _told(done: Finished) -> dict[str, Any] | None:
    """The tokens and their log-probabilities, where they were asked for."""
    if not done.spelled:
        return None
    listed = [
        {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}
        for text, logprob in done.spelled
    ]
    return {"content": listed, "refusal": None}
