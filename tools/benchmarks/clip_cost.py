"""What a heatmap costs beside open_clip's own encoding of the same pictures and texts. Random weights, CPU.

    python tools/benchmarks/clip_cost.py all --model ViT-L-14-336

time: median of alternating pairs in one run, picture and text encoding on both sides, maps on ours.
memory: highest resident memory while encoding once, beyond what the loaded model holds; a fresh process for each.
queries: the maps of 100 further texts on an encoded picture, their text encoding apart, against one encoding.
presence: what it takes to say whether a text's thing is there, in processor time, against encoding a picture; and,
once for a model, encoding the names that it is compared with. `--model tiny-clip` takes the embedded model.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from api_core.attribution.clip.heatmap import METHODS  # noqa: E402
from api_core.attribution.clip.presence import OtherThings  # noqa: E402
from api_core.autograd import frozen  # noqa: E402
from api_core.models.clip import ClipModel  # noqa: E402
from api_core.models.clip.load import load_clip  # noqa: E402
from api_core.models.random_models import random_clip  # noqa: E402

BARS = {
    "time ratio": 1.05,
    "memory MB": {1: 120.0, 4: 260.0},
    "queries share": 0.10,
    "presence share": 0.01,
}


def build(name: str) -> ClipModel:
    """A random open_clip model with its tokenizer, or the embedded model."""
    if name == "tiny-clip":
        return load_clip(name)
    return random_clip(name)


def queries(count: int, start: int = 0) -> list[str]:
    return [f"is there a red bicycle number {start + index} in front of the house?" for index in range(count)]


def plain(model: ClipModel, pixels: torch.Tensor, texts: list[str]) -> None:
    """open_clip's own encoding, through its public methods."""
    with frozen():
        model.module.encode_image(model.spec.normalise(pixels))
        model.module.encode_text(model.reader.ids(texts))


def ours(model: ClipModel, pixels: torch.Tensor, texts: list[str]) -> None:
    """Encoding and both maps of each picture for its text."""
    model._texts.clear()
    features = model.encode_texts(texts)
    for index, encoding in enumerate(model.encode_pictures(pixels, batch_size=len(pixels))):
        encoding.class_token(features[index : index + 1])
        encoding.patch(features[index : index + 1])


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_time(model: ClipModel, batch: int, pairs: int) -> dict[str, Any]:
    pixels = torch.rand(batch, 3, model.side, model.side)
    plain(model, pixels, queries(batch))
    ours(model, pixels, queries(batch))
    ratios, plains, mine = [], [], []
    for pair in range(pairs):
        texts = queries(batch, pair * batch)
        runs = [lambda texts=texts: plain(model, pixels, texts), lambda texts=texts: ours(model, pixels, texts)]
        if pair % 2:
            second, first = seconds(runs[1]), seconds(runs[0])
        else:
            first, second = seconds(runs[0]), seconds(runs[1])
        plains.append(first)
        mine.append(second)
        ratios.append(second / first)
    ratio = statistics.median(ratios)
    return {
        "what": "time",
        "batch": batch,
        "open_clip median s": round(statistics.median(plains), 4),
        "ours median s": round(statistics.median(mine), 4),
        "median ratio": round(ratio, 4),
        "ratios": [round(value, 3) for value in ratios],
        "bar": BARS["time ratio"],
        "met": ratio <= BARS["time ratio"],
    }


def measure_queries(model: ClipModel, count: int = 100) -> dict[str, Any]:
    pixels = torch.rand(1, 3, model.side, model.side)
    ours(model, pixels, queries(1))
    encode = seconds(lambda: plain(model, pixels, queries(1)))
    encoding = model.encode_pictures(pixels)[0]
    features = model.encode_texts(queries(count))

    def maps() -> None:
        for index in range(count):
            encoding.class_token(features[index : index + 1])
            encoding.patch(features[index : index + 1])

    maps()
    share = seconds(maps) / encode
    return {
        "what": "queries",
        "count": count,
        "share of an encoding": round(share, 5),
        "bar": BARS["queries share"],
        "met": share < BARS["queries share"],
    }


def processor_seconds(work: Callable[[], object], least: float = 0.3) -> float:
    """Of one call, the mean of as many as take about `least` seconds."""
    work()
    start, count = time.process_time(), 0
    while time.process_time() - start < least:
        work()
        count += 1
    return (time.process_time() - start) / count


def measure_presence(model: ClipModel, rounds: int = 5) -> dict[str, Any]:
    pixels = torch.rand(1, 3, model.side, model.side)
    text = "a red bicycle"
    features, telling = model.encode_texts([text]), next(iter(METHODS.values())).telling
    encoding = model.encode_pictures(pixels)[0]
    valid = torch.ones(encoding.grid, dtype=torch.bool)

    def names() -> None:
        model._fixed.clear()
        OtherThings.known_to(model)

    shares, once = [], []
    for _ in range(rounds):
        encode = processor_seconds(lambda: model.encode_pictures(pixels))
        said = processor_seconds(
            lambda: OtherThings.known_to(model).presence([text], features, [(telling(encoding), valid)])
        )
        shares.append(said / encode)
        once.append(processor_seconds(names) / encode)
    share = statistics.median(shares)
    return {
        "what": "presence",
        "share of an encoding": round(share, 5),
        "once for the names": round(statistics.median(once), 3),
        "bar": BARS["presence share"],
        "met": share <= BARS["presence share"],
    }


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MB (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise SystemExit("Memory is measured through /proc, which this system does not have; run it on Linux.")


def measure_memory_here(model: ClipModel, batch: int, side: str) -> dict[str, Any]:
    pixels = torch.rand(batch, 3, model.side, model.side)
    for weight in model.module.parameters():
        weight.sum()
    model.reader.ids(queries(1))
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    (ours if side == "ours" else plain)(model, pixels, queries(batch))
    return {"side": side, "batch": batch, "MB": round(resident("VmHWM") - before, 1)}


def measure_memory(name: str, batch: int, threads: int) -> dict[str, Any]:
    found = {}
    for side in ("plain", "ours"):
        command = [sys.executable, __file__, "memory-of", "--model", name, "--threads", str(threads)]
        command += ["--batches", str(batch), "--side", side]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        found[side] = json.loads(result.stdout.splitlines()[-1])["MB"]
    bar = BARS["memory MB"].get(batch)
    return {
        "what": "memory",
        "batch": batch,
        "open_clip MB": found["plain"],
        "ours MB": found["ours"],
        "bar": bar,
        "met": bar is None or found["ours"] <= bar,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("all", "time", "memory", "queries", "presence", "memory-of"))
    parser.add_argument("--model", default="ViT-L-14-336", help="an architecture of open_clip")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--side", choices=("plain", "ours"), default="ours", help="of memory-of")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: list[dict[str, Any]] = []

    def report(result: dict[str, Any]) -> None:
        results.append(result)
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()

    if arguments.part == "memory-of":
        report(measure_memory_here(build(arguments.model), arguments.batches[0], arguments.side))
        return 0
    if arguments.part in ("all", "memory"):
        for batch in arguments.batches:
            report(measure_memory(arguments.model, batch, arguments.threads))
    if arguments.part in ("all", "time", "queries", "presence"):
        model = build(arguments.model)
        if arguments.part in ("all", "time"):
            for batch in arguments.batches:
                report(measure_time(model, batch, arguments.pairs))
        if arguments.part in ("all", "queries"):
            report(measure_queries(model))
        if arguments.part in ("all", "presence"):
            report(measure_presence(model))
    return 0 if all(result["met"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
