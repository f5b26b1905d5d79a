"""Run the program released with arXiv 2503.13891 on a toy and keep its numbers for the tests.

    PYTHONPATH=. python tools/parity/igos_upstream.py CHECKOUT [--write]

CHECKOUT is a working copy of github.com/bytedance/LVLM_Interpretation, whose `methods.py` and `methods_helper.py` are
run as they are; nothing of it is part of this project. Replaced from outside: the model call (`pred_probs`, by the
toy), noise (off), the cast of pixels to half precision (off), CUDA (by the CPU). Without --write the numbers are
compared with the library's and with those kept.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import subprocess
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from tests.core.fixtures import official_igos_cases as cases

_KEPT = Path(__file__).resolve().parents[2] / "tests" / "core" / "fixtures" / "official_igos.npz"
_UNUSED = ("cv2", "yake", "requests", "matplotlib", "matplotlib.pyplot", "scipy", "scipy.interpolate")
_README = {"L1": 1.0, "L2": 0.1, "L3": 10.0, "gamma": 1.0, "momentum": 5, "lr": 10}


class _OnCpu(TorchFunctionMode):
    """Sends what asks for CUDA to the CPU."""

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        def here(value: Any) -> Any:
            return "cpu" if str(value).startswith("cuda") and isinstance(value, str | torch.device) else value

        return func(*map(here, args), **{name: here(value) for name, value in (kwargs or {}).items()})


def official(checkout: Path) -> dict[str, np.ndarray]:
    """The program's masks after some steps, for both methods, and its deletion and insertion curves."""
    for name in _UNUSED:
        sys.modules.setdefault(name, mock.MagicMock())
    sys.path.insert(0, str(checkout))
    helper, methods = importlib.import_module("methods_helper"), importlib.import_module("methods")

    def toy(args: Any, model: Any, prompt: Any, output_ids: Any, image: torch.Tensor, image_size: Any) -> torch.Tensor:
        return cases.probabilities(image)[0]

    scored = helper.interval_score

    def without_noise(*args: Any) -> Any:
        return scored(*args[:8], False, *args[9:])

    options = types.SimpleNamespace(
        model="llava", size=cases.CELLS, input_size=cases.SIDE, opt="NAG", ablation_zero=False, **_README
    )
    given = {
        "prompt": torch.tensor([[5, 6]]),
        "image_size": [(cases.SIDE, cases.SIDE)],
        "positions": list(range(cases.TOKENS)),
        "resolution": None,
    }
    label = torch.tensor([[1, 2, 3]])
    image, baseline = cases.picture()[None], cases.baseline()[None]
    found: dict[str, np.ndarray] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(helper, "pred_probs", toy))
        stack.enter_context(mock.patch.object(helper, "interval_score", without_noise))
        for name in ("half", "cuda"):
            stack.enter_context(mock.patch.object(torch.Tensor, name, lambda self, *_, **__: self))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(_OnCpu())
        for variant, method in (("igos+", methods.iGOS_p), ("igos++", methods.iGOS_pp)):
            for steps in cases.STEPS:
                mask, *_ = method(
                    options, model=None, model_name="llava", init_mask=torch.ones(1, 1, cases.CELLS, cases.CELLS),
                    image=image, baseline=baseline, label=label, size=cases.CELLS, iterations=steps, ig_iter=10,
                    L1=_README["L1"], L2=_README["L2"], L3=_README["L3"], lr=_README["lr"], opt="NAG", **given,
                )  # fmt: skip
                found[f"{variant} {steps}"] = mask.detach()[0, 0].numpy()
        deletion, insertion, *curves = helper.metric(
            options, image, baseline, cases.judged_mask()[None, None], None, "llava", label, 0, None,
            size=cases.CELLS, **given,
        )  # fmt: skip
    found["deletion"], found["insertion"] = np.float32(deletion), np.float32(insertion)
    for name, curve in zip(("deletion curve", "insertion curve"), curves, strict=False):
        found[name] = np.array(curve[0], np.float32)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the numbers for the tests")
    options = parser.parse_args()
    found = official(options.checkout.resolve())
    if options.write:
        np.savez_compressed(_KEPT, **found)
        print(f"wrote {_KEPT}, {_KEPT.stat().st_size} bytes")
        return
    kept = np.load(_KEPT)
    for name, value in found.items():
        print(f"{name:18} {np.abs(value - kept[name]).max():.1e} from what is kept")
    command = [sys.executable, "-m", "pytest", "-q", "tests/core/explanation/test_igos_upstream.py"]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
