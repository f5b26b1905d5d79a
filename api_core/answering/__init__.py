"""Asking a vision-language model: templates, decoding, and `ask` for local models and for servers alike."""

from .answer import Answer
from .ask import ask
from .decoding import DECODINGS, Decoding, Greedy, Sample
from .templates import PLACES, TEMPLATES, Template, find_template

__all__ = [
    "DECODINGS",
    "PLACES",
    "TEMPLATES",
    "Answer",
    "Decoding",
    "Greedy",
    "Sample",
    "Template",
    "ask",
    "find_template",
]
