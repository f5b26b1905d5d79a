"""Every public function with values of the right types, whatever they are: a result, or the library's own error."""

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from pack import api_core
from pack.api_core import combine, map_back, overlay, panel, pictures, regions
from pack.api_core.answering import DECODINGS, templates
from pack.api_core.attribution.lvlm.method import LvlmRequest
from pack.api_core.masks import MaskSettings
from pack.api_core.models.files import download
from pack.api_core.models.server import Limits, Profile
from pack.api_core.models.vision_language import VisionLanguageModel
from pack.tests.fuzz.examples import run_examples
from pack.tests.fuzz.values import of_type, pools

PICTURE = torch.rand(24, 32, 3, generator=torch.Generator().manual_seed(0))
LIGHT = (
    overlay.apply,
    overlay.mapping,
    *overlay.STYLES,
    *DECODINGS,
    MaskSettings,
    Limits,
    Profile,
    api_core.tune,
    api_core.presence,
    api_core.to_picture,
    api_core.to_pil,
    api_core.draw_curves,
    api_core.connect,
    api_core.Case,
    api_core.list_methods,
    api_core.list_clip_models,
    api_core.list_lvlm_models,
    api_core.list_lvlm_methods,
    api_core.list_explanation_methods,
    api_core.load_clip,
    api_core.load_lvlm,
    api_core.release,
    combine.combine,
    map_back.boxes_to_picture,
    map_back.points_to_picture,
    map_back.read_boxes,
    map_back.read_points,
    panel.panel,
    panel.side_by_side,
    pictures.as_masks,
    pictures.flatten_alpha,
    regions.best_window,
    regions.bounding_boxes,
    regions.crop,
    regions.crop_mask,
    regions.find_regions,
    regions.paste,
    regions.points,
    templates.find_template,
    templates.Template,
)
HEAVY = (
    api_core.ask,
    api_core.ask_surest,
    api_core.clip_api,
    api_core.clip_heatmap,
    api_core.explain,
    api_core.llava_api,
    api_core.lvlm_heatmap,
    api_core.prompt_picture,
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "pictures": st.sampled_from([[PICTURE], [PICTURE, PICTURE[:9, :12]]]),
    "images": st.just([PICTURE]),
    "picture": st.just(PICTURE),
    "prompted": st.just([[PICTURE]]),
    "source": st.just(PICTURE),
    "mask": st.just(PICTURE[..., 0]),
    "patch": st.just(PICTURE[:5, :5]),
    "box": st.just({"x": 1, "y": 2, "width": 5, "height": 5}),
    "queries": st.just("red star"),
    "query": st.just("red star"),
    "questions": st.just("what color is the star?"),
    "question": st.just("what color is the star?"),
    "model_name": st.sampled_from(["tiny-clip", "tiny-lvlm"]),
    "profile": st.just("ollama"),
    "address": st.just("http://127.0.0.1:9"),
    "name": st.just("a"),
    "text": st.just("{question}"),
    "side": st.integers(1, 40),
    "captions": st.just(["a"]),
    "style": st.sampled_from([kind() for kind in overlay.STYLES]),
    "size": st.just((24, 32)),
}
"""What a needed argument is more often than not, so that what comes behind the checks is reached too."""
COUNTED = ("max_new_tokens", "steps", "batch_size", "max_height", "side")
"""What work grows with: no more of it than a test has time for."""


@pytest.fixture(scope="module", autouse=True)
def nothing_is_fetched() -> Iterator[None]:
    download.forbid_downloads(True, by="these tests")
    yield
    download.forbid_downloads(False)


@pytest.fixture(scope="module")
def known() -> dict[Any, st.SearchStrategy[Any]]:
    clip, lvlm = api_core.load_clip("tiny-clip"), api_core.load_lvlm("tiny-lvlm")
    heatmap = api_core.clip_heatmap(clip, [PICTURE], "red star")
    signed = api_core.clip_heatmap(clip, [PICTURE], "red star", neutral_text="a picture")
    read = api_core.lvlm_heatmap(lvlm, [PICTURE], "what color is the star?", max_new_tokens=4)
    (explained,) = api_core.explain(lvlm, [PICTURE], "what color?", answers="red", method="difference", steps=2)
    (answer,) = api_core.ask(lvlm, [PICTURE], "what color?", max_new_tokens=2)
    (region,) = regions.find_regions(PICTURE[..., 0], max_regions=1)
    several = type(heatmap)((*heatmap.pictures, *heatmap.pictures))
    return pools(
        clip=clip,
        lvlm=lvlm,
        heatmaps=[heatmap, signed, read.heatmap, several, type(heatmap)()],
        model=VisionLanguageModel,
        decoding=type(api_core.Greedy()).__mro__[1],
        answer=answer,
        reply=read.replies[0],
        explanation=explained,
        region=region,
        case=api_core.Case((PICTURE,), "what color?"),
    )


def arguments(function: Callable[..., Any], known: Any) -> st.SearchStrategy[dict[str, Any]]:
    """The arguments of a call: what is needed, and now and then what is not."""
    made = function.__init__ if inspect.isclass(function) else function
    module = inspect.getmodule(function)
    names = {**vars(overlay), "LvlmRequest": LvlmRequest, "Tensor": torch.Tensor, **vars(module)}
    hints = typing.get_type_hints(made, names)
    needed, further = {}, {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) or name in ("device", "allow_download"):
            continue
        values = of_type(hints[name], known)
        if name in COUNTED:
            values = st.integers(-2, 12) | st.sampled_from([2.5, float("nan"), 0])
        if parameter.default is parameter.empty:
            needed[name] = GOOD[name] | GOOD[name] | values if name in GOOD else values
        else:
            further[name] = values
    return st.fixed_dictionaries(needed, optional=further).flatmap(
        lambda given: (
            st.sets(st.sampled_from(sorted(further)), max_size=3).map(
                lambda chosen: {name: value for name, value in given.items() if name in needed or name in chosen}
            )
            if further
            else st.just(given)
        )
    )


def call(given: tuple[Callable[..., Any], dict[str, Any]]) -> Any:
    function, kwargs = given
    if function in HEAVY:
        kwargs = (
            {"max_new_tokens": 3, **kwargs} if "max_new_tokens" in inspect.signature(function).parameters else kwargs
        )
    if function is api_core.explain:
        kwargs = {"method": "difference", "steps": 2, **kwargs}
    found = function(**kwargs)
    return None if inspect.isclass(function) else found  # a bound of a setting may be infinite


def calls(functions: tuple[Callable[..., Any], ...], known: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(functions).flatmap(lambda function: st.tuples(st.just(function), arguments(function, known)))


def test_what_needs_no_model(known: Any) -> None:
    run_examples(calls(LIGHT, known), 300, call)


@pytest.mark.slow
def test_what_runs_a_model(known: Any) -> None:
    run_examples(calls(HEAVY, known), 40, call)


def test_every_public_function_is_tried() -> None:
    public = [getattr(api_core, name) for name in api_core.__all__]
    own = [one for one in public if callable(one) and not inspect.isclass(one)]
    assert {one.__name__ for one in own} - {one.__name__ for one in (*LIGHT, *HEAVY)} == {"forbid_downloads"}
