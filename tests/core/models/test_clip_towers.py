"""Every kind of picture tower: what tokens add, added up, is what the model itself computes."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pack.api_core.errors import UnsupportedModel
from pack.api_core.models.clip import ClipModel, PictureSpec, build_clip
from pack.api_core.models.clip.towers.open_clip import picture_tower
from pack.tests.tiny import TINY_CLIP, randomise, tiny_clip_module, tiny_tokenizer
from torch import nn

pytest.importorskip("open_clip")
timm = pytest.importorskip("timm")

TINY_VIT = {"embed_dim": 32, "depth": 3, "num_heads": 2}


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make timm build a model of any name at toy size."""

    def apply(**small: Any) -> None:
        original = timm.create_model
        monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: original(*args, **{**kwargs, **small}))

    return apply


def with_timm(name: str, pool: str, side: int, seed: int = 3, **vision: Any) -> nn.Module:
    from open_clip.model import CLIP

    vision = {"timm_model_name": name, "timm_pool": pool, "image_size": side, **vision}
    return randomise(CLIP(24, vision, dict(TINY_CLIP["text_cfg"])), seed)


def model_of(module: nn.Module, side: int, tmp_path: Path) -> ClipModel:
    return build_clip(
        module, library="open_clip", name="toy", preprocess=PictureSpec(side), tokenize=tiny_tokenizer(tmp_path)
    )


def features_of(model: ClipModel, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        visual = model.module.visual(model.spec.normalise(pixels))
        return nn.functional.normalize(visual[0] if isinstance(visual, tuple) else visual, dim=-1)


def check_feature_completeness(model: ClipModel, family: str, within: float = 2e-6) -> None:
    """Contributions and rest add up to the feature that the model computes by itself."""
    assert model.family == family
    pixels = torch.rand(2, 3, model.side, model.side, generator=torch.Generator().manual_seed(1))
    encodings = model.encode_pictures(pixels)
    wanted = features_of(model, pixels)
    for encoding, feature in zip(encodings, wanted, strict=True):
        rows, columns = model.grid
        assert encoding.contributions.shape == encoding.patches.shape == (rows * columns, feature.shape[0])
        torch.testing.assert_close(encoding.feature, feature, rtol=0, atol=within)
        torch.testing.assert_close(encoding.completes, feature, rtol=0, atol=within)
        assert encoding.contributions.std(dim=0).mean() > 1e-5
        assert not encoding.complementary


def check_class_token_completeness(
    model: ClipModel, attention_output: Callable[[nn.Module], nn.Module], norm: nn.LayerNorm, projection: torch.Tensor
) -> None:
    """What all tokens add is what block L's attention really put on the class token, through the norm frozen at c."""
    layer = model.resolve_layer(-2)
    pixels = torch.rand(2, 3, model.side, model.side, generator=torch.Generator().manual_seed(2))
    seen: dict[str, torch.Tensor] = {}
    block = model.tower.blocks[layer]
    module = attention_output(block)
    hooks = [
        module.register_forward_hook(
            lambda m, a, out: seen.update(o=(out[0] if isinstance(out, tuple) else out)[:, 0])
        ),
        norm.register_forward_pre_hook(lambda m, a: seen.update(c=a[0][:, 0] if a[0].ndim == 3 else a[0])),
        block.register_forward_hook(lambda m, a, out: seen.update(r=out[0] if isinstance(out, tuple) else out)),
    ]
    with torch.no_grad():
        feature = model.tower.encode(model.spec.normalise(pixels), None)
    for hook in hooks:
        hook.remove()
    deviation = torch.sqrt(seen["c"].var(dim=-1, unbiased=False) + norm.eps)
    scale = (1 / deviation / feature.norm(dim=-1))[:, None]
    encodings = model.encode_pictures(pixels, layer)
    rows, columns = model.grid
    for index, encoding in enumerate(encodings):
        whole = (seen["o"][index] * norm.weight) @ projection * scale[index]
        torch.testing.assert_close(encoding.completes, whole, rtol=1e-4, atol=1e-6)
        tokens = seen["r"][index, -rows * columns :]
        torch.testing.assert_close(
            encoding.patches, (tokens * norm.weight) @ projection * scale[index], atol=1e-6, rtol=1e-4
        )
        assert encoding.contributions.std(dim=0).mean() > 1e-6
        assert encoding.complementary


NATIVE = {
    "plain": {},
    "layer scale": {"ls_init_value": 0.5},
    "norms on queries and keys": {"qk_norm": True},
    "scaled heads": {"scale_heads": True},
    "inner norm": {"scale_attn_inner": True},
    "norm after attention": {"scale_attn": True, "scale_fc": True},
    "everything": {
        "qk_norm": True,
        "scale_heads": True,
        "scale_attn_inner": True,
        "scale_attn": True,
        "ls_init_value": 1,
    },
}


@pytest.mark.parametrize("name", NATIVE)
def test_class_token_of_open_clip_blocks(name: str, tmp_path: Path) -> None:
    module = tiny_clip_module(5, vision=NATIVE[name])
    model = model_of(module, 48, tmp_path)

    def output(block: nn.Module) -> nn.Module:
        if isinstance(block.ls_1, nn.Identity):
            return block.ln_attn if hasattr(block, "ln_attn") else block.attn
        return block.ls_1

    visual = module.visual
    check_class_token_completeness(model, output, visual.ln_post, visual.proj)


TIMM_CLASS_TOKEN = {
    "eva02_base_patch16_clip_224": TINY_VIT,
    "eva_giant_patch14_224": {**TINY_VIT, "patch_size": 16},
    "eva02_enormous_patch14_clip_224": {**TINY_VIT, "patch_size": 16},
    "vit_large_patch14_clip_224": {**TINY_VIT, "patch_size": 16, "init_values": 0.5},
    "vit_relpos_medium_patch16_cls_224": {**TINY_VIT, "init_values": 0.5},
}


@pytest.mark.parametrize("name", TIMM_CLASS_TOKEN)
def test_class_token_of_timm_blocks(name: str, shrink: Callable[..., None], tmp_path: Path) -> None:
    shrink(**TIMM_CLASS_TOKEN[name], img_size=64)
    module = with_timm(name, "" if "relpos" in name else "token", 64)
    model = model_of(module, 64, tmp_path)
    assert model.family == "class token"

    def output(block: nn.Module) -> nn.Module:
        if type(block).__name__ == "EvaBlockPostNorm":
            return block.norm1
        return block.drop_path1

    trunk = module.visual.trunk
    norm = trunk.norm if isinstance(trunk.norm, nn.LayerNorm) else trunk.fc_norm
    check_class_token_completeness(model, output, norm, module.visual.head.proj.weight.T)


def test_class_token_after_a_convolutional_stem(shrink: Callable[..., None], tmp_path: Path) -> None:
    shrink(depth=3, img_size=64)
    module = with_timm("vit_base_mci_224", "token", 64)
    model = model_of(module, 64, tmp_path)
    norm, projection = module.visual.trunk.norm, module.visual.head.proj.weight.T
    check_class_token_completeness(model, lambda block: block.drop_path1, norm, projection)


def test_coca_is_read_at_its_pool(tmp_path: Path) -> None:
    module = tiny_clip_module(7, vision={"attentional_pool": True, "attn_pooler_heads": 4, "attn_pooler_queries": 6})
    check_feature_completeness(model_of(module, 48, tmp_path), "attention pool")


def test_resnet_is_read_at_its_pool(tmp_path: Path) -> None:
    module = tiny_clip_module(8, vision={"layers": [1, 1, 1, 1], "width": 8, "image_size": 96, "head_width": 32})
    check_feature_completeness(model_of(module, 96, tmp_path), "attention pool")


@pytest.mark.parametrize("vision", [{"final_ln_after_pool": True, "no_ln_pre": True}, {}])
def test_averaged_vit(vision: Mapping[str, Any], tmp_path: Path) -> None:
    module = tiny_clip_module(9, vision={"pool_type": "avg", **vision})
    check_feature_completeness(model_of(module, 48, tmp_path), "average pool")


AVERAGED = {
    "vit_medium_patch16_gap_256": (64, {**TINY_VIT, "img_size": 64}, {}),
    "convnext_tiny": (96, {"depths": (1, 1, 1, 1), "dims": (8, 12, 16, 24)}, {}),
    "convnext_small": (96, {"depths": (1, 1, 1, 1), "dims": (8, 12, 16, 24)}, {"timm_proj": "mlp"}),
    "swin_base_patch4_window7_224": (224, {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}, {}),
    "fastvit_mci0": (128, {"layers": (1, 1, 1, 1), "embed_dims": (8, 16, 32, 64)}, {"timm_pool": "avg"}),
    "vitamin_small_224": (64, {"img_size": 64}, {}),
}


@pytest.mark.parametrize("name", AVERAGED)
def test_averaged_trunks(name: str, shrink: Callable[..., None], tmp_path: Path) -> None:
    side, small, vision = AVERAGED[name]
    shrink(**small)
    module = with_timm(name, vision.get("timm_pool", ""), side, **{k: v for k, v in vision.items() if k != "timm_pool"})
    check_feature_completeness(model_of(module, side, tmp_path), "average pool", within=5e-6)


MAP_HEADS = {"vit_base_patch16_siglip_224": "none", "vit_pe_core_tiny_patch16_384": "linear"}


@pytest.mark.parametrize("name", MAP_HEADS)
def test_map_head_agrees_with_leaving_tokens_out(name: str, shrink: Callable[..., None], tmp_path: Path) -> None:
    shrink(**TINY_VIT, img_size=96)
    module = with_timm(name, "map", 96, timm_proj=MAP_HEADS[name])
    model = model_of(module, 96, tmp_path)
    check_feature_completeness(model, "MAP head")
    pixels = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(4))
    encoding = model.encode_pictures(pixels, -1)[0]
    trunk, count = module.visual.trunk, 36
    text = nn.functional.normalize(
        torch.randn(3, encoding.feature.shape[0], generator=torch.Generator().manual_seed(5))
    )

    def pooled(kept: list[int]) -> torch.Tensor:
        pool = trunk.attn_pool(tokens[:, kept])
        return nn.functional.normalize(module.visual.head(trunk.head(trunk.fc_norm(pool))), dim=-1)

    with torch.no_grad():
        tokens = trunk.forward_features(model.spec.normalise(pixels))
        first = tokens.shape[1] - count
        everything = list(range(tokens.shape[1]))
        torch.testing.assert_close(pooled(everything)[0], encoding.feature, rtol=0, atol=1e-5)
        lost = torch.stack([pooled(everything)[0] - pooled([i for i in everything if i != j])[0] for j in everything])
        alone = torch.stack([pooled([j])[0] for j in range(first, first + count)])
    for direction in text:
        pair = torch.stack([lost[first:] @ direction, encoding.contributions @ direction])
        assert torch.corrcoef(pair)[0, 1] > 0.95
    torch.testing.assert_close(encoding.patches, alone, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_every_config_of_open_clip_is_a_known_family(monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip
    from open_clip.model import _build_vision_tower

    original = timm.create_model

    def shallow(name: str, **kwargs: Any) -> nn.Module:
        small = {} if name.startswith(("convnext", "swin", "fastvit", "vitamin")) else {"depth": 2}
        return original(name, **kwargs, **small)

    monkeypatch.setattr(timm, "create_model", shallow)
    folder = Path(open_clip.__file__).parent / "model_configs"
    built: dict[str, str] = {}
    families: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        vision = dict(config["vision_cfg"])
        if isinstance(vision.get("layers"), int):
            vision["layers"] = 2
        key = json.dumps(vision, sort_keys=True)
        if key not in built:
            with torch.device("meta"):
                visual = _build_vision_tower(config["embed_dim"], vision)
            tower = picture_tower(SimpleNamespace(visual=visual), path.stem)
            rows, columns = tower.grid(tower.side, tower.side)
            assert rows * columns > 1
            built[key] = tower.family
        families[built[key]] += 1
        expected = expected_family(vision)
        if built[key] != expected:
            wrong[path.stem] = f"{built[key]} instead of {expected}"
    assert not wrong
    assert set(families) == {"class token", "attention pool", "MAP head", "average pool"}
    assert families.total() >= 100


def expected_family(vision: Mapping[str, Any]) -> str:
    name = vision.get("timm_model_name", "")
    if isinstance(vision.get("layers"), list) or vision.get("attentional_pool"):
        return "attention pool"
    if vision.get("timm_pool") == "map":
        return "MAP head"
    if name.startswith(("convnext", "swin", "fastvit", "vitamin")) or "gap" in name or vision.get("pool_type") == "avg":
        return "average pool"
    return "class token"


@pytest.mark.parametrize(
    ("vision", "what"),
    [
        ({"attentional_pool": "parallel", "attn_pooler_heads": 4}, "parallel"),
        ({"pool_type": "none"}, "none"),
        ({"scaled_cosine_attn": True}, "cosine"),
    ],
)
def test_what_is_not_defined_is_refused_by_name(vision: Mapping[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=f"toy.*{what}.*ViT-L-14-336"):
        model_of(tiny_clip_module(vision=vision), 48, tmp_path)


def test_refuses_a_trunk_of_unknown_make(tmp_path: Path) -> None:
    class Strange(nn.Module):
        pass

    module = tiny_clip_module()
    module.visual = Strange()
    with pytest.raises(UnsupportedModel, match="Strange"):
        model_of(module, 48, tmp_path)


def test_a_tower_that_shows_nothing_is_refused_in_words(tmp_path: Path) -> None:
    model = model_of(tiny_clip_module(vision={"qk_norm": True}), 48, tmp_path)
    attention = model.tower.blocks[2].attn
    attention.forward = lambda x, **rest: x
    with pytest.raises(UnsupportedModel, match=r"without showing its attention.*ViT-L-14-336"):
        model.encode_pictures(torch.rand(1, 3, 48, 48))


@pytest.mark.parametrize("name", ["vit_base_patch16_siglip_224", "eva02_base_patch16_clip_224"])
def test_timm_towers_built_without_fused_attention_are_read_too(
    name: str, shrink: Callable[..., None], tmp_path: Path
) -> None:
    shrink(**TINY_VIT, img_size=96)
    pool, projection = ("map", "none") if "siglip" in name else ("token", "linear")
    fused = with_timm(name, pool, 96, timm_proj=projection)
    plain = with_timm(name, pool, 96, timm_proj=projection)
    for part in plain.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    pixels = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(4))
    wanted, found = (model_of(module, 96, tmp_path).encode_pictures(pixels)[0] for module in (fused, plain))
    torch.testing.assert_close(found.contributions, wanted.contributions, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.patches, wanted.patches, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["class token", "layer scale and norms", "CoCa", "average pool", "MAP head"])
def test_half_precision_weights_give_the_same_maps_on_the_cpu(
    family: str, dtype: torch.dtype, shrink: Callable[..., None], tmp_path: Path
) -> None:
    if family == "MAP head":
        shrink(**TINY_VIT, img_size=96)
        model = model_of(with_timm("vit_base_patch16_siglip_224", "map", 96, timm_proj="none"), 96, tmp_path)
    else:
        vision = {
            "class token": {},
            "layer scale and norms": NATIVE["everything"],
            "CoCa": {"attentional_pool": True, "attn_pooler_heads": 4},
            "average pool": {"pool_type": "avg"},
        }[family]
        model = model_of(tiny_clip_module(vision=vision), 48, tmp_path)
    pixels = torch.rand(1, 3, model.side, model.side, generator=torch.Generator().manual_seed(4))
    exact = model.encode_pictures(pixels)[0]
    model.module.to(dtype)
    rough = model.encode_pictures(pixels)[0]
    for name in ("contributions", "patches"):
        wanted, found = getattr(exact, name).flatten(), getattr(rough, name).flatten()
        assert found.dtype == torch.float32
        assert torch.corrcoef(torch.stack([wanted, found]))[0, 1] > (0.98 if dtype == torch.bfloat16 else 0.999)
