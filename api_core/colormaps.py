"""Colours for values from 0 to 1, as data: evenly spaced anchors with straight lines between them.

viridis, magma, inferno: S. van der Walt and N. Smith, 2015 (CC0). turbo: A. Mikhailov, Google, 2019 (Apache-2.0).
coldhot is for signed maps: black in the middle, cold below, hot above.

torch is imported where a table is made, not where one is chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import InvalidInput, quoted

if TYPE_CHECKING:
    from torch import Tensor

_ANCHORS = {
    "viridis": """
        440154 470d60 48186a 482374 472d7b 453681 424086 3f4989 3b528b 375a8d 33638d 2f6a8e
        2c728e 297a8e 26818e 23898e 21908c 1f988b 1f9f88 21a685 28ae80 31b57b 3ebc74 4cc26c
        5dc963 6ece58 82d34c 96d83f abdc32 c0df24 d5e21a eae51a fde725
    """,
    "magma": """
        000004 030311 0a0822 130d33 1d1146 28115a 36106a 430f76 50127c 5d177f 691c81 762181
        822681 8f2a81 9c2e7f a9327d b63779 c33b75 cf4170 db486a e65163 ee5c5e f5695c f9785d
        fb8761 fd9668 fea571 feb47b fec387 fed194 fde0a2 fceeb0 fcfdbf
    """,
    "inferno": """
        000004 040312 0b0724 150b37 210c4a 2e0a5a 3c0965 4a0c6b 57106d 63146e 70196e 7d1e6d
        89226a 962766 a32b61 af315c bb3755 c63e4d d14644 db4f3b e35932 eb6528 f1711e f67f14
        f98d0a fb9c06 fcab0f fbba1f f9ca32 f5d949 f2e865 f3f586 fcffa4
    """,
    "turbo": """
        30123b 392a73 4040a1 4456c7 466be3 467ff6 4293ff 37a7fa 29bbec 1dcdd8 18dcc3 1ee8b0
        31f299 4cf97e 6bfd64 8aff4d a3fd3c b8f735 cced34 dee037 edd03a f8c03a fdae35 fe982c
        fb8022 f56817 ec520f e04009 d23105 c02302 ac1701 950d01 7a0403
    """,
    "jet": "000080 0000ff 0080ff 00ffff 80ff80 ffff00 ff8000 ff0000 800000",
    "coldhot": "00ffff 0080ff 0000ff 000080 000000 800000 ff0000 ff8000 ffff00",
}
COLORMAPS: tuple[str, ...] = tuple(_ANCHORS)
_STEPS = 1024


def colormap(name: str) -> Tensor:
    """The table of a colour map: float32 [1025, 3], 0..1, evenly spaced from value 0 to value 1."""
    import torch

    anchors = _ANCHORS[require_colormap(name)]
    colors = torch.tensor([list(bytes.fromhex(code)) for code in anchors.split()], dtype=torch.float32) / 255
    position = torch.linspace(0, len(colors) - 1, _STEPS + 1)
    below = position.long().clamp(max=len(colors) - 2)
    return torch.lerp(colors[below], colors[below + 1], (position - below).unsqueeze(1))


def require_colormap(name: str) -> str:
    """The name as `COLORMAPS` has it; raises InvalidInput for any other."""
    known = str(name).strip().lower()
    if known not in _ANCHORS:
        raise InvalidInput(f"There is no colour map {quoted(name)}. Choose one of {', '.join(COLORMAPS)}.")
    return known


def colorize(values: Tensor, table: Tensor) -> Tensor:
    """Colours [..., 3] for `values` [...] between 0 and 1 (others are clipped), from a `colormap` table."""
    return table[values.clamp(0, 1).mul_(len(table) - 1).add_(0.5).long()]
