"""The answers in a file of results, by what the model was shown: the plain picture, the prompted one, or both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...answering.keeping import ARMS
from ...errors import InvalidInput
from ..cases import QuestionCase
from ..runner.prompt_and_ask import case_fields
from ..runner.results_file import read_results


def results_of(path: Path, cases: Sequence[QuestionCase]) -> list[dict[str, Any]]:
    """The lines of a file of results that are of these cases. Raises InvalidInput where a case has changed since.

    Where the pictures are does not matter: answers may be scored on another machine.
    """
    known = {case.id: case for case in cases}
    records = list(read_results(path, with_failed=True).values())
    for record in records:
        if record["id"] not in known:
            raise InvalidInput(
                f"{path} has a result of {record['id']!r}, which is none of the cases. Name its own cases."
            )
        told = json.loads(json.dumps(case_fields(known[record["id"]])))
        if "error" not in record and any(record.get(name) != value for name, value in told.items()):
            raise InvalidInput(
                f"{path} has a result of {record['id']!r}, but what is asked there has changed since. Name the cases "
                "that were asked, or ask again."
            )
    return records


def arms_of(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """For each arm that has any, the answers by the cases' ids. Raises InvalidInput where nothing has an answer."""
    found = {
        arm: {record["id"]: str(record[arm]["answer"]) for record in records if "answer" in record.get(arm, {})}
        for arm in (*ARMS, "kept")
    }
    arms = {arm: answers for arm, answers in found.items() if answers}
    if not arms:
        raise InvalidInput("There is no answer among the results. Ask with the command `run` first.")
    return arms
