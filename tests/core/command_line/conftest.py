"""The drawn scene that explanations are tested on, and the folders of tiny random models."""

import pytest
from pack.tests import zoo
from pack.tests.core.explanation.conftest import drawn
from pack.tests.tiny import tiny_clip_folder

__all__ = ["drawn"]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_clip_folder(tmp_path_factory.mktemp("clip") / "tiny"))


@pytest.fixture(scope="session")
def lvlm(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(zoo.folder("llava-1.5", tmp_path_factory.mktemp("lvlm")))
