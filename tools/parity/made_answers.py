"""Answers, and what a judge says about them, made from seeds, as full of traps as one can think of.

Nothing of any data set is in them. They imitate what models say and what official programs stumble over.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any

WORDS = (
    *("red", "Blue", "the", "a", "An", "two", "none", "Ten", "dog", "John's", "it's", "dont", "couldnt've", "yall"),
    *("somebody'd", "o'clock", "1,000", "3.5", "12", "$5", "50%", "10:30", "U.S.A.", "a-b", "re-do", "[x]", "(no)"),
    *("x/y", "Why?", "stop!", "é", "\u2019", "unanswerable", "Unanswerable.", "\n", "\t", "...", ".5", "-", "_", "&"),
)
LETTERS = "ABCDEFGHI"
OPTIONS = ("red", "Blue whale", "$1,000", "the cell's wall", "<image 2>", "1.5e3", "None of the above", "A", "x = 2")
LEADS = ("", "The answer is ", "so ", "Thus it could be ", "I think ", "final result: ", "x = ", "It is (", "\n")
KINDS = ("conv", "detail", "complex")
CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")


def phrase(draw: random.Random, most: int = 4) -> str:
    joints = (" ", " ", " ", "", "  ", ", ", "-")
    return "".join(draw.choice(WORDS) + draw.choice(joints) for _ in range(draw.randint(1, most)))


def ten_people(count: int, seed: int, words: tuple[str, ...] = WORDS) -> list[dict[str, Any]]:
    """Entries {answer, truths}: ten truths, of which many agree, and an answer that is often one of them."""
    draw, entries = random.Random(seed), []
    for _ in range(count):
        known = [" ".join(draw.choices(words, k=draw.randint(1, 3))) for _ in range(draw.randint(1, 5))]
        truths = [draw.choice(known) for _ in range(10)]
        answer = draw.choice(truths) if draw.random() < 0.7 else phrase(draw)
        if draw.random() < 0.3:
            answer = draw.choice(
                (answer.upper(), f"The {answer}.", f"{answer}!", f" {answer}\n", answer.replace(" ", "-"))
            )
        entries.append({"answer": answer, "truths": truths})
    return entries


def college_questions(count: int, seed: int, subjects: tuple[str, ...]) -> list[dict[str, Any]]:
    """Entries {id, subject, type, options, truths, answer}, subjects in any order."""
    draw, entries = random.Random(seed), []
    for number in range(count):
        subject = draw.choice(subjects)
        entry: dict[str, Any] = {"id": f"validation_{subject}_{number}", "subject": subject}
        if draw.random() < 0.6:
            texts = draw.sample(OPTIONS, draw.randint(2, len(OPTIONS)))
            options = dict(zip(LETTERS, texts, strict=False))
            entry |= {"type": "multiple-choice", "options": options, "truths": [draw.choice(list(options))]}
            parts = [*options, *(f"({letter})" for letter in options), *texts, "who knows", "and", "."]
        else:
            truths = draw.sample(
                ("1/8", "12.5", "1000", "-3", "x", "red", "a cell", ".5", "1e3"), draw.choice((1, 1, 2))
            )
            entry |= {"type": "open", "options": {}, "truths": truths}
            parts = [*truths, "1,000", "12.504", "-3.00", "y", "dark red", "=", "is", "so", "1e3", "\n", ". The", "."]
        answer = draw.choice(LEADS) + draw.choice((" ", "")).join(draw.choices(parts, k=draw.randint(1, 7)))
        entries.append(entry | {"answer": answer + draw.choice(("", ".", "!", "', ", ",."))})
    return entries


def marked_questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Entries {key, question, truth, capabilities, answer} of MM-Vet's kind, each question once."""
    draw, entries = random.Random(seed), []
    for number in range(count):
        truth = draw.choice(("<AND>", "<OR>", " ")).join(phrase(draw, 2) for _ in range(draw.randint(1, 3)))
        entry = {
            "key": f"v1_{number}",
            "question": f"{number}: {phrase(draw)}?",
            "truth": truth,
            "answer": phrase(draw, 9),
        }
        entries.append(entry | {"capabilities": draw.sample(CAPABILITIES, draw.choice((1, 1, 2, 3)))})
    return entries


def compared_questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Entries {number, image, kind, question, reference, answer} of LLaVA-Bench's kind, each question once."""
    draw, entries = random.Random(seed), []
    for number in range(count):
        entry = {"number": number, "image": f"{number % 24:03}.jpg", "kind": draw.choice(KINDS)}
        entry |= {"question": f"{number}: {phrase(draw)}?", "reference": phrase(draw, 9), "answer": phrase(draw, 9)}
        entries.append(entry)
    return entries


def captions() -> list[dict[str, Any]]:
    return [
        {"image": f"{number:03}.jpg", "caption": f"Sight {number}" if number % 2 else [f"Sight {number}", "more"]}
        for number in range(24)
    ]


def mark_for(asked: str, times: int) -> str:
    """What the judge says to a text with its temperature when it was asked the same `times` times before."""
    draw = random.Random(hashlib.sha256(f"{asked} {times}".encode()).digest())
    fine = [f"{draw.randint(0, 10) / 10}" for _ in range(5)]
    return draw.choice((*fine, "1", "0.5 as", "0.7\n", "0.3\nit", " 0.5", "1.5", "-0.2", "The", "", "zero", "0.5."))


def review_for(asked: str) -> str:
    """What the judge says to a comparison."""
    draw = random.Random(hashlib.sha256(asked.encode()).digest())
    first, second = draw.randint(1, 20) / 2, draw.randint(1, 20) / 2
    marks = draw.choice(
        ("{} {}", "{} {}", "{} {}", "{:g} {:g}", "{:g},{:g}", "{}, {}", "{} {} ", "\n{} {}", "{}/10 {}/10", "{}")
    )
    return marks.format(first, second) + draw.choice(("", "\nBoth are good.", "\n\n1 2"))
