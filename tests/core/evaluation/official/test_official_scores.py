"""What the official programs printed for made answers is what is scored here, to the last digit."""

import json
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import Resources
from pack.api_core.evaluation.official.judge import Verdicts
from pack.api_core.evaluation.official.registry import find_data_set
from pack.tests.core.fixtures.official_scores import StubTaggers, case_of, differences, read_kept


@pytest.mark.parametrize("vector", read_kept(), ids=lambda vector: vector["name"])
def test_official_scores_are_repeated(vector: dict[str, Any], tmp_path: Path) -> None:
    for name, words in vector.get("words", {}).items():
        text = words if isinstance(words, str) else json.dumps(words)
        (tmp_path / name).write_text(text, encoding="utf-8")
    said = {name: tuple(map(tuple, runs)) for name, runs in vector.get("said", {}).items()}
    verdicts = Verdicts(said, judges=("a judge",), prompts="")
    resources = Resources(tmp_path, {"taggers": StubTaggers(), "verdicts": verdicts})
    cases = [case_of(QuestionCase, line) for line in vector["cases"]]
    table = find_data_set(vector["set"]).score(cases, vector["answers"], vector["rule"], resources)
    assert vector["official"]
    assert not differences(vector["official"], {row.name: row.value for row in table.rows})
