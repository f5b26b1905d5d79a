"""Hooks that are only there while something is read."""

from typing import Any

import pytest
import torch
from pack.api_core.models.hooks import capturing
from torch import Tensor, nn


class Scaled(nn.Module):
    def forward(self, value: Tensor, factor: float, offset: float = 0.0) -> Tensor:
        return value * factor + offset


def test_what_a_module_is_called_with_can_be_exchanged() -> None:
    module, seen = Scaled(), []

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        seen.append((args[1], kwargs))
        return (args[0], 3.0), {**kwargs, "offset": 1.0}

    one = torch.ones(2)
    with capturing() as hooks:
        hooks.exchange(module, change)
        assert module(one, 2.0, offset=5.0).tolist() == [4.0, 4.0]
        hooks.exchange(module, lambda args, kwargs: None)  # which leaves them
        assert module(one, 2.0).tolist() == [4.0, 4.0]
    assert seen == [(2.0, {"offset": 5.0}), (2.0, {})]
    assert module(one, 2.0, offset=5.0).tolist() == [7.0, 7.0]


def test_and_is_called_as_it_was_after_an_error() -> None:
    module = Scaled()

    def fail(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise KeyboardInterrupt

    def interrupted() -> None:
        with capturing() as hooks:
            hooks.exchange(module, fail)
            module(torch.ones(1), 2.0)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not module._forward_pre_hooks
    assert float(module(torch.ones(1), 2.0)) == 2.0
