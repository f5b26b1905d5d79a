"""The methods there are, by name, the paper's first. A new one is a file beside this and a line here."""

from . import decomposition, patch_similarity
from .method import Method

METHODS: dict[str, Method] = {
    "decomposition": decomposition.METHOD,
    "patch similarity": patch_similarity.METHOD,
}


def list_methods() -> list[str]:
    """The names of the methods, the paper's first."""
    return list(METHODS)
