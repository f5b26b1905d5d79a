"""Where a model's own code fails: told in words that name the model, not in those of a library behind it."""

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..errors import AttentionPromptingError, UnsupportedModel, reason
from .devices import HoldsWeights
from .memory import is_out_of_memory
from .threads import in_threads_of_its_size

F = TypeVar("F", bound=Callable[..., Any])

_OWN = __name__.rpartition(".models.")[0]


def runs_a_model(function: F) -> F:
    """`function`, whose first argument is a model, run in as many threads as that is worth; UnsupportedModel where the
    model's own code fails in it."""
    inside = in_threads_of_its_size(function)

    @functools.wraps(function)
    def run(model: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return inside(model, *args, **kwargs)
        except AttentionPromptingError:
            raise
        except Exception as error:
            if is_out_of_memory(error) or not _fails_in_its_own_code(model, error):
                raise
            raise UnsupportedModel(
                f"{model.name} failed in its own code ({type(error).__name__}: {reason(error, 200)}). Such code mostly "
                "stumbles over pictures of a few pixels, very long ones, or several in one prompt: try others, or "
                "another model."
            ) from error

    return cast(F, run)


def _fails_in_its_own_code(model: Any, error: Exception) -> bool:
    """Whether the innermost code that is the model's or this library's is the model's."""
    if not isinstance(model, HoldsWeights):
        return False
    theirs = type(model.module).__module__.partition(".")[0]
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        name = frame.f_globals.get("__name__", "")
        if name == _OWN or name.startswith(f"{_OWN}."):
            return False
        if name.partition(".")[0] == theirs:
            return True
    return False
