"""The ways of choosing the words of an answer. A new one is a file, and its name here; new ones come last."""

from .contrastive.avisc import AvisC
from .contrastive.m3id import M3ID
from .contrastive.vcd import VCD
from .decoding import Decoding
from .greedy_and_sample import Greedy, Sample

DECODINGS: tuple[type[Decoding], ...] = (Greedy, Sample, AvisC, VCD, M3ID)
