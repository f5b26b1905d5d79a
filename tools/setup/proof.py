"""Whether an environment works: proven by using what everything else stands on, not by the numbers of versions.

    .venv/bin/python tools/setup/proof.py [--audio]

runs in the environment itself. It prints the name of each module before its turn, so that also of a crash it is known
whose it was.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS = 600
DISTRIBUTIONS = {
    "torch": "torch",
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "open_clip": "open_clip_torch",
    "transformers": "transformers",
}
"""What must load, in this order, and the distribution that it comes from."""


@dataclass(frozen=True)
class Unproven:
    """module: the one that did not load. why: in its own words, one line."""

    module: str
    why: str


def prove(python: Path, *, audio: bool) -> Unproven | None:
    """None where the environment of `python` works. audio: torchaudio must be there, and not only load if it is."""
    command = [str(python), str(Path(__file__).resolve()), *(["--audio"] if audio else [])]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unproven("Python", str(error)[:300])
    if result.returncode == 0:
        return None
    reached = [line for line in result.stdout.splitlines() if line in DISTRIBUTIONS]
    said = [line for line in result.stderr.splitlines() if line.strip()]
    if "direct cause" in result.stderr:  # the first of a chain of exceptions says what was missing
        said = [line for line in said if re.match(r"[\w.]+(Error|Exception): ", line)][:1] or said
    why = said[-1].strip()[:300] if said else f"its process ended with {result.returncode}"
    return Unproven(reached[-1] if reached else "Python", why)


def use(module: str) -> None:
    """A little work for each: a compiled part that is missing or foreign shows at its first use at the latest."""
    import torch

    if module == "torch":
        assert torch.ones(2, 2).matmul(torch.ones(2, 2)).sum() == 8
    elif module == "torchvision":
        from torchvision.ops import nms

        assert len(nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)) == 1
    elif module == "torchaudio":
        from torchaudio.functional import resample

        assert resample(torch.zeros(1, 16), 2, 1).shape == (1, 8)
    elif module == "open_clip":
        import open_clip

        assert open_clip.list_models()
    elif module == "transformers":
        from transformers import LlavaForConditionalGeneration, LlavaProcessor

        assert issubclass(LlavaForConditionalGeneration, torch.nn.Module)
        assert callable(LlavaProcessor.from_pretrained)


def main() -> None:
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    for module in DISTRIBUTIONS:
        if module == "torchaudio" and "--audio" not in sys.argv and importlib.util.find_spec(module) is None:
            continue
        print(module, flush=True)
        use(module)


if __name__ == "__main__":
    main()
