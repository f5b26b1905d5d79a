"""What an explanation is: the map, the evidence of every word, and how far the map can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..models.conversation.case import Reply
from ..results import PictureMap
from .faithfulness import Faithfulness
from .tokens import Evidence, WordEvidence


@dataclass(frozen=True)
class Explanation:
    """Why a model gave one answer.

    map: importance over the picture, all zero where nothing is explained. evidence: of each word. faithful:
    deletion and insertion curves by baseline; the first baseline is the one that the map was made on. evaluations:
    pictures the model was shown for the map; gradients: those with a backward pass. other: what it was set against.
    """

    map: PictureMap
    reply: Reply
    evidence: Evidence
    faithful: dict[str, Faithfulness] = field(default_factory=dict)
    evaluations: int = 0
    gradients: int = 0
    other: Reply | None = None

    @property
    def depends_on_the_picture(self) -> bool:
        return bool(self.evidence.tokens) or self.evidence.name_nothing

    @property
    def why_not(self) -> str:
        """Why there is nothing to show of an answer; empty where there is."""
        return "" if self.evidence.tokens else why_not(self.reply, self.other, self.evidence)

    def report(self) -> dict[str, Any]:
        """All of it but the map, as plain values for JSON."""
        told: dict[str, Any] = {
            "answer": self.reply.text,
            "method": self.map.method,
            "model": self.map.model,
            "depends on the picture": self.depends_on_the_picture,
        }
        if self.other is not None and self.evidence.preference is not None:
            shown, hidden = self.evidence.preference
            told |= {
                "instead of": self.other.text,
                "log preference": round(shown, 6),
                "without the picture": round(hidden, 6),
            }
        return told | {
            "words": [_word(word) for word in self.evidence.words],
            "faithfulness": {name: _curves(found) for name, found in self.faithful.items()},
            "model evaluations": self.evaluations,
            "with gradients": self.gradients,
            "warnings": list(self.map.warnings),
        }


def why_not(reply: Reply, other: Reply | None, evidence: Evidence) -> str:
    """Why an answer without evidence is not explained."""
    if other is not None:
        return f"{reply.text!r} is as much preferred to {other.text!r} without the picture: question or habit decides."
    if evidence.name_nothing:
        return (
            f"the words of {reply.text!r} that depend on the picture name nothing in it; choose words to explain them."
        )
    return f"{reply.text!r} is as likely without the picture: it comes from the question or from habit."


def _word(word: WordEvidence) -> dict[str, Any]:
    told: dict[str, Any] = {
        "word": word.text,
        "probability": [round(value, 6) for value in word.picture],
        "without the picture": [round(value, 6) for value in word.baseline],
        "explained": word.kept,
    }
    return told | ({"because": word.why} if word.why else {})


def _curves(found: Faithfulness) -> dict[str, Any]:
    return {
        "with the picture": round(found.picture, 6),
        "with the baseline": round(found.baseline, 6),
        "shares": [round(value, 6) for value in found.deletion.shares.tolist()],
        "deletion": [round(value, 6) for value in found.deletion.probability.tolist()],
        "insertion": [round(value, 6) for value in found.insertion.probability.tolist()],
        "insertion less deletion": round(found.gap, 6),
    }
