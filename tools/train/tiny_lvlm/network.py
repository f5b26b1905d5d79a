"""The tiny LVLM as stock transformers builds it, and a forward pass that asks many questions about a picture at once.

A picture's prompt ("<s> USER: <image>...") runs once; every question of that picture is a block of its own that sees
the prompt and itself, at the positions it would have alone. So each block gives what transformers' own forward gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPVisionModel, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from .bank import GRID
from .words import CONTEXT, END, IMAGE, PAD, START, word_list

WIDTH, LAYERS, HEADS, INNER = 128, 4, 4, 384
GUIDED = (1, 2)


@dataclass
class Packed:
    """Questions about B pictures. `prompt` [P] is common to all; its last tokens are the picture's.

    `words` [B, T]: the questions with their answers, one after the other; `block` [B, T]: the number of the question
    (-1: filling); `step` [B, T]: the place within it. `rows` [B, R]: places in `words` that predict an answer's token
    `target` [B, R], with `weight` [B, R] (0: filling, and the nouns of questions); `where` [B, R, N] bool: the patches
    that the token speaks of (none: no guide).
    """

    prompt: Tensor
    words: Tensor
    block: Tensor
    step: Tensor
    rows: Tensor
    target: Tensor
    weight: Tensor
    where: Tensor


def build_network(tower: CLIPVisionModel) -> LlavaForConditionalGeneration:
    """A fresh language part on a finished tower."""
    words = word_list()
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=CONTEXT,
        initializer_range=0.06,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=words.index(START),
        eos_token_id=words.index(END),
        pad_token_id=words.index(PAD),
    )
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text,
        image_token_index=words.index(IMAGE),
        projector_hidden_act="gelu",
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=GRID * GRID,
        tie_word_embeddings=False,
    )
    config.pad_token_id = words.index(PAD)
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    with torch.no_grad():
        model.model.language_model.embed_tokens.weight.normal_(0, 0.3)
        # the tower's last tokens have a spread of about 9
        model.model.multi_modal_projector.linear_1.weight.normal_(0, 0.01)
    return model


def trained_part(model: LlavaForConditionalGeneration) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if "vision_tower" not in name]


def see(model: LlavaForConditionalGeneration, pixels: Tensor) -> Tensor:
    """Pixels [B, 3, 112, 112] in 0..1 to patch tokens [B, 196, C] of the frozen tower."""
    with torch.no_grad():
        out = model.model.vision_tower((pixels - 0.5) / 0.5, output_hidden_states=True)
    return out.hidden_states[model.config.vision_feature_layer][:, 1:]


def answer(
    model: LlavaForConditionalGeneration, tokens: Tensor, batch: Packed, guided: tuple[int, ...] = ()
) -> tuple[Tensor, dict[int, Tensor]]:
    """Logits [B, R, V] of `batch.rows`, and for the layers of `guided` each row's attention over patches [B, R, N].

    That attention is a softmax over the picture's tokens alone, the mean of the heads.
    """
    core: Any = model.model.language_model
    seen = model.model.multi_modal_projector(tokens)
    ahead = core.embed_tokens(batch.prompt[: -seen.shape[1]])[None].expand(len(seen), -1, -1)
    x = torch.cat([ahead.to(seen.dtype), seen, core.embed_tokens(batch.words).to(seen.dtype)], 1).float()
    length = batch.prompt.shape[0]
    positions = torch.cat([torch.arange(length).expand(len(x), -1), length + batch.step], 1)
    cos, sin = core.rotary_emb(x, positions)
    total = x.shape[1]
    causal = torch.ones(total, total, dtype=torch.bool).tril()[length:]
    own = (batch.block[:, :, None] == batch.block[:, None, :]) & causal[None, :, length:]
    mask = torch.cat([torch.ones(len(x), total - length, length, dtype=torch.bool), own], 2)[:, None]
    rows = length + batch.rows
    attention: dict[int, Tensor] = {}
    last = len(core.layers) - 1
    for number, layer in enumerate(core.layers):
        part = layer.self_attn
        q, k, v = (
            each(normed).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for normed in [layer.input_layernorm(x)]
            for each in (part.q_proj, part.k_proj, part.v_proj)
        )
        q, k = apply_rotary_pos_emb(q, k, cos.to(q.dtype), sin.to(q.dtype))
        if number in guided:
            attention[number] = _over_patches(_take(q, rows), k[:, :, length - seen.shape[1] : length])
        if number == last:  # only the rows asked for matter from here on
            index = batch.rows[:, None, :, None].expand(-1, 1, -1, mask.shape[-1])
            mixed = F.scaled_dot_product_attention(_take(q, rows), k, v, attn_mask=mask.gather(2, index))
            x = x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))
        else:
            ahead = F.scaled_dot_product_attention(q[:, :, :length], k[:, :, :length], v[:, :, :length], is_causal=True)
            asked = F.scaled_dot_product_attention(q[:, :, length:], k, v, attn_mask=mask)
            mixed = torch.cat([ahead, asked], 2)
        x = x + part.o_proj(mixed.transpose(1, 2).flatten(2))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return model.lm_head(core.norm(x)), attention


def _take(heads: Tensor, rows: Tensor) -> Tensor:
    """Rows [B, R] of [B, H, S, D]."""
    return heads.gather(2, rows[:, None, :, None].expand(-1, heads.shape[1], -1, heads.shape[-1]))


def _over_patches(q: Tensor, k: Tensor) -> Tensor:
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    return scores.softmax(-1).mean(1)
