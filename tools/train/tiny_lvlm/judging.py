"""Asking the exported model through stock transformers, reading its attention, and what guessing would score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from api_core.scenes.questions import Facts, Question


@dataclass(frozen=True, eq=False)
class Asked:
    """A question about a picture [H, W, 3] (0..1); `scene` numbers the picture, `boxes` [N, 4] its objects."""

    picture: np.ndarray
    question: Question
    facts: Facts
    boxes: np.ndarray
    scene: int


class Judge:
    """An exported folder, in single precision on the CPU; eager attention where maps are wanted."""

    def __init__(self, folder: Path) -> None:
        self.model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor: Any = AutoProcessor.from_pretrained(folder)
        self.grid = self.model.config.vision_config.image_size // self.model.config.vision_config.patch_size

    def inputs(self, asked: Sequence[Asked], with_picture: bool = True) -> Any:
        pictures = [(np.clip(each.picture, 0, 1) * 255).round().astype(np.uint8) for each in asked]
        start = [{"type": "image"}] if with_picture else []
        texts = [
            self.processor.apply_chat_template(
                [{"role": "user", "content": [*start, {"type": "text", "text": each.question.text}]}],
                add_generation_prompt=True,
            )
            for each in asked
        ]
        if not with_picture:
            return self.processor.tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        return self.processor(images=pictures, text=texts, padding=True, return_tensors="pt")

    @torch.no_grad()
    def answer(self, asked: Sequence[Asked], with_picture: bool = True, batch: int = 24) -> list[str]:
        """Greedy answers in words."""
        self.model.set_attn_implementation("sdpa")
        answers: list[str] = []
        # alike lengths together, so that little is padded
        order = sorted(
            range(len(asked)), key=lambda i: len(asked[i].question.text) + 99 * (asked[i].question.kind == "describe")
        )
        for start in range(0, len(order), batch):
            inputs = self.inputs([asked[i] for i in order[start : start + batch]], with_picture)
            out = self.model.generate(**inputs, max_new_tokens=26, do_sample=False)
            answers += self.processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        placed = dict(zip(order, answers, strict=True))
        return [placed[i].strip() for i in range(len(asked))]

    @torch.no_grad()
    def attention(self, asked: Asked, answer: str) -> Tensor:
        """Mean of the heads and of the rows that predict the answer's words, per layer: [layers, 14, 14]."""
        self.model.set_attn_implementation("eager")
        inputs = self.inputs([asked])
        words = self.processor.tokenizer(answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
        ids = torch.cat([inputs["input_ids"], words], 1)
        out = self.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=inputs["pixel_values"],
            output_attentions=True,
        )
        image = (ids[0] == self.model.config.image_token_id).nonzero().flatten()
        rows = slice(ids.shape[1] - words.shape[1] - 1, ids.shape[1] - 1)
        maps = torch.stack([layer[0, :, rows][..., image].mean((0, 1)) for layer in out.attentions])
        return maps.unflatten(1, (self.grid, self.grid))


def enlarge(heat: Tensor, size: tuple[int, int]) -> np.ndarray:
    """[14, 14] to [H, W], bilinear: the model saw the whole picture, stretched to the square."""
    return F.interpolate(heat[None, None].float(), size=size, mode="bilinear")[0, 0].numpy()


def chance_of_gist(asked: Asked) -> float | None:
    """How likely somebody is right who knows what colours, shapes and sides there are, but not what belongs to what."""
    question, names = asked.question, asked.facts.names
    words = question.text.lower().rstrip("?").split()
    colours, shapes = Counter(c for c, _ in names), Counter(s for _, s in names)
    if question.kind in ("colour", "shape"):
        counted = colours if question.kind == "colour" else shapes
        most = [name for name, count in counted.items() if count == max(counted.values())]
        return float(question.answer in most) / len(most)
    if question.kind == "exist":
        guess = "yes" if words[-2] in colours and words[-1] in shapes else "no"
    elif question.kind == "verify":
        guess = "yes" if words[-1] in colours else "no"
    elif question.kind == "where":
        sides = [_side(x, y) for x, y in asked.facts.middle]
        return sides.count(question.answer) / len(sides)
    else:
        return None
    return float(guess == question.answer)


def _side(x: float, y: float) -> str:
    dx, dy = x - 0.5, y - 0.5
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "top" if dy < 0 else "bottom"


def majority(asked: Sequence[Asked]) -> float:
    """Share of the most common answer."""
    return Counter(each.question.answer for each in asked).most_common(1)[0][1] / len(asked)


def by_kind(asked: Sequence[Asked]) -> Iterator[tuple[str, list[int]]]:
    kinds = dict.fromkeys(each.question.kind for each in asked)
    for kind in kinds:
        yield kind, [i for i, each in enumerate(asked) if each.question.kind == kind]
