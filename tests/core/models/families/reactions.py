"""Which pixels of a picture each image token reacts to, found by changing pixels, without any geometry.

The vision towers of a model are made local first: what attention and overlapping convolutions carry from patch to
patch is taken out, so that a token's features depend on its own patches alone. Then the picture is changed stripe by
stripe, goes through the model's whole processor and tower, and the vectors that enter the decoder are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.inputs.processor import to_pil_rgb
from torch import Tensor, nn

STRIPES = 24
_OUTPUTS = ("out_proj", "o_proj", "proj", "projection", "projection_layer")
_CHANGE = (0.3, -0.25, 0.2)


class _ReachedDecoder(Exception):
    """The vectors that enter the decoder are known; nothing behind it is needed."""


@dataclass(frozen=True)
class Reactions:
    """How strongly each token of a row reacts to each stripe: across [S, STRIPES] from left to right, and down.

    Each token's strongest reaction is 1 in both, tokens that react to nothing have zeros. size: (H, W) of the picture.
    """

    across: Tensor
    down: Tensor
    size: tuple[int, int]

    def centers(self) -> Tensor:
        """The middle of what each token reacts to, in pixels: [S, 2] as x, y; NaN where it reacts to nothing."""
        found = []
        for profile, length in ((self.across, self.size[1]), (self.down, self.size[0])):
            borders = torch.tensor(edges(length), dtype=torch.float32)
            middles = (borders[1:] + borders[:-1]) / 2
            found.append((profile * middles).sum(1) / profile.sum(1))
        return torch.stack(found, 1)


def make_local(module: nn.Module) -> None:
    """Take out of the vision towers what carries one patch's content to another; weights are changed in place."""
    with torch.no_grad():
        for name, part in module.named_modules():
            if "vis" not in name:
                continue
            owner, _, last = name.rpartition(".")
            if last in _OUTPUTS and owner.rpartition(".")[2] in ("attn", "self_attn", "attention"):
                for parameter in part.parameters():
                    parameter.zero_()
            elif isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
                # Of a step of one only the middle is kept, of a step of two the square that no neighbour shares.
                keep = torch.zeros(3, 3)
                keep[1 : 1 + part.stride[0], 1 : 1 + part.stride[1]] = 1
                part.weight *= keep


def vectors(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """What enters the decoder: [B, S, C]."""
    seen: list[Tensor] = []

    def stop(layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append(arguments[0] if arguments else named["hidden_states"])
        raise _ReachedDecoder

    handle = model.family.layers(model.module)[0].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad():
            model.module(**model.to_device(inputs))
    except _ReachedDecoder:
        return seen[0]
    finally:
        handle.remove()
    raise AssertionError("the decoder was not reached")


def measure(
    model: Any, pictures: Sequence[Tensor], which: int, question: str, **options: Any
) -> tuple[dict[str, Tensor], Reactions]:
    """Change picture `which` of a prompt stripe by stripe: the inputs of every change, and the reactions.

    options: what the processor is called with besides.
    """
    height, width = pictures[which].shape[:2]
    variants = [pictures[which]]
    for axis, length in ((1, width), (0, height)):
        for first, last in pairwise(edges(length)):
            changed = pictures[which].clone()
            changed.narrow(axis, first, last - first).add_(torch.tensor(_CHANGE))
            variants.append(changed)
    cases = []
    for variant in variants:
        row = list(pictures)
        row[which] = variant
        cases.append(Case(tuple(row), question))
    prepared = model.prepare(cases, with_places=False)
    inputs = prepared.inputs
    if options:
        images = [[to_pil_rgb(picture) for picture in case.pictures] for case in cases]
        made = model.processor(text=list(prepared.prompts), images=images, return_tensors="pt", **options)
        inputs = {name: value for name, value in made.items() if isinstance(value, Tensor)}
    found = vectors(model, inputs)
    change = (found[1:] - found[:1]).norm(dim=-1).T
    across, down = change[:, :STRIPES], change[:, STRIPES:]
    return inputs, Reactions(_scaled(across), _scaled(down), (height, width))


def edges(length: int) -> list[int]:
    """Where the stripes of a side begin, and where the last one ends."""
    return [round(place * length / STRIPES) for place in range(STRIPES + 1)]


def _scaled(profile: Tensor) -> Tensor:
    highest = profile.amax(1, keepdim=True)
    return torch.where(highest > 1e-3, profile / highest.clamp(min=1e-3), torch.zeros(()))
