"""timm's trunks, as open_clip wraps them."""

from typing import Any

from torch import nn

from ..contributions import Scale, Step
from . import Readout, Tower, unsupported
from .attention_pool import latent_pool
from .average_pool import AveragePoolReadout
from .class_token import BlockAttention, ClassTokenReadout
from .map_head import MapHeadReadout, ResidualMlp

_BLOCKS = ("Block", "EvaBlock", "EvaBlockPostNorm", "RelPosBlock")


def timm_tower(visual: Any, name: str) -> Tower:
    """open_clip's TimmModel: a trunk, and a head that is a projection, an MLP or nothing."""
    trunk = visual.trunk
    if hasattr(visual.head, "pool"):
        raise unsupported(name, f"a timm trunk pooled by {type(visual.head.pool).__name__}")
    side = visual.image_size[0]
    if hasattr(trunk, "blocks") and hasattr(trunk, "patch_embed"):
        readout, blocks = _transformer_readout(trunk, visual.head, name), list(trunk.blocks)
        rows, columns = trunk.patch_embed.grid_size
        patch = (side // rows, side // columns)
    else:
        readout, blocks = _feature_map_readout(trunk, visual.head, name), _stage_blocks(trunk)
        reduction = trunk.feature_info[-1]["reduction"]
        patch = (reduction, reduction)
    return Tower(
        encode=lambda pixels, valid: visual(pixels),
        blocks=blocks,
        readout=readout,
        grid=lambda height, width: (height // patch[0], width // patch[1]),
        side=side,
        width=trunk.num_features,
    )


def _transformer_readout(trunk: Any, head: Any, name: str) -> Readout:
    kind = type(trunk.blocks[0]).__name__
    if kind not in _BLOCKS:
        raise unsupported(name, f"blocks of timm's {kind}")
    prefix = trunk.num_prefix_tokens
    after = (trunk.fc_norm, trunk.head, *head)
    pool = getattr(trunk, "attn_pool", None)
    if pool is not None:
        if type(pool).__name__ != "AttentionPoolLatent" or pool.pos_embed is not None or pool.pool != "token":
            raise unsupported(name, f"an attention pool of timm's {type(pool).__name__} that is not a plain MAP head")
        return MapHeadReadout(
            latent_pool(_fused(pool)),
            trunk.norm,
            pool.proj,
            ResidualMlp(pool.norm, pool.mlp),
            after,
            prefix=prefix,
        )
    if trunk.global_pool == "avg":
        return AveragePoolReadout(trunk.norm, lambda: after, prefix=prefix)
    if trunk.global_pool != "token":
        raise unsupported(name, f"a timm trunk pooled by {trunk.global_pool!r}")
    # Some trunks (EVA-01) norm the class token after it is taken, the others all tokens before.
    late = isinstance(trunk.fc_norm, nn.LayerNorm)
    norm = trunk.fc_norm if late else trunk.norm
    projection = _projection(after[1:] if late else after, name)
    return ClassTokenReadout(
        _block_attention, norm, lambda: projection.weight.T, prefix=prefix, bias=lambda: projection.bias
    )


def _projection(after: tuple[nn.Module, ...], name: str) -> nn.Linear:
    """What comes after the class token. Its bias is the same for every token and belongs to none."""
    steps: list[Any] = [step for step in after if not isinstance(step, nn.Identity | nn.Dropout)]
    if len(steps) != 1 or not isinstance(steps[0], nn.Linear):
        kinds = ", ".join(type(step).__name__ for step in steps) or "nothing"
        raise unsupported(name, f"a class token followed by {kinds} instead of one projection")
    return steps[0]


def _block_attention(block: Any) -> BlockAttention:
    """timm's blocks: attention, an inner norm (EVA-02), projection, then a norm (post-norm EVA) or LayerScale."""
    attention = _fused(block.attn)
    steps: list[Step] = [attention.norm] if hasattr(attention, "norm") else []
    steps.append(attention.proj)
    if type(block).__name__ == "EvaBlockPostNorm":
        steps.append(block.norm1)
    gamma = getattr(block, "gamma_1", None)
    if gamma is None:
        gamma = getattr(getattr(block, "ls1", None), "gamma", None)
    if gamma is not None:
        steps.append(Scale(gamma))
    return BlockAttention(attention, tuple(steps), fused=True)


def _fused(attention: Any) -> Any:
    """The attention with its fused kernel on: TIMM_FUSED_ATTN=0 builds it off, but only the fused call can be read."""
    if getattr(attention, "fused_attn", True) is False:
        attention.fused_attn = True
    return attention


def _feature_map_readout(trunk: Any, head: Any, name: str) -> Readout:
    """ConvNeXt (norm after the mean), Swin (norm before it, channels last), FastViT (a last convolution before it)."""
    kind = type(trunk).__name__
    if kind == "ConvNeXt":
        after = (trunk.head.norm, trunk.head.pre_logits, trunk.head.fc, *head)
        return AveragePoolReadout(trunk.norm_pre, lambda: after)
    if kind == "SwinTransformer":
        return AveragePoolReadout(trunk.norm, lambda: (trunk.head.fc, *head), channels_last=True)
    if kind == "FastVit":
        return AveragePoolReadout(trunk.final_conv, lambda: (trunk.head.fc, *head))
    raise unsupported(name, f"timm's {kind}")


def _stage_blocks(trunk: Any) -> list[nn.Module]:
    stages = trunk.stages if hasattr(trunk, "stages") else trunk.layers
    return [block for stage in stages for block in stage.blocks]
