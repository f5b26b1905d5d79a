"""`run` with workers beside today's loop, on prompted pictures, embedded models. CPU; needs the extra `scale`.

    python tools/benchmarks/run_throughput.py --cases 200

Each way does the same cases twice, a few and all; seconds a case are of the difference, so that starting (processes,
models, Ray) is left out. The ways take turns, and every process has one thread of torch. Where other work shares the
machine the ratio says little: look at the load that is printed beside it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WAYS = {"loop": (), "1 worker": ("--workers", "1"), "2 workers": ("--workers", "2")}
BARS = {"2 workers over 1": 1.6, "1 worker over the loop": 0.9}


def draw(folder: Path, count: int, width: int, height: int) -> None:
    """Cases about pictures of grain on slow colours."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=92)
        lines.append(
            json.dumps({"id": f"{number}", "picture": f"{number}.jpg", "question": "What colour is the star?"})
        )
    (folder / "cases.jsonl").write_text("\n".join(lines), encoding="utf-8")


def seconds(folder: Path, count: int, options: tuple[str, ...]) -> float:
    """Of the whole command."""
    command = [sys.executable, "-m", "api_core", "run", "cases.jsonl", "--range", f"0:{count}", "--out", "R.jsonl"]
    command += ["--overwrite", "--device", "cpu", "--max-new-tokens", "8", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--few", type=int, default=16, help="the cases of the run that is taken off")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("W", "H"))
    arguments = parser.parse_args()
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    load = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draw(folder, arguments.cases, *arguments.size)
        for turn in range(arguments.turns):
            order = list(WAYS)[turn % 3 :] + list(WAYS)[: turn % 3]
            for way in order:
                few, everything = (seconds(folder, n, WAYS[way]) for n in (arguments.few, arguments.cases))
                spent[way].append((everything - few) / (arguments.cases - arguments.few))
            load.append(os.getloadavg()[0])
    ratios = {
        "2 workers over 1": [one / two for one, two in zip(spent["1 worker"], spent["2 workers"], strict=True)],
        "1 worker over the loop": [loop / one for loop, one in zip(spent["loop"], spent["1 worker"], strict=True)],
    }
    result = {
        "cases": arguments.cases,
        "ms a case": {way: round(1000 * statistics.median(values), 1) for way, values in spent.items()},
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
