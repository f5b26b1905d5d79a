"""`run` with workers beside today's loop, on prompted pictures, embedded models. CPU; needs the extra `scale`.

    OMP_NUM_THREADS=1 python tools/benchmarks/run_throughput.py --cases 200

Milliseconds a case from the first batch that is done to the last, so that starting (processes, models, Ray) is left
out. The ways take turns, and every process has one thread of torch. Where other work shares the machine the ratios say
little: look at the load that is printed beside them.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from api_core.answering import Greedy  # noqa: E402
from api_core.evaluation.cases import QuestionCase  # noqa: E402
from api_core.evaluation.runner.run_cases import run_cases  # noqa: E402
from api_core.evaluation.runner.run_plan import RunPlan  # noqa: E402
from api_core.masks import MaskSettings  # noqa: E402
from api_core.models.catalog import EMBEDDED_LVLM  # noqa: E402
from api_core.overlay import FadeStyle  # noqa: E402

WAYS = {"loop": 0, "1 worker": 1, "2 workers": 2}
BARS = {"2 workers over 1": 1.6, "1 worker over the loop": 0.9}


def draw(folder: Path, count: int, width: int, height: int) -> list[QuestionCase]:
    """Cases about pictures of colours that change slowly."""
    rng = np.random.default_rng(0)
    cases = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        path = folder / f"{number}.jpg"
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=92)
        cases.append(QuestionCase(f"{number}", path, "What colour is the star?"))
    return cases


def ms_a_case(cases: Sequence[QuestionCase], plan: RunPlan, workers: int) -> float:
    """From the first batch that is done to the last."""
    times: list[tuple[int, float]] = []

    def on_progress(done: int, total: int) -> None:
        if done and (not times or done > times[-1][0]):
            times.append((done, time.perf_counter()))

    if workers:
        from api_core.evaluation.runner.scale import Workers, run_scaled

        run_scaled(cases, plan, Workers(workers), None, on_progress=on_progress)
    else:
        work, settings = plan.build()
        run_cases(cases, work, None, settings=settings, batch_size=plan.cases_at_once, on_progress=on_progress)
    (first, begun), (last, ended) = times[0], times[-1]
    return 1000 * (ended - begun) / (last - first)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    load = []
    with tempfile.TemporaryDirectory() as folder:
        cases = draw(Path(folder), arguments.cases, *arguments.size)
        shared = {"lvlm": EMBEDDED_LVLM, "device": "cpu", "max_new_tokens": 8}
        plan = RunPlan(Greedy(), MaskSettings(), FadeStyle(), **shared)
        for turn in range(arguments.turns):
            for way in [*list(WAYS)[turn % 3 :], *list(WAYS)[: turn % 3]]:
                spent[way].append(ms_a_case(cases, plan, WAYS[way]))
            load.append(os.getloadavg()[0])
    ratios = {
        "2 workers over 1": [one / two for one, two in zip(spent["1 worker"], spent["2 workers"], strict=True)],
        "1 worker over the loop": [loop / one for loop, one in zip(spent["loop"], spent["1 worker"], strict=True)],
    }
    result = {
        "cases": arguments.cases,
        "ms a case": {way: round(statistics.median(values), 1) for way, values in spent.items()},
        **{name: round(statistics.median(values), 3) for name, values in ratios.items()},
        "by turn": {name: [round(value, 2) for value in values] for name, values in ratios.items()},
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in load],
        "met": all(statistics.median(ratios[name]) >= bar for name, bar in BARS.items()),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
