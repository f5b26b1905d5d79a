"""Prompting a folder of pictures beside open_clip's own encoding of the same pictures, end to end. CPU.

    python tools/benchmarks/folder_throughput.py --pictures 500

ours: the command `prompt FOLDER`, which loads its model for every part of the folder.
baseline: open_clip's own preprocessing, encode_image and encode_text of each picture, which is then written as Pillow
writes PNG: a loop in one process. baseline, our writer: the same loop with this program's threads and PNG settings, so
that nothing but the heatmap and the drawing differs. All decode the same JPEG files and write PNG of the same size; the
three take turns over parts of the folder, so that what else the machine does falls on all. Pictures are photographs in
what costs time: smooth colours under grain. pixels: whether what was written is the drawn picture, to the level.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from api_core.autograd import frozen  # noqa: E402
from api_core.command_line import main as command  # noqa: E402
from api_core.models.clip.load import load_clip  # noqa: E402
from api_core.pictures import PNG, to_picture, to_pil  # noqa: E402
from api_core.prompting import prompt_picture  # noqa: E402
from api_core.writing import Writing  # noqa: E402

BAR = 0.8
QUERY = "where is the red star?"


def draw(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """JPEG files of colours that change slowly, under grain."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.float32)
        grain = rng.normal(0, 4, smooth.shape).astype(np.float32)
        paths.append(folder / f"{number:04}.jpg")
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(paths[-1], quality=92)
    return paths


def ours(model: str, source: Path, out: Path) -> None:
    with open(os.devnull, "w", encoding="utf-8") as silence, redirect_stdout(silence):
        if command(["prompt", str(source), QUERY, "-o", str(out), "--model", model, "--device", "cpu"]):
            raise SystemExit("prompt failed")


class Baseline:
    """open_clip's own encoding in a loop, in the way of its README."""

    def __init__(self, name: str) -> None:
        import open_clip

        self.model = load_clip(name, device="cpu")
        spec = self.model.spec
        self.preprocess = open_clip.image_transform(spec.side, is_train=False, mean=spec.mean, std=spec.std)

    def encode(self, path: Path) -> Image.Image:
        image = Image.open(path).convert("RGB")
        with frozen():
            self.model.module.encode_image(self.preprocess(image)[None])
            self.model.module.encode_text(self.model.reader.ids([QUERY]))
        return image

    def plainly(self, source: Path, out: Path) -> None:
        out.mkdir()
        for path in sorted(source.iterdir()):
            self.encode(path).save(out / f"{path.stem}.png")

    def with_our_writer(self, source: Path, out: Path) -> None:
        out.mkdir()
        with Writing() as writing:
            for path in sorted(source.iterdir()):
                writing.submit(partial(self.encode(path).save, out / f"{path.stem}.png", **PNG))
            writing.require_written()


def timed(work: Callable[[Path, Path], None], source: Path, out: Path) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work(source, out)
    return time.perf_counter() - wall, time.process_time() - processor


def same_pixels(model: str, paths: Sequence[Path], out: Path) -> bool:
    """Whether what was written is what the library draws, to the level."""
    clip = load_clip(model, device="cpu")
    for path in paths:
        drawn = np.asarray(to_pil(prompt_picture(to_picture(path), QUERY, model=clip).picture))
        with Image.open(out / f"{path.stem}.png") as written:
            if not np.array_equal(np.asarray(written), drawn):
                return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--turns", type=int, default=5, help="parts of the folder, each done by all three")
    parser.add_argument("--size", type=int, nargs=2, default=(1600, 1200), metavar=("W", "H"))
    parser.add_argument("--model", default="tiny-clip")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    baseline = Baseline(arguments.model)
    works: dict[str, Callable[[Path, Path], None]] = {
        "ours": partial(ours, arguments.model),
        "baseline": baseline.plainly,
        "baseline, our writer": baseline.with_our_writer,
    }
    per_turn = max(1, arguments.pictures // arguments.turns)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    same = True
    for turn in range(arguments.turns + 1):  # the first one is not counted: it warms up
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "in"
            source.mkdir()
            paths = draw(source, per_turn if turn else 4, *arguments.size)
            order = list(works)[turn % 3 :] + list(works)[: turn % 3]
            for number, name in enumerate(order):
                spent = timed(works[name], source, Path(folder) / str(number))
                if turn:
                    seconds[name].append(spent)
            same = same and same_pixels(arguments.model, paths[:2], Path(folder) / str(order.index("ours")))
    found = {
        name: {
            "ms a picture": round(1000 * statistics.median(wall for wall, _ in spent) / per_turn, 1),
            "processor ms": round(1000 * statistics.median(processor for _, processor in spent) / per_turn, 1),
        }
        for name, spent in seconds.items()
    }
    ratios = {
        name: [round(other[0] / own[0], 3) for own, other in zip(seconds["ours"], seconds[name], strict=True)]
        for name in ("baseline", "baseline, our writer")
    }
    ratio = statistics.median(ratios["baseline"])
    result = {
        "pictures": per_turn * arguments.turns,
        "size": arguments.size,
        "model": arguments.model,
        **found,
        "throughput ratio": ratio,
        "by turn": ratios["baseline"],
        "beside our writer": statistics.median(ratios["baseline, our writer"]),
        "pixels": same,
        "bar": BAR,
        "met": same and ratio >= BAR,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
