"""Small real tokenizers, trained on a few sentences: some words are one token, most are several.

Each kind splits and counts characters its own way, as the tokenizers of the real families do; the token ids of a
family's special tokens are whatever comes out here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SENTENCES: tuple[str, ...] = (
    "What colour is the circle on the left? The circle is red.",
    "Where is the blue square? It is on the right of the picture.",
    "Describe the picture. There is a red ball, a green box and a blue ring.",
    "How many triangles are there? There are three triangles in the picture.",
    "USER: ASSISTANT: user assistant system You are a helpful assistant.",
)
"""What the vocabularies are trained on: a word in here often is one token, any other word is several."""

MERGES = 90


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer as its files say it. settings: what tokenizer_config.json holds beside the class."""

    backend: Any
    class_name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.backend.get_vocab_size())

    def id(self, token: str) -> int:
        """The id of a token that is known to exist."""
        found = self.backend.token_to_id(token)
        if found is None:
            raise KeyError(token)
        return int(found)

    def write(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json` as a published model has them."""
        self.backend.save(str(folder / "tokenizer.json"))
        known = {"model_max_length": 8192, "model_input_names": ["input_ids", "attention_mask"]}
        config = {"tokenizer_class": self.class_name, **known, **self.settings}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _added(token: str, special: bool = True) -> Any:
    from tokenizers import AddedToken

    return AddedToken(token, normalized=False, special=special)


def _start_with(backend: Any, begin: str) -> None:
    from tokenizers import processors

    begin_id = backend.token_to_id(begin)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=[(begin, begin_id)]
    )


def byte_level(
    special: Sequence[str],
    *,
    end: str,
    pad: str,
    begin: str = "",
    whole: Sequence[str] = (),
    class_name: str = "PreTrainedTokenizerFast",
    merges: int = MERGES,
    **settings: Any,
) -> Vocabulary:
    """Byte-level pairs (GPT-2, Qwen, Llama 3): a token may hold the space before its word. Special tokens come last.

    begin: put before every text when named. whole: texts that are one token though not special, such as `<think>`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=256 + merges, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    backend.add_special_tokens([_added(token) for token in special])
    backend.add_tokens([_added(token, special=False) for token in whole])
    if begin:
        _start_with(backend, begin)
        settings["bos_token"] = begin
    return Vocabulary(backend, class_name, {"eos_token": end, "pad_token": pad, **settings})


def _pairs_with_byte_fallback(head: Sequence[str], pre_tokenizer: Any, normalizer: Any, merges: int) -> Any:
    """SentencePiece's pairs: `head` has the first ids, then a token for every byte, then characters and pairs."""
    from tokenizers import Tokenizer, models, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizer
    trained.normalizer = normalizer
    alphabet = [chr(code) for code in range(33, 127)] + ["▁"]
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + merges, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(SENTENCES, trainer)
    model = json.loads(trained.to_str())["model"]
    by_id = sorted(model["vocab"], key=model["vocab"].__getitem__)
    tokens = [*head, *(f"<0x{byte:02X}>" for byte in range(256)), *by_id]
    return Tokenizer(
        models.BPE(
            vocab={token: place for place, token in enumerate(tokens)},
            merges=[tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )


def llama_2(special: Sequence[str], *, merges: int = MERGES, **settings: Any) -> Vocabulary:
    """The kind of Llama 2 and Vicuna: a space is put before the text, spaces are `▁`, `<s>` begins every text."""
    from tokenizers import decoders, normalizers, pre_tokenizers

    head = ("<unk>", "<s>", "</s>")
    backend = _pairs_with_byte_fallback(head, pre_tokenizers.Metaspace(prepend_scheme="always"), None, merges)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens([_added(token) for token in (*head, *special)])
    _start_with(backend, "<s>")
    known = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>", "add_bos_token": True}
    return Vocabulary(backend, "LlamaTokenizerFast", {**known, **settings})


def gemma(special: Sequence[str], *, whole: Sequence[str] = (), merges: int = MERGES, **settings: Any) -> Vocabulary:
    """Gemma's kind: spaces are `▁`, none is put before the text, `<bos>` begins every text.

    whole: texts that are one token though not special.
    """
    from tokenizers import decoders, normalizers, pre_tokenizers

    head = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
    spaces = normalizers.Replace(" ", "▁")
    split = pre_tokenizers.Split("▁", "merged_with_next")
    backend = _pairs_with_byte_fallback(head, split, spaces, merges)
    backend.normalizer = spaces
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([_added(token) for token in (*head, *special)])
    backend.add_tokens([_added(token, special=False) for token in whole])
    _start_with(backend, "<bos>")
    known = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return Vocabulary(backend, "GemmaTokenizerFast", {**known, "add_bos_token": True, **settings})


def words(special: Sequence[str], *, end: str, pad: str, begin: str = "", **settings: Any) -> Vocabulary:
    """Whole words only: what was not in the sentences is `<unk>`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.WordLevel(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=["<unk>"], show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    backend.add_special_tokens([_added(token) for token in special])
    if begin:
        _start_with(backend, begin)
        settings["bos_token"] = begin
    known = {"unk_token": "<unk>", "eos_token": end, "pad_token": pad}
    return Vocabulary(backend, "PreTrainedTokenizerFast", {**known, **settings})
