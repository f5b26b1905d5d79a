"""`llava_api(reading="upstream")` against what the paper's package gave for the same weights and pictures.

The numbers were made by `python tools/parity/llava_upstream.py PACKAGES --python OLD_PYTHON --keep`.
"""

from pathlib import Path

import numpy as np
import pytest
from pack.tests.core.fixtures import official_llava_cases as cases
from pack.tests.core.fixtures.official_llava_compare import compare, our_outputs

FIXTURE = Path(__file__).parents[1] / "fixtures" / "official_llava.npz"


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    with np.load(FIXTURE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cases.save_model(tmp_path_factory.mktemp("official") / "tiny")


@pytest.mark.parametrize("index", range(len(cases.CASES)))
def test_prompt_answer_map_and_picture_are_the_official_ones(
    folder: Path, official: dict[str, np.ndarray], index: int
) -> None:
    layer = cases.LAYERS[index % len(cases.LAYERS)]
    found = compare(official, our_outputs(folder, index, layer), index, layer)
    assert found.passes, str(found)


def test_another_prompt_or_layer_would_be_noticed(folder: Path, official: dict[str, np.ndarray]) -> None:
    unsaid = compare(official, our_outputs(folder, 0, 1, system_prompt=""), 0, 1)
    assert not unsaid.prompts
    assert unsaid.maps > 0.1
    assert compare(official, our_outputs(folder, 0, 1), 0, 2).maps > 0.1
