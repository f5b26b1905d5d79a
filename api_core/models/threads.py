"""How many threads of the processor a model is worth.

Between two steps of a small model the threads wait for each other. That costs more than the steps themselves as soon as
one of them waits for a core that something else uses, and never gains much: `tiny-lvlm` answers in a third of the time
in one thread on two idle cores, in a sixth or less where one is busy. A large model gains by every thread.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch

from .devices import HoldsWeights

SMALL = 20_000_000
"""Weights. The embedded models have 1 and 2 million, the smallest others of the catalog over 100 million."""

F = TypeVar("F", bound=Callable[..., Any])

_lock = threading.Lock()
_inside = threading.local()
_running = 0
_host_threads = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's work on the processor in one thread, and put the host's setting back: also after an error, for calls
    within calls, and where several threads of the host do this at once."""
    global _running, _host_threads
    if getattr(_inside, "depth", 0):
        yield
        return
    with _lock:
        if _running == 0:
            _host_threads = torch.get_num_threads()
        _running += 1
    _inside.depth = 1
    try:
        torch.set_num_threads(1)
        yield
    finally:
        _inside.depth = 0
        with _lock:
            _running -= 1
            torch.set_num_threads(_host_threads)


def is_small(model: Any) -> bool:
    """Whether it runs here, on the processor, and has few weights."""
    if not isinstance(model, HoldsWeights) or model.device.type != "cpu":
        return False
    return sum(weight.numel() for weight in model.module.parameters()) <= SMALL


def in_threads_of_its_size(function: F) -> F:
    """`function`, whose first argument is a model, run in as many threads as that is worth."""

    @functools.wraps(function)
    def run(model: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_small(model):
            return function(model, *args, **kwargs)
        with one_thread():
            return function(model, *args, **kwargs)

    return cast(F, run)
