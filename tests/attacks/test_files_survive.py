"""Commands that are killed, or whose disk is full, at any moment: nothing of their files is lost, doubled or torn.

A few attacks on some here; `make soak` makes twenty of each kind on each command.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack.tests.attacks.conftest import COMMANDS, Attacker, Ended, Made, contents, same
from pack.tests.attacks.forking import FILLER

pytestmark = pytest.mark.slow
JOURNALS = ("run", "judge", "reproduce", "benchmark")
"""They go on where they were; what is in their files never becomes less."""
FEW, MANY = 2, 20
attacked = pytest.mark.parametrize(
    ("name", "times"),
    [
        *[(name, FEW) for name in ("run", "merge", "prompt")],
        *[pytest.param(name, MANY, marks=pytest.mark.soak) for name in COMMANDS],
    ],
)
_known: dict[str, tuple[float, dict[str, Any]]] = {}


def undisturbed(attacker: Attacker, made: Made, name: str, tmp_path: Path) -> tuple[float, dict[str, Any]]:
    """The seconds that a command takes, and what it writes."""
    if name not in _known:
        out = tmp_path / "undisturbed"
        ended = attacker.run(COMMANDS[name](made, out))
        assert ended.code == 0, ended.err
        _known[name] = ended.seconds, contents(out)
        assert hidden(out) == []
    return _known[name]


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def attacks(
    attacker: Attacker, made: Made, name: str, attack: str, times: int, out: Path, shown: Path, whole: tuple[float, Any]
) -> Iterator[Ended]:
    """Attack a command at random moments until it was ended so many times, and begin anew where it was done. Between
    two attacks nothing that was in a journal may be gone or changed."""
    seconds, expected = whole
    chance, hit, before = random.Random(f"{name} {attack}"), 0, {}
    for _ in range(20 * times):
        if hit == times:
            return
        ended = attacker.run(COMMANDS[name](made, out), attack, chance.uniform(0, seconds))
        after = contents(shown) if shown.exists() else {}
        after.pop(FILLER, None)
        for file, now in after.items():
            assert file in expected, f"nobody wants {file}"
            if file.endswith(".jsonl"):
                assert {**expected[file], **now} == expected[file], file
            else:
                assert same(now, expected[file]), file
        if name in JOURNALS:
            for file, then in before.items():
                assert file in after, f"{file} is gone"
                assert not file.endswith(".jsonl") or {**after[file], **then} == after[file], f"{file} lost something"
        before = after
        yield ended
        hit += ended.code != 0
        if ended.code == 0:
            for path in shown.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            before = {}
    assert hit == times, "it was over too soon to be hit"


def goes_on_to_the_end(attacker: Attacker, made: Made, name: str, out: Path, shown: Path, expected: Any) -> None:
    ended = attacker.run(COMMANDS[name](made, out))
    assert ended.code == 0, ended.err
    found = contents(shown)
    assert found.keys() == expected.keys()
    assert [file for file in found if not same(found[file], expected[file])] == []
    assert hidden(shown) == []


@attacked
def test_kills(attacker: Attacker, made: Made, name: str, times: int, tmp_path: Path) -> None:
    whole, out = undisturbed(attacker, made, name, tmp_path), tmp_path / "out"
    for ended in attacks(attacker, made, name, "KILL", times, out, out, whole):
        assert ended.code in (0, -9), ended.err
    goes_on_to_the_end(attacker, made, name, out, out, whole[1])


@attacked
def test_full_disks(
    attacker: Attacker, small_disk: Attacker, made: Made, name: str, times: int, tmp_path: Path
) -> None:
    whole = undisturbed(attacker, made, name, tmp_path)
    out, shown = small_disk.inside / name, small_disk.disk / name
    for ended in attacks(small_disk, made, name, "fill", times, out, shown, whole):
        (small_disk.disk / FILLER).unlink(missing_ok=True)
        assert hidden(shown) == []
        if ended.code:
            assert ended.code == 2, ended.err
            *_, said = ended.err.splitlines()
            assert "cannot be written: the disk is full" in said, ended.err
            assert "Traceback" not in ended.err
    goes_on_to_the_end(small_disk, made, name, out, shown, whole[1])
    shutil.rmtree(shown)
