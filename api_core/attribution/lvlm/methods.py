"""The methods by name. A new one is a file beside this, called after it, and a line in `choices.LVLM_METHODS`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from ... import choices
from ...models.conversation.case import Prepared
from ...models.lvlm.model import LvlmModel
from .method import Asked, Relevance


@dataclass(frozen=True)
class LvlmMethod:
    """A way from cases to the relevance of their image tokens. describes: one sentence for people."""

    name: str
    describes: str

    @property
    def compute(self) -> Callable[[LvlmModel, Prepared, Asked], list[Relevance]]:
        """By case, in order."""
        module = import_module(f".{self.name.replace(' ', '_')}", __package__)
        return cast(Callable[[LvlmModel, Prepared, Asked], list[Relevance]], module.compute)


LVLM_METHODS = {name: LvlmMethod(name, describes) for name, describes in choices.LVLM_METHODS.items()}
DEFAULT_METHOD = "attention"
"""Of both readings."""


def list_lvlm_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(LVLM_METHODS)
