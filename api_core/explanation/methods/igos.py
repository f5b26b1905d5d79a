"""iGOS+ and iGOS++ (arXiv 2503.13891) as methods: fast for use, and as the paper's program does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...autograd import differentiable, without_weight_gradients
from ...settings import Setting
from ..igos import fast, paper
from ..igos.descent import Optimised, Variant
from ..method import ExplainContext, ExplanationMethod, MethodResult

_FAST = fast.FastSettings()
FAST_SETTINGS = (
    Setting("steps", _FAST.steps, 1, 100, "Steps of the mask at most; it ends earlier where it has settled."),
    Setting("blends", _FAST.blends, 1, 20, "Blends of picture and baseline that each term of a step is averaged over."),
    Setting("cells", _FAST.cells, 4, 64, "Rows and columns of the finished mask."),
    Setting("sparsity", _FAST.sparsity, 0.0, 100.0, "How much it costs to call a part important."),
    Setting("smoothness", _FAST.smoothness, 0.0, 1000.0, "How much it costs that neighbouring parts differ."),
    Setting("rate", _FAST.rate, 0.01, 2.0, "How far the mask goes in a step, as a root mean square over its cells."),
    Setting("noise", _FAST.noise, 0.0, 1.0, "Deviation of the noise on each blend, in the model's normalised pixels."),
    Setting("settled", _FAST.settled, 0.0, 1.0, "Rank correlation of two steps' masks at which it ends; 1 never does."),
)
_PAPER = paper.PaperSettings()
PAPER_SETTINGS = (
    Setting("side", _PAPER.side, 4, 64, "Rows and columns of the mask."),
    Setting("l1", _PAPER.l1, 0.0, 1000.0, "Weight of the mask's size."),
    Setting("l2", _PAPER.l2, 0.0, 1000.0, "Weight of the mask's squared size, which decays."),
    Setting("l3", _PAPER.l3, 0.0, 1000.0, "Weight of the mask's variation."),
    Setting("decay", _PAPER.decay, 0.0, 10.0, "How fast l2 decays, per step, as an exponent."),
    Setting("shares", _PAPER.shares, 1, 50, "Blends of each integral and step."),
    Setting("steps", _PAPER.steps, 1, 100, "Steps."),
    Setting("momentum", _PAPER.momentum, 0.0, 100.0, "Of Nesterov's steps t: the factor is t / (t + momentum)."),
    Setting("rate", _PAPER.rate, 0.0, 1000.0, "How far a step goes, times the gradient."),
    Setting("noise", _PAPER.noise, 0.0, 1.0, "Deviation of the noise on each blend, in the model's normalised pixels."),
)


@dataclass(frozen=True)
class _Program:
    optimise: Callable[..., Optimised]
    settings: Callable[..., fast.FastSettings | paper.PaperSettings]
    knobs: tuple[Setting, ...]


_FASTER = _Program(fast.optimise, fast.FastSettings, FAST_SETTINGS)
_PUBLISHED = _Program(paper.optimise, paper.PaperSettings, PAPER_SETTINGS)


def _method(name: str, variant: Variant, program: _Program, describes: str) -> ExplanationMethod:
    def compute(context: ExplainContext) -> MethodResult:
        with differentiable(context.model.module), without_weight_gradients(context.model.module):
            made = program.optimise(
                context.objective, variant, program.settings(**context.settings),
                seed=context.seed, chunk=context.chunk, on_progress=context.on_progress, on_preview=context.on_preview,
            )  # fmt: skip
        return MethodResult(made.importance, made.evaluations, made.evaluations)

    return ExplanationMethod(name, compute, describes, program.knobs)


FAST_ONE = _method(
    "igos+",
    "igos+",
    _FASTER,
    "The least of the picture that the answer needs: what takes it away when it goes, and alone brings it back.",
)
FAST_TWO = _method(
    "igos++", "igos++", _FASTER, "The same with two masks, one that takes the answer away and one that brings it back."
)
PAPER_ONE = _method("igos+ (paper)", "igos+", _PUBLISHED, "iGOS+ step by step as its authors published it: slow.")
PAPER_TWO = _method("igos++ (paper)", "igos++", _PUBLISHED, "iGOS++ step by step as its authors published it: slow.")
