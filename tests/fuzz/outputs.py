"""What the outputs of a node promise: of the types that its schema names, and told in a way that the page can read."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from pack.api_core.models.server import ServerModel
from pack.api_core.overlay import Mapping as Moved
from pack.api_core.results import Heatmap
from pack.tests.promised import schemas


def _is_batch(value: Any, dimensions: int, within: bool = True) -> bool:
    """Floats in so many dimensions, none of them empty. within: from 0 to 1."""
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or value.ndim != dimensions:
        return False
    right = 0 not in value.shape and not value.requires_grad
    return right and (not within or 0 <= float(value.min()) <= float(value.max()) <= 1)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def _is_boxes(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_boxes(one) for one in value)
    return isinstance(value, Mapping) and {"x", "y", "width", "height"} <= {*value} and bool(_as_json(value))


TYPES: dict[str, Callable[[Any], bool]] = {
    "IMAGE": lambda value: _is_batch(value, 4, within=False),  # a picture beyond 0 to 1 comes out as it came in
    "MASK": lambda value: _is_batch(value, 3),
    "STRING": _is_text,
    "INT": lambda value: type(value) is int,
    "FLOAT": lambda value: type(value) is float,
    "BOUNDING_BOX": _is_boxes,
    "ATTNPROMPT_HEATMAP": lambda value: isinstance(value, Heatmap),
    "ATTNPROMPT_MAPPING": lambda value: all(isinstance(one, Moved) for one in value),
    "ATTNPROMPT_CLIP": lambda value: hasattr(value, "patcher"),
    "ATTNPROMPT_LVLM": lambda value: hasattr(value, "patcher"),
    "ATTNPROMPT_SERVER": lambda value: isinstance(value, ServerModel),
}


def require_promised(node: str, found: Any) -> None:
    """AssertionError where an output is not what the node's schema says, or the page cannot be told what it shows."""
    promised = schemas()[node]["outputs"]
    assert len(found.args) == len(promised), f"{node} gives {len(found.args)} outputs of {len(promised)}"
    for given, value in zip(promised, found.args, strict=True):
        if type(value).__name__ == "ExecutionBlocker":
            assert _is_text(value.message), f"{node}: {given['id']} is blocked without a word"
            continue
        values = value if given["is_list"] else [value]
        right = isinstance(values, Sequence) and all(TYPES[given["type"]](one) for one in values)
        assert right, f"{node}: {given['id']} is no {given['type']}"
    shown = found.ui if found.ui is None or isinstance(found.ui, Mapping) else found.ui.as_dict()
    _as_json(shown)


def _as_json(value: Any) -> str:
    """As a page gets it: no NaN, no half characters."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode()
    return text


@contextmanager
def nothing_swallowed() -> Iterator[None]:
    """AssertionError where a page was not shown something, which a node only logs."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("pack.nodes.host")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    lost = [line for line in said if line.startswith("The page cannot show")]
    assert not lost, lost[0]
