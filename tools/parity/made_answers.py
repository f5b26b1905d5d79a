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
