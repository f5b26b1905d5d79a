"""How many examples are drawn, and what is allowed to come of one.

A few that are always the same, or so many new ones as ATTENTION_PROMPTING_FUZZ says: `make fuzz N=1000`. The first
lines of such a run name its seed, which ATTENTION_PROMPTING_FUZZ_SEED repeats; the last ones say how many examples of
what gave a result and how many were refused, since what is refused at the door tests nothing behind it.
"""

import faulthandler
import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.engine import ConjectureRunner
from pack.api_core.errors import AttentionPromptingError, shortened
from pack.tests.fuzz.values import brief, finite

MANY = int(os.environ.get("ATTENTION_PROMPTING_FUZZ", "0"))
SEED = int(os.environ.get("ATTENTION_PROMPTING_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
SLOWEST = 10.0  # seconds of processor time of one example
HANGS = 400  # seconds of one example, after which a long run says where it stands, and ends
LONGEST_MESSAGE = 1000
TOLD: list[str] = []
"""What became of the examples, for the end of a long run."""


class Refused(str):
    """What came of an example that gave no result as it should: who refused it."""


class Tally:
    """What became of the examples: how many of each thing that is tried, and of each of its inputs, gave a result."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.reasons: dict[str, Counter[str]] = {}
        self.slowest = (0.0, "")

    def note(self, parts: Sequence[str], refused: object, seconds: float) -> None:
        """refused: why, or None."""
        (self.done if refused is None else self.refused).update({*parts})
        if refused is not None:
            self.reasons.setdefault(parts[0], Counter())[shortened(refused, 70)] += 1
        self.slowest = max(self.slowest, (seconds, parts[0]))

    def share(self) -> float:
        """Of all that was tried what gave a result: of what is refused at the door nothing behind it is tested."""
        things = [part for part in {*self.done, *self.refused} if "." not in part]
        done, refused = (sum(counts[one] for one in things) for counts in (self.done, self.refused))
        return done / (done + refused)

    def lines(self) -> list[str]:
        """A line for each thing, with those of its inputs that gave a result, or were refused, least often."""
        both = {*self.done, *self.refused}
        things = sorted(part for part in both if "." not in part)
        tried = sum(self.done[one] + self.refused[one] for one in things)
        found = [
            f"{tried} tried, {sum(self.done[one] for one in things)} gave a result; "
            f"slowest {self.slowest[0]:.1f} s ({self.slowest[1]})"
        ]
        for one in things:
            inner = sorted((self.done[part], part.split(".", 1)[1]) for part in both if part.startswith(f"{one}."))
            least = ", ".join(f"{name} {count}" for count, name in inner[:4])
            found.append(f"  {one}: {self.done[one]} results, {self.refused[one]} refused; results with {least}")
            found += [f"    {count} x {why}" for why, count in self.reasons.get(one, Counter()).most_common(3)]
        return found


def run_examples(
    strategy: st.SearchStrategy[Any],
    few: int,
    attempt: Callable[[Any], Any],
    parts: Callable[[Any], Sequence[str]],
    *,
    clock: Callable[[], float] = time.process_time,
) -> Tally:
    """Draw examples and try each; AssertionError with every kind of failure, each with its first example.

    attempt: returns a result, whose numbers have to be finite, or Refused, or raises the library's own error, in one
    short line. parts: the name of what an example tries, and `name.input` for each input that it gives. clock: seconds.
    """
    failures: dict[str, str] = {}
    counts: Counter[str] = Counter()
    tally = Tally()

    def fail(kind: str, example: Any, more: str) -> None:
        counts[kind] += 1
        failures.setdefault(kind, f"{shortened(brief(example), 3000)}\n{more}")

    def once(example: Any) -> None:
        if MANY:
            faulthandler.dump_traceback_later(HANGS, exit=True)
        refused: object = None
        began = clock()
        try:
            found = attempt(example)
        except AttentionPromptingError as error:
            refused = said = str(error)
            if len(said) > LONGEST_MESSAGE or len(said.splitlines()) > 1:
                fail(f"a long message: {shortened(error, 60)}", example, said[:2000])
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            refused = type(error).__name__
            fail(_kind(error), example, traceback.format_exc()[-2500:])
        else:
            refused = found if isinstance(found, Refused) else None
            if not finite(found):
                fail("numbers that are not finite", example, shortened(found, 500))
        seconds = clock() - began
        if seconds > SLOWEST:
            fail("slow", example, f"{seconds:.0f} s")
        tally.note(parts(example), refused, seconds)

    every = settings(
        max_examples=MANY or few,
        derandomize=not MANY,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    drawn = every(given(strategy)(once))
    try:
        # Left to itself, hypothesis draws five of six examples as variants of the one before.
        with patch.object(ConjectureRunner, "generate_mutations_from", lambda *_: None, create=True):
            (seed(SEED)(drawn) if MANY else drawn)()
    finally:
        faulthandler.cancel_dump_traceback_later()
        TOLD.extend(tally.lines() if MANY else [])
    told = "\n\n".join(f"{counts[kind]} x {kind}\n{failures[kind]}" for kind in failures)
    assert not failures, f"{len(failures)} kinds of failures\n{told}"
    return tally


def _kind(error: Exception) -> str:
    """What a failure is counted as: what a check says, or else where in the library the error comes from."""
    if type(error) is AssertionError:
        return shortened(error, 120)
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if "api_core" in frame.filename or "/nodes/" in frame.filename] or frames
    return f"{type(error).__name__} at {last[-1].filename}:{last[-1].lineno}"
