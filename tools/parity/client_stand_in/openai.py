"""Stands in for the client library that LLaVA-Bench's program asks: the judge is a function; requests are kept."""

import json
import os
import sys
from types import SimpleNamespace

sys.path.append(os.environ["ROOT"])

from tools.parity import made_texts

error = SimpleNamespace(RateLimitError=type("RateLimitError", (Exception,), {}))


class ChatCompletion:
    @staticmethod
    def create(model: str, messages: list, temperature: float, max_tokens: int) -> dict:
        texts = [message["content"] for message in messages]
        entry = {"model": model, "texts": texts, "temperature": temperature, "max_tokens": max_tokens}
        with open(os.environ["ASKED"], "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        asked = json.dumps([texts, temperature])
        return {"choices": [{"message": {"content": made_texts.review_for(asked)}}]}
