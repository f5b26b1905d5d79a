"""Random models of the sizes that people use, for what needs no trained weights: cost, memory, equality."""

import logging
from collections.abc import Mapping
from typing import Any

import torch

from .clip import ClipModel, PictureSpec, build_clip
from .files.transformers_folder import import_transformers
from .lvlm.model import LvlmModel, build_lvlm

SHAPES: Mapping[str, Mapping[str, int]] = {
    "tiny": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256},
    "mid": {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 16, "intermediate_size": 2816},
    "7b": {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "intermediate_size": 11008},
}
"""Of the decoder; "7b" is that of the usual models with seven billion weights."""

SMALL_EYES = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4}
VIT_L = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
VOCABULARY = 32000
IMAGE, END, PAD = 0, 1, 2
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
)
QUESTION = " ".join(f"w{number}" for number in range(100, 154))


def random_lvlm(
    shape: str, device: str | torch.device, dtype: torch.dtype, eyes: Mapping[str, int] = SMALL_EYES
) -> LvlmModel:
    """A LLaVA-1.5 with 576 image tokens and a processor of its own, which never ends an answer by itself."""
    transformers: Any = import_transformers()
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<image>": IMAGE, "</s>": END, "<pad>": PAD}
    words |= {f"w{number}": number for number in range(len(words), VOCABULARY)}
    raw = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="</s>", pad_token="<pad>", extra_special_tokens={"image_token": "<image>"}
    )
    text = transformers.LlamaConfig(
        **SHAPES[shape], vocab_size=VOCABULARY, eos_token_id=END, pad_token_id=PAD, bos_token_id=None
    )
    vision = transformers.CLIPVisionConfig(**eyes, image_size=336, patch_size=14)
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=576
    )
    torch.manual_seed(0)
    with torch.device(device):
        module = transformers.AutoModelForImageTextToText.from_config(config, dtype=dtype).eval()
    with torch.no_grad():
        module.get_output_embeddings().weight[END] = 0  # some other token is always likelier
    images = transformers.CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    processor = transformers.LlavaProcessor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return build_lvlm(module.requires_grad_(False), processor, name=f"random LLaVA ({shape})")


def random_clip(name: str, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> ClipModel:
    """One of open_clip's architectures, with the tokenizer that belongs to it."""
    import open_clip

    torch.manual_seed(0)
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it warns of random weights, which are meant here
    try:
        module = open_clip.create_model(name, pretrained=None, load_weights=False).to(device, dtype)
    finally:
        logging.root.setLevel(level)
    size = module.visual.image_size
    side = size if isinstance(size, int) else size[0]
    tokenizer = open_clip.get_tokenizer(name)
    return build_clip(
        module, library="open_clip", name=f"random {name}", preprocess=PictureSpec(side), tokenize=tokenizer
    )
