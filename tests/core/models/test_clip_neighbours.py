"""What a patch takes from its neighbours, against the formula worked out anew in float64, in class-token towers."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.attribution import METHODS, clip_heatmap
from pack.api_core.errors import InvalidInput, UnsupportedModel
from pack.api_core.evaluation.benchmark.localisation import ClipParts, clip_makers
from pack.api_core.models.clip import ClipModel
from pack.api_core.models.clip.towers.neighbours import nearness
from pack.tests.core.models import test_clip_transformers as theirs
from pack.tests.core.models.test_clip_towers import NATIVE, TINY_VIT, model_of, shrink, with_timm
from pack.tests.tiny import tiny_clip_module
from torch import Tensor, nn

pytest.importorskip("open_clip")
__all__ = ["shrink"]

Made = tuple[Tensor, Tensor]


def pixels(side: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(7))


def entering(model: ClipModel, block: nn.Module, seen: Tensor) -> Tensor:
    """What enters a block of a copy of the tower that computes in float64: [B, n, d]."""
    found: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda _, args: found.append(args[0]))
    with torch.no_grad():
        model.tower.encode(model.spec.normalise(seen).double(), None)
    handle.remove()
    return found[0]


def by_hand(keys: Tensor, values: Tensor, grid: tuple[int, int], prefix: int = 1) -> Tensor:
    """[B, patches, H * d] of keys and values [B, H, n, d]: patch by patch, token by token."""
    rows, columns = grid
    scores = torch.einsum("bhid,bhjd->bhij", keys, keys) / keys.shape[-1] ** 0.5
    for i in range(rows * columns):
        for j in range(rows * columns):
            down, right = i // columns - j // columns, i % columns - j % columns
            scores[:, :, prefix + i, prefix + j] += torch.tensor(-(down**2 + right**2) / 50, dtype=keys.dtype).exp()
    taken = torch.einsum("bhij,bhjd->bihd", scores.softmax(-1), values)
    return taken[:, prefix:].flatten(2)


def heads(tokens: Tensor, count: int) -> Tensor:
    return tokens.unflatten(-1, (count, -1)).transpose(1, 2)


def check(model: ClipModel, wanted: Tensor, found: list[Any]) -> None:
    assert wanted.dtype == torch.float64
    wanted = nn.functional.normalize(wanted, dim=-1)
    texts = nn.functional.normalize(
        torch.randn(3, wanted.shape[-1], generator=torch.Generator().manual_seed(1)), dim=-1
    )
    for encoding, dense in zip(found, wanted, strict=True):
        torch.testing.assert_close(encoding.neighbours.double(), dense, rtol=0, atol=5e-6)
        cosines = (texts.double() @ dense.T).view(3, *model.grid)
        torch.testing.assert_close(encoding.neighbourhood(texts).double(), cosines, rtol=0, atol=5e-6)
        assert encoding.neighbourhood(texts).flatten(1).std(1).min() > 1e-3


@pytest.mark.parametrize("name", ["plain", "layer scale"])
@pytest.mark.parametrize("layer", [-1, 1])
def test_open_clip_s_own_blocks(name: str, layer: int, tmp_path: Path) -> None:
    module = tiny_clip_module(5, vision=NATIVE[name])
    model = model_of(module, 48, tmp_path)
    found = model.encode_pictures(pixels(48), layer, neighbours=True)
    exact = model_of(copy.deepcopy(module).double(), 48, tmp_path)
    block = exact.tower.blocks[layer]
    visual = exact.module.visual
    with torch.no_grad():
        attention = block.attn
        inside = block.ln_1(entering(exact, block, pixels(48)))
        _, k, v = (inside @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, -1)
        taken = by_hand(heads(k, attention.num_heads), heads(v, attention.num_heads), exact.grid)
        result = block.ls_1(attention.out_proj(taken))
        wanted = visual.ln_post(result) @ visual.proj
    check(model, wanted, found)


def test_open_clip_s_blocks_with_norms_and_scales_inside(tmp_path: Path) -> None:
    module = tiny_clip_module(5, vision=NATIVE["everything"])
    model = model_of(module, 48, tmp_path)
    found = model.encode_pictures(pixels(48), -1, neighbours=True)
    exact = model_of(copy.deepcopy(module).double(), 48, tmp_path)
    block, visual = exact.tower.blocks[-1], exact.module.visual
    attention = block.attn
    with torch.no_grad():
        inside = block.ln_1(entering(exact, block, pixels(48)))
        _, k, v = (inside @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, -1)
        k = attention.ln_k(heads(k, attention.num_heads))
        taken = heads(by_hand(k, heads(v, attention.num_heads), exact.grid), attention.num_heads)
        joined = (taken * attention.head_scale[None]).transpose(1, 2).flatten(2)
        result = block.ls_1(block.ln_attn(attention.out_proj(attention.ln_inner(joined))))
        wanted = visual.ln_post(result) @ visual.proj
    check(model, wanted, found)


@pytest.mark.parametrize("name", ["eva02_base_patch16_clip_224", "vit_large_patch14_clip_224"])
def test_timm_s_blocks(name: str, shrink: Callable[..., None], tmp_path: Path) -> None:
    """With rotary keys (EVA-02), and with LayerScale; the head's bias counts."""
    pytest.importorskip("timm")
    shrink(**TINY_VIT, patch_size=16, img_size=64, **({"init_values": 0.5} if "vit" in name else {}))
    module = with_timm(name, "token", 64, timm_proj_bias=True)
    model = model_of(module, 64, tmp_path)
    found = model.encode_pictures(pixels(64), -1, neighbours=True)
    exact = model_of(copy.deepcopy(module).double(), 64, tmp_path)
    block, trunk, head = exact.tower.blocks[-1], exact.module.visual.trunk, exact.module.visual.head
    attention = block.attn
    prefix = trunk.num_prefix_tokens
    calls: list[Made] = []
    real = nn.functional.scaled_dot_product_attention

    def watch(query: Tensor, key: Tensor, value: Tensor, *args: Any, **more: Any) -> Tensor:
        calls.append((key, value))
        return real(query, key, value, *args, **more)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(nn.functional, "scaled_dot_product_attention", watch)
        exact.tower.encode(exact.spec.normalise(pixels(64)).double(), None)
        taken = by_hand(*calls[-1], exact.grid, prefix)
        result = attention.proj(attention.norm(taken) if hasattr(attention, "norm") else taken)
        gamma = block.gamma_1 if hasattr(block, "gamma_1") else block.ls1.gamma
        result = result if gamma is None else result * gamma
        norm = trunk.norm if isinstance(trunk.norm, nn.LayerNorm) else trunk.fc_norm
        assert head.proj.bias is not None
        wanted = head(norm(result))
    check(model, wanted, found)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_transformers_blocks(implementation: str) -> None:
    module = theirs.clip()
    module.set_attn_implementation(implementation)
    model = theirs.build(module)
    found = model.encode_pictures(pixels(48), -1, neighbours=True)
    exact = theirs.build(copy.deepcopy(module).double())
    block = exact.tower.blocks[-1]
    attention = block.self_attn
    with torch.no_grad():
        inside = block.layer_norm1(entering(exact, block, pixels(48)))
        k, v = (heads(part(inside), attention.num_heads) for part in (attention.k_proj, attention.v_proj))
        result = attention.out_proj(by_hand(k, v, exact.grid))
        wanted = exact.module.visual_projection(exact.module.vision_model.post_layernorm(result))
    check(model, wanted, found)


def test_nearness_is_one_on_the_patch_and_falls_with_the_distance_in_cells() -> None:
    near = nearness((3, 4))
    assert near.shape == (12, 12)
    torch.testing.assert_close(near.diagonal(), torch.ones(12))
    torch.testing.assert_close(near[0, 4], torch.tensor(-1 / 50).exp())  # one row down
    torch.testing.assert_close(near[0, 6], torch.tensor(-(1 + 4) / 50).exp())
    assert torch.equal(near, near.T)


def test_the_rest_of_the_encoding_is_as_without_and_a_batch_is_its_pictures(tmp_path: Path) -> None:
    model = model_of(tiny_clip_module(5), 48, tmp_path)
    plain = model.encode_pictures(pixels(48, 3), -1)
    dense = model.encode_pictures(pixels(48, 3), -1, neighbours=True)
    alone = model.encode_pictures(pixels(48, 3)[2:], -1, neighbours=True)[0]
    for one, other in zip(plain, dense, strict=True):
        assert torch.equal(one.contributions, other.contributions)
        assert torch.equal(one.patches, other.patches)
        assert one.neighbours is None
        assert other.nbytes == one.nbytes + other.neighbours.numel() * 4
    torch.testing.assert_close(alone.neighbours, dense[2].neighbours, rtol=0, atol=1e-6)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.module.modules())
    with pytest.raises(InvalidInput, match="encoded without its neighbours"):
        plain[0].neighbourhood(torch.ones(1, len(plain[0].feature)))


def test_half_precision_weights_give_the_same_on_the_cpu(tmp_path: Path) -> None:
    model = model_of(tiny_clip_module(5), 48, tmp_path)
    exact = model.encode_pictures(pixels(48), -1, neighbours=True)[0]
    model.module.to(torch.bfloat16)
    rough = model.encode_pictures(pixels(48), -1, neighbours=True)[0]
    assert rough.neighbours.dtype == torch.float32
    assert (exact.neighbours * rough.neighbours).sum(-1).min() > 0.99


@pytest.mark.parametrize("make", [theirs.siglip, theirs.siglip2])
def test_towers_without_a_class_token_are_refused_in_words(make: Callable[[], nn.Module]) -> None:
    model = theirs.build(make())
    assert not model.reads_class_token
    with pytest.raises(UnsupportedModel, match=r"toy has no class token .* Choose another method, such as decomp"):
        model.encode_pictures(pixels(48), -1, neighbours=True)
    with pytest.raises(UnsupportedModel, match="no class token"):
        clip_heatmap(model, [pixels(48, 1)[0].movedim(0, -1)], "red", method="neighbours")


def test_the_benchmark_takes_every_method_that_suits_the_model() -> None:
    for make, unsuited in ((theirs.clip, set()), (theirs.siglip, {"neighbours"})):
        makers = [maker for maker in clip_makers(theirs.build(make())) if isinstance(maker, ClipParts)]
        assert {maker.maps.method for maker in makers} == set(METHODS) - unsuited
