"""What the frames of a long clip take beside the masks, and beside the pictures that the caller or ComfyUI holds.

    python tools/benchmarks/clip_memory.py [--frames 300] [--height 720] [--width 1280] [--every 1] [--model tiny-clip]

Steps of the library, the nodes on the tests' double of ComfyUI, and the command line with a folder of frames. Each
line: the most that the step took at any time and what it left, in MB, without what it is there to give (masks, prompted
pictures); of the command everything. Each part runs in a process of its own, after a warm-up with a few frames. Linux.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

ROOT = Path(__file__).resolve().parents[2]
QUERY = "the red star"
WARM_UP = 40
MB = 1_000_000
T = TypeVar("T")


def load(name: str) -> Any:
    """A module of this checkout, under the name that the tests give the pack."""
    if "pack" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        if spec is None:
            raise SystemExit(f"There is no pack at {ROOT}.")
        sys.modules["pack"] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"pack.{name}")


def status(field: str) -> int:
    """What Linux says of this process's memory, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) * 1024


def settle() -> None:
    """Give everything back that nobody holds, and start the peak anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measured(name: str, work: Callable[[], T], given: Callable[[T], int] = lambda _: 0) -> T:
    """The result of `work`, whose memory is said. given: bytes of what it is there to give."""
    settle()
    before = status("VmRSS")
    result = work()
    peak = status("VmHWM")
    settle()
    own = before + given(result)
    most, left = ((bytes_ - own) / MB for bytes_ in (peak, status("VmRSS")))
    print(f"{name}: at most {most:.0f} MB, left {left:.0f} MB", flush=True)
    return result


def bytes_of(values: torch.Tensor) -> int:
    return values.numel() * values.element_size()


def make_clip(frames: int, size: tuple[int, int]) -> torch.Tensor:
    """Frames [T, H, W, 3] of noise: no two alike, so that nothing that is kept serves twice."""
    torch.manual_seed(frames)
    return torch.rand(frames, *size, 3)


def library(args: argparse.Namespace, frames: int) -> None:
    """The calls of a caller who holds all pictures."""
    core = load("api_core")
    model = core.load_clip(args.model)
    pictures = make_clip(frames, args.size)
    heatmap = measured(
        "library, clip_heatmap", lambda: core.clip_heatmap(model, list(pictures), QUERY, every=args.every)
    )
    tuned = measured(
        "library, tune",
        lambda: core.tune(heatmap, scale="whole batch", steady=1),
        lambda tuned: bytes_of(tuned.batch),
    )
    measured("library, overlay.apply", lambda: core.overlay.apply(pictures, tuned.batch, core.FadeStyle()), bytes_of)


def nodes(args: argparse.Namespace, frames: int) -> None:
    """The nodes of the shipped workflow, as ComfyUI executes them."""
    with tempfile.TemporaryDirectory() as folder:
        load("tests.comfy_double").install(Path(folder) / "models")
        extension = load("nodes").create_extension()
        asyncio.run(extension.on_load())
        found = {node.define_schema().node_id: node for node in asyncio.run(extension.get_node_list())}
        hidden = importlib.import_module("comfy_api.latest").io.Hidden

        def run(node_id: str, **inputs: Any) -> Any:
            node = found[node_id].PREPARE_CLASS_CLONE({"hidden_inputs": {hidden.unique_id: "1"}})
            with torch.inference_mode():
                return node.execute(**inputs).args[0]

        clip = run("AttnPromptLoadCLIP", model=args.model, precision="fp32", allow_download=False)
        pictures = make_clip(frames, args.size)
        how = {"query": QUERY, "method": "decomposition", "layer": "auto", "reading": "precise", "fit": "auto"}
        heatmap = measured(
            "node, CLIP Heatmap",
            lambda: run("AttnPromptCLIPHeatmap", clip=clip, image=pictures, every=args.every, **how),
        )
        tune = {"scale": "whole batch", "steady": 1}
        masks = measured(
            "node, Smooth & Enhance Mask", lambda: run("AttnPromptTuneMask", heatmap=heatmap, **tune), bytes_of
        )
        style = {"style": "fade to grey", "level": 0.0}
        measured(
            "node, Overlay Attention",
            lambda: run("AttnPromptOverlay", image=pictures, mask=masks, strength=1.0, style=style),
            bytes_of,
        )


def command(args: argparse.Namespace, frames: int) -> None:
    """The command line, which holds no pictures and no masks."""
    main = load("api_core.command_line").main
    to_pil = load("api_core").to_pil
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        for number in range(frames):
            torch.manual_seed(number)
            coarse = torch.rand(1, 3, 9, 16)
            picture = torch.nn.functional.interpolate(coarse, args.size, mode="bilinear")[0].movedim(0, -1)
            to_pil(picture).save(source / f"{number}.jpg")
        given = ["prompt", str(source), QUERY, "-o", f"{folder}/out", "--model", args.model]
        given += ["--clip", "--steady", "1", "--every", str(args.every)]

        def work() -> None:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                if main(given):
                    raise SystemExit("The command failed.")

        measured("command, prompt --clip", work)


def measure(part: Callable[[argparse.Namespace, int], None], args: argparse.Namespace) -> None:
    """A part of it, first quietly with a few frames: what the first run brings into memory is not the clip's."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        part(args, min(WARM_UP, args.frames))
    part(args, args.frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="tiny-clip")
    args = parser.parse_args()
    args.size = (args.height, args.width)
    # The C library keeps freed blocks below a size that grows, for whoever asks next: tens of MB that nobody uses.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(1 << 18)
    processes = multiprocessing.get_context("spawn")
    for part in (library, nodes, command):
        process = processes.Process(target=measure, args=(part, args))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{part.__name__} ended with {process.exitcode}.")


if __name__ == "__main__":
    main()
