"""API prompts for the end-to-end tests."""

from typing import Any

Graph = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """One node of an API prompt; a dot in an input's name is written as two underscores."""
    return {"class_type": class_type, "inputs": {name.replace("__", "."): value for name, value in inputs.items()}}


def pictures(
    count: int = 1, height: int = 48, width: int = 64, channels: int = 3, nan: bool = False, seed: int = 0
) -> dict[str, Any]:
    """The test's own node that draws pictures."""
    return node("ProbePictures", count=count, height=height, width=width, channels=channels, nan=nan, seed=seed)


def load_clip(model: Any, precision: str = "fp32") -> dict[str, Any]:
    return node("AttnPromptLoadCLIP", model=model, precision=precision, allow_download=False)


def pair_clip(clip_vision: Any, clip: Any) -> dict[str, Any]:
    return node("AttnPromptPairCLIP", clip_vision=clip_vision, clip=clip)


def heatmap(clip: str, image: str, query: str = "red square", **other: Any) -> dict[str, Any]:
    settings = {"method": "decomposition", "layer": "auto", "reading": "precise", "fit": "auto", **other}
    return node("AttnPromptCLIPHeatmap", clip=[clip, 0], image=[image, 0], query=query, **settings)


def load_lvlm(model: Any, precision: str = "auto", **other: Any) -> dict[str, Any]:
    settings = {"attention": "auto", "max_pixels": 0, "allow_download": False, **other}
    return node("AttnPromptLoadLVLM", model=model, precision=precision, **settings)


def connect(profile: Any, model: str = "") -> dict[str, Any]:
    return node("AttnPromptConnectServer", profile=profile, model=model)


def ask(model: str, image: str, question: Any = "what color is the star?", **other: Any) -> dict[str, Any]:
    settings = {
        "template": "plain",
        "system_prompt": "",
        "previous_answer": "",
        "max_new_tokens": 20,
        "seed": 0,
        "decoding": "greedy",
        **other,
    }
    return node("AttnPromptAsk", model=[model, 0], image=[image, 0], question=question, **settings)


def surer(model: str, image: str, prompted: str, question: Any = "what color is the star?", **other: Any) -> Any:
    settings = {"skip_above": 1.0, "template": "plain", "max_new_tokens": 20, **other}
    sources = {"model": [model, 0], "image": [image, 0], "prompted__prompted0": [prompted, 0]}
    return node("AttnPromptSurerAnswer", **sources, question=question, **settings)


def lvlm_heatmap(lvlm: str, image: str, question: Any = "what color is the star?", **other: Any) -> dict[str, Any]:
    settings = {
        "answer": "",
        "hint_words": "",
        "method": "auto",
        "layers": "auto",
        "reading": "precise",
        "max_new_tokens": 12,
        **other,
    }
    return node("AttnPromptLVLMHeatmap", lvlm=[lvlm, 0], image=[image, 0], question=question, **settings)


def explain(lvlm: str, image: str, question: Any = "what color is the star?", **other: Any) -> dict[str, Any]:
    settings = {
        "answer": "",
        "words": "",
        "baseline": "blur",
        "seed": 0,
        "instead_of": "",
        "per_word": False,
        "max_new_tokens": 12,
        "method": "igos++",
        **other,
    }
    return node("AttnPromptExplain", lvlm=[lvlm, 0], image=[image, 0], question=question, **settings)


def tune(source: str, **other: Any) -> dict[str, Any]:
    settings = {
        "contrast": -1.0,
        "smoothing": 0,
        "interpolation": "lanczos",
        "words": "",
        "threshold": 0.0,
        "grow": 0,
        "invert": False,
        "smoothing_unit": "patches",
        "feather": 0,
        **other,
    }
    return node("AttnPromptTuneMask", heatmap=[source, 0], **settings)


def overlay(image: str, mask: str, **style: Any) -> dict[str, Any]:
    style = style or {"style": "fade to grey", "style__level": 0, "style__rounding": "none"}
    return node("AttnPromptOverlay", image=[image, 0], mask=[mask, 0], strength=1.0, **style)


def view(image: str, source: str) -> dict[str, Any]:
    return node("AttnPromptView", image=[image, 0], map=[source, 0])


def find_regions(mask: str, **other: Any) -> dict[str, Any]:
    settings = {"threshold": 0.5, "max_regions": 4, "padding": 0, **other}
    return node("AttnPromptFindRegions", mask=[mask, 0], **settings)


def map_back(mapping: Any, **found: Any) -> dict[str, Any]:
    return node("AttnPromptMapBack", mapping=mapping, **found)


def quick_start(model: str, picture: str = "picture.png", query: str = "red square") -> Graph:
    """Load a picture, ask, tune, fade, and look at it."""
    return {
        "picture": node("LoadImage", image=picture),
        "clip": load_clip(model),
        "heatmap": heatmap("clip", "picture", query),
        "mask": tune("heatmap"),
        "overlay": overlay("picture", "mask"),
        "view": view("picture", "heatmap"),
        "save": node("SaveImage", images=["overlay", 0], filename_prefix="prompted"),
    }
