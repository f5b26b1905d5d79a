"""The `paper` preset and the metric against the released program, whose numbers on a toy and on the embedded model were
kept (tools/parity)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from pack.api_core.autograd import differentiable, without_weight_gradients
from pack.api_core.explanation.faithfulness import measure
from pack.api_core.explanation.igos.paper import PaperSettings, optimise
from pack.api_core.models.lvlm.load import load_lvlm
from pack.tests.core.fixtures import official_igos_model_cases as model_cases

_FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def _load(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _load("official_igos_cases", _FIXTURES / "official_igos_cases.py")
toy = _load("explanation_toy", Path(__file__).with_name("toy.py"))


@pytest.fixture(scope="module")
def kept():
    return np.load(_FIXTURES / "official_igos.npz")


@pytest.fixture
def objective():
    return toy.Toy(cases.picture(), cases.baseline(), cases.probabilities)


@pytest.mark.parametrize("steps", cases.STEPS)
@pytest.mark.parametrize("variant", ["igos+", "igos++"])
def test_masks_are_those_of_the_released_program(kept, objective, variant, steps):
    mine = optimise(objective, variant, PaperSettings(steps=steps, noise=0))
    theirs = torch.from_numpy(kept[f"{variant} {steps}"])
    assert (mine.mask - theirs).abs().max() <= 1e-6
    assert theirs.std() > 1e-3


def test_the_metric_is_the_released_one_but_for_its_last_step(kept, objective):
    found = measure(objective, 1 - cases.judged_mask(), steps=50)
    for name, curve in (("deletion", found.deletion), ("insertion", found.insertion)):
        theirs = torch.from_numpy(kept[f"{name} curve"])
        assert (curve.probability - theirs).abs().max() <= 1e-6
        # It adds the number of cells left over for the last step instead of the score at the end.
        last = curve.shares[-1] - curve.shares[-2]
        end = (curve.probability[-1] - found.baseline) / (found.picture - found.baseline)
        mended = float(kept[name].item()) - float(last) + float(last * end)
        assert curve.released(found.baseline, found.picture) == pytest.approx(mended, abs=1e-4)


@pytest.mark.parametrize("side", model_cases.SIDES)
@pytest.mark.parametrize("variant", ["igos+", pytest.param("igos++", marks=pytest.mark.slow)])
def test_masks_of_a_model_are_those_of_the_released_program(variant, side):
    """Five steps with noise of the same seed; on a model what is rounded otherwise grows from step to step."""
    model = load_lvlm("tiny-lvlm", precision="fp32", device="cpu")
    objective = model_cases.objective(model, side)
    with differentiable(model.module), without_weight_gradients(model.module):
        mine = optimise(objective, variant, PaperSettings(), seed=0).mask
    theirs = torch.from_numpy(np.load(_FIXTURES / "official_igos_model.npz")[f"{variant} {side}"])
    assert theirs.std() > 1e-2
    assert float(torch.corrcoef(torch.stack([mine.flatten(), theirs.flatten()]))[0, 1]) >= 0.998
