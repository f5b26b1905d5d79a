"""The ways of choosing the words of an answer. A new one is a file, and its name here; new ones come last."""

from .contrastive.avisc import AvisC
from .contrastive.base import ContrastiveDecoding
from .contrastive.m3id import M3ID
from .contrastive.vcd import VCD
from .decoding import Decoding
from .greedy_and_sample import Greedy, Sample

DECODINGS: tuple[type[Decoding], ...] = (Greedy, Sample, AvisC, VCD, M3ID)

_CONTRASTIVE = [decoding for decoding in DECODINGS if issubclass(decoding, ContrastiveDecoding)]
CONTRASTIVE = ", ".join(decoding.name for decoding in _CONTRASTIVE)
"""The names of those that read a prompt twice, for people, and what their second passes see."""
SEEN = f"{', '.join(decoding.sees for decoding in _CONTRASTIVE[:-1])}, or {_CONTRASTIVE[-1].sees}"
