"""The folder that `reproduce --data` takes: the drawn fixtures of every set, each in its official layout."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from pack.tests.core.evaluation.official import test_choices, test_mmmu
from pack.tests.core.evaluation.official.judging import llava_checkout, mm_vet_checkout, profiles, server
from pack.tests.core.evaluation.official.round_trip import draw, write_parquet
from pack.tests.core.evaluation.official.test_amber import folder as amber_files
from pack.tests.core.evaluation.official.test_choices import mmvp as mmvp_files
from pack.tests.core.evaluation.official.test_llava_bench import folder as llava_bench_files
from pack.tests.core.evaluation.official.test_mm_vet import folder as mm_vet_files
from pack.tests.core.evaluation.official.test_mme import folder as mme_files
from pack.tests.core.evaluation.official.test_pope import folder as pope_files
from pack.tests.core.evaluation.official.test_textvqa import folder as textvqa_files
from pack.tests.core.evaluation.official.test_vizwiz import folder as vizwiz_files

__all__ = [
    "amber_files",
    "data",
    "llava_bench_files",
    "mm_vet_files",
    "mme_files",
    "mmvp_files",
    "pope_files",
    "profiles",
    "server",
    "textvqa_files",
    "vizwiz_files",
]

IN_PARQUET = ("mmmu", "mmstar")
"""Sets that are had as parquet files alone, which are written where pyarrow is installed."""
HAS_PARQUET = importlib.util.find_spec("pyarrow") is not None


@pytest.fixture
def data(
    tmp_path: Path,
    amber_files: Path,
    llava_bench_files: Path,
    mm_vet_files: Path,
    mme_files: Path,
    mmvp_files: Path,
    pope_files: Path,
    textvqa_files: Path,
    vizwiz_files: Path,
) -> Path:
    top = tmp_path / "data"
    top.mkdir()
    found = {"amber": amber_files, "llava-bench": llava_bench_files, "mm-vet": mm_vet_files, "mmvp": mmvp_files}
    found |= {"pope": pope_files, "textvqa": textvqa_files, "vizwiz": vizwiz_files}
    for name, folder in found.items():
        folder.rename(top / name)
    (top / "mme").mkdir()
    (mme_files / "MME_Benchmark_release_version").rename(top / "mme" / "MME_Benchmark_release_version")
    for picture in ("0001.jpg", "0002.jpg"):  # the subtasks that the program for attention prompting and AvisC's name
        for subtask in ("count", "position", "color", "OCR"):
            source = top / "mme" / "MME_Benchmark_release_version" / "existence"
            for name in (picture, f"{Path(picture).stem}.txt"):
                target = source.with_name(subtask) / name
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, target)
    shutil.copytree(tmp_path / "pictures", top / "pope", dirs_exist_ok=True)
    for drawn in ("random", "popular", "adversarial"):
        gqa = top / "pope" / "seem" / "gqa" / f"gqa_pope_seem_{drawn}.json"
        shutil.copyfile(gqa, gqa.with_name(f"aokvqa_pope_seem_{drawn}.json"))
    for row in test_choices.cv_rows():
        draw(top / "cv-bench" / "img" / row["filename"], row["idx"])
    lines = "\n".join(map(json.dumps, test_choices.cv_rows()))
    (top / "cv-bench" / "test.jsonl").write_text(lines, encoding="utf-8")
    if HAS_PARQUET:
        test_mmmu.write(top / "mmmu", test_mmmu.ROWS)
        write_parquet(top / "mmstar" / "val" / "val-00000-of-00001.parquet", test_choices.mmstar_rows(tmp_path))
    mm_vet_checkout(top / "judge" / "mm-vet")
    llava_checkout(top / "judge" / "llava-bench")
    return top
