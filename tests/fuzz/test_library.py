"""Every public function with values of the right types, whatever they are: a result, or the library's own error."""

import functools
import inspect
import math
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from pack import api_core
from pack.api_core import choices, combine, map_back, overlay, panel, pictures, regions
from pack.api_core.answering import DECODINGS, templates
from pack.api_core.attribution.lvlm.method import LvlmRequest
from pack.api_core.explanation.methods import METHODS
from pack.api_core.masks import MaskSettings
from pack.api_core.models.files import download
from pack.api_core.models.lvlm.model import LvlmModel
from pack.api_core.models.server import Limits, Profile
from pack.api_core.models.vision_language import VisionLanguageModel
from pack.api_core.pictures import to_pil
from pack.api_core.scales import SCALES
from pack.tests import zoo
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
SMALL = PICTURE[:9, :12]
QUESTION = "what color is the star?"
GOOD: dict[str, Sequence[Any]] = {
    "pictures": [[PICTURE], [PICTURE, SMALL], torch.stack([PICTURE, PICTURE.flip(0)])],
    "Case.pictures": [(PICTURE,), (PICTURE, SMALL)],
    "images": [to_pil(PICTURE), [to_pil(PICTURE), to_pil(SMALL)]],
    "picture": [PICTURE, PICTURE, SMALL, PICTURE[:1, :1], PICTURE.mean(-1, keepdim=True).expand(-1, -1, 4)],
    "prompt_picture.picture": [PICTURE, to_pil(PICTURE), PICTURE.numpy()],
    "prompted": [[[PICTURE]], [[PICTURE], [SMALL]], [[PICTURE, SMALL]]],
    "panel.prompted": [PICTURE, SMALL],
    "more_pictures": [(), [[PICTURE]], [[PICTURE, SMALL]]],
    "source": [PICTURE, SMALL.numpy(), to_pil(SMALL)],
    "mask": [PICTURE[..., 0], PICTURE[..., 0], SMALL[..., 1], PICTURE[:1, :1, 0]],
    "prompt_picture.mask": [None, MaskSettings(threshold=0.3)],
    "patch": [PICTURE[:5, :5]],
    "box": [{"x": 1, "y": 2, "width": 5, "height": 5}],
    "boxes": [[{"x": 1, "y": 2, "width": 3, "height": 2}], []],
    "given": [{"x": 1, "y": 2, "width": 5, "height": 5}, [[{"x": 1, "y": 2, "width": 5, "height": 5}]]],
    "points": [[{"x": 1.0, "y": 2.0}], []],
    "read_points.text": ["[]", '[{"x": 1, "y": 2}]'],
    "queries": ["red star"],
    "query": ["red star", "star"],
    "questions": [QUESTION],
    "question": [QUESTION],
    "answer": [None, "red", "it is red"],
    "answers": [None, "red", "it is a red star"],
    "instead_of": [None, "blue"],
    "neutral_text": [None, "a picture"],
    "previous_answers": [None],
    "hints": [None],
    "template": ["plain", "step by step"],
    "find_template.template": ["plain", "iterative", "hint"],
    "system_prompt": ["", "Be brief."],
    "words": [(), (), ["red"]],
    "hint_words": [(), (), ["red"]],
    "clip_api.model_name": ["tiny-clip"],
    "llava_api.model_name": ["tiny-lvlm"],
    "load_clip.model": ["tiny-clip"],
    "load_lvlm.model": ["tiny-lvlm"],
    "connect.model": ["", "a"],
    "profile": ["ollama"],
    "MagnifyStyle.profile": ["peak", "mean"],
    "address": ["http://127.0.0.1:9", "https://example.org/v1"],
    "name": ["a", "my-server"],
    "text": ["{question}", "{question} Answer: {previous_answer}"],
    "side": [1, 7, 24, 40],
    "captions": [["a"], ["a", "b"]],
    "panel.captions": [["a", "b", "c"]],
    "size": [None, (24, 32), (60, 90)],
    "draw_curves.size": [(640, 480), (200, 200)],
    "layer": [None, 0, -1, 3],
    "layer_index": [None, 0, -1],
    "layers": [None, [0], [0, -1]],
    "heads": [None, [(0, 0), (1, 1)]],
    "method": [None],
    "clip_heatmap.method": [*choices.CLIP_METHODS],
    "lvlm_heatmap.method": [None, *choices.LVLM_METHODS],
    "llava_api.method": [None, *choices.LVLM_METHODS],
    "explain.method": [*METHODS, *["gradient x input", "difference", "attention", "grad-cam"] * 3],
    "mode": combine.COMBINE_MODES,
    "combine.scale": SCALES,
    "scale": choices.BATCH_SCALES,
    "fit": [None, *choices.FITS],
    "reading": choices.READINGS,
    "baseline": choices.BASELINES,
    "other_baseline": [None, *choices.BASELINES],
    "interpolation": choices.INTERPOLATIONS,
    "smoothing_unit": choices.SMOOTHING_UNITS,
    "scheme": choices.SCHEMES,
    "precision": choices.PRECISIONS,
    "attention": choices.ATTENTIONS[:2],
    "resize": choices.RESIZES,
    "rounding": overlay.ROUNDINGS,
    "color": [(0.0, 0.0, 0.0), (0.2, 1.0, 0.5)],
    "seeds": [None, [0], [3, 2**32]],
    "turns": [()],
    "explain.settings": [None],
    "folder": [None, Path("no/such/folder")],
    "folders": [(), [Path("no/such/folder")]],
    "every": [1, 2, 16],
    "strength": [1.0, 0.3, 0.0],
    "skip_above": [0.995, 1.0, 0.0],
    "max_regions": [1, 3],
    "multiple": [1, 8],
    "padding_unit": ["pixels", "fraction"],
    "aspect": [None, 1.0, 2.5],
    "score": ["mean", "sum"],
    "grow_shape": ["round", "square"],
    "colormap": ["turbo", "viridis"],
    "interpolate_method_name": ["LANCZOS", "NEAREST"],
    "label": ["", "star"],
    "opening": ["", "It is"],
    "limits": [None, Limits(retries=0)],
    "stored_key": [None],
    "key_variable": ["", "SOME_KEY"],
    "radius": [0.5, 12.0],
    "zoom": [1.0, 3.0, 10.0],
}
"""What an argument mostly is, by its name, or by that of the function before it: so that what comes behind the checks
is reached. Of others it is the default, or a number from 0 to 1 or 3."""
VARIED = ("style", "decoding", "tune.settings")
"""Whose values are varied ones already."""
COUNTED: dict[str, Sequence[Any]] = {
    "max_new_tokens": [1, 3],
    "steps": [1, 2],
    "batch_size": [1, 3],
    "max_height": [768, 30],
    "side": [1, 12],
}
"""What work grows with: no more of it than a test has time for."""
ODD_COUNTS = (*range(-2, 6), 2.5, math.nan, 2**64)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_fetched() -> Iterator[None]:
    download.forbid_downloads(True, by="these tests")
    yield
    download.forbid_downloads(False)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, st.SearchStrategy[Any]]:
    clip = api_core.load_clip("tiny-clip")
    lvlm = api_core.load_lvlm(zoo.folder("llava-1.5", tmp_path_factory.mktemp("models")))
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


@functools.cache
def hints_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    made = function.__init__ if inspect.isclass(function) else function
    names = {**vars(overlay), "LvlmRequest": LvlmRequest, "Tensor": torch.Tensor, **vars(inspect.getmodule(function))}
    return typing.get_type_hints(made, names)


def good(function: Callable[..., Any], parameter: inspect.Parameter, values: st.SearchStrategy[Any]) -> Any:
    """What an argument mostly is."""
    name, default = parameter.name, parameter.default
    for key in (f"{function.__name__}.{name}", name):
        if known := {**GOOD, **COUNTED}.get(key):
            return st.sampled_from(known)
    if default is parameter.empty or name in VARIED or f"{function.__name__}.{name}" in VARIED:
        return values
    inside = {bool: st.booleans(), int: st.integers(0, 3), float: st.floats(0, 1)}.get(type(default), st.just(default))
    return st.just(default) | inside


def arguments(function: Callable[..., Any], known: Any) -> st.SearchStrategy[dict[str, Any]]:
    """The arguments of a call: what is needed and some others, of which none to two are whatever their type allows."""
    parameters = {
        name: one
        for name, one in inspect.signature(function).parameters.items()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL) and name not in ("device", "allow_download")
    }
    wild = {
        name: st.sampled_from(ODD_COUNTS) if name in COUNTED else of_type(hints_of(function)[name], known)
        for name in parameters
    }
    mostly = {name: good(function, one, wild[name]) for name, one in parameters.items()}
    needed = {name for name, one in parameters.items() if one.default is one.empty}
    names = sorted(parameters)

    @st.composite
    def drawn(draw: Any) -> dict[str, Any]:
        some = draw(st.sets(st.sampled_from(names), max_size=5)) if names else ()
        odd = (
            draw(
                st.sampled_from((0, 0, 0, 1, 1, 2)).flatmap(
                    lambda most: st.lists(st.sampled_from(names), max_size=most)
                )
            )
            if names
            else ()
        )
        given = {name: draw(mostly[name]) for name in names if name in needed or name in some}
        return {**given, **{name: draw(wild[name]) for name in odd}}

    return drawn()


def parts(given: tuple[Callable[..., Any], dict[str, Any]]) -> list[str]:
    function, kwargs = given
    return [function.__name__, *(f"{function.__name__}.{name}" for name in kwargs)]


def call(given: tuple[Callable[..., Any], dict[str, Any]]) -> Any:
    function, kwargs = given
    writes = function is api_core.ask_surest or "max_new_tokens" in inspect.signature(function).parameters
    if writes and (function is not api_core.prompt_picture or isinstance(kwargs.get("model"), LvlmModel)):
        kwargs = {"max_new_tokens": 3, **kwargs}
    if function is api_core.explain:
        kwargs = {"method": "difference", "steps": 2, **kwargs}
        if "(paper)" in str(kwargs["method"]):  # which runs the model many times for each step
            kwargs = {"settings": {"shares": 2}, **kwargs}
    found = function(**kwargs)
    return None if inspect.isclass(function) else found  # a bound of a setting may be infinite


def calls(functions: tuple[Callable[..., Any], ...], known: Any) -> st.SearchStrategy[Any]:
    made = {function: arguments(function, known) for function in functions}
    return st.sampled_from(functions).flatmap(lambda function: st.tuples(st.just(function), made[function]))


def test_what_needs_no_model(known: Any) -> None:
    assert run_examples(calls(LIGHT, known), 150, call, parts).share() > 0.5


@pytest.mark.slow
def test_what_runs_a_model(known: Any) -> None:
    assert run_examples(calls(HEAVY, known), 15, call, parts).share() > 0.25


def test_every_public_function_is_tried() -> None:
    public = [getattr(api_core, name) for name in api_core.__all__]
    own = [one for one in public if callable(one) and not inspect.isclass(one)]
    assert {one.__name__ for one in own} - {one.__name__ for one in (*LIGHT, *HEAVY)} == {"forbid_downloads"}
