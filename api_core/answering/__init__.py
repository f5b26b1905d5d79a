"""Asking a vision-language model: templates, decoding, and `ask` for local models and for servers alike."""

from typing import TYPE_CHECKING

from ..lazy import lazy
from .contrastive.avisc import AvisC
from .contrastive.m3id import M3ID
from .contrastive.vcd import VCD
from .decoding import Decoding
from .decodings import DECODINGS
from .differences import Difference, Piece, difference
from .greedy_and_sample import Greedy, Sample
from .templates import PLACES, TEMPLATES, Template, find_template

if TYPE_CHECKING:
    from .asking import Answer, ask
    from .surest import SurestAnswer, ask_surest

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
    "SurestAnswer",
    "Template",
    "ask",
    "ask_surest",
    "difference",
    "find_template",
]

__getattr__, __dir__ = lazy(
    __name__, {"Answer": "asking", "ask": "asking", "SurestAnswer": "surest", "ask_surest": "surest"}
)
