"""What a caller may choose by name, where more than one part of the library or its front ends needs the list.

Free of torch, so that `--help` and the schemas of nodes come at once.
"""

from typing import Literal

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""Number formats of a model's weights."""

ATTENTIONS = ("auto", "sdpa", "flash")
"""How a vision-language model computes attention: sdpa is PyTorch's own, flash the package flash-attn."""

RESIZES = ("auto", "pil")
"""How a vision-language model's pictures are brought to its size: auto as transformers does, which may be torchvision's
way; pil as Pillow does, by which a level or so differs and most models were trained."""

VICUNA_SYSTEM_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
"""How the conversations begin that Vicuna, and what was made of it, was trained on; the chat templates of conversions
for transformers leave it to the caller."""

Control = Literal["moved", "uniform"]
CONTROLS: tuple[Control, ...] = ("moved", "uniform")
"""What can be drawn in a mask's place to see whether its map matters: the mask elsewhere, or its mean everywhere."""

SYSTEM_PROMPTS = {"vicuna": VICUNA_SYSTEM_PROMPT}
"""System prompts that have a name."""

Reading = Literal["precise", "upstream"]
READINGS: tuple[Reading, ...] = ("precise", "upstream")
"""Whether a map is computed as it should be, or step by step as the paper's published code does."""

Fit = Literal["stretch", "letterbox", "crops", "center"]
FITS: tuple[Fit, ...] = ("stretch", "letterbox", "crops", "center")
"""How a picture that is not square is shown to a model with square input."""

CLIP_METHODS = {
    "decomposition": (
        "The paper's: what each patch adds to the likeness of picture and text, and which patches hold anything at all."
    ),
    "patch similarity": "How like the text each patch is by itself; not inverted.",
    "neighbours": (
        "How like the text is what each patch takes from those like it and near it, in the last block; for models "
        "with a class token that were trained on photographs: tiny-clip cannot show what it is worth."
    ),
}
"""How a CLIP's map is computed, and a sentence on each; the code of a method is the file in attribution/clip that is
called after it."""

LVLM_METHODS = {
    "attention": "The published code's: attention to the picture's tokens, every head counting alike.",
    "image mass": (
        "The paper's formula: attention as it is, so that heads and words count by how much they look at the picture."
    ),
    "without sinks": (
        "Only heads that look at the picture, and without the tokens that draw attention whatever is asked."
    ),
    "value norm": (
        "Attention times what it passes on, the length of the token's value: tokens that only collect attention drop "
        "out."
    ),
    "relative": "Attention divided by that of a question that asks for a description: what this question adds.",
    "gradient": (
        "Attention where more of it would have made the answer's words likelier; one backward pass per picture."
    ),
    "few heads": (
        "The three heads of any layer that find what was asked for: those kept by `calibrate` for this model, or else "
        "each question's own. No layer to choose."
    ),
}
"""The same of a vision-language model's attention, in attribution/lvlm."""

CALIBRATION_SCENES = 60
"""Drawn scenes on which a model's heads and layer are chosen."""

QUERIES = ("first-line", "whole", "question")
"""What of a text that came with a picture says what to look for: benchmarks put how to answer on lines of their own.

question: what follows the first "Question:" that begins a line, to the end of its line, as some put a hint before it;
the first line where there is none.
"""

SAVED_AS = ("png", "jpg")
"""As what the prompted pictures of many cases are written."""

INTERPOLATIONS = ("lanczos", "bicubic", "hamming", "bilinear", "nearest")
"""Kernels, as Pillow has them, by which a grid is brought to the size of a picture."""

SMOOTHING_UNITS = ("patches", "pixels")
"""What the smoothing of a mask counts."""

BATCH_SCALES = ("each picture", "whole batch")
"""What the values of a mask are measured by."""

Scheme = Literal["zeros", "ones", "noise", "attention mask"]
SCHEMES: tuple[Scheme, ...] = ("zeros", "ones", "noise", "attention mask")
"""What stands where image tokens are left out: embeddings of zeros, of ones or of normal noise (all of which can still
be looked at), or nothing that anything looks at."""

Baseline = Literal["blur", "mean colour", "noise", "black"]
BASELINES: tuple[Baseline, ...] = ("blur", "mean colour", "noise", "black")
"""What takes the place of the parts of a picture that an explanation takes away."""

EXPLANATION_METHOD = "igos+"
"""The way of explaining an answer unless another is asked for."""
