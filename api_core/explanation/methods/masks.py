"""iGOS+ and iGOS++ (arXiv 2503.13891) as methods: fast for use, and as the paper's program does it."""

from __future__ import annotations

from collections.abc import Callable

from ...autograd import differentiable
from ..igos import fast, paper
from ..igos.objective import Variant
from ..igos.paper import Optimised
from ..method import Explaining, ExplanationMethod, Found


def _method(name: str, variant: Variant, optimise: Callable[..., Optimised], describes: str) -> ExplanationMethod:
    def find(given: Explaining) -> Found:
        with differentiable(given.model.module):
            made = optimise(given.subject, variant, seed=given.seed, chunk=given.chunk, on_progress=given.on_progress)
        return Found(made.importance, made.evaluations, made.evaluations)

    return ExplanationMethod(name, find, describes)


FAST_TWO = _method(
    "igos++",
    "igos++",
    fast.optimise,
    "The least of the picture that the answer needs: one mask that takes it away, one that brings it back.",
)
FAST_ONE = _method("igos+", "igos+", fast.optimise, "The same with a single mask: half the work, a little less sure.")
PAPER_TWO = _method(
    "igos++ (paper)", "igos++", paper.optimise, "iGOS++ step by step as its authors published it: slow."
)
PAPER_ONE = _method("igos+ (paper)", "igos+", paper.optimise, "iGOS+ step by step as its authors published it: slow.")
