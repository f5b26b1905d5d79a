"""What the fade overlay costs beside the same formula in float64 numpy: time and extra memory.

    python tools/benchmarks/overlay_cost.py [--megapixels 12 24] [--repeats 7]

Times are medians of alternating pairs in one process. Memory is the rise of the peak resident size over what the inputs
take, each measured in a process of its own. The bar: at most half the time and half the extra memory.
"""

import argparse
import functools
import importlib
import importlib.util
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
SIZES = {12: (3000, 4000), 24: (4000, 6000)}
COLOR = (0.2, 0.3, 0.4)
PACKAGE = "attention_prompting_core"


def load_overlay() -> ModuleType:
    """The library from this checkout, without the repository's root on the path (its `nodes` would hide ComfyUI's)."""
    if PACKAGE not in sys.modules:
        folder = ROOT / "api_core"
        spec = importlib.util.spec_from_file_location(
            PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise SystemExit(f"There is no library at {folder}.")
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[PACKAGE])
    return importlib.import_module(f"{PACKAGE}.overlay")


def inputs(megapixels: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    height, width = SIZES[megapixels]
    return torch.rand(height, width, 3, generator=generator), torch.rand(height, width, generator=generator)


def ours(picture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    overlay = load_overlay()
    return overlay.apply(picture, mask, overlay.FadeStyle(COLOR))


def styled(name: str, picture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    overlay = load_overlay()
    return overlay.apply(picture, mask, getattr(overlay, name)())


def numpy_blend(picture: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    weight = mask.numpy().astype(np.float64)[..., None]
    return picture.numpy().astype(np.float64) * weight + (1 - weight) * np.array(COLOR)


Way = Callable[[torch.Tensor, torch.Tensor], object]
WAYS: dict[str, Way] = {"ours": ours, "float64 numpy": numpy_blend}
OTHER_STYLES: dict[str, Way] = {
    name: functools.partial(styled, name) for name in ("BlurStyle", "DesaturateStyle", "HeatStyle", "OutlineStyle")
}


def peak_megabytes() -> float:
    """This process's own peak; on Linux getrusage would count what the parent held as well."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure_memory(way: str, megapixels: int, answer: "multiprocessing.Queue[float]") -> None:
    picture, mask = inputs(megapixels)
    draw = {**WAYS, **OTHER_STYLES}[way]
    draw(picture[:64], mask[:64])
    before = peak_megabytes()
    draw(picture, mask)
    answer.put(peak_megabytes() - before)


def extra_memory(way: str, megapixels: int) -> float:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=measure_memory, args=(way, megapixels, answer))
    process.start()
    megabytes = answer.get()
    process.join()
    return megabytes


def times(megapixels: int, repeats: int) -> dict[str, float]:
    picture, mask = inputs(megapixels)
    difference = np.abs(ours(picture, mask).numpy() - numpy_blend(picture, mask)).max()
    if difference > 1e-6:
        raise SystemExit(f"The two blends differ by {difference:.2g}; they must agree to 1e-6.")
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, blend in WAYS.items():
            start = time.perf_counter()
            blend(picture, mask)
            spent[way].append(time.perf_counter() - start)
    return {way: statistics.median(values) for way, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=int, nargs="+", choices=sorted(SIZES), default=sorted(SIZES))
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    out = sys.stdout.write
    out(f"{'picture':>8}  {'what':<14}{'ours':>10}{'float64 numpy':>16}{'ratio':>8}\n")
    for megapixels in arguments.megapixels:
        memory = {way: extra_memory(way, megapixels) for way in WAYS}
        seconds = times(megapixels, arguments.repeats)
        for what, found, unit in (("time", seconds, "s"), ("extra memory", memory, "MB")):
            mine, theirs = found["ours"], found["float64 numpy"]
            digits = 3 if unit == "s" else 0
            shown = f"{mine:.{digits}f} {unit}", f"{theirs:.{digits}f} {unit}"
            out(f"{megapixels:>5} MP  {what:<14}{shown[0]:>10}{shown[1]:>16}{mine / max(theirs, 1e-9):>8.2f}\n")
        picture_size = 3 * 4 * SIZES[megapixels][0] * SIZES[megapixels][1] / 2**20
        for name in OTHER_STYLES:
            times_picture = extra_memory(name, megapixels) / picture_size
            out(f"{megapixels:>5} MP  {name}: extra memory {times_picture:.2f} x the picture as float32\n")


if __name__ == "__main__":
    main()
