"""Is it a yes or a no? As official programs read an answer, faults and all, and as it is read here."""

from __future__ import annotations

from collections.abc import Callable

from ...scorers.answers import normalise

YesNo = Callable[[str], str]
"""Gives "yes", "no", or "" for an answer that is neither."""


def first_four(text: str) -> str:
    """MME's: yes or no in lower case, sought in the first four characters, yes first ("know" is a no)."""
    said = text.lower()
    return said if said in ("yes", "no") else next((word for word in ("yes", "no") if word in said[:4]), "")


def pope(text: str) -> str:
    """POPE's, in LLaVA's copy: before the first full stop one of the words No, not, no is a no, all else a yes."""
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def exactly(text: str) -> str:
    """AMBER's: Yes or No to the letter, all else neither."""
    return {"Yes": "yes", "No": "no"}.get(text, "")


def avisc(text: str) -> str:
    """AvisC's: anywhere one of No, not, no, NO, or a word that ends in n't, is a no, all else a yes."""
    words = text.replace(".", "").replace(",", "").split(" ")
    return "no" if {"No", "not", "no", "NO"} & set(words) or any(word.endswith("n't") for word in words) else "yes"


def vcd(text: str, truth: str) -> str:
    """VCD's, which knows the truth: an answer that has it anywhere, in any case and inside any word, says it; all else
    says the opposite ("I know" is a no where no is true, and a no where yes is)."""
    return truth if truth in text.lower() else {"yes": "no", "no": "yes"}[truth]


def first_word(text: str) -> str:
    """Ours: the first yes or no among the words, in any case and with any punctuation; else neither."""
    return next((word for word in normalise(text).split() if word in ("yes", "no")), "")
