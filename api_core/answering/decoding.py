"""How the words of an answer are chosen: the kinds there are."""

from __future__ import annotations

from ..errors import InvalidInput
from .calibrated.avisc import AvisC
from .calibrated.calibrated import decode_calibrated
from .calibrated.m3id import M3ID
from .calibrated.vcd import VCD
from .kind import Decoding, Kind
from .plain import Greedy, Sample, decode_by_chance, decode_greedily, sample_settings

DECODINGS: tuple[Kind, ...] = (
    Kind(Greedy, decode_greedily, lambda decoding: {"temperature": 0.0}),
    Kind(Sample, decode_by_chance, sample_settings),
    Kind(AvisC, decode_calibrated, None, wants_places=True, readings=2),
    Kind(VCD, decode_calibrated, None, readings=2),
    Kind(M3ID, decode_calibrated, None, readings=2),
)


def kind_of(decoding: Decoding) -> Kind:
    """The entry of DECODINGS for these settings."""
    for kind in DECODINGS:
        if type(decoding) is kind.settings:
            return kind
    known = ", ".join(kind.settings.__name__ for kind in DECODINGS)
    raise InvalidInput(f"{type(decoding).__name__} is no way of decoding. Use one of {known}.")
