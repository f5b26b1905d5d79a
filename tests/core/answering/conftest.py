"""The tiny random models of `tests/core/models`, for the methods that read them."""

from pack.tests.core.models.conftest import lvlm, zoo_folder

__all__ = ["lvlm", "zoo_folder"]
