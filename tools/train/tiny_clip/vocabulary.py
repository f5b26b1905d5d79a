"""The tokenizer's merges: byte-pair merges, in open_clip's file format, that keep every word of the scenes whole.

Any other word is still spelled in pieces or bytes. The vocabulary is then 512 byte symbols, the merges, start, end.
"""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import open_clip

from ..texts import vocabulary
from .network import CONTEXT


def find_merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Classic byte-pair training (the most frequent pair first) until each word is one symbol."""
    spelled = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in spelled.values() for pair in pairwise(parts))
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = {word: _merge(parts, best) for word, parts in spelled.items()}


def _merge(parts: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


def write_merges(path: Path) -> int:
    """Write merges.txt.gz and return the vocabulary's size."""
    merges = find_merges(vocabulary())
    text = "\n".join(["#version: scenes of coloured shapes", *(" ".join(pair) for pair in merges)])
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return 512 + len(merges) + 2


def open_tokenizer(path: Path) -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer(bpe_path=str(path), context_length=CONTEXT)
