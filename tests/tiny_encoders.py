"""Tiny random vision-language encoders of ComfyUI's own classes, for tests on the real host.

Sizes go through ComfyUI's own override of a model's configuration; those of towers are tables of its modules, which are
exchanged while a model is built. Weights are drawn: ComfyUI leaves them unset for a file to fill.
"""

import functools
import importlib
import io
import json
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
KINDS = (
    "qwen3vl",
    "qwen35",
    "gemma3_4b",
    "gemma3_12b",
    "gemma4_e2b",
    "gemma4_31b",
    "gemma4_12b",
    "qwen25vl",
    "joyimage",
)
ANSWERING = KINDS[:7]
WRAPPED = {"krea2": True, "mage": True, "boogu": True, "ideogram4": True}
WRAPPED |= {"minimax": False, "hunyuan": False, "longcat": False}
"""The same classes as other types of Load CLIP wrap them, and whether they answer."""
_SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1}
_QWEN = {**_SMALL, "num_hidden_layers": 4, "vocab_size": 151936}
_VISION = {"hidden_size": 32, "intermediate_size": 48, "depth": 2}


def tiny_clip(kind: str, *, seed: int = 0, sliding: int | None = None, state: Any = None, **given: Any) -> Any:
    """A CLIP with one of KINDS, or `gemma2`, which has no eyes. sliding: the window of Gemma's limited layers. state:
    weights in place of drawn ones. given: further options of ComfyUI's for models."""
    sd = importlib.import_module("comfy.sd")
    with ExitStack() as stack:
        target, data, name, sizes = _RECIPES[kind](stack, sliding)
        options = {f"{name}_model_config": sizes, "dtype": torch.float32, **given}
        with torch.inference_mode():
            clip = sd.CLIP(_Target(*target), tokenizer_data=data, model_options=options, state_dict=state or [])
            if state is None:
                _fill(clip.cond_stage_model, seed)
            if kind == "gemma4_12b":  # tokens that the tiny vocabulary does not have
                clip.cond_stage_model.gemma4.transformer.model.config.suppress_tokens = []
    return clip


def in_bytes(kind: str) -> Any:
    """The same with linear layers that hold bytes and make numbers of them on the way, as loaders of GGUF do."""
    ops = importlib.import_module("comfy.ops")

    class Linear(torch.nn.Module):
        comfy_cast_weights = True

        def __init__(self, inside: int, outside: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(outside, inside, dtype=torch.uint8), requires_grad=False)
            self.bias = torch.nn.Parameter(torch.zeros(outside)) if bias else None

        def whole_weight(self) -> torch.Tensor:
            return (self.weight.float() - 127.5) / 74 * self.weight.shape[1] ** -0.5

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            ops.run_every_op()
            return torch.nn.functional.linear(values, self.whole_weight().to(values), self.bias)

    return tiny_clip(kind, custom_operations=type("ByteOps", (ops.manual_cast,), {"Linear": Linear}))


def in_fp8(kind: str) -> Any:
    """The same in ComfyUI's own mixed precision: the decoder's linear layers in eight bits with a scale."""
    plain = tiny_clip(kind)
    state = {}
    with torch.inference_mode():
        for name, value in plain.cond_stage_model.state_dict().items():
            if ".model.layers." in name and name.endswith("_proj.weight"):
                scale = value.abs().max() / 448
                state[name] = (value / scale).to(torch.float8_e4m3fn)
                state[name + "_scale"] = scale
                quantised = json.dumps({"format": "float8_e4m3fn"}).encode()
                state[name.removesuffix("weight") + "comfy_quant"] = torch.tensor(list(quantised), dtype=torch.uint8)
            else:
                state[name] = value
    return tiny_clip(kind, state=state, quantization_metadata={"mixed_ops": True})


class _Target:
    def __init__(self, clip: Any, tokenizer: Any) -> None:
        self.params: dict[str, Any] = {}
        self.clip, self.tokenizer = clip, tokenizer


def _fill(module: torch.nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for name, weight in module.named_parameters():
        if weight.dtype == torch.uint8:
            weight.random_(0, 256, generator=draw)
        elif weight.ndim < 2:
            norm = "norm" in name and name.endswith("weight")
            adds = getattr(module.get_submodule(name.rpartition(".")[0]), "add", False)
            weight.copy_(torch.randn(weight.shape, generator=draw) * 0.1 + (1.0 if norm and not adds else 0.0))
        else:
            scale = 0.02 if "embed_tokens" in name else weight[0].numel() ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=draw) * scale)
    for name, buffer in module.named_buffers():
        if name.endswith("layer_scalar"):
            buffer.fill_(1.0)
            attention = module.get_submodule(name.rpartition(".")[0]).self_attn
            for norm in (attention.q_norm, attention.k_norm):  # Gemma 4 has the scale of its scores in them
                norm.weight.mul_(len(norm.weight) ** -0.25)


@contextmanager
def exchanged(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = holder[name] if isinstance(holder, dict) else getattr(holder, name)
    put = holder.__setitem__ if isinstance(holder, dict) else functools.partial(setattr, holder)
    put(name, value)
    try:
        yield
    finally:
        put(name, before)


Recipe = tuple[tuple[Any, Any], dict[str, Any], str, dict[str, Any]]


def _encoders(name: str) -> Any:
    try:
        return importlib.import_module(f"comfy.text_encoders.{name}")
    except ModuleNotFoundError as error:
        raise unittest.SkipTest(f"This ComfyUI is older than its encoder {name}.") from error


def _qwen3vl_of(
    stack: ExitStack, sliding: int | None, module: str, make: str, tokenizer: str, size: str = "4b", layers: int = 4
) -> Recipe:
    """A Qwen3-VL as one of ComfyUI's modules wraps it."""
    qwen, own = _encoders("qwen3vl"), _encoders(module)
    name = f"qwen3vl_{size}"
    stack.enter_context(exchanged(qwen.QWEN3VL_VISION, name, {**_VISION, "deepstack_visual_indexes": [0, 1]}))
    stack.enter_context(exchanged(qwen, "QWEN3VL_VISION_COMMON", {**qwen.QWEN3VL_VISION_COMMON, "num_heads": 2}))
    plain = module == "qwen3vl"
    clip = getattr(own, make)(model_type=name) if plain else getattr(own, make)()
    tokeniser = own.tokenizer(name) if plain else getattr(own, tokenizer)
    return (clip, tokeniser), {}, name, {**_QWEN, "num_hidden_layers": layers}


def _qwen35(stack: ExitStack, sliding: int | None) -> Recipe:
    qwen = _encoders("qwen35")
    own = {"vision": {**_VISION, "num_heads": 2}}
    stack.enter_context(exchanged(qwen.QWEN35_MODELS, "qwen35_2b", own))
    kinds = ["linear_attention", "full_attention"] * 2
    linear = {"linear_num_key_heads": 2, "linear_num_value_heads": 2}
    sizes = {**_SMALL, "num_hidden_layers": 4, "layer_types": kinds, **linear}
    data = {"qwen35_2b_tokenizer_class": _qwen35_tokeniser}
    return (qwen.te(model_type="qwen35_2b"), qwen.tokenizer("qwen35_2b")), data, "qwen35_2b", sizes


def _qwen35_tokeniser(embedding_directory: Any = None, tokenizer_data: Any = None) -> Any:
    """Letters and Qwen3.5's marks: not every copy of ComfyUI has all files of its tokeniser."""
    return importlib.import_module("comfy.sd1_clip").SDTokenizer(
        letters(QWEN35_MARKS),
        tokenizer_class=Letters,
        pad_with_end=False,
        has_start_token=False,
        has_end_token=False,
        pad_to_max_length=False,
        max_length=99999999,
        min_length=1,
        pad_token=QWEN35_MARKS["<|endoftext|>"],
    )


class Letters:
    """A tokeniser of single letters, as the tokenizers library runs it."""

    def __init__(self, content: str) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_str(content)

    @classmethod
    def from_pretrained(cls, content: str, **_: Any) -> "Letters":
        return cls(content)

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": self.tokenizer.encode(text, add_special_tokens=False).ids}

    def get_vocab(self) -> dict[str, int]:
        return dict(self.tokenizer.get_vocab())

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens))


def _qwen25vl(
    stack: ExitStack,
    sliding: int | None,
    module: str = "qwen_image",
    tokenizer: str = "QwenImageTokenizer",
    **made: Any,
) -> Recipe:
    """A Qwen2.5-VL as one of ComfyUI's modules wraps it."""
    own, vision = _encoders(module), _encoders("qwen_vl")
    small = functools.partial(vision.Qwen2VLVisionTransformer, intermediate_size=48, num_heads=2, num_layers=2)
    tower: Callable[..., Any] = lambda hidden_size, **more: small(hidden_size=32, **more)  # noqa: E731
    stack.enter_context(exchanged(vision, "Qwen2VLVisionTransformer", tower))
    return (own.te(**made), getattr(own, tokenizer)), {}, "qwen25_7b", {**_QWEN, "vocab_size": 152064}


_SIGLIP = {
    "num_channels": 3,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_size": 32,
    "image_size": 224,
    "intermediate_size": 48,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 14,
}


def _gemma3(stack: ExitStack, sliding: int | None, config: Any) -> dict[str, Any]:
    stack.enter_context(exchanged(config, "vision_config", _SIGLIP))
    stack.enter_context(exchanged(config, "sliding_attention", [sliding or 1024, False]))
    return {**_SMALL, "num_hidden_layers": 4, "vocab_size": 600}


def _gemma2(stack: ExitStack, sliding: int | None) -> Recipe:
    lumina = _encoders("lumina2")
    data = {"spiece_model": sentencepiece_model()}
    sizes = {**_SMALL, "num_hidden_layers": 3, "vocab_size": 600}
    return (lumina.te(model_type="gemma2_2b"), lumina.LuminaTokenizer), data, "gemma2_2b", sizes


def _gemma3_4b(stack: ExitStack, sliding: int | None) -> Recipe:
    lumina = _encoders("lumina2")
    sizes = _gemma3(stack, sliding, _encoders("llama").Gemma3_4B_Vision_Config)
    data = {"spiece_model": sentencepiece_model()}
    return (lumina.te(model_type="gemma3_4b_vision"), lumina.NTokenizer), data, "gemma3_4b_vision", sizes


def _gemma3_12b(stack: ExitStack, sliding: int | None) -> Recipe:
    lt = _encoders("lt")
    sizes = _gemma3(stack, sliding, _encoders("llama").Gemma3_12B_Config)
    data = {"spiece_model": sentencepiece_model()}
    return (lt.gemma3_te(), lt.Gemma3_12BTokenizer), data, "", sizes


def _gemma4(stack: ExitStack, sliding: int | None, name: str, config: str, **own: Any) -> Recipe:
    gemma = _encoders("gemma4")
    variant, sizes_of = getattr(gemma, name), getattr(gemma, config)
    vision = {**sizes_of.vision_config, **own.pop("vision")}
    changes = {"vision_config": vision, "head_dim": 32, "global_head_dim": 64, **own}
    if sizes_of.audio_config is not None:
        audio = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
        changes["audio_config"] = {**sizes_of.audio_config, **audio, "output_proj_dims": 32}
    for key, value in {**changes, "sliding_attention": [sliding or 1024, False]}.items():
        stack.enter_context(exchanged(sizes_of, key, value))
    sizes = {**_SMALL, "num_hidden_layers": 4, "vocab_size": 600}
    for key in ("hidden_size_per_layer_input", "num_kv_shared_layers"):
        if getattr(sizes_of, key):
            sizes[key] = 16 if key.startswith("hidden") else 2
    data = {"tokenizer_json": tokenizer_json()}
    return (gemma.gemma4_te(model_class=variant), variant.tokenizer), data, "gemma4", sizes


_TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_hidden_layers": 1, "head_dim": 16}


def _gemma4_12b(stack: ExitStack, sliding: int | None) -> Recipe:
    vision = {"mm_embed_dim": 32, "output_proj_dims": 32}
    return _gemma4(stack, sliding, "Gemma4_12B", "Gemma4_12B_Config", vision=vision)


_RECIPES: dict[str, Callable[[ExitStack, int | None], Recipe]] = {
    "qwen3vl": functools.partial(_qwen3vl_of, module="qwen3vl", make="te", tokenizer=""),
    "qwen35": _qwen35,
    "gemma3_4b": _gemma3_4b,
    "gemma3_12b": _gemma3_12b,
    "gemma4_e2b": functools.partial(_gemma4, name="Gemma4_E2B", config="Gemma4_E2B_Config", vision=_TOWER),
    "gemma4_31b": functools.partial(_gemma4, name="Gemma4_31B", config="Gemma4_31B_Config", vision=_TOWER),
    "gemma4_12b": _gemma4_12b,
    "qwen25vl": _qwen25vl,
    "gemma2": _gemma2,
    "joyimage": functools.partial(_qwen3vl_of, module="joyimage", make="te", tokenizer="JoyImageTokenizer", size="8b"),
    "krea2": functools.partial(_qwen3vl_of, module="krea2", make="te", tokenizer="Krea2Tokenizer", layers=36),
    "mage": functools.partial(_qwen3vl_of, module="mage_flow", make="te", tokenizer="MageFlowTokenizer"),
    "boogu": functools.partial(_qwen3vl_of, module="boogu", make="te", tokenizer="BooguTokenizer", size="8b"),
    "ideogram4": functools.partial(
        _qwen3vl_of,
        module="ideogram4",
        make="te_qwen3vl",
        tokenizer="Ideogram4Qwen3VLTokenizer",
        size="8b",
        layers=36,
    ),
    "minimax": functools.partial(_qwen3vl_of, module="minimax", make="te", tokenizer="MiniMaxH3Tokenizer", size="32b"),
    "hunyuan": functools.partial(_qwen25vl, module="hunyuan_image", tokenizer="HunyuanImageTokenizer", byt5=False),
    "longcat": functools.partial(_qwen25vl, module="longcat_image", tokenizer="LongCatImageTokenizer"),
}


@functools.cache
def sentencepiece_model() -> torch.Tensor:
    """A SentencePiece model of the README with Gemma's first pieces and marks."""
    import sentencepiece

    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((ROOT / "README.md").read_text(encoding="utf-8").splitlines()),
        model_writer=made,
        vocab_size=500,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        user_defined_symbols=["\n", "\n\n", "<start_of_turn>", "<end_of_turn>"],
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(made.getvalue()), dtype=torch.uint8)


GEMMA4_MARKS = ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|image>", "<image|>", "<|think|>")
GEMMA4_MARKS += ("<|channel>", "<channel|>", "<|audio>", "<audio|>")
QWEN35_MARKS = {
    "<|endoftext|>": 248044,
    "<|im_start|>": 248045,
    "<|im_end|>": 248046,
    "<|vision_start|>": 248053,
    "<|vision_end|>": 248054,
    "<|image_pad|>": 248056,
    "<think>": 248068,
    "</think>": 248069,
}


def tokenizer_json() -> torch.Tensor:
    """Gemma 4's kind of tokeniser: letters, and its marks, that of a picture with its own id."""
    marks = {text: number for number, text in enumerate(GEMMA4_MARKS)} | {"<|image|>": 258880}
    return torch.frombuffer(bytearray(letters(marks).encode()), dtype=torch.uint8)


def letters(marks: Mapping[str, int]) -> str:
    """A tokeniser of single letters and these marks, in the tokenizers library's JSON."""
    first = 20
    texts = [*(chr(code) for code in range(32, 127)), "\n", "é"]
    vocab = {**marks, "<unk>": 3, **{text: first + number for number, text in enumerate(texts)}}
    special = [{"id": marks[m], "content": m, "special": True, **dict.fromkeys(_FLAGS, False)} for m in marks]
    content = {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": "<unk>", "fuse_unk": False},
    }
    return json.dumps(content)


_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
