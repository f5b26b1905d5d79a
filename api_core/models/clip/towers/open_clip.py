"""open_clip's models: which tower is read how."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ....errors import UnsupportedModel
from ...capture import first_tensor
from ..model import TextTower
from ..shares import Scale
from . import Tower
from .class_token import BlockAttention, ClassTokenReadout, multihead


def picture_tower(module: nn.Module, name: str) -> Tower:
    """The picture tower of an open_clip model, or UnsupportedModel with what to use instead."""
    visual = module.visual
    if hasattr(visual, "transformer") and hasattr(visual, "ln_post"):
        return _vision_transformer(visual, name)
    raise unsupported(name, type(visual).__name__)


def unsupported(name: str, what: str) -> UnsupportedModel:
    """The error for a tower whose maps are not defined."""
    return UnsupportedModel(
        f"{name} has a picture tower that cannot be read for a heatmap: {what}. Use a model with a class-token ViT, "
        "such as ViT-L-14-336/openai or ViT-B-16/openai."
    )


def _vision_transformer(visual: nn.Module, name: str) -> Tower:
    """open_clip's own ViT."""
    blocks = list(visual.transformer.resblocks)
    if not getattr(visual.transformer, "batch_first", True):
        raise unsupported(name, "its blocks take tokens before pictures (an open_clip older than 2.24 built it)")
    if getattr(blocks[0].attn, "logit_scale", None) is not None:
        raise unsupported(name, "scaled cosine attention, which open_clip itself cannot run")
    if visual.attn_pool is not None or visual.pool_type != "tok":
        raise unsupported(name, f"a ViT with pool type {visual.pool_type!r}")
    readout = ClassTokenReadout(_block_attention, visual.ln_post, projection=lambda: visual.proj)
    patch_height, patch_width = visual.patch_size
    return Tower(
        encode=lambda pixels, valid: first_tensor(visual(pixels)),
        blocks=blocks,
        readout=readout,
        grid=lambda height, width: (height // patch_height, width // patch_width),
        side=visual.image_size[0],
        width=visual.conv1.out_channels,
    )


def _block_attention(block: nn.Module) -> BlockAttention:
    """open_clip's blocks: nn.MultiheadAttention, or its own with norms on queries, keys, heads' output and result."""
    if isinstance(block.attn, nn.MultiheadAttention):
        return multihead(block)
    attention = block.attn
    steps: list[nn.Module | Scale] = []
    if attention.head_scale is not None:
        steps.append(Scale(attention.head_scale.flatten().repeat_interleave(attention.head_dim)))
    steps += [attention.ln_inner, attention.out_proj, block.ln_attn]
    if hasattr(block.ls_1, "gamma"):
        steps.append(Scale(block.ls_1.gamma))
    return BlockAttention(attention, tuple(steps), fused=True)


def text_tower(module: nn.Module) -> TextTower:
    """The text tower of an open_clip model."""
    text = getattr(module, "text", module)
    croppable = (
        getattr(text, "attn_mask", None) is not None
        and getattr(text, "cls_emb", None) is None
        and getattr(text, "text_pool_type", getattr(text, "pool_type", "")) in ("argmax", "eos")
        and hasattr(text, "token_embedding")
    )
    if croppable:
        return TextTower(partial(_encode_causal, text), module.context_length, croppable=True)
    return TextTower(lambda ids: first_tensor(text(ids)), _context_length(module), croppable=False)


def _context_length(module: nn.Module) -> int:
    return int(module.context_length)


def _encode_causal(text: Any, ids: Tensor) -> Tensor:
    """Encode token ids [T, m] of any length up to the context's: what follows a text's end does not reach it."""
    length = ids.shape[1]
    dtype = text.transformer.get_cast_dtype()
    tokens = text.token_embedding(ids).to(dtype) + text.positional_embedding[:length].to(dtype)
    tokens = text.ln_final(text.transformer(tokens, attn_mask=text.attn_mask[:length, :length]))
    if getattr(text, "text_pool_type", getattr(text, "pool_type", "")) == "eos":
        end = (ids == getattr(text, "text_eos_id", getattr(text, "eos_id", None))).int().argmax(dim=-1)
    else:
        end = ids.argmax(dim=-1)
    pooled = tokens[torch.arange(ids.shape[0], device=ids.device), end]
    projection: Callable[[Tensor], Tensor] | Tensor | None = text.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection
