"""Run the program released with arXiv 2503.13891 on a toy and on `tiny-lvlm`, and keep its numbers for the tests.

    python tools/parity/igos_upstream.py CHECKOUT [--write]

CHECKOUT is a working copy of github.com/bytedance/LVLM_Interpretation, whose `methods.py` and `methods_helper.py` are
run as they are; nothing of it is part of this project. Replaced from outside: the model call (`pred_probs`, by the
toy or by `tiny-lvlm` on the pixels that its processor makes), noise of the toy (off; the model's comes from torch's
generator with seed 0), the cast of pixels to half precision (off), CUDA (by the CPU). Without --write the numbers are
compared with the library's and with those kept.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from pack_loading import load_pack
from torch.overrides import TorchFunctionMode

ROOT = Path(__file__).resolve().parents[2]


load_pack()

from pack.api_core.autograd import differentiable, without_weight_gradients  # noqa: E402
from pack.api_core.models.lvlm.load import load_lvlm  # noqa: E402
from pack.api_core.models.lvlm.model import LvlmModel  # noqa: E402
from pack.tests.core.fixtures import official_igos_cases as cases  # noqa: E402
from pack.tests.core.fixtures import official_igos_model_cases as model_cases  # noqa: E402

_FIXTURES = ROOT / "tests" / "core" / "fixtures"
_KEPT = {"toy": _FIXTURES / "official_igos.npz", "model": _FIXTURES / "official_igos_model.npz"}
_UNUSED = ("cv2", "yake", "requests", "matplotlib", "matplotlib.pyplot", "scipy", "scipy.interpolate")
_README = {"L1": 1.0, "L2": 0.1, "L3": 10.0, "gamma": 1.0, "momentum": 5, "lr": 10}


class _OnCpu(TorchFunctionMode):
    """Sends what asks for CUDA to the CPU."""

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        def here(value: Any) -> Any:
            return "cpu" if str(value).startswith("cuda") and isinstance(value, str | torch.device) else value

        return func(*map(here, args), **{name: here(value) for name, value in (kwargs or {}).items()})


@contextlib.contextmanager
def released(probabilities: Callable[[torch.Tensor], torch.Tensor], noise: bool) -> Iterator[tuple[Any, Any]]:
    """The program's two modules, with another model: from pixels [1, 3, H, W] to the answer's probabilities [T]."""
    absent = {name: mock.MagicMock() for name in _UNUSED if name not in sys.modules}
    sys.modules.update(absent)
    helper, methods = importlib.import_module("methods_helper"), importlib.import_module("methods")
    for name in absent:
        del sys.modules[name]

    def pred(args: Any, model: Any, prompt: Any, output_ids: Any, image: torch.Tensor, image_size: Any) -> torch.Tensor:
        with torch._C.DisableTorchFunction():  # the model is on the CPU already, and ten times as fast
            return probabilities(image)

    scored = helper.interval_score

    def without_noise(*args: Any) -> Any:
        return scored(*args[:8], False, *args[9:])

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(helper, "pred_probs", pred))
        if not noise:
            stack.enter_context(mock.patch.object(helper, "interval_score", without_noise))
        for name in ("half", "cuda"):
            stack.enter_context(mock.patch.object(torch.Tensor, name, lambda self, *_, **__: self))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(_OnCpu())
        yield helper, methods


def options(side: int) -> types.SimpleNamespace:
    """The options of its README, for square pictures of that side."""
    return types.SimpleNamespace(
        model="llava", size=cases.CELLS, input_size=side, opt="NAG", ablation_zero=False, **_README
    )


def mask(methods: Any, variant: str, side: int, image: Any, baseline: Any, tokens: int, steps: int) -> np.ndarray:
    """The program's mask [32, 32] after some steps."""
    method = {"igos+": methods.iGOS_p, "igos++": methods.iGOS_pp}[variant]
    given = {"prompt": torch.tensor([[5, 6]]), "image_size": [(side, side)], "resolution": None}
    found, *_ = method(
        options(side), model=None, model_name="llava", init_mask=torch.ones(1, 1, cases.CELLS, cases.CELLS),
        image=image, baseline=baseline, label=torch.arange(1, tokens + 1)[None], size=cases.CELLS, iterations=steps,
        ig_iter=10, L1=_README["L1"], L2=_README["L2"], L3=_README["L3"], lr=_README["lr"], opt="NAG",
        positions=list(range(tokens)), **given,
    )  # fmt: skip
    return found.detach()[0, 0].numpy()


def on_toy() -> dict[str, np.ndarray]:
    """The program's masks after some steps, for both methods, and its deletion and insertion curves."""
    image, baseline = cases.picture()[None], cases.baseline()[None]
    found: dict[str, np.ndarray] = {}
    with released(lambda pixels: cases.probabilities(pixels)[0], noise=False) as (helper, methods):
        for variant in model_cases.VARIANTS:
            for steps in cases.STEPS:
                found[f"{variant} {steps}"] = mask(methods, variant, cases.SIDE, image, baseline, cases.TOKENS, steps)
        deletion, insertion, *curves = helper.metric(
            options(cases.SIDE), image, baseline, cases.judged_mask()[None, None], None, "llava",
            torch.arange(1, cases.TOKENS + 1)[None], 0, None, size=cases.CELLS, prompt=torch.tensor([[5, 6]]),
            image_size=[(cases.SIDE, cases.SIDE)], positions=list(range(cases.TOKENS)), resolution=None,
        )  # fmt: skip
    found["deletion"], found["insertion"] = np.float32(deletion), np.float32(insertion)
    for name, curve in zip(("deletion curve", "insertion curve"), curves, strict=False):
        found[name] = np.array(curve[0], np.float32)
    return found


def on_model(model: LvlmModel) -> dict[str, np.ndarray]:
    """The program's masks of `tiny-lvlm`, five steps with noise of seed 0."""
    found: dict[str, np.ndarray] = {}
    for side in model_cases.SIDES:
        asked = model_cases.objective(model, side)
        (name,) = asked.blends.picture

        def probabilities(pixels: torch.Tensor, asked: Any = asked, name: str = name) -> torch.Tensor:
            return asked.read({name: pixels}, 1)[0].exp()

        with differentiable(model.module), without_weight_gradients(model.module):
            for variant in model_cases.VARIANTS:
                with released(probabilities, noise=True) as (_, methods):
                    torch.manual_seed(0)
                    image, baseline = asked.blends.picture[name].clone(), asked.blends.baseline[name].clone()
                    shown = image.shape[-1]
                    found[f"{variant} {side}"] = mask(methods, variant, shown, image, baseline, len(asked.tokens), 5)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the numbers for the tests")
    given = parser.parse_args()
    sys.path.insert(0, str(given.checkout.resolve()))
    model = load_lvlm("tiny-lvlm", precision="fp32", device="cpu")  # before anything is stood in for
    for part, run in (("model", lambda: on_model(model)), ("toy", on_toy)):
        found = run()
        if given.write:
            np.savez_compressed(_KEPT[part], **found)
            print(f"wrote {_KEPT[part]}, {_KEPT[part].stat().st_size} bytes")
            continue
        kept = np.load(_KEPT[part])
        for name, value in found.items():
            print(f"{part}, {name:18} {np.abs(value - kept[name]).max():.1e} from what is kept")
    if not given.write:
        command = [sys.executable, "-m", "pytest", "-q", "tests/core/explanation/test_igos_upstream.py"]
        sys.exit(subprocess.run(command, check=False, cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
