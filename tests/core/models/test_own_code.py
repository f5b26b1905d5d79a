"""Where a model's own code fails, the error names the model; where the library's does, it is not hidden."""

import functools
from typing import Any

import pytest
import torch
from pack import api_core
from pack.api_core.errors import InvalidInput, NotEnoughMemory, UnsupportedModel
from pack.api_core.models.lvlm.load import load_lvlm
from pack.tests import zoo

PICTURE = torch.rand(1, 24, 32, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def lvlm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_lvlm(zoo.folder("llava-1.5", tmp_path_factory.getbasetemp()))


def break_inside(module: torch.nn.Module, **given: Any) -> None:
    """Have a part of a model be called with what it does not take."""
    part = next(one for one in module.modules() if type(one).__name__ == "CLIPVisionEmbeddings")
    own = part.forward
    part.forward = lambda pixel_values, **more: own(pixel_values[..., :-8], **{**more, **given})


@pytest.mark.parametrize("function", [api_core.ask, api_core.lvlm_heatmap, api_core.explain])
def test_a_model_that_fails_is_named_with_what_it_said(lvlm: Any, function: Any) -> None:
    break_inside(lvlm.module)
    with pytest.raises(
        UnsupportedModel, match=r"^llava-1\.5 failed in its own code \(ValueError: Input image size"
    ) as told:
        function(lvlm, PICTURE, "what is it?", max_new_tokens=2)
    assert isinstance(told.value.__cause__, ValueError)


def test_a_mistake_of_the_library_inside_the_models_code_stays_what_it_is(
    lvlm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pack.api_core.models.lvlm.generate import decoding_loop

    monkeypatch.setattr(decoding_loop, "math", None)
    with pytest.raises(AttributeError, match="isfinite"):
        api_core.ask(lvlm, PICTURE, "what is it?", max_new_tokens=2)


def test_memory_that_runs_out_is_told_as_ever(lvlm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.wraps(lvlm.module.forward)
    def forward(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(lvlm.module, "forward", forward)
    with pytest.raises(NotEnoughMemory):
        api_core.ask(lvlm, PICTURE, "what is it?", max_new_tokens=2)


def test_a_family_that_takes_one_picture_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = load_lvlm(zoo.folder("instructblip", tmp_path_factory.getbasetemp()))
    with pytest.raises(InvalidInput, match="takes one picture in a prompt, not 2"):
        api_core.ask(model, PICTURE, "what is it?", more_pictures=[PICTURE], max_new_tokens=2)
