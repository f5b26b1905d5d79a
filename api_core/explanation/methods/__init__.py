"""The ways of explaining an answer, by name: a new one is one file and one line here."""

from ...choices import EXPLANATION_METHOD
from ..method import ExplanationMethod
from . import attention, attention_flow, controls, grad_cam, gradient, igos, rise

METHODS: dict[str, ExplanationMethod] = {
    method.name: method
    for method in (
        igos.FAST_ONE,
        igos.FAST_TWO,
        igos.PAPER_ONE,
        igos.PAPER_TWO,
        rise.METHOD,
        grad_cam.METHOD,
        attention_flow.METHOD,
        gradient.METHOD,
        attention.METHOD,
        controls.DIFFERENCE,
        controls.CENTRE,
        controls.RANDOM,
    )
}
DEFAULT_METHOD = EXPLANATION_METHOD


def list_explanation_methods() -> tuple[str, ...]:
    """The names of all methods."""
    return tuple(METHODS)
