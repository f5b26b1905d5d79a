"""Commands that write files, on a data set of drawn pictures, and the process that attacks them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.api_core.command_line import main
from pack.tests.core.evaluation.official.judging import mm_vet_checkout, says
from pack.tests.core.evaluation.official.round_trip import draw
from pack.tests.servers.process import running
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("forking.py")
DISK_BYTES = 4 << 20
CASES = 8
COUNT = {"prompt": 8, "explain": 3}
VARYING = ("seconds", "versions")


@dataclass(frozen=True)
class Ended:
    """What became of a command. late: the seconds from the attack to its end; None where it had ended before."""

    code: int
    seconds: float
    late: float | None
    out: str
    err: str


class Attacker:
    """The process of forking.py. disk: a folder on a small disk of its own, where it has one, as this process sees it;
    inside: as commands see it."""

    def __init__(self, process: "subprocess.Popen[str]", inside: Path) -> None:
        self._process = process
        self.inside = inside
        self.disk = Path(f"/proc/{process.pid}/root{inside}")

    def run(self, command: Sequence[object], attack: str = "", after: float = 0.0) -> Ended:
        asked = {"command": [str(part) for part in command], "attack": attack, "after": after, "disk": str(self.inside)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


def started(*before: str, inside: Path) -> Iterator[Attacker]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [*before, sys.executable, str(SCRIPT), str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Attacker(process, inside)
        process.kill()


@pytest.fixture(scope="session")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    if os.name == "nt":
        pytest.skip("NOT RUN: Windows has neither fork nor these signals")
    yield from started(inside=tmp_path_factory.mktemp("no disk"))


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    """With a disk of 4 MB that only its commands see, and that goes when it does."""
    folder = tmp_path_factory.mktemp("disk")
    mount = f'mount -t tmpfs -o size={DISK_BYTES} none "{folder}"'
    apart = ("unshare", "--user", "--map-root-user", "--mount")
    try:
        subprocess.run([*apart, "sh", "-c", mount], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or str(error)
        pytest.skip(f"NOT RUN, no disk was filled: this machine lets nobody mount a small one ({why.strip()})")
    yield from started(*apart, "sh", "-c", f'{mount} && exec "$@"', "sh", inside=folder)


@dataclass(frozen=True)
class Made:
    """What the commands read."""

    cases: Path
    pictures: Path
    results: Path
    parts: tuple[Path, ...]
    checkout: Path
    plan: Path
    data: Path
    profiles: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    top = tmp_path_factory.mktemp("made")
    data = top / "data"
    entries = {
        f"v1_{at}": {"imagename": f"{at}.png", "question": f"What is {at}?", "answer": "a star", "capability": ["rec"]}
        for at in range(CASES)
    }
    for number, entry in enumerate(entries.values()):
        draw(data / "mm-vet" / "images" / str(entry["imagename"]), number)
    (data / "mm-vet" / "mm-vet.json").write_text(json.dumps(entries))
    checkout = mm_vet_checkout(data / "judge" / "mm-vet")
    done(["data", "read", "mm-vet", data / "mm-vet", "--out", top, "--partial"])
    cases, results = top / "cases.jsonl", top / "results.jsonl"
    how = ["--device", "cpu", "--max-new-tokens", "4", "--save-pictures"]
    parts = tuple(top / f"part {number}.jsonl" for number in (1, 2))
    for number, part in enumerate(parts, 1):
        done(["run", cases, "-o", part, *how, "--shard", f"{number}/2"])
    done(["merge", *parts, "-o", results, "--cases", cases])
    for name, count in COUNT.items():
        for number in range(count):
            draw(top / "pictures" / name / f"{number}.png", number)
    arms = {"plain": {"settings": {"map": "none"}}, "clip": {"settings": {}}}
    plan = {"settings": {"max-new-tokens": 4}, "arms": arms, "models": {"tiny-lvlm": {}}}
    plan["sets"] = [{"set": "mm-vet", "figures": ["total"]}]
    (top / "plan.json").write_text(json.dumps(plan))
    with running() as server:
        server.misbehave(*says(*["0.5"] * 20_000))
        profiles = top / "profiles"
        done(["servers", "add", "judge", server.address, "--folder", profiles])
        yield Made(cases, top / "pictures", results, parts, checkout, top / "plan.json", data, profiles)


def done(command: Sequence[object]) -> None:
    assert main([str(part) for part in command]) == 0, command


Command = Callable[[Made, Path], list[object]]
"""What is called to have results in a folder, from the beginning or to go on."""
TINY = ["--device", "cpu", "--max-new-tokens", "4"]
COMMANDS: dict[str, Command] = {
    "run": lambda made, out: [
        "run", made.cases, "-o", out / "results.jsonl", *TINY, "--save-pictures", "--save-masks", "--batch-size", "2",
    ],
    "judge": lambda made, out: [
        "judge", made.results, "--cases", made.cases, "--official", made.checkout, "--judge", "judge:scripted-lvlm",
        "--folder", made.profiles, "-o", out / "verdicts.jsonl", "--at-once", "1", "--runs", "2",
    ],
    "reproduce": lambda made, out: [
        "reproduce", made.plan, "--data", made.data, "--out", out, "--device", "cpu", "--partial", "--batch-size", "2",
        "--judge", "judge:scripted-lvlm", "--folder", made.profiles,
    ],
    "merge": lambda made, out: [
        "merge", *made.parts, "-o", out / "merged.jsonl", "--cases", made.cases, "--overwrite",
    ],
    "prompt": lambda made, out: [
        "prompt", made.pictures / "prompt", "the red star", "-o", out, "--device", "cpu", "--overwrite", "--save-mask",
        "--save-heatmap", "--panel",
    ],
    "explain": lambda made, out: [
        "explain", made.pictures / "explain", "-q", "what is it?", "-o", out, *TINY, "--overwrite", "--method",
        "attention", "--steps", "2", "--other-baseline", "none",
    ],
    "export": lambda made, out: [
        "export", made.results, "--cases", made.cases, "-o", out / "mm-vet.json",
    ],
    "benchmark": lambda made, out: [
        "benchmark", "localisation", "--scenes", "3", "--model", "none", "--device", "cpu", "--out", out,
        "--markdown", out / "table.md",
    ],
}  # fmt: skip


def contents(folder: Path) -> dict[str, Any]:
    """What is in the files of a folder, by their names: all are whole, or this raises."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            found[str(path.relative_to(folder))] = read(path)
    return found


def read(path: Path) -> Any:
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
        by_id = {line["id"]: plain(line) for line in lines}
        assert len(by_id) == len(lines), f"{path} has a case twice"
        return by_id
    if path.suffix == ".json":
        return plain(json.loads(path.read_bytes()))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: np.array(arrays[name]) for name in arrays.files}
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    with Image.open(path) as picture:
        return np.array(picture)


def plain(value: Any) -> Any:
    """Without what is another each time, and numbers as far as they do not depend on what was computed beside."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if name not in VARYING}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def same(one: Any, other: Any) -> bool:
    """Whether two files hold the same: of pictures and maps, up to how numbers are rounded."""
    if isinstance(one, np.ndarray):
        if one.dtype.kind not in "fiu":
            return bool((one == other).all())
        return one.shape == other.shape and bool(np.abs(one.astype(float) - other.astype(float)).max(initial=0) <= 1)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)
