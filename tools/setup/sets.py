"""Which sets of torch and what must load with it are tried, and in which order, until one is proven."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proof import DISTRIBUTIONS, Unproven

KNOWN_GOOD = Path(__file__).with_name("known_good.txt")

Versions = Mapping[str, str]


@dataclass(frozen=True)
class Attempt:
    """what: the set, in words. arguments: for pip. anew: in an environment made from nothing."""

    what: str
    arguments: tuple[str, ...] = ()
    anew: bool = False


@dataclass(frozen=True)
class Failed:
    """An attempt that came to nothing. why: an environment that is not proven, or pip's lines where it found no set."""

    attempt: Attempt
    versions: Versions
    why: Unproven | str

    def __str__(self) -> str:
        return f"{self.short()}: {self.why.why}" if isinstance(self.why, Unproven) else self.short()

    def short(self) -> str:
        """Without what the module that did not load said."""
        if not isinstance(self.why, Unproven):
            return f"{self.attempt.what} - pip finds none"
        told = {**dict.fromkeys(("torch", "torchvision", "torchaudio")), DISTRIBUTIONS.get(self.why.module): None}
        held = ", ".join(f"{name} {self.versions[name]}" for name in told if name in self.versions)
        return f"{self.attempt.what} ({held}) - {self.why.module} does not load"


def attempts(installed: Versions, proven: Versions, failures: Sequence[Failed]) -> Iterator[Attempt]:
    """One set after the other. `failures` grows between: the last decides what comes next.

    installed: what is there already, of DISTRIBUTIONS; it stays where it works. proven: what once worked there.
    """
    if "torch" not in installed:
        yield Attempt("the newest of everything")
    else:
        kept = {name: version for name, version in installed.items() if name in ("torch", "torchvision")}
        yield Attempt("the torch that is there", exactly(kept))
        came = culprit_of(failures[-1])
        if came and came not in installed:  # such as ComfyUI's torchaudio: what was there need not go for it
            less = f"{came}<{release(failures[-1].versions[came])}"
            yield Attempt(f"the torch that is there, an older {came}", (*exactly(kept), less))
        if isinstance(failures[-1].why, Unproven) and not proven.items() <= failures[-1].versions.items():
            yield Attempt("what was proven before", exactly(proven))
        if isinstance(failures[-1].why, Unproven):
            yield Attempt("the newest of everything, in an environment made anew", anew=True)
        else:
            yield Attempt("the newest that goes with what is there")
    if isinstance(failures[-1].why, Unproven):
        yield from older(failures[-1].versions, culprit_of(failures[-1]))
    yield Attempt(f"the known-good set of {KNOWN_GOOD.name}", ("--constraint", str(KNOWN_GOOD)))


def culprit_of(failed: Failed) -> str:
    """The distribution that did not load, of those that were installed; else ""."""
    name = DISTRIBUTIONS.get(failed.why.module, "") if isinstance(failed.why, Unproven) else ""
    return name if name in failed.versions else ""


def older(failed: Versions, culprit: str) -> Iterator[Attempt]:
    """Less than what failed: first of the one that did not load, then of torch."""
    if culprit:
        yield Attempt(f"an older {culprit}", (f"{culprit}<{release(failed[culprit])}",))
    if "torchaudio" in failed:
        number = release(failed["torchaudio"])
        yield Attempt("the torch of torchaudio's number", (f"torch=={number}.*", f"torchaudio=={number}.*"))
    elif "torch" in failed and culprit != "torch":
        yield Attempt("an older torch", (f"torch<{release(failed['torch'])}",))


def exactly(versions: Versions) -> tuple[str, ...]:
    return tuple(f"{name}=={version}" for name, version in versions.items())


def release(version: str) -> str:
    """The first two numbers of a version."""
    return ".".join(re.findall(r"\d+", version)[:2])


def no_such_set(output: str) -> bool:
    """Whether pip ended because versions exclude each other: not because of the network, the disk or a build."""
    if "(from versions: none)" in output:
        return False
    return "ResolutionImpossible" in output or "No matching distribution found" in output
