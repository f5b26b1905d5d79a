"""Made cases and answers for `scorers.py`: every quirk that an official rule may trip over, drawn by lot."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

YES_NO = (
    *("Yes", "No", "yes", "no", "YES", "NO", "Yes.", "No.", "Yes, there is.", "No, there is not.", "Nope", "Yeah", ""),
    *(
        "There is no star",
        "There isn't a star",
        "There is not.",
        "Not at all",
        "I know",
        "know",
        "noyes",
        "yesno",
        "nyes",
    ),
    *(
        "Hm. No",
        "It is, no doubt",
        "**Yes**",
        "\nYes",
        " no",
        "Yes\tsure",
        "No\nwhy?",
        "\u0130yes",
        "\u201eno\u201c",
        "nö",
    ),
    *(
        "I cannot tell",
        "can't say.",
        "No,no",
        "a.b.No",
        "Yes and no",
        "NO!",
        "no?",
        "Non",
        "nothing",
        "eyes",
        "Ye s",
        "?",
    ),
)
WORDS = (
    *(
        "star",
        "stars",
        "moon",
        "moons",
        "ring",
        "hoop",
        "heart",
        "cross",
        "crescent",
        "stamp",
        "rinse",
        "plate",
        "line",
    ),
    *("the", "a", "is", "and", "very", "sun", "circles", "plus", "market", "hearse", "monk", "", "Star", "tree"),
)
RELATIONS = {
    "star": ["sun", "stamp"],
    "moon": ["crescent"],
    "ring": ["circle", "hoop"],
    "heart": [],
    "cross": ["plus", "market"],
    "plate": ["ring"],
    "monk": ["star"],
    "line": [],
}


@dataclass(frozen=True)
class Made:
    """cases: lines as a file of cases has them, less what no rule looks at. words: further files, by name."""

    data_set: str
    cases: list[dict[str, Any]]
    answers: dict[str, str]
    words: Mapping[str, Any] = field(default_factory=dict)


def _yes_no(rng: random.Random, truth: str) -> str:
    """Mostly plain and often right, so that no figure is 0 or 100; else one of the odd ones."""
    if rng.random() < 0.6:
        said = truth if rng.random() < 0.7 else {"yes": "no", "no": "yes"}[truth]
        return said.capitalize() + rng.choice(("", "", "", ".", ", it is."))
    return rng.choice(YES_NO)


def pope(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(1, count + 1):
        part = ("coco-adversarial", "coco-popular", "coco-random")[number % 3]
        truth = rng.choice(("yes", "no"))
        cases.append({"id": f"pope/{part}/{number}", "kind": part, "meta": {"question_id": number, "truth": truth}})
        cases[-1]["meta"]["group"] = f"{number // 6}.jpg"
        answers[cases[-1]["id"]] = _yes_no(rng, truth)
    return Made("pope", sorted(cases, key=lambda case: case["kind"]), answers)


MME_SUBTASKS = (
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"),
    *("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"),
)


def mme(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(0, count + count % 2, 2):
        subtask = MME_SUBTASKS[number // 2 % len(MME_SUBTASKS)]
        for further, truth in enumerate(("yes", "no")):
            meta = {"group": f"{subtask}/{number:04}.png", "truth": truth}
            case = {"id": f"mme/test/{number + further}", "kind": subtask, "query": "Is it?", "meta": meta}
            cases.append({**case, "answers": [truth.capitalize()]})
            answers[case["id"]] = _yes_no(rng, truth)
    return Made("mme", cases, answers)


LETTERS = (
    *(
        "A",
        "(B)",
        "C.",
        "(d).",
        "b",
        "a dog",
        "The answer is B",
        "the answer is: (C)",
        "Answer: D",
        "Option A",
        "option b",
    ),
    *(
        "Apple",
        "B) two",
        "A: one",
        "",
        " (A",
        "answer is answer: C",
        "I think B",
        "(A) or (B)",
        "\nB",
        "E",
        "c,",
        "Both",
    ),
    *(
        "the answer is a",
        "The Answer is (A).",
        "left",
        "Right.",
        "right",
        "one",
        "Left:",
        "\u0130",
        "(a) left",
        "d\nno",
    ),
)
OPTIONS = ("left", "right", "one", "A dog")


def _letter(rng: random.Random, truth: str, options: int) -> str:
    """Mostly a letter, often the right one; else one of the odd ones."""
    if rng.random() < 0.6:
        said = truth if rng.random() < 0.6 else rng.choice("ABCD"[:options])
        return rng.choice((said, f"({said})", f"{said}.", f"The answer is {said}", OPTIONS["ABCD".index(said)]))
    return rng.choice(LETTERS)


def mmvp(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(1, count + count % 2 + 1):
        truth = rng.choice("AB")
        meta = {"group": f"pair {(number + 1) // 2}", "number": number, "options": list(OPTIONS[:2]), "original": truth}
        cases.append({"id": f"mmvp/test/{number - 1}", "meta": meta})
        answers[cases[-1]["id"]] = _letter(rng, truth, 2)
    return Made("mmvp", cases, answers)


def cv_bench(rng: random.Random, count: int) -> Made:
    places = (("Count", "ADE20K"), ("Relation", "COCO"), ("Depth", "Omni3D"), ("Distance", "Omni3D"))
    cases, answers = [], {}
    for number in range(count):
        task, source = places[number % len(places)]
        options = list(OPTIONS[: rng.randrange(2, 5)])
        truth = rng.choice("ABCD"[: len(options)])
        meta = {"group": str(number), "number": number, "truth": truth, "options": options, "source": source}
        cases.append({"id": f"cv-bench/test/{number}", "kind": task, "meta": meta})
        answers[cases[-1]["id"]] = _letter(rng, truth, len(options))
    return Made("cv-bench", cases, answers)


MMSTAR_PARTS = {
    "coarse perception": ("image scene and topic", "image style & quality", "image emotion"),
    "fine-grained perception": ("object counting", "recognition", "localization"),
    "instance reasoning": (
        *("single-instance reasoning", "cross-instance attribute reasoning", "cross-instance relation reasoning"),
    ),
    "logical reasoning": ("code & sequence reasoning", "diagram reasoning", "common reasoning"),
    "science & technology": (
        *("biology & chemistry & physics", "electronics & energy & mechanical eng."),
        "geography & earth science & agriculture",
    ),
    "math": ("geometry", "numeric commonsense and calculation", "statistical reasoning"),
}


def mmstar(rng: random.Random, count: int) -> Made:
    """At most 1,500: the program takes it that there are 250 of each category."""
    cases, answers = [], {}
    for number in range(min(count, 1500)):
        kind = list(MMSTAR_PARTS)[number % 6]
        truth = rng.choice("ABCD")
        meta = {"group": str(number), "number": number, "truth": truth, "part": MMSTAR_PARTS[kind][number // 6 % 3]}
        cases.append({"id": f"mmstar/val/{number}", "kind": kind, "meta": meta})
        answers[cases[-1]["id"]] = _letter(rng, truth, 4)
    return Made("mmstar", cases, answers)


AMBER_TYPES = {
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}


def amber(rng: random.Random, count: int) -> Made:
    cases, answers = [], {}
    for number in range(1, count + 1):
        meta: dict[str, Any] = {"number": number, "group": f"AMBER_{number // 5}.jpg"}
        if number <= count // 3:
            named = rng.sample(sorted(RELATIONS), 6)
            meta |= {"type": "generative", "truth": named[:4], "hallu": named[4:]}
            kind, said = "generative", " ".join(rng.choices(WORDS, k=rng.randrange(0, 14)))
        else:
            truth = rng.choice(("yes", "no"))
            meta |= {"type": rng.choice(list(AMBER_TYPES)), "truth": truth}
            kind, said = AMBER_TYPES[meta["type"]], _yes_no(rng, truth)
        cases.append({"id": f"amber/all/{number}", "kind": kind, "meta": meta})
        answers[f"amber/all/{number}"] = said
    return Made("amber", cases, answers, {"relation.json": RELATIONS, "safe_words.txt": "camera\nline\n"})
