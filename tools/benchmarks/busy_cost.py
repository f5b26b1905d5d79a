"""What a core that something else keeps busy costs the embedded models.

    python tools/benchmarks/busy_cost.py --rounds 5

Wall-clock seconds of an answer, its heatmap, a CLIP's heatmap and an explanation, in turns with nothing else at work
and with as many spinning processes as --busy says; once in the threads that the library chooses, once in all that torch
takes by itself. Medians, and each as a ratio to the quicker of both ways on the quiet machine.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import api_core
from api_core.models import threads

QUESTION = "What colour is the star?"


def spin() -> None:
    while True:
        pass


@contextmanager
def busy(processes: int) -> Iterator[None]:
    started = [multiprocessing.Process(target=spin, daemon=True) for _ in range(processes)]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.join()


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=1, help="spinning processes (%(default)s)")
    parser.add_argument("--kinds", nargs="*", default=["ask", "lvlm", "clip", "explain"])
    options = parser.parse_args()
    lvlm, clip = api_core.load_lvlm("tiny-lvlm"), api_core.load_clip("tiny-clip")
    picture = torch.rand(512, 768, 3, generator=torch.Generator().manual_seed(0))
    kinds: dict[str, Callable[[], object]] = {
        "ask": lambda: api_core.ask(lvlm, picture[None], QUESTION),
        "lvlm": lambda: api_core.lvlm_heatmap(lvlm, [picture], QUESTION),
        "clip": lambda: api_core.clip_heatmap(clip, [picture], "the star"),
        "explain": lambda: api_core.explain(lvlm, picture[None], QUESTION),
    }
    chosen, found = threads.SMALL, {}
    for kind in options.kinds:
        taken: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            for at_work in (0, options.busy):
                for way, most in (("chosen", chosen), ("torch's own", 0)):
                    threads.SMALL = most
                    with busy(at_work):
                        taken.setdefault(f"{way}, {'busy' if at_work else 'quiet'}", []).append(seconds(kinds[kind]))
        medians = {name: statistics.median(times) for name, times in taken.items()}
        best = min(seconds for name, seconds in medians.items() if name.endswith("quiet"))
        found[kind] = {name: {"seconds": round(s, 3), "ratio": round(s / best, 2)} for name, s in medians.items()}
    print(json.dumps({"threads": torch.get_num_threads(), "cores": multiprocessing.cpu_count(), **found}, indent=1))


if __name__ == "__main__":
    main()
