"""What the set-up ends in, on an environment of empty files: its pip installs what a small index has, and its proof
says which sets would load."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import environment as setup
import pytest
from environment import Environment, SetupFailed
from logged import CommandFailed
from proof import Unproven

NEWEST = {
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "torchaudio": "2.11.1",
    "open_clip_torch": "3.3.0",
    "transformers": "5.24.0",
}
OLDER = {
    ("torchaudio<2.11",): {**NEWEST, "torchaudio": "2.10.0"},
    ("torch==2.11.*", "torchaudio==2.11.*"): {**NEWEST, "torch": "2.11.0", "torchvision": "0.26.0"},
    ("torch<2.14",): {**NEWEST, "torch": "2.13.0", "torchvision": "0.28.0"},
}
KNOWN_GOOD = {**NEWEST, "torch": "2.9.1", "torchvision": "0.24.1", "torchaudio": "2.9.1"}
CONFLICT = """Collecting torch
ERROR: Cannot install torch==2.11.0 and torchaudio because these package versions have conflicting dependencies.
The conflict is caused by:
    The user requested torch==2.11.0
    The user requested (constraint) torchaudio==2.9.0
ERROR: ResolutionImpossible: for help visit the documentation
"""
NO_NETWORK = "ERROR: Could not install packages due to an OSError: Connection refused\n"


class FakeEnvironment(Environment):
    """calls: pip's, without what is the same for all. refuse: pip's output for arguments that it ends badly with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.site = folder / "lib" / "python3.11" / "site-packages"
        self.calls: list[tuple[str, ...]] = []
        self.refuse: Callable[[tuple[str, ...]], str] = lambda arguments: ""
        self.proofs = 0
        self.loads: Callable[[dict[str, str]], Unproven | None] = lambda versions: None

    def make(self, *, anew: bool = False) -> None:
        if anew:
            self.calls.append(("made anew",))
            self.put({})
        self.made = self.made or anew or not self.site.exists()
        self.site.mkdir(parents=True, exist_ok=True)
        (self.folder / "pyvenv.cfg").write_text("version = 3.11.7\n")

    def pip(self, job: str, *arguments: str) -> None:
        told = tuple(argument for argument in arguments if str(setup.ROOT) not in argument or "known" in argument)
        self.calls.append((job, *told))
        said = self.refuse(told)
        if said:
            raise CommandFailed(said)
        if job == "uninstall":
            self.put({name: version for name, version in self.versions().items() if name not in arguments})
        elif "--force-reinstall" in arguments:
            self.put(dict(argument.split("==") for argument in arguments if "==" in argument), on_top=True)
        elif "-e" in arguments:
            self.put(self.resolve(told))

    def resolve(self, arguments: tuple[str, ...]) -> dict[str, str]:
        """As pip does: what is there stays unless it is excluded."""
        held = {**NEWEST, **self.versions()}
        for excluded, found in OLDER.items():
            if set(excluded) <= set(arguments):
                held = found
        if "--constraint" in arguments:
            held = KNOWN_GOOD
        held = {**held, **dict(argument.split("==") for argument in arguments if re.match(r"\w+==[\d.]+\d$", argument))}
        return held if "torchaudio" in [*arguments, *self.versions()] else {**held, "torchaudio": ""}

    def put(self, versions: dict[str, str], *, on_top: bool = False) -> None:
        for folder in () if on_top else [found for found in self.site.glob("*") if any(found.iterdir())]:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        for name, version in versions.items():
            if version:
                (self.site / name).mkdir(exist_ok=True)
                (self.site / name / f"lib{name}.so").write_text(version + "x" * int(version.split(".")[1]))
                (self.site / name / "code.py").touch()
                info = self.site / f"{name}-{version}.dist-info"
                info.mkdir(exist_ok=True)
                (info / "RECORD").write_text(f"{name}/lib{name}.so,,\n{name}/code.py,,\n")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEnvironment:
    made = FakeEnvironment(tmp_path / ".venv")

    def prove(python: Path, *, audio: bool) -> Unproven | None:
        made.proofs += 1
        return made.loads(made.versions())

    monkeypatch.setattr(setup, "prove", prove)
    return made


@pytest.fixture
def comfyui(tmp_path: Path) -> Path:
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "requirements.txt").write_text("torch\ntorchaudio\n")
    return tmp_path / "ComfyUI"


def again(made: FakeEnvironment, extra: str, comfyui: Path | None = None) -> FakeEnvironment:
    """The same command another time, as a process of its own: what it did."""
    made.calls.clear()
    made.proofs, made.made = 0, False
    setup.install(made, extra, comfyui)
    return made


def stamped(made: FakeEnvironment) -> bool:
    return (made.folder / "proven.json").exists()


def does_not_load(name: str, version: str) -> Callable[[dict[str, str]], Unproven | None]:
    def loads(versions: dict[str, str]) -> Unproven | None:
        return Unproven(name, "undefined symbol: torch_what") if versions.get(name) == version else None

    return loads


def test_the_newest_that_works_is_installed_at_once_and_then_nothing_more(made, comfyui):
    setup.install(made, "test", comfyui)
    assert made.versions() == NEWEST
    assert made.proofs == 1
    assert stamped(made)
    again(made, "test", comfyui)
    assert (made.calls, made.proofs) == ([], 0)


def test_torch_is_installed_once_for_demo_and_test(made, comfyui):
    setup.install(made, "standalone", None)
    assert "torchaudio" not in made.versions()
    again(made, "test", comfyui)
    (call,) = [call for call in made.calls if "-e" in call]
    assert {"torch==2.14.1", "torchvision==0.29.1", "torchaudio"} <= set(call)
    assert made.versions() == NEWEST
    assert not again(made, "standalone").calls
    assert not again(made, "test").calls


def test_what_tests_need_holds_what_the_demo_needs_and_not_the_reverse(made, comfyui):
    setup.install(made, "test", comfyui)
    assert not again(made, "standalone").calls
    assert again(made, "dev").calls


def test_an_older_torchaudio_is_taken_where_the_newest_does_not_load(made, comfyui, capsys):
    made.loads = does_not_load("torchaudio", "2.11.1")
    setup.install(made, "test", comfyui)
    assert made.versions()["torchaudio"] == "2.10.0"
    assert stamped(made)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "tried" in line]
    assert "torchaudio 2.11.1" in line
    assert "undefined symbol" in line
    assert "an older torchaudio" in line


def test_steps_lead_to_the_known_good_set(made, comfyui):
    made.loads = lambda versions: None if versions == KNOWN_GOOD else Unproven("torch", "no kernel")
    setup.install(made, "test", comfyui)
    assert made.versions() == KNOWN_GOOD
    assert stamped(made)


def test_where_nothing_works_one_sentence_says_so_and_there_is_no_stamp(made, comfyui):
    made.loads = lambda versions: Unproven("torchaudio", "undefined symbol: x")
    made.refuse = lambda arguments: CONFLICT if "--constraint" in arguments else ""
    with pytest.raises(SetupFailed) as failure:
        setup.install(made, "test", comfyui)
    assert not stamped(made)
    said = str(failure.value)
    assert "newest" in said.splitlines()[0]
    assert "known_good.txt - pip finds none" in said
    assert "torchaudio does not load: undefined symbol: x" in said
    assert said.count("undefined symbol") == 1
    assert "(constraint) torchaudio==2.9.0" in said
    made.loads = lambda versions: None
    assert stamped(again(made, "test", comfyui))  # the same command repairs it


def test_a_set_that_pip_finds_twice_is_tried_once(made, comfyui):
    made.loads = lambda versions: Unproven("torchaudio", "no")
    made.resolve = lambda arguments: NEWEST
    with pytest.raises(SetupFailed):
        setup.install(made, "test", comfyui)
    assert made.proofs == 1


def test_without_a_network_nothing_else_is_tried_or_removed(made, comfyui):
    setup.install(made, "standalone", None)
    made.refuse = lambda arguments: NO_NETWORK
    with pytest.raises(SetupFailed, match="Connection refused"):
        again(made, "test", comfyui)
    assert len(made.calls) == 1
    assert "torch" in made.versions()


def test_what_excludes_the_torch_that_is_there_does_not_cost_the_environment(made, comfyui):
    """A conflict, of ComfyUI's requirements say, is no reason to begin from nothing."""
    setup.install(made, "standalone", None)
    made.refuse = lambda arguments: CONFLICT if "torch==2.14.1" in arguments else ""
    again(made, "test", comfyui)
    assert ("made anew",) not in made.calls
    assert stamped(made)


@pytest.mark.parametrize("gone", ["libtorchaudio.so", "code.py", "all"])
def test_a_file_that_is_gone_is_installed_again(made, comfyui, gone):
    setup.install(made, "test", comfyui)
    package = made.site / "torchaudio"
    if gone == "all":
        shutil.rmtree(package)
    else:
        (package / gone).unlink()
    assert ("install", "--force-reinstall", "--no-deps", "torchaudio==2.11.1") in again(made, "test", comfyui).calls
    assert {file.name for file in package.iterdir()} == {"libtorchaudio.so", "code.py"}
    assert not again(made, "test", comfyui).calls


def test_a_library_that_is_gone_and_cannot_be_had_leaves_no_stamp(made, comfyui):
    setup.install(made, "test", comfyui)
    (made.site / "torchaudio" / "libtorchaudio.so").unlink()
    made.refuse = lambda arguments: NO_NETWORK
    with pytest.raises(SetupFailed, match="Connection refused"):
        again(made, "test", comfyui)
    assert not stamped(made)


def test_another_version_in_its_place_is_noticed_and_what_was_proven_comes_back(made, comfyui):
    setup.install(made, "test", comfyui)
    made.loads = does_not_load("torchaudio", "2.9.0")
    made.put({**NEWEST, "torchaudio": "2.9.0"})
    again(made, "test", comfyui)
    assert len([call for call in made.calls if "-e" in call]) == 2
    assert made.versions() == NEWEST
    assert ("made anew",) not in made.calls
    assert stamped(made)


def test_a_torchaudio_that_does_not_load_does_not_cost_the_torch_of_the_demo(made, comfyui):
    setup.install(made, "standalone", None)
    made.loads = does_not_load("torchaudio", "2.11.1")
    again(made, "test", comfyui)
    assert [call for call in made.calls if "torchaudio<2.11" in call and "torch==2.14.1" in call]
    assert ("made anew",) not in made.calls
    assert made.versions() == {**NEWEST, "torchaudio": "2.10.0"}


def test_another_version_that_works_is_left_there(made, comfyui):
    setup.install(made, "test", comfyui)
    made.put({**NEWEST, "torch": "2.15.0"})
    again(made, "test", comfyui)
    assert made.versions()["torch"] == "2.15.0"
    assert made.proofs == 1
    assert not [call for call in made.calls if "--force-reinstall" in call]


def test_an_environment_that_cannot_be_mended_is_made_anew(made, comfyui):
    broken = {"now": True}
    setup.install(made, "dev", None)

    def loads(versions):
        broken["now"] = broken["now"] and ("made anew",) not in made.calls
        return Unproven("transformers", "No module named 'transformers.models'") if broken["now"] else None

    made.loads = loads
    again(made, "test", comfyui)
    assert ("made anew",) in made.calls
    assert made.versions() == NEWEST
    assert again(made, "dev").calls  # what was there before went with it


def test_what_nobody_installed_is_no_damage(made, comfyui):
    """pip leaves `~orch` behind where it was stopped; something else may come and go."""
    (made.site / "~orch").mkdir(parents=True)
    (made.site / "of_nobody").mkdir()
    setup.install(made, "test", comfyui)
    (made.site / "~orch").rmdir()
    assert not again(made, "test", comfyui).calls
    (made.site / "of_nobody").rmdir()
    assert not [call for call in again(made, "test", comfyui).calls if "--force-reinstall" in call]
    assert stamped(made)


def test_ctrl_c_leaves_no_stamp(made, comfyui):
    setup.install(made, "test", comfyui)
    (made.site / "torch" / "libtorch.so").unlink()

    def interrupt(arguments):
        raise KeyboardInterrupt

    made.refuse = interrupt
    with pytest.raises(KeyboardInterrupt):
        again(made, "test", comfyui)
    assert not stamped(made)


@pytest.mark.parametrize("change", ["requirements", "python"])
def test_what_was_proven_holds_for_what_it_was_proven_with(made, comfyui, change):
    setup.install(made, "test", comfyui)
    if change == "requirements":
        (comfyui / "requirements.txt").write_text("torch\ntorchaudio\nav>=17\n")
    else:
        (made.folder / "pyvenv.cfg").write_text("version = 3.12.1\n")
    assert again(made, "test", comfyui).calls


def test_an_environment_that_was_moved_is_made_anew(made, comfyui, tmp_path):
    setup.install(made, "test", comfyui)
    moved = FakeEnvironment(made.folder.rename(tmp_path / "moved"))
    assert ("made anew",) in again(moved, "test", comfyui).calls
    assert stamped(moved)
    assert not again(moved, "test", comfyui).calls


def test_without_a_network_torchaudio_stays(made, comfyui, monkeypatch):
    setup.install(made, "test", comfyui)
    (comfyui / "requirements.txt").write_text("torch\nav>=17\n")
    monkeypatch.setattr(setup, "find_or_install", lambda environment, say: comfyui)
    made.refuse = lambda arguments: NO_NETWORK
    with pytest.raises(SetupFailed, match="Connection refused"):
        setup.prepare(made, "test")
    assert made.versions() == NEWEST


def test_without_a_usable_comfyui_the_rest_works_loudly(made, comfyui, capsys, monkeypatch):
    monkeypatch.setattr(setup, "find_or_install", lambda environment, say: comfyui)
    monkeypatch.delenv("REQUIRE_COMFYUI", raising=False)
    made.loads = lambda versions: Unproven("torchaudio", "no symbol") if "torchaudio" in versions else None
    setup.prepare(made, "test")
    assert "torchaudio" not in made.versions()
    assert "SKIPPED" in capsys.readouterr().out
    assert (made.folder / "comfyui-path").read_text() == "none-installed"
    monkeypatch.setenv("REQUIRE_COMFYUI", "1")
    with pytest.raises(SetupFailed, match="REQUIRE_COMFYUI is set"):
        setup.prepare(made, "test")
