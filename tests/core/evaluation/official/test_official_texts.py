"""Our rules for free text against the official programs' own figures, on made answers that lie beside the tests.

`tools/parity/text_scorers.py CHECKOUTS --keep` runs the programs and writes the file.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pack.api_core.evaluation.cases import QuestionCase
from pack.api_core.evaluation.official.data_set import NOTHING_MORE, DataSet, Resources
from pack.api_core.evaluation.official.judge import Verdicts
from pack.api_core.evaluation.official.llava_bench import LLAVA_BENCH
from pack.api_core.evaluation.official.mm_vet import MM_VET
from pack.api_core.evaluation.official.mmmu import MMMU
from pack.api_core.evaluation.official.score_table import ScoreTable
from pack.api_core.evaluation.official.textvqa import TEXTVQA
from pack.api_core.evaluation.official.vizwiz import VIZWIZ

FIXTURE = Path(__file__).parents[2] / "fixtures" / "official_texts.json"


@pytest.fixture(scope="module")
def official() -> dict[str, Any]:
    return dict(json.loads(FIXTURE.read_text(encoding="utf-8")))


def cases_of(data_set: DataSet, kinds: Sequence[str], metas: Sequence[Mapping[str, Any]]) -> list[QuestionCase]:
    return [
        QuestionCase(data_set.case_id("test", number), Path("p.jpg"), "?", kind=kind, meta=meta)
        for number, (kind, meta) in enumerate(zip(kinds, metas, strict=True))
    ]


def answered(cases: Sequence[QuestionCase], entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {case.id: str(one["answer"]) for case, one in zip(cases, entries, strict=True)}


@pytest.mark.parametrize(
    ("program", "data_set", "rule"),
    [("m4c", TEXTVQA, "official"), ("vqa", TEXTVQA, "vqa-v2"), ("vizwiz", VIZWIZ, "official")],
)
def test_short_answers(official: dict[str, Any], program: str, data_set: DataSet, rule: str) -> None:
    entries = official[program]["entries"]
    metas = [{"answers": one["truths"], "answerable": one.get("answerable", 1)} for one in entries]
    cases = cases_of(data_set, [""] * len(entries), metas)
    answers = answered(cases, entries)
    for case, one in zip(cases, entries, strict=True):
        ours = data_set.score([case], answers, rule, NOTHING_MORE)["accuracy"].value
        assert ours == pytest.approx(one["accuracy"], abs=0.0051), one
    table = data_set.score(cases, answers, rule, NOTHING_MORE)
    assert (
        f"{table['accuracy'].value:.2f}"
        == f"{float(official[program].get('all') or official[program]['accuracy']):.2f}"
    )
    for name in official[program]:
        if name.startswith("unanswerable"):
            assert table[name].value == official[program][name]


def test_mmmu(official: dict[str, Any]) -> None:
    entries = official["mmmu"]["entries"]
    metas = [{"mmmu_id": one["id"], **{name: one[name] for name in ("type", "options", "truths")}} for one in entries]
    cases = cases_of(MMMU, [one["subject"] for one in entries], metas)
    table = MMMU.score(cases, answered(cases, entries), "official", NOTHING_MORE)
    figures = {row.name: round(row.value / 100, 3) for row in table.rows}
    assert figures == {name: value for name, value in official["mmmu"]["figures"].items() if name in figures}
    assert len(figures) > 20


def judged(data_set: DataSet, cases: Sequence[QuestionCase], said: Sequence[Sequence[Sequence[str]]]) -> ScoreTable:
    """The table of these replies. said: for each case and run all that the judge said."""
    runs = [tuple(tuple(replies) for replies in one) for one in said]
    verdicts = Verdicts(dict(zip((case.id for case in cases), runs, strict=True)), ("m",), "", "")
    return data_set.score(cases, {case.id: "" for case in cases}, "official", Resources(more={"verdicts": verdicts}))


def test_llava_bench(official: dict[str, Any]) -> None:
    kept = official["llava-bench"]
    cases = cases_of(LLAVA_BENCH, kept["kinds"], [{}] * len(kept["kinds"]))
    table = judged(LLAVA_BENCH, cases, [[[reply]] for reply in kept["replies"]])
    assert len(kept["printed"]) == 4
    for kind, *figures in kept["printed"]:
        own = kind.removeprefix("llava_bench_")
        assert [str(table[f"{own}{part}"].value) for part in ("", ", reference", ", model")] == figures


def test_mm_vet(official: dict[str, Any]) -> None:
    kept = official["mm-vet"]
    metas = [{"capabilities": one["capabilities"]} for one in kept["entries"]]
    cases = cases_of(MM_VET, ["_".join(sorted(one["capabilities"])) for one in metas], metas)
    table = judged(MM_VET, cases, [one["said"] for one in kept["entries"]])
    assert {row.name: row.value for row in table.rows} == kept["figures"]
