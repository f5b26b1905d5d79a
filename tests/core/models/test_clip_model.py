"""ClipModel: one plain forward, any text after it; layers, texts, stops, precisions."""

from pathlib import Path

import pytest
import torch
from pack.api_core.errors import Cancelled, InvalidInput, NotEnoughMemory
from pack.api_core.models.clip import ClipModel, Encoding, PictureSpec, build_clip, run_tower
from pack.tests.tiny import tiny_clip_module, tiny_tokenizer
from torch import nn

pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ClipModel:
    return make(tmp_path_factory.mktemp("vocabulary"))


def make(folder: Path, module: nn.Module | None = None) -> ClipModel:
    return build_clip(
        module or tiny_clip_module(),
        library="open_clip",
        name="tiny",
        preprocess=PictureSpec(48),
        tokenize=tiny_tokenizer(folder),
    )


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 48, 48, generator=torch.Generator().manual_seed(seed))


def hooks_of(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules())


def test_maps_follow_the_formula_token_by_token(model: ClipModel) -> None:
    """The class token's map, written out head by head with attention built in full."""
    layer, visual = 1, model.module.visual
    block = visual.transformer.resblocks[layer]
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        block.register_forward_pre_hook(lambda m, args: seen.update(x=args[0])),
        block.register_forward_hook(lambda m, args, out: seen.update(r=out)),
        visual.ln_post.register_forward_pre_hook(lambda m, args: seen.update(c=args[0][:, 0])),
    ]
    with torch.no_grad():
        feature = visual(model.spec.normalise(pixels(1)))
        for hook in hooks:
            hook.remove()
        text = model.encode_texts(["red", "blue circle"])
        attention, norm, depth, n = block.attn, visual.ln_post, 4, 37
        q, k, v = nn.functional.linear(block.ln_1(seen["x"]), attention.in_proj_weight, attention.in_proj_bias)[
            0
        ].chunk(3, -1)
        given = torch.zeros(n, 64)
        for head in range(4):
            part = slice(16 * head, 16 * head + 16)
            weights = (q[0, part] @ k[:, part].T / 4).softmax(-1)
            given += weights[:, None] * (v[:, part] @ attention.out_proj.weight[:, part].T)
        given += attention.out_proj.bias / n
        c, parts = seen["c"][0], 2 * depth - 1
        std = torch.sqrt(c.var(unbiased=False) + norm.eps)
        length = feature.norm()
        share = norm.weight * (given - c.mean() / parts / n) / std + norm.bias / parts / n
        token = norm.weight * (seen["r"][0] - c.mean() / parts) / std + norm.bias / parts
    encoding = model.encode_pictures(pixels(1), layer)[0]
    wanted = (text @ (share @ visual.proj).T / length)[:, 1:].view(2, 6, 6)
    torch.testing.assert_close(encoding.class_token(text, upstream_constants=True), wanted, rtol=1e-4, atol=1e-7)
    wanted = (text @ (token @ visual.proj).T / length)[:, 1:].view(2, 6, 6)
    torch.testing.assert_close(encoding.patch(text, upstream_constants=True), wanted, rtol=1e-4, atol=1e-6)
    plain = encoding.class_token(text) - encoding.class_token(text, upstream_constants=True)
    assert plain.flatten(1).std(dim=1).max() < 1e-7, "the official code's constants are the same for every token"


def test_features_are_the_models_own(model: ClipModel) -> None:
    with torch.no_grad():
        wanted = model.module.encode_image(model.spec.normalise(pixels(2)), normalize=True)
    for encoding, feature in zip(model.encode_pictures(pixels(2)), wanted, strict=True):
        torch.testing.assert_close(encoding.feature, feature)
        assert encoding.nbytes == 4 * (36 * 32 * 2 + 32 * 4)
        text = model.encode_texts(["red"])
        torch.testing.assert_close(encoding.similarity(text), text @ feature)


def test_a_batch_is_its_pictures_one_by_one(model: ClipModel) -> None:
    together = model.encode_pictures(pixels(5), batch_size=3)
    for index, encoding in enumerate(together):
        alone = model.encode_pictures(pixels(5)[index : index + 1])[0]
        torch.testing.assert_close(encoding.contributions, alone.contributions, rtol=0, atol=1e-6)
        torch.testing.assert_close(encoding.patches, alone.patches, rtol=0, atol=1e-5)


def test_layers_are_counted_from_both_ends(model: ClipModel) -> None:
    assert model.resolve_layer(None) == model.resolve_layer(-2) == 2
    assert [model.resolve_layer(layer) for layer in (-4, 0, 3, -1)] == [0, 0, 3, 3]
    for wrong in (4, -5, 22):
        with pytest.raises(InvalidInput, match=f"tiny has no layer {wrong}.*0 to 3"):
            model.resolve_layer(wrong)
    maps = [model.encode_pictures(pixels(1), layer)[0].contributions for layer in range(4)]
    assert min((maps[i] - maps[i + 1]).abs().max() for i in range(3)) > 1e-4


def test_stopping_between_blocks_leaves_nothing_behind(model: ClipModel) -> None:
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if done >= 6:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        model.encode_pictures(pixels(4), batch_size=2, on_progress=stop)
    assert calls == [(0, 16), (2, 16), (4, 16), (6, 16)]
    assert hooks_of(model.module) == 0
    assert len(model.encode_pictures(pixels(1))) == 1
    assert hooks_of(model.module) == 0


def test_an_error_in_fused_attention_leaves_no_mode_behind(tmp_path: Path) -> None:
    broken = make(tmp_path, tiny_clip_module(vision={"qk_norm": True}))
    attention = broken.tower.blocks[2].attn
    attention.out_proj = nn.Linear(3, 3)
    with pytest.raises(RuntimeError):
        broken.encode_pictures(pixels(1))
    assert hooks_of(broken.module) == 0
    assert not torch._C._is_torch_function_mode_enabled()


def test_pictures_of_a_wrong_shape_are_refused(model: ClipModel) -> None:
    for wrong in (torch.rand(1, 3, 48, 40), torch.rand(3, 48, 48), torch.rand(1, 4, 48, 48)):
        with pytest.raises(InvalidInput, match="3, 48, 48"):
            model.encode_pictures(wrong)
    with pytest.raises(InvalidInput, match="Valid cells must be \\[1, 6, 6\\]"):
        model.encode_pictures(pixels(1), valid=torch.ones(1, 5, 6, dtype=torch.bool))


def test_gradients_stay_possible_when_called_in_inference_mode(tmp_path: Path) -> None:
    own = make(tmp_path)
    with torch.inference_mode():
        encoding = own.encode_pictures(pixels(1))[0]
        text = own.encode_texts(["red"])
        maps = encoding.class_token(text)
    assert not encoding.contributions.is_inference()
    assert not text.is_inference()
    assert not maps.is_inference()
    own.module.visual(pixels(1)).sum().backward()
    assert own.module.visual.proj.grad is not None


@pytest.mark.parametrize(("dtype", "within"), [(torch.bfloat16, 0.2), (torch.float16, 0.03)])
def test_half_precision_follows_the_weights(dtype: torch.dtype, within: float, tmp_path: Path) -> None:
    own = make(tmp_path)
    text = own.encode_texts(["red"])
    full = own.encode_pictures(pixels(1))[0]
    own.module.to(dtype)
    assert own.dtype == dtype
    half = own.encode_pictures(pixels(1))[0]
    assert half.contributions.dtype == torch.float32
    for name in ("class_token", "patch"):
        exact, rough = (getattr(encoding, name)(text) for encoding in (full, half))
        assert 0 < ((exact - rough).abs().max() / exact.std()) < within
    assert 0 < (own.encode_texts(["red"]) - text).abs().max() < 0.1


def test_autocast_of_a_host_does_not_reach_the_maps(model: ClipModel) -> None:
    wanted = model.encode_pictures(pixels(1))[0]
    text = model.encode_texts(["red"])
    with torch.autocast("cpu", torch.bfloat16):
        found = model.encode_pictures(pixels(1))[0]
        torch.testing.assert_close(found.class_token(text), wanted.class_token(text))
        assert torch.equal(found.similarity(text), wanted.similarity(text))


def test_mini_batches_follow_the_memory(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    need = run_tower.picture_bytes(model.tower, 48, 48, torch.float32)
    sizes = []
    for free in (0, 8 * need, 12 * need, 10**12):
        monkeypatch.setattr(run_tower, "free_memory", lambda device, free=free: free)
        sizes.append(run_tower.batch_size(model.tower, 48, 48, torch.float32, torch.device("cpu")))
    assert sizes == [1, 2, 3, run_tower.CPU_BATCH]
    monkeypatch.undo()
    assert run_tower.free_memory(torch.device("cpu")) > 0


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory")]
)
def test_when_memory_runs_out_fewer_pictures_go_through_at_once(
    error: RuntimeError, model: ClipModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = model.encode_pictures(pixels(7), batch_size=1)
    most, tried = 2, []
    original = run_tower.encode

    def encode(tower: object, part: torch.Tensor, *rest: object, **more: object) -> list[Encoding]:
        tried.append(len(part))
        if len(part) > most:
            raise error
        return original(tower, part, *rest, **more)

    monkeypatch.setattr(run_tower, "encode", encode)
    found = model.encode_pictures(pixels(7), batch_size=8)
    assert tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.contributions, other.contributions, rtol=0, atol=1e-6)
    most = 0
    with pytest.raises(NotEnoughMemory, match=r"tiny ran out of memory on cpu with a single picture.*fp16"):
        model.encode_pictures(pixels(3))


def test_another_error_is_not_taken_for_a_lack_of_memory(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def encode(tower: object, part: torch.Tensor, *rest: object, **more: object) -> list[Encoding]:
        tried.append(len(part))
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(run_tower, "encode", encode)
    with pytest.raises(RuntimeError, match="mat1"):
        model.encode_pictures(pixels(3), batch_size=3)
    assert tried == [3]


@pytest.fixture
def encoding(model: ClipModel) -> Encoding:
    return model.encode_pictures(pixels(1))[0]


def test_text_of_another_size_is_refused(encoding: Encoding) -> None:
    with pytest.raises(InvalidInput, match="\\[texts, 32\\]"):
        encoding.class_token(torch.rand(2, 31))
