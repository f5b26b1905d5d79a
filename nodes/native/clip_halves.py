"""The two halves of a CLIP that ComfyUI loaded: the picture tower of a CLIP_VISION, a text tower of a CLIP.

ComfyUI owns their memory and their numbers, and runs them; what the picture tower computes is looked at meanwhile.
Weights may be patched, quantised or elsewhere, so those that maps are made with are asked of the modules: of a linear
layer f by f(I) - f(0) and f(0), of a norm by what it makes of a vector and of its opposite.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...api_core.autograd import frozen
from ...api_core.errors import UnsupportedModel
from ...api_core.models.clip import PictureSpec
from ...api_core.models.clip.tokenise_text import TextTokenizer
from ...api_core.models.clip.towers import Finalise, TextTower, Tower, TowerOutputs
from ...api_core.models.clip.towers.class_token import BlockAttention, ClassTokenReadout
from ...api_core.models.hooks import AttentionCall, Hooks
from .. import host
from .tap import FUNCTION, one_at_a_time
from .texts import special_tokens

WHAT_FITS = (
    "CLIP Vision G goes with SDXL's CLIP, H with SD 2's, L with a clip_l that has a text projection. Or use Load CLIP "
    "(Attention Prompting)."
)
_WITHOUT_TEXT = {
    "siglip_vision_model": "SigLIP",
    "siglip2_vision_model": "SigLIP 2",
    "dinov2": "DINOv2",
    "dinov3": "DINOv3",
}
_SIZES = {(24, 1024): "L-", (32, 1280): "H-", (48, 1664): "bigG-"}


@dataclass(frozen=True)
class _AsComfyUI(PictureSpec):
    """ComfyUI takes away the mean and divides by the deviation itself."""

    def normalise(self, pixels: Tensor) -> Tensor:
        """[N, 3, h, w] of 0..1 as it is."""
        return pixels.float()


class PictureHalf:
    """A CLIP_VISION whose picture tower reads a class token."""

    def __init__(self, clip_vision: Any) -> None:
        self._clip_vision, self.module = clip_vision, clip_vision.model
        inner: Any = getattr(self.module, "vision_model", None)
        kind = str(getattr(clip_vision, "model_type", type(self.module).__name__))
        class_token = getattr(getattr(inner, "embeddings", None), "class_embedding", None)
        if class_token is None or not hasattr(inner, "post_layernorm"):
            raise UnsupportedModel(
                f"{_WITHOUT_TEXT.get(kind, kind)} has no text tower in ComfyUI; use Load CLIP (Attention Prompting)."
            )
        self._inner = inner
        self._projection = self.module.visual_projection
        self._width = int(clip_vision.config["hidden_size"])
        self._patch = int(clip_vision.config["patch_size"])
        side, depth = int(clip_vision.image_size), len(self._inner.encoder.layers)
        self.name = f"ViT-{_SIZES.get((depth, self._width), '')}{self._patch}{f'-{side}' if side != 224 else ''}"
        if not isinstance(self._projection, nn.Module):
            raise UnsupportedModel(f"{self.name} has no projection into the space of texts. {WHAT_FITS}")
        self.spec = _AsComfyUI(side, tuple(clip_vision.image_mean), tuple(clip_vision.image_std))

    @property
    def place(self) -> torch.device:
        """Where ComfyUI runs it."""
        return torch.device(self._clip_vision.patcher.load_device)

    def tower(self) -> Tower:
        return Tower(
            encode=self._encode,
            blocks=list(self._inner.encoder.layers),
            readout=_Readout(
                self._attention, self._inner.post_layernorm, self._matrix, readable=self._readable, name=self.name
            ),
            grid=lambda height, width: (height // self._patch, width // self._patch),
            side=self.spec.side,
            width=self._width,
        )

    def _encode(self, pixels: Tensor, valid: Tensor | None) -> Tensor:
        with torch.inference_mode():  # as ComfyUI runs it: weights that it makes and moves there stay of one kind
            found = self._clip_vision.encode_image(pixels.movedim(1, -1), crop=False)
            features: Tensor = found["image_embeds"].to(self.place)
        return features

    def _attention(self, block: Any) -> BlockAttention:
        """Called before anything else is asked of the weights, so this is where they are brought to their device."""
        with torch.inference_mode():
            host.load_clip(self._clip_vision, 0)
        return _Attention(block.self_attn, (self._linear(block.self_attn.out_proj),), fused=True)

    def _matrix(self) -> Tensor:
        return self._linear(self._projection).weight.T

    def _linear(self, layer: Callable[[Tensor], Tensor]) -> nn.Linear:
        """An ordinary layer that does the same to a token."""
        with torch.inference_mode():
            bias = layer(torch.zeros(1, self._width, device=self.place))[0]
            weight = (layer(torch.eye(self._width, device=self.place)) - bias).T
        made = nn.utils.skip_init(nn.Linear, self._width, len(bias), device=self.place)
        made.weight, made.bias = _weight(weight), _weight(bias)
        return made

    def _readable(self, norm: nn.LayerNorm) -> nn.LayerNorm:
        """An ordinary norm that does the same to a token."""
        with torch.inference_mode():
            signs = torch.ones(2, self._width, device=self.place)
            signs[:, 1::2] = -1
            signs[1] *= -1
            made_of, made_of_opposite = norm(signs)
            one = F.layer_norm(signs[0], (self._width,), eps=norm.eps)
            gain, bias = (made_of - made_of_opposite) / 2 / one, (made_of + made_of_opposite) / 2
        made = nn.LayerNorm(self._width, norm.eps, device=self.place)
        made.weight, made.bias = _weight(gain), _weight(bias)
        return made


def _weight(values: Tensor) -> nn.Parameter:
    """Of values made in inference mode an ordinary weight."""
    with torch.inference_mode(False):
        return nn.Parameter(values.detach().float().clone(), requires_grad=False)


@dataclass(frozen=True)
class _Readout(ClassTokenReadout):
    """Alone with the tower, whose modules other nodes may share. name: of the model."""

    name: str = ""

    @contextmanager
    def record(self, blocks: Sequence[nn.Module], layer: int) -> Iterator[Finalise]:
        with one_at_a_time, super().record(blocks, layer) as finalise:

            def finalise_what_was_seen(features: Tensor) -> TowerOutputs:
                try:
                    return finalise(features)
                except UnsupportedModel as error:
                    raise UnsupportedModel(
                        f"The attention of {self.name} could not be seen (compiled, or patched by another pack?). "
                        "Remove that from the CLIP Vision, or use Load CLIP (Attention Prompting)."
                    ) from error

            yield finalise_what_was_seen


class _Attention(BlockAttention):
    """An attention that is handed its function, behind the mask, or by name."""

    def watch(self, hooks: Hooks, read: Callable[[AttentionCall], None]) -> None:
        """See `BlockAttention`. The function is exchanged for one that looks, and calls it."""

        def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if FUNCTION in kwargs:
                return args, {**kwargs, FUNCTION: _shown(kwargs[FUNCTION], read)}
            if len(args) == 3:
                return (*args[:2], _shown(args[2], read)), kwargs
            return None  # not seen, and said so in the end

        hooks.exchange(self.module, change)


def _shown(original: Callable[..., Any], read: Callable[[AttentionCall], None]) -> Callable[..., Any]:
    def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, *args: Any, **options: Any) -> Any:
        with frozen():  # what is kept has to be ordinary tensors
            mask = args[0] if args else options.get("mask")
            each = [part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)]
            read(AttentionCall(each[0], each[1], each[2], mask))
        return original(query, key, value, heads, *args, **options)

    return attention


@dataclass(frozen=True)
class TextHalf:
    """One CLIP's text tower in a CLIP. part: what makes features of tokens."""

    clip: Any
    name: str
    part: Any

    def tower(self) -> TextTower:
        return TextTower(self._encode, self._length, croppable=False)

    def reader(self) -> TextTokenizer:
        """What is in a text, as it stands: neither weights in brackets nor names of embeddings mean anything."""
        inner = self._tokenizer.tokenizer
        return TextTokenizer(self._tokenise, self._length, specials=list(special_tokens(inner)))

    @property
    def _tokenizer(self) -> Any:
        return getattr(self.clip.tokenizer, self.name)

    @property
    def _length(self) -> int:
        return int(self._tokenizer.max_length)

    def _tokenise(self, texts: list[str], context_length: int) -> Tensor:
        """[T, context_length]: begin, words, end, padding; what does not fit is cut."""
        outer = self._tokenizer
        rows = []
        for text in texts:
            ids = [int(token) for token in outer.tokenizer(text)["input_ids"]]
            ids = [*ids[: min(len(ids), context_length) - 1], ids[-1]]
            rows.append(ids + [outer.pad_token] * (context_length - len(ids)))
        return torch.tensor(rows)

    def _encode(self, ids: Tensor) -> Tensor:
        """The feature at the end of each text, projected, whatever layer the CLIP is set to."""
        with torch.inference_mode(), host.running(self.clip):
            own = copy.copy(self.part)  # takes the options, so that those of the CLIP stay
            own.reset_clip_options()
            own.set_clip_options({"projected_pooled": True, "execution_device": self.clip.patcher.load_device})
            features: Tensor = own.encode(ids.tolist())[1]
        return features


def text_halves(clip: Any) -> list[TextHalf]:
    """The text towers of CLIPs in a CLIP; there may be other encoders beside them."""
    found = []
    for name, part in clip.cond_stage_model.named_children():
        transformer = getattr(part, "transformer", None)
        if hasattr(transformer, "text_model") and hasattr(transformer, "text_projection"):
            found.append(TextHalf(clip, name, part))
    return [text for text in found if hasattr(clip.tokenizer, text.name)]
