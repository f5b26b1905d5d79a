"""Nodes and links that several of the shipped workflows share."""

from collections.abc import Mapping
from typing import Any

from workflow_spec import Link, Node

NOTE_COLUMN = -420
FIXED = {"control_after_generate": "fixed"}
PICTURE, PHOTO = ("picture", "image"), ("picture", "IMAGE")
CLIP, LVLM, SERVER = ("clip", "clip"), ("lvlm", "lvlm"), ("server", "server")
QUESTION = ("question", "STRING")

# Files that ComfyUI's own blueprints and templates name, and the weights of the paper's CLIP.
VIT_L = {
    "name": "vit_large_patch14_clip_336.openai/open_clip_model.safetensors",
    "url": "https://huggingface.co/timm/vit_large_patch14_clip_336.openai/resolve/main/open_clip_model.safetensors",
    "directory": "clip_vision",
}
QWEN = {
    "name": "qwen3vl_4b_fp8_scaled.safetensors",
    "url": "https://huggingface.co/Comfy-Org/Qwen3-VL/resolve/main/text_encoders/qwen3vl_4b_fp8_scaled.safetensors",
    "directory": "text_encoders",
}
QWEN_IMAGE = {
    "name": "qwen_2.5_vl_7b_fp8_scaled.safetensors",
    "url": "https://huggingface.co/Comfy-Org/Qwen-Image_ComfyUI/resolve/main/split_files/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors",
    "directory": "text_encoders",
}
SAM_3 = {
    "name": "sam3.1_multiplex_fp16.safetensors",
    "url": "https://huggingface.co/Comfy-Org/sam3.1/resolve/main/checkpoints/sam3.1_multiplex_fp16.safetensors",
    "directory": "checkpoints",
}
SD_15 = {
    "name": "v1-5-pruned-emaonly-fp16.safetensors",
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "directory": "checkpoints",
}


def demo_scene(pos: tuple[int, int], seed: int, size: tuple[int, int] = (380, 210), **values: int) -> Node:
    return Node("picture", "AttnPromptDemoScene", pos, size, values={"seed": seed, **FIXED, **values})


def scene_text(pos: tuple[int, int], size: tuple[int, int] = (380, 140)) -> Node:
    return Node("there", "PreviewAny", pos, size, title="What is in the scene")


def question(pos: tuple[int, int], text: str, title: str = "The question") -> Node:
    return Node("question", "PrimitiveStringMultiline", pos, (380, 120), title, {"value": text})


def load_clip(pos: tuple[int, int], model: str = "tiny-clip", width: int = 380) -> Node:
    values = {"model": model, "precision": "auto", "allow_download": False}
    return Node("clip", "AttnPromptLoadCLIP", pos, (width, 130), values=values)


def load_lvlm(pos: tuple[int, int]) -> Node:
    values = {"model": "tiny-lvlm", "precision": "auto", "attention": "auto", "max_pixels": 0, "allow_download": False}
    return Node("lvlm", "AttnPromptLoadLVLM", pos, (380, 200), values=values)


def ask(key: str, pos: tuple[int, int], title: str, height: int = 380, **values: Any) -> Node:
    given = {"template": "plain", "max_new_tokens": 64, **FIXED, **values}
    return Node(key, "AttnPromptAsk", pos, (380, height), title, values=given)


def compare(pos: tuple[int, int], names: str) -> Node:
    return Node("difference", "AttnPromptCompareAnswers", pos, (420, 380), values={"names": names})


def compare_links(*asked: str) -> tuple[Link, ...]:
    """From the nodes that ask to the one that compares their answers."""
    return tuple((key, "answer", "difference", f"answers.answer{number}") for number, key in enumerate(asked))


def text(key: str, pos: tuple[int, int], title: str, size: tuple[int, int] = (360, 180)) -> Node:
    return Node(key, "PreviewAny", pos, size, title=title)


def shown(key: str, pos: tuple[int, int], size: tuple[int, int], title: str) -> Node:
    return Node(key, "PreviewImage", pos, size, title=title)


def fade(key: str, pos: tuple[int, int], width: int = 340, **values: Any) -> Node:
    return Node(
        key, "AttnPromptOverlay", pos, (width, 180), values={"strength": 1.0, "style": "fade to grey", **values}
    )


def tune(key: str, pos: tuple[int, int], width: int = 340, values: Mapping[str, Any] | None = None) -> Node:
    return Node(key, "AttnPromptTuneMask", pos, (width, 250), values=values or {})


def ask_links(key: str, picture: tuple[str, str], model: tuple[str, str]) -> tuple[Link, ...]:
    return ((*model, key, "model"), (*picture, key, "image"), (*QUESTION, key, "question"))


def overlay_links(heatmap: str, mask: str, overlay: str, picture: tuple[str, str]) -> tuple[Link, ...]:
    """From a heatmap to the prompted picture."""
    return (
        (heatmap, "heatmap", mask, "heatmap"),
        (*picture, overlay, "image"),
        (mask, "mask", overlay, "mask"),
    )


def words_shown(key: str, words: str, title: str, y: int) -> tuple[Node, ...]:
    """The map of some words of a heatmap, in a row of its own."""
    return (
        tune(f"{key} mask", (920, y), values={"words": words}),
        Node(f"{key} view", "AttnPromptView", (1320, y), (520, 440), title=title),
    )


def words_links(key: str, picture: tuple[str, str]) -> tuple[Link, ...]:
    return (
        ("heatmap", "heatmap", f"{key} mask", "heatmap"),
        (f"{key} mask", "mask", f"{key} view", "map"),
        (*picture, f"{key} view", "image"),
    )
