"""How many examples are drawn, and what is allowed to come of one.

A few that are always the same, or so many new ones as ATTENTION_PROMPTING_FUZZ says: `make fuzz N=1000`. The first
lines of such a run name its seed, which ATTENTION_PROMPTING_FUZZ_SEED repeats.
"""

import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from pack.api_core.errors import AttentionPromptingError, shortened
from pack.tests.fuzz.values import finite

MANY = int(os.environ.get("ATTENTION_PROMPTING_FUZZ", "0"))
SEED = int(os.environ.get("ATTENTION_PROMPTING_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
SLOWEST = 10.0  # seconds of processor time of one example
LONGEST_MESSAGE = 1000


def run_examples(strategy: st.SearchStrategy[Any], few: int, attempt: Callable[[Any], Any]) -> None:
    """Draw examples and try each; AssertionError with every kind of failure, each with its first example.

    attempt: returns a result, whose numbers have to be finite, or raises the library's own error, in one short line.
    """
    failures: dict[str, str] = {}
    counts: Counter[str] = Counter()

    def fail(kind: str, example: Any, more: str) -> None:
        counts[kind] += 1
        failures.setdefault(kind, f"{shortened(example, 1500)}\n{more}")

    def once(example: Any) -> None:
        began = time.process_time()
        try:
            found = attempt(example)
        except AttentionPromptingError as error:
            said = str(error)
            if len(said) > LONGEST_MESSAGE or len(said.splitlines()) > 1:
                fail(f"a long message: {shortened(error, 60)}", example, said[:2000])
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            own = [frame for frame in traceback.extract_tb(error.__traceback__) if "api_core" in frame.filename]
            last = own[-1] if own else place
            fail(f"{type(error).__name__} at {last.filename}:{last.lineno}", example, traceback.format_exc()[-2500:])
        else:
            if not finite(found):
                fail("numbers that are not finite", example, shortened(found, 500))
        if time.process_time() - began > SLOWEST:
            fail("slow", example, f"{time.process_time() - began:.0f} s")

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
    (seed(SEED)(drawn) if MANY else drawn)()
    told = "\n\n".join(f"{counts[kind]} x {kind}\n{failures[kind]}" for kind in failures)
    assert not failures, f"{len(failures)} kinds of failures\n{told}"
