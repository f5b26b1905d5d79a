"""Loading vision-language models: weights, precision, options, templates, and folders that are refused."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.errors import (
    DamagedWeights,
    InvalidInput,
    MissingPackage,
    ModelNotFound,
    UnsupportedModel,
)
from pack.api_core.models.catalog import EMBEDDED_LVLM, find_lvlm_model
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm import build as source
from pack.api_core.models.lvlm.load import load_lvlm, resolve_lvlm_precision
from PIL import Image
from safetensors.torch import load_file, save_file

Folders = Callable[[str], Path]
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(zoo_folder: Folders, tmp_path: Path) -> Path:
    """A LLaVA of its own, to be broken."""
    return Path(shutil.copytree(zoo_folder("llava-1.5"), tmp_path / "small"))


def edit(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def as_shards(folder: Path) -> list[Path]:
    weights = load_file(folder / WEIGHTS)
    names = sorted(weights)
    parts = (names[::2], names[1::2])
    files = [folder / f"model-0000{i + 1}-of-00002.safetensors" for i in range(2)]
    for file, part in zip(files, parts, strict=True):
        save_file({name: weights[name] for name in part}, file, metadata={"format": "pt"})
    table = {name: file.name for file, part in zip(files, parts, strict=True) for name in part}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": table}))
    (folder / WEIGHTS).unlink()
    return files


def test_a_folder_gives_its_own_weights_ready_to_answer(folder: Path) -> None:
    model = load_lvlm(folder, device="cpu")
    assert (model.name, model.depth, model.family.title, model.warnings) == ("small", 4, "LLaVA-1.5", ())
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)
    stored = load_file(folder / WEIGHTS)
    held = [
        tensor for name, tensor in model.module.state_dict().items() if name.endswith("layers.0.mlp.up_proj.weight")
    ]
    known = [tensor for name, tensor in stored.items() if name.endswith("layers.0.mlp.up_proj.weight")]
    assert len(held) == len(known) == 1
    assert torch.equal(held[0], known[0])
    assert not any(weight.requires_grad for weight in model.module.parameters())
    assert not model.module.training
    assert model.tokenizer.padding_side == "left"


def test_shards_are_put_together(folder: Path) -> None:
    whole = load_lvlm(folder, device="cpu").module.state_dict()
    as_shards(folder)
    parts = load_lvlm(folder, device="cpu").module.state_dict()
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_loading_moves_no_random_state_and_writes_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_lvlm(folder, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_a_model_loaded_inside_inference_mode_can_still_carry_gradients(folder: Path) -> None:
    with torch.inference_mode():
        model = load_lvlm(folder, device="cpu", precision="bf16")
    assert not any(tensor.is_inference() for tensor in [*model.module.parameters(), *model.module.buffers()])


@pytest.mark.parametrize(
    ("precision", "device", "own", "expected"),
    [
        ("auto", "cpu", torch.bfloat16, torch.float32),
        ("auto", "cuda", torch.bfloat16, torch.bfloat16),
        ("auto", "cuda", torch.float16, torch.float16),
        ("auto", "mps", torch.float32, torch.float32),
        ("checkpoint", "cpu", torch.float16, torch.float16),
        ("fp16", "cpu", torch.bfloat16, torch.float16),
        ("fp32", "cuda", torch.bfloat16, torch.float32),
    ],
)
def test_precision(precision: str, device: str, own: torch.dtype, expected: torch.dtype) -> None:
    assert resolve_lvlm_precision(precision, torch.device(device), own) == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"dtype": "bfloat16"}, torch.bfloat16),
        ({"torch_dtype": "float16", "dtype": None}, torch.float16),
        ({"dtype": None, "torch_dtype": None, "text_config": {"dtype": "bfloat16"}}, torch.bfloat16),
        ({"dtype": None, "torch_dtype": None, "text_config": {}}, torch.float16),
    ],
)
def test_the_checkpoints_own_precision(folder: Path, entries: dict[str, Any], expected: torch.dtype) -> None:
    half = {name: value.half() for name, value in load_file(folder / WEIGHTS).items()}
    save_file(half, folder / WEIGHTS, metadata={"format": "pt"})
    assert source.checkpoint_dtype(folder, {**source.read_config(folder), **entries}) == expected


def test_weights_come_in_the_precision_asked_for_and_fp16_of_bf16_warns(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit(folder / "config.json", dtype="bfloat16")
    kept = load_lvlm(folder, device="cpu", precision="checkpoint")
    assert {weight.dtype for weight in kept.module.parameters()} == {torch.bfloat16}
    assert not kept.warnings
    with caplog.at_level(logging.WARNING):
        narrow = load_lvlm(folder, device="cpu", precision="fp16")
    assert narrow.dtype == torch.float16
    assert "trained in bf16 and may overflow in fp16" in narrow.warnings[0]
    assert narrow.warnings[0] in caplog.text


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_answers_on_the_cpu(folder: Path, precision: str) -> None:
    model = load_lvlm(folder, device="cpu", precision=precision)
    prepared = model.prepare([Case((torch.rand(40, 40, 3),), "What is it?")])
    assert len(model.generate(prepared, max_new_tokens=3)[0].token_ids) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "no precision 'fp8'. Choose one of auto, checkpoint, fp32"),
        ({"attention": "sage"}, "no attention 'sage'. Choose one of auto, sdpa, flash"),
        ({"resize": "cv2"}, "no resize 'cv2'. Choose auto or pil"),
        ({"max_pixels": -1}, "max_pixels must be 0"),
        ({"device": "toaster"}, "no device 'toaster'"),
    ],
)
def test_options_that_mean_nothing_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_lvlm(folder, **{"device": "cpu", **options})


def test_pictures_are_resized_by_pillow_where_that_is_asked_for(folder: Path, zoo_folder: Folders) -> None:
    levels = torch.rand(61, 47, 3, generator=torch.Generator().manual_seed(0))
    square = levels.mul(255).round().to(torch.uint8).numpy()
    model = load_lvlm(folder, resize="pil", device="cpu")
    images = model.processor.image_processor
    (got,) = model.prepare([Case((levels,), "?")], with_places=False).inputs["pixel_values"]
    width, height = 48, int(48 * 61 / 47)
    small = Image.fromarray(square).resize((width, height), Image.Resampling.BICUBIC)
    top = (height - 48) // 2
    cut = np.asarray(small)[top : top + 48].astype(np.float32) / 255
    expected = (cut - np.float32(images.image_mean)) / np.float32(images.image_std)
    assert np.abs(got.permute(1, 2, 0).numpy() - expected).max() < 1e-6
    with pytest.raises(UnsupportedModel, match="no way to resize the pictures of lfm2-vl by Pillow"):
        load_lvlm(zoo_folder("lfm2-vl"), resize="pil", device="cpu")


def test_attention(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_lvlm(folder, device="cpu").module.config._attn_implementation == "sdpa"
    assert load_lvlm(folder, device="cpu", attention="sdpa").module.config._attn_implementation == "sdpa"
    with pytest.raises((MissingPackage, UnsupportedModel), match=r"flash-attn.*Choose attention auto"):
        load_lvlm(folder, device="cpu", attention="flash")


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no model 'nothing-7b'.*catalog holds: tiny-lvlm"):
        load_lvlm("nothing-7b")
    with pytest.raises(InvalidInput, match=r"is a file. Give the model's folder"):
        load_lvlm(folder / WEIGHTS)
    with pytest.raises(ModelNotFound, match="Turn on allow_download"):
        load_lvlm("llava-1.5-7b", folders=[folder.parent])


def test_a_catalog_name_is_found_in_a_model_folder_with_its_own_defaults(zoo_folder: Folders, tmp_path: Path) -> None:
    shutil.copytree(zoo_folder("llava-1.5"), tmp_path / "llava-1.5-7b-hf")
    model = load_lvlm("llava-v1.5-7b", device="cpu", folders=[tmp_path])
    assert model.name == "llava-1.5-7b"
    assert model.default_layers == (20,)
    assert model.resolve_layers(None) == (3,), "a model of four layers has no layer 20: the nearest is meant"


def test_the_embedded_model_is_asked_for_by_name() -> None:
    entry = find_lvlm_model(EMBEDDED_LVLM)
    assert entry is not None
    model = load_lvlm(EMBEDDED_LVLM.upper(), device="cpu")
    assert (model.name, model.dtype, model.warnings) == (EMBEDDED_LVLM, torch.float32, ())


def test_a_download_takes_what_is_needed_and_nothing_else() -> None:
    from fnmatch import fnmatch

    from pack.api_core.models.files.local import SAFE_PATTERNS

    def taken(name: str) -> bool:
        return all(any(fnmatch(name, pattern) for pattern in patterns) for patterns in (SAFE_PATTERNS, source.PATTERNS))

    wanted = (
        "config.json generation_config.json model.safetensors model-00001-of-00002.safetensors "
        "model.safetensors.index.json preprocessor_config.json processor_config.json video_preprocessor_config.json "
        "tokenizer.json tokenizer.model tokenizer_config.json special_tokens_map.json added_tokens.json vocab.json "
        "merges.txt chat_template.jinja chat_template.json qformer_tokenizer/tokenizer.json"
    )
    assert all(taken(name) for name in wanted.split())
    other = (
        "pytorch_model.bin consolidated.safetensors original/model.safetensors modeling_x.py model.gguf "
        "onnx/model.onnx training_args.bin README.md tokenizer.py"
    )
    assert not [name for name in other.split() if taken(name)]


def without(folder: Path, name: str) -> None:
    (folder / name).unlink()


def cut(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda f: without(f, "config.json"), ModelNotFound, "no config.json"),
        (lambda f: cut(f, "config.json"), DamagedWeights, "config.json cannot be read"),
        (lambda f: without(f, WEIGHTS), ModelNotFound, "no weights as safetensors"),
        (lambda f: cut(f, WEIGHTS), DamagedWeights, "is damaged: it has"),
        (lambda f: as_shards(f)[1].unlink(), ModelNotFound, "part of a model only; missing: model-00002"),
        (lambda f: cut(f, as_shards(f)[0].name), DamagedWeights, "model-00001.*is damaged"),
        (lambda f: without(f, "tokenizer.json"), ModelNotFound, "lacks the model's tokenizer. Put tokenizer.json"),
        (lambda f: cut(f, "tokenizer.json"), DamagedWeights, "tokenizer.json cannot be read"),
        (
            lambda f: [path.unlink() for path in f.glob("*processor_config.json")],
            ModelNotFound,
            "lacks the model's picture processor. Put preprocessor_config.json",
        ),
    ],
)
def test_a_folder_that_is_not_whole_says_what_is_missing(
    folder: Path, spoil: Callable[[Path], Any], error: type[Exception], message: str
) -> None:
    spoil(folder)
    with pytest.raises(error, match=message):
        load_lvlm(folder, device="cpu")


def test_a_torch_pickle_is_not_read(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    without(folder, WEIGHTS)
    with pytest.raises(ModelNotFound, match="no weights as safetensors"):
        load_lvlm(folder, device="cpu")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised .bitsandbytes.*as published"),
        ({"model_type": "llava_of_tomorrow"}, r"transformers [0-9.]+.* knows no model type 'llava_of_tomorrow'"),
        ({"model_type": "hers", "auto_map": {"AutoModel": "x.Y"}}, "code of its own, which is never run"),
        ({"model_type": ""}, "knows no model type ''"),
        ({"model_type": "llama"}, "holds a llama model.*Choose a vision-language model"),
    ],
)
def test_models_that_cannot_be_read_say_why(folder: Path, entries: dict[str, Any], message: str) -> None:
    edit(folder / "config.json", **entries)
    with pytest.raises(UnsupportedModel, match=message):
        load_lvlm(folder, device="cpu")


def test_a_gguf_is_refused_as_quantised(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-q4.gguf")
    with pytest.raises(UnsupportedModel, match=r"quantised .GGUF: model-q4\.gguf"):
        load_lvlm(folder, device="cpu")


def test_code_in_the_folder_is_never_run(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoModelForImageTextToText": "evil.Model", "AutoConfig": "evil.Config"})
    edit(
        folder / "tokenizer_config.json",
        auto_map={"AutoProcessor": "evil.Processor", "AutoTokenizer": ["evil.T", None]},
    )
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    assert load_lvlm(folder, device="cpu").depth == 4


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    missing = next(name for name in weights if name.endswith("layers.1.mlp.up_proj.weight"))
    save_file({name: value for name, value in weights.items() if name != missing}, folder / WEIGHTS)
    with pytest.raises(DamagedWeights, match=r"1 tensors are missing or of another shape, such as .*up_proj"):
        load_lvlm(folder, device="cpu")
    save_file({**weights, missing: weights[missing][:-1].clone()}, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(DamagedWeights, match="1 tensors are missing or of another shape"):
        load_lvlm(folder, device="cpu")


def test_a_model_without_a_chat_template_warns_and_reads_plain_text(folder: Path) -> None:
    for path in folder.glob("chat_template*"):
        path.unlink()
    for name in ("processor_config.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            edit(folder / name, chat_template=None)
    model = load_lvlm(folder, device="cpu")
    assert "has no chat template" in model.warnings[0]
    assert "chat_template.jinja" in model.warnings[0]
    prepared = model.prepare([Case((torch.rand(40, 40, 3),), "What is it?")])
    assert prepared.prompts == ("<image>\nWhat is it?",)
    assert len(model.generate(prepared, max_new_tokens=2)[0].token_ids) == 2


def test_a_chat_template_that_only_the_tokenizer_holds_is_used(folder: Path) -> None:
    case = Case((torch.rand(40, 40, 3),), "What is it?")
    expected = load_lvlm(folder, device="cpu").prepare([case]).prompts
    (template,) = folder.glob("chat_template*")
    edit(folder / "tokenizer_config.json", chat_template=template.read_text())
    template.unlink()
    model = load_lvlm(folder, device="cpu")
    assert model.prepare([case]).prompts == expected
    assert not model.warnings


def test_a_tokenizer_without_padding_gets_one(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None)
    model = load_lvlm(folder, device="cpu")
    cases = [Case((torch.rand(40, 40, 3),), question) for question in ("What is it?", "Red?")]
    assert len(model.generate(model.prepare(cases), max_new_tokens=2)) == 2


def test_without_transformers_the_error_names_the_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackage, match="pip install transformers"):
        load_lvlm(folder, device="cpu")


@pytest.mark.parametrize("name", ["attention", "resize"])
def test_an_unknown_choice_is_told_shortly(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"There is no {name} 'xxx.*…'. Choose .*auto") as told:
        load_lvlm("tiny-lvlm", **{name: "x" * 5000})
    assert len(str(told.value)) < 200
