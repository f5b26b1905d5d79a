"""What an explanation is: the map, the evidence of every word, and how far the map can be trusted, in words for people
who never saw deletion and insertion curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..models.conversation.case import Reply
from ..results import PictureMap
from .faithfulness import Faithfulness
from .word_evidence import Evidence, WordEvidence

GOOD_SHARE = 0.25
"""From this share of what a perfect map would reach, on every baseline, a map counts as good; a map drawn by chance
reaches 0 on average."""


@dataclass(frozen=True)
class Verdict:
    """kind: good (the map shows what the answer needs), weak (it may), bad (it does not), none (the answer does not
    depend on the picture). text: one sentence that says why."""

    kind: Literal["good", "weak", "bad", "none"]
    text: str


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

    @property
    def verdict(self) -> Verdict:
        """How far its map can be trusted."""
        return judge(self.why_not, self.faithful)

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


def full_report(explanation: Explanation, question: str) -> dict[str, Any]:
    """The explanation's report between what was asked and what is to be thought of it: plain values for JSON."""
    verdict = explanation.verdict
    return {"question": question, **explanation.report(), "verdict": {"kind": verdict.kind, "because": verdict.text}}


def judge(why_not: str, faithful: Mapping[str, Faithfulness]) -> Verdict:
    """How far a map can be trusted. why_not: why there is nothing to show, if there is not. faithful: by baseline."""
    if why_not:
        return Verdict("none", why_not)
    if not faithful:
        return Verdict("weak", "no curves were measured, so nobody knows whether the map shows what the answer needs.")
    telling = {name: found for name, found in faithful.items() if found.depends_on_the_picture}
    if not telling:
        return Verdict("weak", "the words are hardly less likely without the picture, so the curves say little.")
    failing = [name for name, found in telling.items() if found.gap <= 0]
    if failing:
        return Verdict("bad", f"judged by {_named(failing)}, what it marks matters no more than the rest.")
    shares = {name: found.share_of_perfect for name, found in telling.items()}
    told = " and ".join(f"{share:.0%} ({name})" for name, share in shares.items())
    reaches = f"it reaches {told} of what a perfect map would; chance reaches 0%."
    silent = [name for name in faithful if name not in telling]
    if silent:
        return Verdict("weak", f"{reaches} With {_named(silent)} in its place the words stay as likely.")
    return Verdict("good" if min(shares.values()) >= GOOD_SHARE else "weak", reaches)


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


def _named(baselines: list[str]) -> str:
    return " and ".join(repr(name) for name in baselines)
