"""open_clip's models: which tower is read how."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...hooks import first_tensor
from ..contributions import Matrix, Scale
from . import Readout, TextTower, Tower, unsupported
from .attention_pool import AttentionPoolReadout, mean_token_pool, multihead_pool
from .average_pool import AveragePoolReadout
from .class_token import BlockAttention, ClassTokenReadout, multihead
from .timm import timm_tower


def picture_tower(module: Any, name: str) -> Tower:
    """The picture tower of an open_clip model, or UnsupportedModel with what to use instead."""
    visual = module.visual
    if hasattr(visual, "trunk"):
        return timm_tower(visual, name)
    if hasattr(visual, "attnpool"):
        return _resnet(visual, name)
    if hasattr(visual, "transformer") and hasattr(visual, "ln_post"):
        return _vision_transformer(visual, name)
    raise unsupported(name, type(visual).__name__)


def _vision_transformer(visual: Any, name: str) -> Tower:
    """open_clip's own ViT."""
    blocks = list(visual.transformer.resblocks)
    if not getattr(visual.transformer, "batch_first", True):
        raise unsupported(name, "its blocks take tokens before pictures (an open_clip older than 2.24 built it)")
    if getattr(blocks[0].attn, "logit_scale", None) is not None:
        raise unsupported(name, "scaled cosine attention, which open_clip itself cannot run")
    patch_height, patch_width = visual.patch_size
    return Tower(
        encode=lambda pixels, valid: first_tensor(visual(pixels)),
        blocks=blocks,
        readout=_readout(visual, name),
        grid=lambda height, width: (height // patch_height, width // patch_width),
        side=visual.image_size[0],
        width=visual.conv1.out_channels,
    )


def _readout(visual: Any, name: str) -> Readout:
    if visual.attn_pool is not None:
        if visual.attn_pool_contrastive is not None or visual.pool_type != "tok":
            raise unsupported(name, f"a CoCa pool of type {visual.attn_pool_type or visual.pool_type!r}")
        attention = visual.attn_pool.attn
        return AttentionPoolReadout(
            multihead_pool(attention, visual.attn_pool.ln_k),
            steps=lambda: (attention.out_proj, visual.ln_post, Matrix(visual.proj)),
            deep=True,
        )
    if visual.pool_type == "tok":
        return ClassTokenReadout(_block_attention, visual.ln_post, projection=lambda: visual.proj)
    if visual.pool_type == "avg" and visual.final_ln_after_pool:
        return AveragePoolReadout(visual.transformer, lambda: (visual.ln_post, Matrix(visual.proj)), prefix=1)
    if visual.pool_type == "avg":
        return AveragePoolReadout(visual.ln_post, lambda: (Matrix(visual.proj),), prefix=1)
    raise unsupported(name, f"a ViT pooled by {visual.pool_type!r}")


def _resnet(visual: Any, name: str) -> Tower:
    """CLIP's own ResNet, with an attention pool at its end."""
    pool = visual.attnpool
    if pool is None:
        raise unsupported(name, "a ResNet without its attention pool")
    stages = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
    return Tower(
        encode=lambda pixels, valid: visual(pixels),
        blocks=[block for stage in stages for block in stage],
        readout=AttentionPoolReadout(mean_token_pool(pool), steps=lambda: (pool.c_proj,)),
        grid=lambda height, width: (height // 32, width // 32),
        side=visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0],
        width=pool.c_proj.in_features,
    )


def _block_attention(block: Any) -> BlockAttention:
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


def text_tower(module: Any) -> TextTower:
    """The text tower of an open_clip model."""
    text = getattr(module, "text", module)
    croppable = (
        getattr(text, "attn_mask", None) is not None
        and getattr(text, "cls_emb", None) is None
        and getattr(text, "text_pool_type", getattr(text, "pool_type", "")) in ("argmax", "eos")
        and hasattr(text, "token_embedding")
    )
    context = getattr(text, "context_length", module.context_length)
    if croppable:
        return TextTower(partial(_encode_causal, text), int(context), croppable=True)

    def encode(ids: Tensor) -> Tensor:
        return first_tensor(module.encode_text(ids) if text is module else text(ids))

    return TextTower(encode, int(context), croppable=False)


def _encode_causal(text: Any, ids: Tensor) -> Tensor:
    """Encode token ids [T, m] of any length up to the context's: what follows a text's end does not reach it."""
    length = ids.shape[1]
    dtype = text.transformer.get_cast_dtype()
    tokens = text.token_embedding(ids).to(dtype) + text.positional_embedding[:length].to(dtype)
    tokens = text.ln_final(text.transformer(tokens, attn_mask=text.attn_mask[:length, :length]))
    if getattr(text, "text_pool_type", getattr(text, "pool_type", "")) == "eos":
        end = ids.eq(getattr(text, "text_eos_id", getattr(text, "eos_id", -1))).int().argmax(dim=-1)
    else:
        end = ids.argmax(dim=-1)
    pooled = tokens[torch.arange(ids.shape[0], device=ids.device), end]
    projection: Callable[[Tensor], Tensor] | Tensor | None = text.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, nn.Module) else pooled @ projection
