"""AMBER: its files, its counters, and its nouns with taggers that a test can follow."""

import json
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pack.api_core.errors import MissingPackage
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official import amber
from pack.api_core.evaluation.official.amber import AMBER
from pack.api_core.evaluation.official.data_set import Resources
from pack.api_core.evaluation.official.rules.nouns import NounCounts, count_nouns, installed_taggers, read_word_lists
from pack.tests.core.evaluation.official.round_trip import answers_of, ask, draw, export, read, refusal, score

RELATION = {"star": ["sun"], "moon": ["crescent"], "heart": [], "ring": ["circle", "hoop"], "cross": ["plus", "line"]}
ENTRIES = (
    ("generative", ["star", "ring"], ["heart", "moon"]),
    ("discriminative-hallucination", "no", None),
    ("discriminative-attribute-state", "yes", None),
    ("discriminative-attribute-number", "no", None),
    ("discriminative-attribute-action", "yes", None),
    ("discriminative-relation", "yes", None),
    ("relation", "no", None),
)


class Stub:
    """Every word is a noun, less a plural s; words are alike that begin with the same two letters."""

    name = "stub"

    def nouns(self, text: str) -> Sequence[str]:
        return [word.lower().strip(".,").removesuffix("s") for word in text.split()]

    def similarity(self, word: str, other: str) -> float:
        return 0.9 if word[:2] == other[:2] else 0.8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "AMBER"
    (top / "data" / "query").mkdir(parents=True)
    queries: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for number, (kind, truth, hallu) in enumerate(ENTRIES, 1):
        query = "Describe this image." if hallu else "Is there a star?"
        queries.append({"id": number, "image": f"AMBER_{1 + number // 5}.jpg", "query": query})
        notes.append({"id": number, "type": kind, "truth": truth} | ({"hallu": hallu} if hallu else {}))
    (top / "data" / "query" / "query_all.json").write_text(json.dumps(queries))
    (top / "data" / "annotations.json").write_text(json.dumps(notes))
    (top / "data" / "relation.json").write_text(json.dumps(RELATION))
    (top / "data" / "safe_words.txt").write_bytes(b"camera\r\nline")
    for number in (1, 2):
        draw(top / "image" / f"AMBER_{number}.jpg", number)
    return top


def test_all_the_way(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    cases = read("amber", folder, out, "--split", "discriminative", "--partial")
    assert [case.id for case in cases] == [f"amber/all/{number}" for number in range(2, 8)]
    assert [case.kind for case in cases] == ["existence", "state", "number", "action", "relation", "relation"]
    assert cases[0].meta["group"] == cases[2].meta["group"] != cases[3].meta["group"]
    results = ask(out)
    scores = score(out, results)
    parts = ("discriminative", "existence", "attribute", "state", "number", "action", "relation")
    figures = ("accuracy", "precision", "recall", "F1")
    assert set(scores) == {(rule, f"{part} {name}") for rule in AMBER.rules for part in parts for name in figures}
    written = json.loads(export(out, results, "amber.json").read_text())
    assert written == [{"id": int(name.split("/")[2]), "response": text} for name, text in answers_of(results).items()]
    out = tmp_path / "whole"
    cases = read("amber", folder, out, "--partial")
    assert cases[0].meta["hallu"] == ["heart", "moon"]
    assert cases[0].answers == ()
    results = ask(out)
    monkeypatch.setattr(amber, "installed_taggers", Stub)
    assert "name its folder with --data" in refusal(capsys, "score", results, "--cases", out / "cases.jsonl")
    rows = score(out, results, "--data", str(folder))
    assert {"CHAIR", "Cover", "Hal", "Cog", "AMBER score"} <= {name for rule, name in rows if rule == "official"}


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("data", "read", "amber", folder, "--out", tmp_path / "out")
    assert "7 questions of AMBER, all, which has 15220" in refusal(capsys, *command)
    path = folder / "data" / "annotations.json"
    path.write_text(path.read_text()[:-3])
    assert "annotations.json is no JSON, or is cut" in refusal(capsys, *command, "--partial")
    path.write_text(json.dumps(json.loads(path.read_text() + '"}]')[:3]))
    assert "no annotation of question 4" in refusal(capsys, *command, "--partial")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NounCounts(0, 0, 0, 0)),
        ("stars", NounCounts(1, 0, 1, 0)),
        ("sun sun", NounCounts(2, 0, 1, 0)),  # stands for the star; repeats count
        ("hoop star", NounCounts(2, 0, 2, 0)),
        ("tree", NounCounts(0, 0, 0, 0)),  # not in the lexicon
        ("line", NounCounts(1, 0, 0, 0)),  # a safe word, which still counts as a noun
        ("heart", NounCounts(1, 1, 0, 1)),
        ("crescent", NounCounts(1, 1, 0, 1)),  # stands for the moon
        ("circle", NounCounts(1, 0, 1, 0)),
    ],
)
def test_nouns_are_counted_as_amber_counts(text: str, expected: NounCounts, folder: Path) -> None:
    lists = read_word_lists(folder)
    assert count_nouns(text, ["star", "ring"], ["heart", "moon"], lists, Stub()) == expected


def test_a_noun_that_is_like_one_that_is_there_is_saved_after_it_was_told(folder: Path) -> None:
    lists = read_word_lists(folder)
    # "crescent" resembles "cross", which is there; but it stands for the moon, which people make up.
    assert count_nouns("crescent", ["cross"], ["moon"], lists, Stub()) == NounCounts(1, 0, 1, 1)
    # "hoop" resembles nothing of either, "sun" nothing but itself.
    assert count_nouns("hoop sun", ["heart"], ["moon"], lists, Stub()) == NounCounts(2, 2, 0, 0)


def case(number: int, kind: str, truth: Any, **more: Any) -> QuestionCase:
    meta = {"group": f"AMBER_{number}", "number": number, "truth": truth, **more}
    return QuestionCase(f"amber/all/{number}", Path("p"), "?", kind=kind, meta=meta)


def test_the_counters_of_amber(folder: Path) -> None:
    described = [case(number, "generative", ["star", "ring"], hallu=["heart", "moon"]) for number in (1, 2)]
    asked = [case(number, "existence", "no") for number in (3, 4, 5, 6)]
    answers = ("A heart, a star, a sun", "Rings", "No", "no", "No.", "Yes")
    given = dict(zip((one.id for one in (*described, *asked)), answers, strict=True))
    resources = Resources(folder, {"taggers": Stub()})
    table = AMBER.score([*described, *asked], given, "official", resources)
    found = {row.name: row.value for row in table.rows}
    assert (found["CHAIR"], found["Cover"], found["Hal"], found["Cog"]) == (25.0, 50.0, 50.0, 25.0)
    assert (found["existence accuracy"], found["existence precision"], found["existence recall"]) == (25.0, 99.9, 25.0)
    exact = 2 * 0.999 * 0.25 / (0.999 + 0.25 + 0.001) * 100
    assert found["existence F1"] == round(exact, 1)
    assert found["AMBER score"] == (100 - 25 + found["discriminative F1"]) / 2
    assert "stub" in table.notes[0]
    assert table["existence accuracy"].unparsed == 2
    ours = {row.name: row.value for row in AMBER.score([*described, *asked], given, "ours", resources).rows}
    assert (ours["existence accuracy"], ours["existence precision"], ours["Hal"]) == (75, 100, 50)
    nothing = AMBER.score(described, {described[0].id: ""}, "official", resources)
    assert nothing["Hal"].value == 0.1  # the program's counters start at .001


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk", None)
    installed_taggers.cache_clear()
    with pytest.raises(MissingPackage, match="en_core_web_lg"):
        installed_taggers()


def test_the_installed_taggers_are_asked_as_amber_asks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages stood in for: nouns of every kind are brought to the singular, words compared as documents."""
    nltk, stem, spacy = types.ModuleType("nltk"), types.ModuleType("nltk.stem"), types.ModuleType("spacy")
    nltk.__version__, spacy.__version__ = "1", "2"
    nltk.word_tokenize = str.split
    nltk.pos_tag = lambda words: [
        (word, {"Rings": "NNPS", "rings": "VBZ", "stars": "NNS"}.get(word, "DT")) for word in words
    ]
    stem.WordNetLemmatizer = lambda: types.SimpleNamespace(lemmatize=lambda word: word.removesuffix("s"))
    asked = []

    class Document(str):
        def similarity(self, other: str) -> float:
            asked.append((str(self), str(other)))
            return 0.5

    class Language:
        meta: ClassVar = {"version": "3"}

        def __call__(self, word: str) -> Document:
            return Document(word)

    spacy.load = lambda name: Language()
    for module in (nltk, stem, spacy):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    installed_taggers.cache_clear()
    taggers = installed_taggers()
    installed_taggers.cache_clear()
    assert taggers.nouns("The Rings rings stars") == ["Ring", "star"]
    assert taggers.similarity("a", "b") == taggers.similarity("a", "b") == 0.5
    assert asked == [("a", "b")]
    assert taggers.name == "nltk 1, spaCy 2, en_core_web_lg 3"
