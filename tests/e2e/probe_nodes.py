"""Nodes that only tests use: pictures out of nothing, and a look at the memory of the server. Copied into its packs."""

import gc
import importlib
import sys
import weakref
from types import ModuleType
from typing import Any

import psutil
import torch
from aiohttp import web
from server import PromptServer

_modules: list[weakref.ref] = []


def host_of_the_pack() -> ModuleType:
    """The pack's `host` module, under the name that ComfyUI gave it."""
    found = [module for name, module in sys.modules.items() if name.endswith("attention-prompting.nodes.host")]
    return found[0]


class ProbePictures:
    """`count` drawn pictures: a red square on noise, at another place in each."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        whole = {"default": 1, "min": 0, "max": 100_000}
        return {
            "required": {
                "count": ("INT", whole),
                "height": ("INT", whole),
                "width": ("INT", whole),
                "channels": ("INT", whole),
                "nan": ("BOOLEAN", {"default": False}),
                "seed": ("INT", whole),
            }
        }

    def make(self, count: int, height: int, width: int, channels: int, nan: bool, seed: int) -> tuple[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        pictures = torch.rand(count, height, width, channels, generator=generator) * 0.3
        for i, picture in enumerate(pictures):
            top, left = (i * 7) % max(height // 2, 1), (i * 11) % max(width // 2, 1)
            picture[top : top + height // 3 + 1, left : left + width // 3 + 1, 0] = 1.0
        if nan:
            pictures[-1, 0, 0, 0] = float("nan")
        return (pictures,)


class ProbeText:
    """A string over a link, which ComfyUI does not check against a combo's options."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("*",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"text": ("STRING", {"default": ""})}}

    def make(self, text: str) -> tuple[str]:
        return (text,)


class ProbeTexts:
    """Lines as a list of strings, such as the questions for a batch."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_IS_LIST = "test", "make", ("STRING",), (True,)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"lines": ("STRING", {"default": "", "multiline": True})}}

    def make(self, lines: str) -> tuple[list[str]]:
        return (lines.splitlines(),)


class ProbeRemember:
    """Keeps a weak reference to the module of a loaded model."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "test", "remember", (), True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        models = "ATTNPROMPT_CLIP,ATTNPROMPT_LVLM"
        return {"required": {"model": (models,)}, "optional": {"other": (models,)}}

    def remember(self, model: Any, other: Any = None) -> dict[str, Any]:
        _modules.append(weakref.ref(model.model.module))
        shared = other is not None and other.model.module is model.model.module
        size = sum(weight.nbytes for weight in model.model.module.parameters())
        text = [f"inference={torch.is_inference_mode_enabled()}", f"shared={shared}", f"bytes={size}"]
        return {"ui": {"text": text}}


class ProbeGradient:
    """Has weights moved the way another node does it, inside inference mode, then asks the pack's host for them."""

    CATEGORY, FUNCTION, RETURN_TYPES, OUTPUT_NODE = "test", "look", (), True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"clip": ("ATTNPROMPT_CLIP",), "through_host": ("BOOLEAN", {"default": True})}}

    def look(self, clip: Any, through_host: bool) -> dict[str, Any]:
        module = clip.model.module
        dtype = next(module.parameters()).dtype
        other = torch.float64 if dtype == torch.float32 else torch.float32
        assert torch.is_inference_mode_enabled()
        module.to(other)  # stands in for a move to another device, which a machine without one cannot make
        moved_badly = all(weight.is_inference() for weight in module.parameters())
        if through_host:
            host_of_the_pack().on_device(clip, 0)
        with torch.inference_mode(False), torch.enable_grad():
            pixels = torch.rand(1, 3, clip.model.side, clip.model.side, dtype=other, requires_grad=True)
            try:
                (gradient,) = torch.autograd.grad(module.encode_image(pixels).sum(), pixels)
                outcome = f"gradient={bool(gradient.abs().sum() > 0)}"
            except RuntimeError as error:
                outcome = f"error={error}"
        with torch.inference_mode(False), torch.no_grad():
            module.to(dtype)
        return {"ui": {"text": [f"moved_badly={moved_badly}", outcome]}}


class ProbeMoveBadly:
    """Hands an LVLM on after its weights were moved inside inference mode, as another node would have it done."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "move", ("ATTNPROMPT_LVLM",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"lvlm": ("ATTNPROMPT_LVLM",)}}

    def move(self, lvlm: Any) -> tuple[Any]:
        assert torch.is_inference_mode_enabled()
        lvlm.model.module.to(torch.float64).to(torch.float32)  # stands in for a move to another device
        assert all(weight.is_inference() for weight in lvlm.model.module.parameters())
        return (lvlm,)


class ProbeEncoder:
    """A tiny random vision-language encoder of ComfyUI's own classes, as Load CLIP would give it."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("CLIP",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"kind": ("STRING", {"default": "qwen3vl"})}}

    def make(self, kind: str) -> tuple[Any]:
        pack = host_of_the_pack().__name__.removesuffix(".nodes.host")
        clip = importlib.import_module(f"{pack}.tests.tiny_encoders").tiny_clip(kind)
        _modules.append(weakref.ref(clip.cond_stage_model))
        return (clip,)


class ProbeHalves:
    """tiny-clip as a CLIP_VISION and a CLIP of ComfyUI's own classes. mixed: its texts in a space of their own."""

    CATEGORY, FUNCTION, RETURN_TYPES = "test", "make", ("CLIP_VISION", "CLIP")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"mixed": ("BOOLEAN", {"default": False})}}

    def make(self, mixed: bool) -> tuple[Any, Any]:
        pack = host_of_the_pack().__name__.removesuffix(".nodes.host")
        library = importlib.import_module(f"{pack}.api_core.models.clip.load").load_clip("tiny-clip")
        pairs = importlib.import_module(f"{pack}.tests.tiny_pairs")
        vision, clip = pairs.tiny_clip_vision(library), pairs.tiny_clip_text(library)
        if mixed:
            weight = clip.cond_stage_model.clip_l.transformer.text_projection.weight
            weight.copy_(weight.roll(1, 0))
        _modules.extend([weakref.ref(vision.model), weakref.ref(clip.cond_stage_model)])
        return vision, clip


@PromptServer.instance.routes.get("/probe/memory")
async def memory(_: web.Request) -> web.Response:
    """Resident bytes of the server, how many remembered modules live, the bytes of all tensors and what packages were
    imported."""
    gc.collect()
    alive = sum(reference() is not None for reference in _modules)
    heavy = [name for name in ("open_clip", "transformers", "timm", "openai") if name in sys.modules]
    resident = psutil.Process().memory_info().rss
    tensors = sum(_bytes_of(found) for found in gc.get_objects() if issubclass(type(found), torch.Tensor))
    return web.json_response({"resident": resident, "alive": alive, "tensor_bytes": tensors, "heavy": heavy})


def _bytes_of(tensor: torch.Tensor) -> int:
    """None of one that cannot say it: a sparse one, or one that the worker's thread is making or throwing away."""
    try:
        return tensor.nbytes
    except (RuntimeError, NotImplementedError, AttributeError, ReferenceError):
        return 0


@PromptServer.instance.routes.get("/probe/wishes")
async def wishes(_: web.Request) -> web.Response:
    """What ComfyUI was told to free and has not yet."""
    return web.json_response(list(PromptServer.instance.prompt_queue.get_flags(reset=False)))


NODE_CLASS_MAPPINGS = {
    "ProbePictures": ProbePictures,
    "ProbeText": ProbeText,
    "ProbeTexts": ProbeTexts,
    "ProbeRemember": ProbeRemember,
    "ProbeGradient": ProbeGradient,
    "ProbeMoveBadly": ProbeMoveBadly,
    "ProbeEncoder": ProbeEncoder,
    "ProbeHalves": ProbeHalves,
}
