"""What the judges of MM-Vet and LLaVA-Bench in the Wild are asked, and how often.

The prompts themselves are their authors': they are read from a checkout of the official repository, and their digest
goes with every verdict.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ....errors import InvalidInput, reason
from ...cases import QuestionCase
from .judged import MOST_TRIES, read_mark

Texts = Mapping[str, str]
"""The prompts, by what they are for."""

_MM_VET, _LLAVA = "yuweihao/MM-Vet", "haotian-liu/LLaVA"
LLAVA_BENCH_KINDS = ("complex", "conv", "detail")
"""The kinds of its questions, each with a prompt of its own."""


@dataclass(frozen=True)
class Request:
    """What a judge is asked next about an answer."""

    question: str
    system: str = ""


class Judging(Protocol):
    """How answers of one set are judged. judge: the model that the authors ask. published: their prompts' digest."""

    name: str
    judge: str
    max_new_tokens: int
    published: str

    def read_texts(self, checkout: Path) -> Texts:
        """The prompts in a checkout of the official repository; InvalidInput says where to get one."""

    def request(self, texts: Texts, case: QuestionCase, answer: str, said: Sequence[str]) -> Request | None:
        """What the judge is asked after it has `said` so much about the answer; None when that was all."""

    def temperature(self, tries: int) -> float:
        """With what temperature it is asked after so many tries."""


class MmVetJudging:
    """A few examples, then one line: question | truth | prediction | and the judge puts the mark.

    A reply that is no mark is asked for anew with a request added, each time warmer by a half, from 0 on.
    """

    name = "mm-vet"
    judge = "gpt-4-0613"
    max_new_tokens = 3
    published = "f1d2a2750aac795c"

    def read_texts(self, checkout: Path) -> Texts:
        script = checkout / "mm-vet_evaluator.py"
        tree = _parsed(script, _MM_VET)
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        examples = [_text_of(node.value) for node in assigned if ast.unparse(node.targets[0]) == "prompt"]
        # The request that is added is the one text in the code that begins with a line break and says something.
        added = [text for text in _texts(tree) if text.startswith("\n") and text.strip()]
        if len(examples) != 1 or not examples[0] or len(added) != 1:
            raise _other_code(script, _MM_VET)
        return {"examples": examples[0], "added": added[0]}

    def request(self, texts: Texts, case: QuestionCase, answer: str, said: Sequence[str]) -> Request | None:
        if len(said) >= MOST_TRIES or (said and read_mark(said[-1]) is not None):
            return None
        truth = case.meta["truth"].replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
        line = f"{case.map_query} | {truth} | {answer} | "
        return Request(f"{texts['examples']}\n{line}{texts['added'] if said else ''}")

    def temperature(self, tries: int) -> float:
        return 0.5 * max(0, tries - 1)


class LlavaBenchJudging:
    """Captions, question, the reference's answer first and the model's second, then the request for two marks."""

    name = "llava-bench"
    judge = "gpt-4-0314"
    max_new_tokens = 1024
    published = "38bf011664a1d818"

    def read_texts(self, checkout: Path) -> Texts:
        rules, script = checkout / "llava/eval/table/rule.json", checkout / "llava/eval/eval_gpt_review_bench.py"
        systems = [entries["content"] for entries in _dictionaries(_parsed(script, _LLAVA)) if _is_system(entries)]
        content = _read(rules, _LLAVA)
        try:
            official = json.loads(content)
            found = {
                f"{kind} {part}": official[f"llava_bench_{kind}"][part]
                for kind in LLAVA_BENCH_KINDS
                for part in ("prompt", "role")
            }
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{rules} is not the official file ({reason(error)}). {_where(_LLAVA)}") from error
        if len(systems) != 1:
            raise _other_code(script, _LLAVA)
        return {"system": systems[0], **found}

    def request(self, texts: Texts, case: QuestionCase, answer: str, said: Sequence[str]) -> Request | None:
        if said:
            return None
        caption, role = case.meta["caption"], texts[f"{case.kind} role"]
        parts = (
            ("Context", caption if isinstance(caption, str) else "\n".join(caption), ""),
            ("Question", case.map_query, ""),
            (f"{role} 1", case.meta["reference"], f"[End of {role} 1]\n\n"),
            (f"{role} 2", answer, f"[End of {role} 2]\n\n"),
            ("System", texts[f"{case.kind} prompt"], ""),
        )
        return Request("".join(f"[{head}]\n{text}\n\n{end}" for head, text, end in parts), texts["system"])

    def temperature(self, tries: int) -> float:
        return 0.2


def digest_of(texts: Texts) -> str:
    """A short digest of prompts: whether they are still the same."""
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:16]


def _where(repository: str) -> str:
    return (
        f"The judge's prompts are its authors': clone {repository} from GitHub, and name that folder with --official."
    )


def _read(file: Path, repository: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}. {_where(repository)}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8. {_where(repository)}") from error


def _parsed(file: Path, repository: str) -> ast.Module:
    """Its syntax tree; nothing of it is run."""
    code = _read(file, repository)
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise InvalidInput(f"{file} is no Python ({reason(error)}). {_where(repository)}") from error


def _other_code(file: Path, repository: str) -> InvalidInput:
    return InvalidInput(f"{file} does not hold the prompts where the known versions have them. {_where(repository)}")


def _text_of(node: ast.AST | None) -> str:
    """The text that a piece of code is, empty for other code."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _texts(tree: ast.AST) -> list[str]:
    """Every text in the code, in no order; not those that are parts of others (f-strings)."""
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return [_text_of(node) for node in ast.walk(tree) if node not in parts]


def _dictionaries(tree: ast.AST) -> list[dict[str, str]]:
    """The texts in every dictionary in the code."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    return [{_text_of(key): _text_of(value) for key, value in zip(n.keys, n.values, strict=True)} for n in found]


def _is_system(entries: Mapping[str, str]) -> bool:
    return entries.get("role") == "system" and bool(entries.get("content"))
