"""Stage 2: the projector and the language part learn to answer; the tower stays as it is.

Loss on the answers' tokens. A guide (off for the unguided twin) rewards attention, of the answers' rows and of the
nouns of the questions, at the middle layers for lying on what they speak of; it fades out by three quarters of the run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from ..tiny_clip.batches import RowOrder
from ..tiny_clip.optimise import Optimiser, rate_curve
from .asking import KINDS, PLAIN, Asking, pack
from .bank import SceneBank
from .light import spoil_and_shade
from .network import GUIDED, Packed, answer, see, trained_part
from .tower import training_pictures

_log = logging.getLogger(__name__)


@dataclass
class AnswerSettings:
    """`answers`: how many questions are answered in all (a picture gets about 17). `batch`: pictures a step, even."""

    answers: int = 1_250_000
    batch: int = 24
    rate: float = 2e-3
    guide: float = 0.5
    report_every: int = 120
    score_pictures: int = 160


def losses(logits: Tensor, attention: dict[int, Tensor], batch: Packed) -> tuple[Tensor, Tensor, Tensor]:
    """Cross entropy of the answers' tokens, the guide's loss, and the share of attention on what was asked about."""
    each = F.cross_entropy(logits.float().flatten(0, 1), batch.target.flatten(), reduction="none")
    weight = batch.weight.flatten()
    words = (each * weight).sum() / weight.sum()
    guided = batch.where.any(-1)
    guide, share = torch.zeros(()), torch.zeros(())
    for over in attention.values():
        inside = (over * batch.where).sum(-1)[guided]
        guide = guide - (inside + 1e-6).log().mean() / len(attention)
        share = share + inside.detach().mean() / len(attention)
    return words, guide, share


@torch.no_grad()
def quick_scores(model: LlavaForConditionalGeneration, held_out: SceneBank, pictures: int) -> dict[str, float]:
    """Share of right answers by kind on held-out pictures, plainly asked (all tokens right, each given the former)."""
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    share: list[float] = []
    for start in range(0, pictures, 40):
        rows = np.arange(start, min(start + 40, pictures))
        batch, questions = pack(held_out, rows, np.random.default_rng(start), PLAIN)
        logits, attention = answer(model, see(model, training_pictures(held_out, rows)), batch, GUIDED)
        share.append(float(losses(logits, attention, batch)[2]))
        good = (logits.argmax(-1) == batch.target) | (batch.weight == 0)
        for picture, asked in enumerate(questions):
            place = 0
            for question in asked:
                length = len(question.answer.split()) + 1
                right[question.kind].append(bool(good[picture, place : place + length].all()))
                place += length
    return {kind: float(np.mean(values)) for kind, values in right.items()} | {"attention": float(np.mean(share))}


def train_answers(
    model: LlavaForConditionalGeneration,
    bank: SceneBank,
    held_out: SceneBank,
    folder: Path,
    settings: AnswerSettings,
    seed: int,
    on_checkpoint: Callable[[], None] = lambda: None,
) -> None:
    """Run the stage to its end, from `folder`/answers.pt if a former run was stopped."""
    optimiser = Optimiser(trained_part(model), settings.rate)
    order, checkpoint = RowOrder(len(bank) // 2, seed + 4), folder / "answers.pt"
    seen = steps = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"], strict=False)
        optimiser.restore(saved["optimiser"])
        seen, steps, order.given = saved["answers"], saved["steps"], saved["given"]
        _log.info("answers: going on from %d", seen)
    started = marked = time.monotonic()
    at_start = seen
    means = np.zeros(3)
    while seen < settings.answers:
        done = seen / settings.answers
        rng, noise = np.random.default_rng([seed, 4, steps]), torch.Generator().manual_seed(seed * 7919 + steps)
        pairs = order.take(settings.batch // 2)
        rows = np.stack([2 * pairs, 2 * pairs + 1], 1).flatten()
        batch, questions = pack(bank, rows, rng, Asking())
        pixels = spoil_and_shade(training_pictures(bank, rows), noise)
        guide_weight = settings.guide * max(0.0, 1 - done / 0.75)
        with torch.autocast("cpu", torch.bfloat16):
            logits, attention = answer(model, see(model, pixels), batch, GUIDED if guide_weight else ())
        words, guide, share = losses(logits, attention, batch)
        (words + guide_weight * guide).backward()
        optimiser.step(rate_curve(done, hold=0.5, end=0.02))
        seen += sum(map(len, questions))
        steps += 1
        now = np.array([words.item(), guide.item(), share.item()])
        means = 0.97 * means + 0.03 * now if steps > 1 and means.any() else now
        if time.monotonic() - marked > settings.report_every or seen >= settings.answers:
            marked = time.monotonic()
            state = {
                "model": {name: p.detach() for name, p in trained_part(model)},
                "optimiser": optimiser.state(),
                "answers": seen,
                "steps": steps,
                "given": order.given,
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            scores = quick_scores(model, held_out, settings.score_pictures)
            _log.info(
                "answers %7d  step %5d  %.0f/s  words %.3f guide %.3f share %.3f | %s",
                seen, steps, (seen - at_start) / (marked - started), *means,
                " ".join(f"{name} {value:.3f}" for name, value in scores.items()),
            )  # fmt: skip
            on_checkpoint()
