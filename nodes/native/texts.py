"""Text and tokens of ComfyUI's encoders: which tokens are no text, what a prompt with pictures becomes, and back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...api_core.errors import UnsupportedModel
from ...api_core.models.conversation.reply import marks_thinking
from ...api_core.models.conversation.token_text import IncrementalDecoder

PICTURE = -1
"""Stands for every image token in a row of ids."""
EMBEDDING = "embedding:"
"""With what ComfyUI's tokenisers begin the name of a file of embeddings, wherever it stands in a text."""

Entry = tuple[Any, ...]
"""A token and its weight; of a picture a dictionary in the token's place."""


class Texts:
    """The tokeniser of a CLIP."""

    def __init__(self, clip: Any) -> None:
        self._clip = clip
        outer = clip.tokenizer
        self.outer = getattr(outer, str(getattr(outer, "clip", "")), outer)
        self._inner = self.outer.tokenizer
        sized = getattr(getattr(self._inner, "tokenizer", None), "get_piece_size", None)
        self._end = sys.maxsize if sized is None else int(sized())
        """Where the texts of tokens end: a model may have more tokens, and SentencePiece fails on those."""
        self.special = special_tokens(self._inner)
        """The marks that are read as commands, and their ids."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, special ones included: what `IncrementalDecoder` wants of a tokeniser."""
        known = [token for token in ids if token != PICTURE and token < self._end]
        return str(self._inner.decode(known, skip_special_tokens=False)) if known else ""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without any template."""
        return [int(token) for token in self._inner(text)["input_ids"]]

    def incremental_decoder(self, ends: frozenset[int]) -> IncrementalDecoder:
        """What spells tokens out as they come; marks of thinking are left in."""
        literal = {token: text for text, token in self.special.items() if marks_thinking(text)}
        return IncrementalDecoder(self, self.skipped | ends, literal)

    @property
    def skipped(self) -> frozenset[int]:
        """The tokens that are no text."""
        return frozenset(self.special.values()) | {PICTURE}

    def escape(self, text: str) -> str:
        """A person's text with a blank inside everything that would be read as a command."""
        while present := [mark for mark in (*self.special, EMBEDDING) if len(mark) > 1 and mark in text]:
            for mark in present:
                text = text.replace(mark, f"{mark[:-1]} {mark[-1]}" if mark == EMBEDDING else f"{mark[0]} {mark[1:]}")
        return text

    def tokenise(self, text: str, pictures: Sequence[Tensor] = ()) -> list[Entry]:
        """A prompt as ComfyUI tokenises it, each picture [H, W, 3] in the place of its mark, without padding before.

        Not every tokeniser takes several pictures, or ones of several sizes, so each is given alone, which tells the
        mark and what becomes of the picture. One that puts pictures where it wants is given all at once.
        """
        row = self._row(self._clip.tokenize(text, min_length=1))
        if not pictures:
            return row
        entries = [self.picture_entry(text, picture) for picture in pictures]
        mark = _mark(row, entries[0][0])
        if mark is None:
            row = self._row(self._clip.tokenize(text, images=[picture[None] for picture in pictures], min_length=1))
        found = [isinstance(token, dict) if mark is None else token == mark for token, *_ in row]
        marks = [at for at, here in enumerate(found) if here]
        if len(marks) != len(pictures):
            raise UnsupportedModel(
                f"{type(self.outer).__name__} made {len(marks)} places for {len(pictures)} pictures. Ask about one "
                "picture, or use Load LVLM."
            )
        for at, (_, entry) in zip(marks, entries, strict=True):
            row[at] = (entry, *row[at][1:])
        return row

    def picture_entry(self, text: str, picture: Tensor) -> tuple[list[Entry], dict[str, Any]]:
        """The row of a prompt whose first picture is this one, and what stands in the row for it."""
        shown = picture[None]
        row = self._row(self._clip.tokenize(text, images=[shown], image=shown, min_length=1))
        found = next((entry[0] for entry in row if isinstance(entry[0], dict)), None)
        if found is None or found.get("type") != "image":
            raise UnsupportedModel(
                f"{type(self.outer).__name__} puts no picture into a prompt. Load the file with type stable_diffusion "
                "(Qwen2.5-VL: qwen_image), or use Load LVLM."
            )
        return row, found

    def for_core(self, row: Sequence[Entry]) -> Any:
        """A row as `clip.generate` and `clip.encode_from_tokens` take it, its pictures unused."""
        fresh = [(dict(entry[0]), *entry[1:]) if isinstance(entry[0], dict) else entry for entry in row]
        made = self._clip.tokenize("x", min_length=1)
        return {next(iter(made)): [fresh]} if isinstance(made, dict) else [fresh]

    def _row(self, tokens: Any) -> list[Entry]:
        """The one row of what a tokeniser gives; some fill it up on the left to a thousand tokens, which an encoder
        that answers would attend to."""
        batch = next(iter(tokens.values())) if isinstance(tokens, dict) else tokens
        row = list(batch[0])
        pad = getattr(self.outer, "pad_token", None)
        if getattr(self.outer, "pad_left", False):
            while row and isinstance(row[0][0], int) and row[0][0] == pad:
                row.pop(0)
        return row


def _mark(row: Sequence[Entry], with_picture: Sequence[Entry]) -> int | None:
    """The token in whose place a picture came; None where more than that changed."""
    pairs = list(zip(row, with_picture, strict=False))
    changed = [(before[0], after[0]) for before, after in pairs if before[0] != after[0]]
    if len(row) != len(with_picture) or len(changed) != 1 or not isinstance(changed[0][0], int):
        return None
    return changed[0][0]


def special_tokens(inner: Any) -> dict[str, int]:
    """The marks of a tokeniser that are no text, however it tells them."""
    found: dict[str, int] = dict(getattr(inner, "special_tokens", None) or {})
    nested: Any = getattr(inner, "tokenizer", None)
    if hasattr(nested, "get_added_tokens_decoder"):  # the tokenizers library
        added = nested.get_added_tokens_decoder()
        found |= {str(token.content): int(number) for number, token in added.items() if token.special}
    elif hasattr(nested, "id_to_piece"):  # SentencePiece
        for number in range(nested.get_piece_size()):
            text = nested.id_to_piece(number)
            if nested.is_control(number) or nested.is_unused(number) or text in _MARKS or text.startswith("<unused"):
                found[text] = number
    for number, token in getattr(inner, "added_tokens_decoder", {}).items():  # transformers
        if token.special:
            found[str(token)] = int(number)
    return found


_MARKS = ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>", "<mask>")
"""Of Gemma: SentencePiece holds them to be text, as it does the tags of HTML."""


def without_inference(values: Tensor) -> Tensor:
    """An ordinary tensor on the CPU: what leaves a host's inference mode."""
    with torch.inference_mode(False):
        return values.detach().to("cpu", torch.float32).clone()
