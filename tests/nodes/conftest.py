"""The nodes without a server: on the double of ComfyUI, or in a process of its own on the real one.

`test_double.py` runs what is marked `both_hosts` a second time with ATTENTION_PROMPTING_TEST_HOST=real wherever a
ComfyUI is found: tests of what the host does, not of what the library computes.
"""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.tests import tiny_encoders
from pack.tests.on_host import TINY, TINY_LVLM, Run


@pytest.fixture(scope="session")
def encoders(nodes: Any) -> Callable[..., Any]:
    """Tiny encoders of the real host's own, by kind and window, each made once."""
    return functools.cache(lambda kind, window=None: tiny_encoders.tiny_clip(kind, sliding=window))


@pytest.fixture
def clip(run: Run) -> Any:
    """A loaded tiny model, as it travels on its socket."""
    (loaded,) = run("AttnPromptLoadCLIP", model=TINY, precision="fp32", allow_download=False).args
    return loaded


@pytest.fixture
def lvlm(run: Run) -> Any:
    """A loaded tiny random LLaVA, as it travels on its socket."""
    (loaded,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM}).args
    return loaded


@pytest.fixture
def image() -> torch.Tensor:
    """Three pictures of 40 x 56 with a red square at another place in each."""
    pictures = torch.rand(3, 40, 56, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    for i, picture in enumerate(pictures):
        picture[4 + 6 * i : 18 + 6 * i, 8 + 10 * i : 24 + 10 * i, 0] = 1.0
    return pictures


HEATMAP = {"method": "decomposition", "layer": "auto", "reading": "precise", "fit": "auto"}
MASK = {
    "contrast": -1.0,
    "smoothing": 0,
    "interpolation": "lanczos",
    "words": "",
    "threshold": 0.0,
    "grow": 0,
    "invert": False,
}
LVLM = {"precision": "auto", "attention": "auto", "max_pixels": 0, "allow_download": False}
ASK = {
    "template": "plain",
    "system_prompt": "",
    "max_new_tokens": 6,
    "seed": 0,
    "decoding": {"decoding": "greedy"},
}
LVLM_HEATMAP = {
    "hint_words": "",
    "method": "auto",
    "layers": "auto",
    "reading": "precise",
    "max_new_tokens": 6,
}
EXPLAIN = {
    "words": "",
    "baseline": "blur",
    "seed": 0,
    "per_word": False,
    "max_new_tokens": 6,
    "method": {"method": "gradient x input"},
}
REGIONS = {"threshold": 0.5, "max_regions": 4, "padding": 0}


@pytest.fixture
def heatmap(run: Run, clip: Any, image: torch.Tensor) -> Any:
    """A heatmap of the three pictures."""
    return run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **HEATMAP).args[0]
