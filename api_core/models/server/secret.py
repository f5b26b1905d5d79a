"""A key that does not show itself."""

from __future__ import annotations

from typing import Any, NoReturn

from ...errors import InvalidInput

HIDDEN = "[key]"
_SHORTEST_HIDDEN = 8  # shorter ones are the words that servers without keys are given: EMPTY, none, ollama


class Secret:
    """A key. Printing, formatting, comparing with text or pickling it never gives the key away; `reveal` does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        text = text.strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise InvalidInput(
                "The key is empty or holds a space, a line break or a letter that no key has. Copy it again."
            )
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(type(self))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memory: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key cannot be pickled. Connect to the server again where it is needed.")


def redact(text: str, secret: Secret | None) -> str:
    """`text` with every occurrence of the key taken out, if there is one."""
    if secret is None or len(secret.reveal()) < _SHORTEST_HIDDEN:
        return text
    return text.replace(secret.reveal(), HIDDEN)
