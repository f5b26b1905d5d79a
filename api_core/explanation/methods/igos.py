"""iGOS+ and iGOS++ (arXiv 2503.13891) as methods: fast for use, and as the paper's program does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ...autograd import differentiable, without_weight_gradients
from ...models.lvlm.model import LvlmModel
from ...settings import settings_of
from ..igos import fast, paper
from ..igos.descent import Optimised, Variant
from ..method import ExplainContext, ExplanationMethod, MethodResult

_Program = tuple[Callable[..., Optimised], type[Any]]
_FASTER: _Program = (fast.optimise, fast.FastSettings)
_PUBLISHED: _Program = (paper.optimise, paper.PaperSettings)


def _method(name: str, variant: Variant, program: _Program, describes: str) -> ExplanationMethod:
    optimise, settings = program

    def compute(context: ExplainContext) -> MethodResult:
        module = cast(LvlmModel, context.model).module
        with differentiable(module), without_weight_gradients(module):
            made = optimise(
                context.objective,
                variant,
                settings(**context.settings),
                seed=context.seed,
                chunk=context.chunk,
                on_progress=context.on_progress,
                on_preview=context.on_preview,
            )
        return MethodResult(made.importance, made.evaluations, made.evaluations)

    return ExplanationMethod(name, compute, describes, settings_of(settings), by_gradient=True)


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
