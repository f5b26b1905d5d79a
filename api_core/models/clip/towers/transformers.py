"""transformers' CLIPModel (and MetaClip2Model), SiglipModel and Siglip2Model; versions 4.57 and 5."""

from typing import Any

import torch
from torch import Tensor, nn

from . import TextTower, Tower, unsupported
from .attention_pool import multihead_pool
from .class_token import ClassTokenReadout, multihead
from .map_head import MapHeadReadout, ResidualMlp


def picture_tower(module: Any, name: str) -> Tower:
    """The picture tower of a transformers model, or UnsupportedModel with what to use instead."""
    vision = getattr(module, "vision_model", None)
    vision = getattr(vision, "vision_model", vision)
    if vision is None or not hasattr(vision, "encoder") or not hasattr(vision, "post_layernorm"):
        raise unsupported(name, f"transformers' {type(module).__name__}")
    if hasattr(module, "visual_projection"):
        return _class_token_tower(module, vision)
    if getattr(vision, "head", None) is None:
        raise unsupported(name, "a SigLIP without its pooling head")
    return _map_head_tower(module, vision)


def _class_token_tower(module: Any, vision: Any) -> Tower:
    readout = ClassTokenReadout(
        lambda block: multihead(block, attention="self_attn"),
        vision.post_layernorm,
        projection=lambda: module.visual_projection.weight.T,
    )
    patch = vision.config.patch_size
    return Tower(
        encode=lambda pixels, valid: _pooled(module.get_image_features(pixel_values=pixels)),
        blocks=list(vision.encoder.layers),
        readout=readout,
        grid=lambda height, width: (height // patch, width // patch),
        side=vision.config.image_size,
        width=vision.config.hidden_size,
    )


def _map_head_tower(module: Any, vision: Any) -> Tower:
    head = vision.head
    readout = MapHeadReadout(
        multihead_pool(head.attention),
        vision.post_layernorm,
        head.attention.out_proj,
        ResidualMlp(head.layernorm, head.mlp),
    )
    patch = vision.config.patch_size
    natural = isinstance(vision.embeddings.patch_embedding, nn.Linear)
    side = patch * round(vision.config.num_patches**0.5) if natural else vision.config.image_size

    def encode(pixels: Tensor, valid: Tensor | None) -> Tensor:
        inputs = patchified(pixels, valid, patch) if natural else {"pixel_values": pixels}
        return _pooled(module.get_image_features(**inputs))

    return Tower(
        encode=encode,
        blocks=list(vision.encoder.layers),
        readout=readout,
        grid=lambda height, width: (height // patch, width // patch),
        side=side,
        width=vision.config.hidden_size,
        patch=patch if natural else None,
    )


def patchified(pixels: Tensor, valid: Tensor | None, patch: int) -> dict[str, Tensor]:
    """SigLIP 2's own input for pictures [B, 3, H, W] of whole patches: rows of patches, colours last, and their mask.

    valid: bool [B, rows, columns]; patches outside it are left out of every attention.
    """
    batch, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    patches = pixels.view(batch, channels, rows, patch, columns, patch).permute(0, 2, 4, 3, 5, 1)
    mask = pixels.new_ones(batch, rows * columns) if valid is None else valid.flatten(1)
    return {
        "pixel_values": patches.reshape(batch, rows * columns, -1),
        "pixel_attention_mask": mask.to(torch.int64),
        "spatial_shapes": torch.tensor([[rows, columns]] * batch, device=pixels.device),
    }


def text_tower(module: Any) -> TextTower:
    """The text tower of a transformers model. CLIP's is causal; SigLIP's reads the end of the padded context."""

    def encode(ids: Tensor) -> Tensor:
        return _pooled(module.get_text_features(input_ids=ids))

    config: Any = module.config.text_config
    return TextTower(encode, config.max_position_embeddings, croppable=hasattr(module, "text_projection"))


def _pooled(features: Any) -> Tensor:
    """transformers 5 wraps the features, 4 does not."""
    return features if isinstance(features, Tensor) else features.pooler_output
