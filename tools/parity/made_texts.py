"""Made cases and free answers for `scorers.py`, and what a judge says of them, with all that rules may trip over."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from tools.parity.made_answers import Made

WORDS = (
    *("red", "Blue", "the", "a", "An", "two", "none", "Ten", "dog", "John's", "it's", "dont", "couldnt've", "yall"),
    *("somebody'd", "o'clock", "1,000", "3.5", "12", "$5", "50%", "10:30", "U.S.A.", "a-b", "re-do", "[x]", "(no)"),
    *("x/y", "Why?", "stop!", "é", "\u2019", "unanswerable", "Unanswerable.", "\n", "\t", "...", ".5", "-", "_", "&"),
)
LACK_AN_APOSTROPHE = ("dont", "couldnt've", "yall", "somebody'd")
LETTERS = "ABCDEFGHI"
OPTIONS = ("red", "Blue whale", "$1,000", "the cell's wall", "<image 2>", "1.5e3", "None of the above", "A", "x = 2")
LEADS = ("", "The answer is ", "so ", "Thus it could be ", "I think ", "final result: ", "x = ", "It is (", "\n")
CATEGORIES = ("conv", "detail", "complex")
CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")
PICTURES = 24


def _phrase(rng: random.Random, most: int = 4) -> str:
    joints = (" ", " ", " ", "", "  ", ", ", "-")
    return "".join(rng.choice(WORDS) + rng.choice(joints) for _ in range(rng.randint(1, most)))


def _ten_people(rng: random.Random, words: tuple[str, ...]) -> tuple[list[str], str]:
    """The answers of ten people, of which many agree, and one that is often among them."""
    known = [" ".join(rng.choices(words, k=rng.randint(1, 3))) for _ in range(rng.randint(1, 5))]
    truths = [rng.choice(known) for _ in range(10)]
    said = rng.choice(truths) if rng.random() < 0.7 else " ".join(rng.choices(words, k=rng.randint(1, 4)))
    if rng.random() < 0.3:
        said = rng.choice((said.upper(), f"The {said}.", f"{said}!", f" {said}\n", said.replace(" ", "-")))
    return truths, said


def textvqa(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(count):
        truths, said = _ten_people(rng, WORDS)
        meta = {"group": f"{number // 3:05}", "answers": truths}
        cases.append({"id": f"textvqa/val/{number}", "query": f"What is {number}?", "meta": meta})
        answers[f"textvqa/val/{number}"] = said
    return Made("textvqa", cases, answers)


def vizwiz(rng: random.Random, count: int) -> Made:
    """Without words that lack an apostrophe: the copies of the program put different signs there."""
    words = tuple(word for word in WORDS if word not in LACK_AN_APOSTROPHE)
    cases, answers = [], {}
    for number in range(count):
        truths, said = _ten_people(rng, words)
        meta = {"group": f"VizWiz_val_{number:08}.jpg", "answers": truths, "answerable": rng.choice((0, 1, 1))}
        cases.append({"id": f"vizwiz/val/{number}", "meta": meta})
        answers[f"vizwiz/val/{number}"] = said
    return Made("vizwiz", cases, answers)


def mmmu(rng: random.Random, count: int) -> Made:
    """Subjects in any order."""
    from api_core.evaluation.official.mmmu import SUBJECTS

    cases, answers = [], {}
    for number in range(count):
        subject = rng.choice(SUBJECTS)
        meta: dict[str, Any] = {"mmmu_id": f"validation_{subject}_{number}"}
        if rng.random() < 0.6:
            texts = rng.sample(OPTIONS, rng.randint(2, len(OPTIONS)))
            options = dict(zip(LETTERS, texts, strict=False))
            meta |= {"type": "multiple-choice", "options": options, "truths": [rng.choice(list(options))]}
            parts = [*options, *(f"({letter})" for letter in options), *texts, "who knows", "and", "."]
        else:
            truths = rng.sample(("1/8", "12.5", "1000", "-3", "x", "red", "a cell", ".5", "1e3"), rng.choice((1, 1, 2)))
            meta |= {"type": "open", "options": {}, "truths": truths}
            parts = [*truths, "1,000", "12.504", "-3.00", "y", "dark red", "=", "is", "so", "1e3", "\n", ". The", "."]
        said = rng.choice(LEADS) + rng.choice((" ", "")).join(rng.choices(parts, k=rng.randint(1, 7)))
        cases.append({"id": f"mmmu/validation/{number}", "kind": subject, "meta": meta})
        answers[f"mmmu/validation/{number}"] = said + rng.choice(("", ".", "!", "', ", ",."))
    return Made("mmmu", cases, answers)


def mm_vet(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(count):
        truth = rng.choice(("<AND>", "<OR>", " ")).join(_phrase(rng, 2) for _ in range(rng.randint(1, 3)))
        capabilities = sorted(rng.sample(CAPABILITIES, rng.choice((1, 1, 2, 3))))
        meta = {"group": f"{number % PICTURES}.png", "truth": truth, "capabilities": capabilities}
        case = {"id": f"mm-vet/test/v1_{number}", "question": f"{number}: {_phrase(rng)}?"}
        cases.append(case | {"kind": "_".join(capabilities), "meta": meta})
        answers[case["id"]] = _phrase(rng, 9)
    return Made("mm-vet", cases, answers)


def llava_bench(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(count):
        picture = number % PICTURES
        caption = f"Sight {picture}" if picture % 2 else [f"Sight {picture}", "more of it"]
        meta = {"group": f"{picture:03}.jpg", "question_id": number, "caption": caption, "reference": _phrase(rng, 9)}
        case = {"id": f"llava-bench/test/{number}", "question": f"{number}: {_phrase(rng)}?"}
        cases.append(case | {"kind": rng.choice(CATEGORIES), "meta": meta})
        answers[case["id"]] = _phrase(rng, 9)
    return Made("llava-bench", cases, answers)


def mark_for(asked: str, times: int) -> str:
    """What the judge says to a text with its temperature when it was asked the same `times` times before."""
    rng = random.Random(hashlib.sha256(f"{asked} {times}".encode()).digest())
    fine = [f"{rng.randint(0, 10) / 10}" for _ in range(5)]
    return rng.choice((*fine, "1", "0.5 as", "0.7\n", "0.3\nit", " 0.5", "1.5", "-0.2", "The", "", "zero", "0.5."))


def review_for(asked: str, times: int = 0) -> str:
    """What the judge says to a comparison."""
    rng = random.Random(hashlib.sha256(asked.encode()).digest())
    first, second = rng.randint(1, 20) / 2, rng.randint(1, 20) / 2
    fine = ("{} {}", "{} {}", "{} {}", "{:g} {:g}", "{:g},{:g}")
    marks = rng.choice((*fine, "{}, {}", "{} {} ", "\n{} {}", "{}/10 {}/10", "{}"))
    return marks.format(first, second) + rng.choice(("", "\nBoth are good.", "\n\n1 2"))
