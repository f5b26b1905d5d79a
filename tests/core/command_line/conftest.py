"""The drawn scene that explanations are tested on."""

from pack.tests.core.explanation.conftest import drawn

__all__ = ["drawn"]
