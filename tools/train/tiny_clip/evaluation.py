"""Quick scores of the maps on a few held-out scenes while training goes on; the real table is evaluate_tiny_clip.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from api_core.scenes import draw_scene, make_scene
from api_core.scenes.captions import CONCEPTS

from .bank import SIDE
from .network import forward, linear_map


@dataclass
class HeldOut:
    """Pictures [S, 3, 112, 112], their boxes, and questions (picture, object, concept), 3 to 5 objects each."""

    pixels: Tensor
    boxes: list[np.ndarray]
    questions: list[tuple[int, int, int]]


def draw_held_out(count: int, stream: str = "development", first: int = 100_000) -> HeldOut:
    pixels: list[Tensor] = []
    boxes: list[np.ndarray] = []
    questions: list[tuple[int, int, int]] = []
    for number in range(first, first + count):
        scene = make_scene(number, stream)
        drawn = draw_scene(scene, SIDE, SIDE)
        size = (drawn.boxes[:, 2:] - drawn.boxes[:, :2]).min(1)
        if not 3 <= len(scene.objects) <= 5 or (size < 4).any():
            continue
        for concept in range(60):
            found = CONCEPTS[concept].found_in(scene)
            if len(found) == 1:
                questions.append((len(pixels), found[0], concept))
        pixels.append(torch.from_numpy(drawn.picture).permute(2, 0, 1))
        boxes.append(drawn.boxes)
    return HeldOut(torch.stack(pixels), boxes, questions)


@torch.no_grad()
def quick_scores(
    model: open_clip.CLIP, tokenizer: open_clip.SimpleTokenizer, held_out: HeldOut, wording: str = "a {}"
) -> dict[str, tuple[float, float]]:
    """Pointing and ranked-first of class-token and patch maps of the last two layers and of the merge at contrast 1."""
    from .maps import merge

    visual, last = model.visual, len(model.visual.transformer.resblocks) - 1
    words = F.normalize(model.encode_text(tokenizer([wording.format(c.phrase) for c in CONCEPTS[:60]])), dim=-1)
    maps: dict[str, list[Tensor]] = {name: [] for name in ("cls-1", "patch-1", "cls-2", "-patch-2", "merge")}
    encoded = [forward(visual, chunk, (last - 1, last)) for chunk in held_out.pixels.split(50)]
    tokens, shares = (
        {number: torch.cat([getattr(e, kind)[number] for e in encoded]) for number in (last - 1, last)}
        for kind in ("tokens", "shares")
    )
    for picture, _, concept in held_out.questions:
        text, one = words[concept : concept + 1], slice(picture, picture + 1)
        low = linear_map(visual, shares[last - 1][one], text)[..., 0]
        patch = linear_map(visual, tokens[last - 1][one], text)[..., 0]
        maps["cls-1"].append(linear_map(visual, shares[last][one], text)[..., 0])
        maps["patch-1"].append(linear_map(visual, tokens[last][one], text)[..., 0])
        maps["cls-2"].append(low)
        maps["-patch-2"].append(-patch)
        maps["merge"].append(merge(low, patch, visual.grid_size[0]))
    return {name: _score(torch.cat(rows), held_out, visual.grid_size[0]) for name, rows in maps.items()}


def _score(rows: Tensor, held_out: HeldOut, grid: int) -> tuple[float, float]:
    full = F.interpolate(
        rows.unflatten(1, (1, grid, grid)) if rows.ndim == 2 else rows, size=(SIDE, SIDE), mode="bilinear"
    )
    point = first = 0
    for heat, (picture, wanted, _) in zip(full[:, 0].numpy(), held_out.questions, strict=True):
        boxes = held_out.boxes[picture].astype(int)
        y, x = divmod(int(heat.argmax()), SIDE)
        x0, y0, x1, y1 = boxes[wanted]
        point += x0 <= x < x1 and y0 <= y < y1
        means = [heat[b[1] : b[3], b[0] : b[2]].mean() for b in boxes]
        first += int(np.argmax(means)) == wanted
    return point / len(held_out.questions), first / len(held_out.questions)
