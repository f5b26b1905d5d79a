"""The messages of a request: texts, and pictures that are part of it. Nothing is fetched, and no file is read."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from PIL import Image
from torch import Tensor

from ..errors import InvalidInput, shortened
from ..models.conversation.case import Case, Turn
from ..pictures import flatten_alpha, read_picture
from .refusal import Refused

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_MESSAGES = 1000
MOST_PICTURES = 100
MOST_LETTERS = 400_000
_MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 1 << 26
"""Of all pictures of a request: from here on Pillow warns of files that are made to fill the memory."""
_DATA_URL = re.compile(r"data:(?:image/[\w.+-]+)?(?:;[\w-]+=[\w.-]+)*;base64,", re.IGNORECASE)
_SYSTEM = ("system", "developer")
_TALKS = ("user", "assistant")
_DETAILS = ("auto", "low", "high")


@dataclass(frozen=True)
class Message:
    """One message: its texts and pictures [H, W, 3], in order."""

    role: Literal["user", "assistant"]
    parts: tuple[str | Tensor, ...]


@dataclass(frozen=True)
class Conversation:
    """What was said: the system's text, and the turns, of which the last is the user's and holds a text."""

    system: str
    turns: tuple[Message, ...]

    @property
    def asked(self) -> str:
        """All texts of the last turn, in one."""
        return " ".join(part for part in self.turns[-1].parts if isinstance(part, str))

    @property
    def text(self) -> str:
        """All that is said."""
        parts = (part for turn in self.turns for part in turn.parts)
        return "\n".join([self.system, *(part for part in parts if isinstance(part, str))])

    @property
    def picture(self) -> Tensor | None:
        """The first picture of the last turn."""
        return next((part for part in self.turns[-1].parts if isinstance(part, Tensor)), None)

    def showing(self, shown: Sequence[Tensor]) -> Conversation:
        """With other pictures in the place of `picture`."""
        *before, last = self.turns
        at = next(index for index, part in enumerate(last.parts) if isinstance(part, Tensor))
        changed = Message(last.role, (*last.parts[:at], *shown, *last.parts[at + 1 :]))
        return Conversation(self.system, (*before, changed))

    def case(self) -> Case:
        """For a model. A turn with one text shows its pictures before it, as all do that are asked here."""
        pictures = [part for turn in self.turns for part in turn.parts if isinstance(part, Tensor)]
        turns = tuple(_turn(message) for message in self.turns)
        question = [part for part in turns[-1].parts if part is not None][-1]
        plain = len(turns) == 1 and all(part is None for part in turns[0].parts[:-1])
        return Case(tuple(pictures), question, self.system, turns=() if plain else turns)


def _turn(message: Message) -> Turn:
    parts: list[str | None] = []
    for part in message.parts:
        if isinstance(part, str) and parts and parts[-1] is not None:
            parts[-1] = f"{parts[-1]}\n{part}"
        else:
            parts.append(part if isinstance(part, str) else None)
    texts = [part for part in parts if part is not None]
    return Turn(message.role, tuple(sorted(parts, key=lambda part: part is not None) if len(texts) == 1 else parts))


def read_messages(messages: Any) -> Conversation:
    """The conversation in a request's `messages`. Refused for what is none, and for what cannot be shown to a model."""
    if not isinstance(messages, list) or not messages:
        raise Refused("messages must be a list of at least one message.", "messages")
    if len(messages) > MOST_MESSAGES:
        raise Refused(f"There are {len(messages)} messages; at most {MOST_MESSAGES} are read.", "messages")
    system: list[str] = []
    turns: list[Message] = []
    reader = _Reader()
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise Refused("A message must be an object with role and content.", where)
        role = message.get("role")
        if role in _SYSTEM and not turns:
            system += [part for part in reader.parts(message, where, pictures=False) if isinstance(part, str)]
        elif role in _SYSTEM:
            raise Refused(f"A {role} message must come before the others.", f"{where}.role")
        elif role in _TALKS:
            talks = cast(Literal["user", "assistant"], role)
            turns.append(Message(talks, tuple(reader.parts(message, where, pictures=role == "user"))))
        else:
            raise Refused(f"There is no role {shortened(role)!r} here: system, user or assistant.", f"{where}.role")
    if not turns or turns[-1].role != "user":
        raise Refused("The last message must be the user's: it asks the question.", "messages")
    conversation = Conversation("\n\n".join(system), tuple(turns))
    if not conversation.asked.strip():
        raise Refused("The last message has no text. Say what you want to know.", f"messages[{len(messages) - 1}]")
    return conversation


class _Reader:
    """Reads messages, and counts what there is of all of them together."""

    def __init__(self) -> None:
        self._letters = 0
        self._pictures = 0
        self._pixels = 0

    def parts(self, message: Mapping[str, Any], where: str, pictures: bool) -> list[str | Tensor]:
        """What a message says and shows, in order; empty texts left out."""
        for name in ("tool_calls", "function_call", "audio"):
            if message.get(name):
                raise Refused(f"A message's {name} cannot be shown to the model.", f"{where}.{name}")
        content, where = message.get("content"), f"{where}.content"
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list):
            raise Refused("A message's content must be a text, or a list of texts and pictures.", where)
        found = [self._part(part, f"{where}[{number}]", pictures) for number, part in enumerate(content)]
        said = [part for part in found if not isinstance(part, str) or part.strip()]
        if not said:
            raise Refused("A message's content is empty.", where)
        return said

    def _part(self, part: Any, where: str, pictures: bool) -> str | Tensor:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            return self._text(part.get("text"), where)
        if kind == "image_url" and pictures:
            return self._picture(part.get("image_url"), f"{where}.image_url")
        if kind == "image_url":
            raise Refused("Only a user's message can hold a picture.", where)
        raise Refused(f"A part of the type {shortened(kind)!r} cannot be read: text or image_url.", where)

    def _text(self, text: Any, where: str) -> str:
        if not isinstance(text, str):
            raise Refused("A text must be a string.", where)
        self._letters += len(text)
        if self._letters > MOST_LETTERS:
            raise Refused(
                f"The messages are longer than {MOST_LETTERS} letters.", where, code="string_above_max_length"
            )
        return require_letters(text, where)

    def _picture(self, picture: Any, where: str) -> Tensor:
        address = picture.get("url") if isinstance(picture, dict) else None
        if not isinstance(address, str):
            raise Refused("A picture must be an object with a url.", where)
        if picture.get("detail", "auto") not in (None, *_DETAILS):
            raise Refused(f"A picture's detail must be one of {', '.join(_DETAILS)}.", f"{where}.detail")
        found = _DATA_URL.match(address)
        if found is None:
            raise Refused(
                f"No address is fetched and no file is read, so {shortened(address, 40)!r} is not. Send the picture "
                "itself: data:image/png;base64,…",
                f"{where}.url",
                code="invalid_image_url",
            )
        self._pictures += 1
        if self._pictures > MOST_PICTURES:
            raise Refused(f"There are more than {MOST_PICTURES} pictures.", where)
        try:
            data = base64.b64decode(address[found.end() :].strip(), validate=True)
            read = flatten_alpha(read_picture(data, FORMATS, _MOST_PIXELS - self._pixels))
        except (binascii.Error, ValueError) as error:
            why = str(error) if isinstance(error, InvalidInput) else "The picture is not in base64."
            raise Refused(why, f"{where}.url", code="invalid_image") from None
        self._pixels += read.shape[0] * read.shape[1]
        return read


def require_letters(text: str, where: str) -> str:
    """A text, if it can be written down; Refused for halves of letters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("A text holds half a letter (a lone surrogate).", where) from None
    return text
