"""The ways of explaining an answer, by name: a new one is one file and one line here."""

from ...choices import EXPLANATION_METHOD
from ..method import ExplanationMethod
from . import chefer, controls, grad_cam, gradient, masks, own_attention, rise

METHODS: dict[str, ExplanationMethod] = {
    method.name: method
    for method in (
        masks.FAST_ONE,
        masks.FAST_TWO,
        masks.PAPER_ONE,
        masks.PAPER_TWO,
        rise.METHOD,
        grad_cam.METHOD,
        chefer.METHOD,
        gradient.METHOD,
        own_attention.METHOD,
        controls.DIFFERENCE,
        controls.CENTRE,
        controls.RANDOM,
    )
}
DEFAULT_METHOD = EXPLANATION_METHOD


def list_explanation_methods() -> tuple[str, ...]:
    """The names of all methods."""
    return tuple(METHODS)
