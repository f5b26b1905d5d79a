"""VCD and M3ID against what the programs in AvisC's repository gave for the same weights, pictures and noise.

The numbers were made by `python tools/parity/decodings_upstream.py CHECKOUT --python OLD_PYTHON --keep`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pack.api_core.answering import VCD
from pack.api_core.models.lvlm.model import LvlmModel
from pack.tests.core.fixtures import official_decoding_compare as ways
from pack.tests.core.fixtures import official_llava_cases as cases

FIXTURE = Path(__file__).parents[1] / "fixtures" / "official_decodings.npz"


@pytest.fixture(scope="module")
def official() -> Mapping[str, np.ndarray]:
    with np.load(FIXTURE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LvlmModel:
    return ways.load(cases.save_model(tmp_path_factory.mktemp("official") / "tiny"))


@pytest.mark.parametrize("index", range(ways.COUNT))
@pytest.mark.parametrize("name", ways.DECODINGS)
def test_words_and_scores_are_the_official_ones(
    model: LvlmModel, official: Mapping[str, np.ndarray], name: str, index: int
) -> None:
    found = ways.compare(official, ways.our_outputs(model, index, ways.DECODINGS[name]), index, name)
    assert found.passes, str(found)


def test_one_step_of_noise_more_would_be_noticed(model: LvlmModel, official: Mapping[str, np.ndarray]) -> None:
    decoding = ways.DECODINGS["VCD 500"]
    assert isinstance(decoding, VCD)
    found = ways.our_outputs(model, 0, replace(decoding, noise_step=499))
    theirs = official["scores_VCD 500_0"][0]
    kept = np.isfinite(theirs) & np.isfinite(found["scores"][0])
    assert np.abs(theirs[kept] - found["scores"][0][kept]).max() > 10 * ways.BAR
