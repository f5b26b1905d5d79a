"""Loading CLIPs of open_clip: folders, single files, precision, and files that are refused."""

import builtins
import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pack.api_core.errors import (
    DamagedWeights,
    InvalidInput,
    MissingPackage,
    ModelNotFound,
    UnsupportedModel,
)
from pack.api_core.models.catalog import EMBEDDED_CLIP
from pack.api_core.models.clip import open_clip_source
from pack.api_core.models.clip.load import load_clip
from pack.api_core.models.devices import resolve_device, resolve_precision
from pack.api_core.models.files.local import EMBEDDED
from pack.tests.tiny import tiny_clip_folder, tiny_clip_module
from safetensors.torch import load_file, save_file

pytest.importorskip("open_clip")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_clip_folder(tmp_path / "small")


def weights_of(folder: Path) -> Path:
    return folder / "open_clip_model.safetensors"


def test_a_folder_gives_its_own_weights(folder: Path) -> None:
    model = load_clip(folder)
    assert (model.name, model.side, model.grid, model.depth) == ("small", 48, (6, 6), 4)
    expected = tiny_clip_module().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.module.state_dict().items())
    assert not any(weight.requires_grad for weight in model.module.parameters())
    assert not model.module.training


def test_loading_moves_no_random_state(folder: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_clip(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_loaded_inside_inference_mode_can_still_carry_gradients(folder: Path) -> None:
    with torch.inference_mode():
        model = load_clip(folder, precision="bf16")
    assert not any(weight.is_inference() for weight in model.module.parameters())


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_precisions(folder: Path, name: str, dtype: torch.dtype) -> None:
    assert {weight.dtype for weight in load_clip(folder, precision=name, device="cpu").module.parameters()} == {dtype}


def test_auto_is_fp32_on_the_cpu_and_fp16_on_a_gpu() -> None:
    assert resolve_precision("auto", torch.device("cpu")) == torch.float32
    assert resolve_precision("auto", torch.device("cuda")) == torch.float16
    assert resolve_precision("auto", torch.device("mps")) == torch.float16
    with pytest.raises(InvalidInput, match="fp64"):
        resolve_precision("fp64", torch.device("cpu"))


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto").type == expected
    there = {True: "cuda:0, cuda:1, ", False: ""}[cuda] + {True: "mps, ", False: ""}[mps] + "cpu"
    for wrong in ("toaster", "cuda:2", "meta"):
        with pytest.raises(InvalidInput, match=f"no device '{wrong}'.*Choose auto, {there}[.]$"):
            resolve_device(wrong)
    assert resolve_device("cpu").type == "cpu"
    if cuda:
        assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for device in ("cuda", torch.device("cuda:0"), "mps"):
        with pytest.raises(InvalidInput, match="Choose auto, cpu"):
            load_clip(folder, device=device)
    assert resolve_device(torch.device("privateuseone:0")).type == "privateuseone"


def test_a_name_that_is_nothing_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no-such-model.*ViT-L-14-336/openai"):
        load_clip("no-such-model")
    for no_path in ("a" * 5000, "a\0b", "https://example.org/model"):
        with pytest.raises(ModelNotFound, match="no file or folder of that name"):
            load_clip(no_path)
    with pytest.raises(UnsupportedModel, match="neither open_clip_config"):
        load_clip(tmp_path)


def test_a_catalog_model_that_is_not_here_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelNotFound, match=r"1\.7 GB.*Turn on allow_download.*vit_large_patch14_clip_336\.openai"):
        load_clip("ViT-L-14-336", folders=[tmp_path / "clip"])


@pytest.mark.skipif(not (EMBEDDED / "tiny_clip").is_dir(), reason="the embedded model is not built yet")
def test_the_embedded_model_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert load_clip(EMBEDDED_CLIP).name == EMBEDDED_CLIP


def test_cut_short(folder: Path) -> None:
    whole = weights_of(folder).read_bytes()
    weights_of(folder).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedWeights, match=r"open_clip_model\.safetensors is damaged.*get it again"):
        load_clip(folder)
    weights_of(folder).write_bytes(b"")
    with pytest.raises(DamagedWeights, match="damaged"):
        load_clip(folder)


def test_a_pickle_cut_short(folder: Path) -> None:
    state = load_file(weights_of(folder))
    weights_of(folder).unlink()
    path = folder / "open_clip_pytorch_model.bin"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DamagedWeights, match="it is cut short"):
        load_clip(folder)


def test_a_text_tower_of_transformers_is_never_asked_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    asked: list[str] = []
    original = transformers.AutoConfig.from_pretrained

    def from_pretrained(name: str, *rest: object, **more: object) -> object:
        asked.append(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", from_pretrained)
    text = {"hf_model_name": "someone/tiny-bert", "hf_model_pretrained": False, "hf_pooler_type": "mean_pooler"}
    folder = tiny_clip_folder(tmp_path / "model")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"] = {"context_length": 24, **text}
    path.write_text(json.dumps(config))
    with pytest.raises(ModelNotFound, match=r"config\.json of someone/tiny-bert into .*tiny-bert"):
        load_clip(folder)
    assert asked == []
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    transformers.BertConfig(vocab_size=1024, **sizes).save_pretrained(folder / "tiny-bert")
    local = {**config["model_cfg"]["text_cfg"], "hf_model_name": str(folder / "tiny-bert")}
    whole = open_clip.CustomTextCLIP(**{**config["model_cfg"], "text_cfg": local})
    save_file({name: value.contiguous() for name, value in whole.state_dict().items()}, weights_of(folder))
    model = load_clip(folder)
    assert model.encode_texts(["red"]).shape == (1, 32)
    assert {str(folder / "tiny-bert")} == set(asked)


def test_missing_weights_and_missing_tensors(folder: Path) -> None:
    state = load_file(weights_of(folder))
    state.pop("visual.proj")
    save_file(state, weights_of(folder))
    with pytest.raises(DamagedWeights, match=r"visual\.proj"):
        load_clip(folder)
    weights_of(folder).unlink()
    with pytest.raises(ModelNotFound, match="no weights"):
        load_clip(folder)


@pytest.mark.parametrize("name", ["visual.proj", "visual.positional_embedding", "token_embedding.weight"])
def test_wrong_shapes(folder: Path, name: str) -> None:
    state = load_file(weights_of(folder))
    state[name] = torch.cat([state[name], state[name]])
    save_file(state, weights_of(folder))
    with pytest.raises(DamagedWeights, match=rf"{name.replace('.', '[.]')} is \["):
        load_clip(folder)


class Harmful:
    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('code of a weights file was run')",))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_pickled_code_is_not_run(folder: Path, suffix: str) -> None:
    weights_of(folder).unlink()
    name = "open_clip_model.safetensors" if suffix == ".safetensors" else "open_clip_pytorch_model.bin"
    (folder / name).write_bytes(pickle.dumps({"visual.proj": Harmful()}))
    with pytest.raises(DamagedWeights, match=r"pickle|holds code"):
        load_clip(folder)


def test_a_pickle_of_tensors_is_read(folder: Path) -> None:
    state = load_file(weights_of(folder))
    weights_of(folder).unlink()
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        folder / "open_clip_pytorch_model.bin",
    )
    model = load_clip(folder)
    assert torch.equal(model.module.visual.proj, state["visual.proj"])


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    program = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    path = tmp_path / "ViT-B-32-openai.pt"
    torch.jit.save(program, str(path))
    with pytest.raises(DamagedWeights, match="TorchScript program"):
        load_clip(path)


def test_a_configuration_that_is_none(folder: Path) -> None:
    (folder / "open_clip_config.json").write_text("{}")
    with pytest.raises(DamagedWeights, match="does not describe an open_clip model"):
        load_clip(folder)


def test_a_preprocessing_that_is_none(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    for wrong in ([0.5], "grey", 3):
        path.write_text(json.dumps({**config, "preprocess_cfg": {"mean": wrong}}))
        with pytest.raises(DamagedWeights, match="red, green and blue"):
            load_clip(folder)


def activation(model: object) -> str:
    return type(model.module.visual.transformer.resblocks[0].mlp.gelu).__name__


def test_openai_weights_get_quick_gelu(tmp_path: Path) -> None:
    assert activation(load_clip(tiny_clip_folder(tmp_path / "vit_tiny.openai"))) == "QuickGELU"
    cached = tmp_path / "models--timm--vit_tiny.openai" / "snapshots" / "c0ffee"
    assert activation(load_clip(tiny_clip_folder(cached))) == "QuickGELU"
    assert activation(load_clip(tiny_clip_folder(tmp_path / "other"))) == "GELU"


def test_openai_weights_with_plain_gelu_are_refused(tmp_path: Path) -> None:
    folder = tiny_clip_folder(tmp_path / "vit_tiny.openai", quick_gelu=False)
    with pytest.raises(UnsupportedModel, match="QuickGELU"):
        load_clip(folder)


class TestSingleFiles:
    """One weights file, its architecture told by its name or its shapes; a toy stands in for open_clip's table."""

    @pytest.fixture(autouse=True)
    def toy_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import open_clip
        from pack.tests.tiny import tiny_model_config

        configs = {
            "Toy-8": tiny_model_config(),
            "Toy-8-quickgelu": tiny_model_config(quick_gelu=True),
            "Toy-16": tiny_model_config(vision={"patch_size": 16}),
        }
        tags = {("Toy-8", "openai"): {"quick_gelu": True}, ("Toy-8", "laion"): {}}
        table = SimpleNamespace(
            **{name: getattr(open_clip, name) for name in ("CLIP", "CustomTextCLIP", "CoCa", "load_checkpoint")},
            SimpleTokenizer=lambda context_length: open_clip.SimpleTokenizer(context_length=context_length),
            list_models=lambda: list(configs),
            get_model_config=lambda name: json.loads(json.dumps(configs[name])),
            list_pretrained=lambda: list(tags),
            get_pretrained_cfg=lambda name, tag: tags.get((name, tag), {}),
        )
        monkeypatch.setattr(open_clip_source, "require_open_clip", lambda: table)

    def write(self, path: Path, **options: object) -> Path:
        save_file({k: v.contiguous() for k, v in tiny_clip_module(**options).state_dict().items()}, path)
        return path

    def test_the_name_tells(self, tmp_path: Path) -> None:
        assert activation(load_clip(self.write(tmp_path / "Toy-8-openai.safetensors"))) == "QuickGELU"
        assert activation(load_clip(self.write(tmp_path / "toy_8.laion.safetensors"))) == "GELU"

    def test_the_shapes_tell(self, tmp_path: Path) -> None:
        model = load_clip(self.write(tmp_path / "mine.safetensors", vision={"patch_size": 16}))
        assert model.grid == (3, 3)

    def test_what_the_shapes_leave_open_is_not_guessed(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedModel, match="differ in their activation only"):
            load_clip(self.write(tmp_path / "mine.safetensors"))

    def test_shapes_of_nothing_known(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedModel, match="fits no architecture"):
            load_clip(self.write(tmp_path / "mine.safetensors", vision={"layers": 3}))


def test_a_catalog_model_is_found_in_a_model_folder(tmp_path: Path) -> None:
    tiny_clip_folder(tmp_path / "clip" / "vit_large_patch14_clip_336.openai")
    model = load_clip("ViT-L-14-336", folders=[tmp_path / "clip"])
    assert model.name == "ViT-L-14-336/openai"
    assert activation(model) == "QuickGELU"
    assert model.default_layer == 22


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: object, **more: object) -> object:
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {package!r}")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_without_open_clip_the_error_names_the_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "open_clip")
    with pytest.raises(MissingPackage, match="pip install open_clip_torch"):
        load_clip(folder)
    with pytest.raises(MissingPackage, match="pip install open_clip_torch"):
        load_clip("ViT-B-32", allow_download=True)
