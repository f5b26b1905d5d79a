"""Ctrl-C in the middle of commands: they end soon, in a line, with 130, and what they had finished is whole."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pack.api_core.evaluation.readers.jsonl import read_cases
from pack.api_core.evaluation.runner.prompt_and_ask import case_fields
from pack.tests.attacks.conftest import ROOT, Made, contents, done
from pack.tests.servers.process import ServerProcess, running

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")]
SOON = 2.0
START_SECONDS = 300.0
SAID = "interrupted; what was finished is complete, nothing is half-written"
MANY = 400
TRIES = 3
FEW = ("run", "judge", "export")
ALL = (*FEW, "prompt", "explain", "reproduce", "benchmark", "ask", "serve", "merge", "calibrate")


@dataclass(frozen=True)
class Long:
    """What would take minutes. pictures: a folder of many. cases: many, of a data set. results: an answer to each."""

    pictures: Path
    cases: Path
    results: Path
    data: Path
    checkout: Path
    profiles: Path
    stalled: ServerProcess


@pytest.fixture(scope="module")
def long(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Long]:
    top = tmp_path_factory.mktemp("long")
    data, pictures = top / "data", top / "pictures"
    entries = {
        f"v1_{at}": {"imagename": f"{at}.png", "question": f"What is {at}?", "answer": "a star", "capability": ["rec"]}
        for at in range(MANY)
    }
    for at in range(MANY):
        source = made.pictures / "prompt" / "0.png"
        for folder in (data / "mm-vet" / "images", pictures):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{at}.png").symlink_to(source)
    (data / "mm-vet" / "mm-vet.json").write_text(json.dumps(entries))
    (data / "judge").mkdir()
    (data / "judge" / "mm-vet").symlink_to(made.checkout)
    done(["data", "read", "mm-vet", data / "mm-vet", "--out", top, "--partial"])
    answered = json.loads(made.results.read_text().splitlines()[0])
    answered.pop("files", None)  # of the pictures that were saved beside those results
    cases = read_cases(top / "cases.jsonl")
    lines = [json.dumps({**answered, **case_fields(case), "id": case.id, "case": case.fingerprint}) for case in cases]
    results = top / "results.jsonl"
    results.write_text("\n".join(lines) + "\n")
    with running() as stalled:
        done(["servers", "add", "stalled", stalled.address, "--folder", top / "profiles"])
        yield Long(pictures, top / "cases.jsonl", results, data, made.checkout, top / "profiles", stalled)


def command(name: str, long: Long, made: Made, out: Path) -> list[object]:
    tiny = ["--device", "cpu", "--max-new-tokens", "4"]
    server = ["--folder", long.profiles]
    commands: dict[str, list[object]] = {
        "run": ["run", long.cases, "-o", out / "results.jsonl", *tiny, "--save-pictures", "--save-masks"],
        "prompt": ["prompt", long.pictures, "the red star", "-o", out, "--device", "cpu", "--save-mask", "--panel"],
        "explain": ["explain", long.pictures, "-q", "what is it?", "-o", out, *tiny, "--set", "steps=4"],
        "judge": [
            *("judge", long.results, "--cases", long.cases, "--official", long.checkout, *server),
            *("--judge", "stalled:scripted-lvlm", "-o", out / "verdicts.jsonl", "--at-once", "1"),
        ],
        "reproduce": ["reproduce", made.plan, "--data", long.data, "--out", out, "--device", "cpu", "--partial"],
        "benchmark": ["benchmark", "localisation", "--scenes", "200", "--model", "none", "--out", out],
        "ask": ["ask", long.pictures, "-q", "what is it?", "--server", "stalled", *server],
        "serve": ["serve", "--port", "0", "--device", "cpu", "--prompted-by", "tiny-clip"],
        "export": ["export", long.results, "--cases", long.cases, "-o", out / "mm-vet.json"],
        "merge": ["merge", long.results, "-o", out / "merged.jsonl", "--overwrite"],
        "calibrate": ["calibrate", "tiny-lvlm", "--device", "cpu", "--scenes", "2000"],
    }
    return commands[name]


def in_the_middle(name: str, long: Long, out: Path) -> Callable[[], bool]:
    """What says that a command is at work."""
    if name in ("judge", "ask"):
        return lambda: len(long.stalled.requests) > 4 * (name == "judge")
    if name in ("export", "merge", "calibrate", "serve"):
        return lambda: True
    written = "*.npz" if name == "explain" else "*.jsonl" if name in ("run", "reproduce", "benchmark") else "*.png"
    return lambda: any(path.stat().st_size for path in out.rglob(written) if path.parent.name != "mm-vet")


def ask_what_never_ends(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    name, _, rest = process.stdout.readline().partition(" answers at ")
    connection = http.client.HTTPConnection(urlsplit(rest.split(";")[0]).netloc, timeout=60)
    body = {"model": name, "stream": True, "max_tokens": 100_000, "messages": [{"role": "user", "content": "tell me"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200


def slowness() -> float:
    """How many times as long as by itself work takes here now, beside what else this machine does."""
    began, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < 0.2:
        pass
    return (time.perf_counter() - began) / (time.process_time() - used)


def stopped(name: str, long: Long, made: Made, out: Path, wait: float) -> tuple[float, "subprocess.Popen[str]", str]:
    """Start it, press Ctrl-C in the middle; the seconds that it took to end, as of a machine that does nothing else,
    and what it said."""
    long.stalled.misbehave(*[{"kind": "none", "text": "0.5"}] * 4, *[{"kind": "silence", "seconds": 600}] * 40)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HOME": str(out.parent)}
    with subprocess.Popen(
        [sys.executable, "-m", "api_core", *map(str, command(name, long, made, out))],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            until, working = time.monotonic() + START_SECONDS, in_the_middle(name, long, out)
            if name == "serve":
                ask_what_never_ends(process)
            while not working() and process.poll() is None:
                assert time.monotonic() < until, "it did not begin"
                time.sleep(0.02)
            time.sleep(wait)
            slow = slowness()
            process.send_signal(signal.SIGINT)
            at = time.monotonic()
            _, said = process.communicate(timeout=60)
            took = time.monotonic() - at
            sys.stdout.write(
                f"\n{name:10} after {wait:.1f} s: {process.returncode} in {took:.2f} s, {slow:.1f} x slow\n"
            )
            return took / slow, process, said
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "tries"),
    [
        *[(name, 1) for name in FEW],
        *[pytest.param(name, TRIES, marks=pytest.mark.soak) for name in ALL],
    ],
)
def test_ctrl_c(long: Long, made: Made, name: str, tries: int, tmp_path: Path) -> None:
    chance = random.Random(name)
    for number in range(tries):
        late = []
        while len(late) < 3 and not any(one < SOON for one in late):  # what else this machine does is not ours
            out = tmp_path / f"{number} {len(late)}" / "out"
            wait = chance.uniform(0.4, 4) if name in ("export", "merge", "calibrate") else chance.uniform(0, 0.5)
            seconds, process, said = stopped(name, long, made, out, wait)
            if (process.returncode == 0 or not said) and name in ("export", "merge"):
                continue  # it was quicker, or Python had not begun or was ending
            late.append(seconds)
            assert process.returncode in (130, -signal.SIGINT), said  # a shell says 130 of both
            assert said.splitlines()[-1] == SAID
            assert "Traceback" not in said
            contents(out)
            assert not out.exists() or [path.name for path in out.rglob(".*")] == []
        assert min(late) < SOON, late
