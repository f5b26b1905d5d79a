"""Everything that is known of an explanation but its map, for a file or a person who reads JSON."""

from __future__ import annotations

from typing import Any

from .result import Explanation
from .verdict import Verdict, judge


def verdict_of(explanation: Explanation) -> Verdict:
    """How far its map can be trusted."""
    return judge(explanation.why_not, explanation.faithful)


def full_report(explanation: Explanation, question: str) -> dict[str, Any]:
    """The explanation's report between what was asked and what is to be thought of it: plain values for JSON."""
    verdict = verdict_of(explanation)
    return {
        "question": question,
        **explanation.report(),
        "verdict": {"kind": verdict.kind, "because": verdict.text},
    }
