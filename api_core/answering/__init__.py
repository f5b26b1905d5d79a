"""Asking a vision-language model: templates, decoding, and `ask` for local models and for servers alike."""

from .answer import Answer
from .ask import ask
from .calibrated.avisc import AvisC
from .calibrated.m3id import M3ID
from .calibrated.vcd import VCD
from .decoding import DECODINGS
from .difference import Difference, Piece, difference
from .kind import Decoding
from .plain import Greedy, Sample
from .templates import PLACES, TEMPLATES, Template, find_template

__all__ = [
    "DECODINGS",
    "M3ID",
    "PLACES",
    "TEMPLATES",
    "VCD",
    "Answer",
    "AvisC",
    "Decoding",
    "Difference",
    "Greedy",
    "Piece",
    "Sample",
    "Template",
    "ask",
    "difference",
    "find_template",
]
