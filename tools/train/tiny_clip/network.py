"""The tiny CLIP as stock open_clip builds it, its initialisation, and a forward pass that also gives the maps' pieces.

The maps are those of Attention Prompting on Image (arXiv 2409.17143): the share of the class token's attention output
that comes from each patch, and the patch tokens themselves, both through a linearised `ln_post` and the projection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEAD_WIDTH, EMBED = 128, 64, 128
CONTEXT = 32
MEAN = STD = (0.5, 0.5, 0.5)


def model_config(layers: int, vocabulary: int) -> dict[str, Any]:
    return {
        "embed_dim": EMBED,
        "quick_gelu": False,
        "init_logit_scale": math.log(10),
        "init_logit_bias": -6.0,
        "vision_cfg": {"image_size": 112, "layers": layers, "width": WIDTH, "head_width": HEAD_WIDTH, "patch_size": 8},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": vocabulary, "width": 64, "heads": 2, "layers": 2},
    }


def build_network(layers: int, vocabulary: int) -> open_clip.CLIP:
    """A fresh model; its vision tower has 2-D sine positions and mimetic attention (arXiv 2305.09828)."""
    config = model_config(layers, vocabulary)
    model = open_clip.CLIP(**config)
    visual = model.visual
    with torch.no_grad():
        visual.positional_embedding.copy_(0.5 * _sine_positions(visual.grid_size[0], WIDTH))
        for block in visual.transformer.resblocks:
            _mimetic(block.attn)
    return model


def _sine_positions(side: int, width: int) -> Tensor:
    """[1 + side * side, width]; the class token's row is zero."""
    quarter = width // 4
    frequency = 1.0 / (100 ** (torch.arange(quarter) / quarter))
    axis = torch.arange(side).float()[:, None] * frequency
    wave = torch.cat([axis.sin(), axis.cos()], 1)
    grid = torch.cat([wave[:, None].expand(side, side, -1), wave[None].expand(side, side, -1)], 2)
    return torch.cat([torch.zeros(1, width), grid.reshape(side * side, width)])


def _mimetic(attention: nn.MultiheadAttention) -> None:
    width, head = WIDTH, HEAD_WIDTH
    for start in range(0, width, head):
        target = 0.7 * torch.eye(width) + 0.7 * torch.randn(width, width) / math.sqrt(width)
        u, s, v = torch.linalg.svd(target)
        root = s[:head].sqrt()
        attention.in_proj_weight[start : start + head] = (u[:, :head] * root).T
        attention.in_proj_weight[width + start : width + start + head] = (v[:head].T * root).T
    target = -0.4 * torch.eye(width) + 0.4 * torch.randn(width, width) / math.sqrt(width)
    u, s, v = torch.linalg.svd(target)
    attention.in_proj_weight[2 * width :] = s.sqrt()[:, None] * v
    attention.out_proj.weight.copy_(u * s.sqrt())


@dataclass
class Forward:
    """`image` [B, E] unscaled; per wanted layer `tokens` [B, N, C] and `shares` [B, N, C] of the class token."""

    image: Tensor
    tokens: dict[int, Tensor]
    shares: dict[int, Tensor]


def forward(visual: Any, pixels: Tensor, wanted: tuple[int, ...], corner: Tensor | None = None) -> Forward:
    """Run the vision tower on pixels [B, 3, h, w] (0..1), h = w a multiple of the patch up to the model's side.

    A smaller square is a piece of a whole picture: `corner` [B, 2] (row, column) says where its positions start.
    `wanted` are block numbers counted from 0.
    """
    x = visual.conv1((pixels - 0.5) / 0.5)
    side = x.shape[-1]
    x = x.flatten(2).transpose(1, 2)
    positions = visual.positional_embedding
    if corner is None:
        patch_positions = positions[None, 1:]
    else:
        steps = torch.arange(side)
        rows, columns = corner[:, :1] + steps, corner[:, 1:] + steps
        index = rows[:, :, None] * visual.grid_size[1] + columns[:, None, :]
        patch_positions = positions[1:][index.flatten(1)]
    head = (visual.class_embedding + positions[0]).expand(x.shape[0], 1, -1)
    x = visual.ln_pre(torch.cat([head.to(x.dtype), x + patch_positions], 1))
    tokens, shares = {}, {}
    for number, block in enumerate(visual.transformer.resblocks):
        x, share = _block(block, x, number in wanted)
        if share is not None:
            tokens[number], shares[number] = x[:, 1:], share[:, 1:]
    return Forward(visual.ln_post(x[:, 0]) @ visual.proj, tokens, shares)


def _block(block: Any, x: Tensor, with_shares: bool) -> tuple[Tensor, Tensor | None]:
    attention = block.attn
    heads = attention.num_heads
    qkv = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v)
    shares = None
    if with_shares:
        weights = (q[:, :, :1] @ k.transpose(-1, -2)).float().mul(q.shape[-1] ** -0.5).softmax(-1)
        parts = (weights.transpose(-1, -2) * v).transpose(1, 2).flatten(2)
        shares = F.linear(parts, attention.out_proj.weight)
    x = x + F.linear(mixed.transpose(1, 2).flatten(2), attention.out_proj.weight, attention.out_proj.bias)
    return x + block.mlp(block.ln_2(x)), shares


def linear_map(visual: Any, vectors: Tensor, texts: Tensor) -> Tensor:
    """The paper's linearised projection: vectors [B, N, C], unit texts [T, E] to scores [B, N, T], less a constant."""
    return (vectors * visual.ln_post.weight) @ (visual.proj @ texts.T)


def cosine_map(visual: Any, tokens: Tensor, texts: Tensor) -> Tensor:
    """Cosine of each patch token (through `ln_post` and the projection) and each text: [B, N, T]."""
    return F.normalize(visual.ln_post(tokens).float() @ visual.proj, dim=-1) @ texts.T
