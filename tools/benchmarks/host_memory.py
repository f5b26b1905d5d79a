"""Memory of a real ComfyUI with this pack: is a freed model given back, and do many runs leave anything behind?

    python tools/benchmarks/host_memory.py free      # a random ViT-L (1.2 GB) is loaded, used, freed
    python tools/benchmarks/host_memory.py runs      # 200 queued runs with changing queries
    python tools/benchmarks/host_memory.py free --kind lvlm    # the same with a random LLaVA of 1.1 GB: asked,
    python tools/benchmarks/host_memory.py runs --kind lvlm    # and its attention read
    python tools/benchmarks/host_memory.py runs --kind explain --runs 100    # and its answers explained
    python tools/benchmarks/host_memory.py runs --kind core    # as many nodes of ComfyUI alone: what the host keeps
    python tools/benchmarks/host_memory.py soak --runs 2000    # all of it in turn, and the surer of two answers
    python tools/benchmarks/host_memory.py soak --runs 2000 --history cleared    # the same without ComfyUI's history

Needs a ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI and its packages in this Python. Prints one line of JSON.
"""

import argparse
import importlib
import importlib.util
import json
import sys
import tempfile
import time
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
LARGE = {"layers": 24, "width": 1024, "head_width": 64, "image_size": 224, "patch_size": 14}
ROUNDS = 2  # the C library treats a second large model differently from the first


def load_tests() -> tuple[ModuleType, ...]:
    """The modules of the end-to-end tests that start servers, build prompts, and make models: CLIPs, LVLMs of both
    sizes."""
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None:
        raise FileNotFoundError(f"There is no pack at {ROOT}.")
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    names = ("e2e.server", "e2e.prompts", "tiny", "zoo", "e2e.large_lvlm")
    return tuple(importlib.import_module(f"pack.tests.{name}") for name in names)


def settle(server: Any, seconds: float = 12.0) -> dict[str, Any]:
    """Wait until the server's resident memory stands still, and return what it says of itself."""
    time.sleep(2.0)
    before = server.get("/probe/memory")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(1.0)
        now = server.get("/probe/memory")
        if abs(now["resident"] - before["resident"]) < 1_000_000:
            return now
        before = now
    return before


def free(server: Any, seconds: float = 30.0) -> dict[str, Any]:
    """Free all memory as the user's button does, wait until no model is left, and return what the server then says."""
    server.free()
    deadline = time.monotonic() + seconds
    while server.get("/probe/memory")["alive"] and time.monotonic() < deadline:
        time.sleep(0.5)
    return settle(server)


def graph(prompts: ModuleType, kind: str, model: str, query: str) -> dict[str, Any]:
    """A whole job whose pictures are only shown, and a node that remembers the model."""
    if kind == "core":
        return without_us(prompts, query)
    if kind == "explain":
        return explaining(prompts, model, query)
    if kind == "lvlm":
        return {
            "pictures": prompts.pictures(1, 64, 96),
            "lvlm": prompts.load_lvlm(model),
            "heatmap": prompts.lvlm_heatmap("lvlm", "pictures", query, max_new_tokens=4),
            "mask": prompts.tune("heatmap"),
            "overlay": prompts.overlay("pictures", "mask"),
            "ask": prompts.ask("lvlm", "overlay", query, max_new_tokens=8),
            "answer": prompts.node("PreviewAny", source=["ask", 0]),
            "view": prompts.view("overlay", "mask"),
            "remember": prompts.node("ProbeRemember", model=["lvlm", 0]),
        }
    return {
        "pictures": prompts.pictures(1, 64, 96),
        "clip": prompts.load_clip(model),
        "heatmap": prompts.heatmap("clip", "pictures", query),
        "mask": prompts.tune("heatmap"),
        "overlay": prompts.overlay("pictures", "mask"),
        "view": prompts.view("overlay", "mask"),
        "remember": prompts.node("ProbeRemember", model=["clip", 0]),
    }


def without_us(prompts: ModuleType, query: str) -> dict[str, Any]:
    """As many of ComfyUI's own nodes as there are in a job of ours, each picture a new one: what the host keeps."""
    made = {
        "empty": prompts.node("EmptyImage", width=96, height=64, batch_size=1, color=zlib.crc32(query.encode()) >> 8)
    }
    for number, before in enumerate(("empty", "0", "1")):
        made[str(number)] = prompts.node("ImageInvert", image=[before, 0])
        made[f"{number} shown"] = prompts.node("PreviewImage", images=[str(number), 0])
    return made | {"text": prompts.node("PreviewAny", source=["empty", 0]), "remember": {}}


def explaining(prompts: ModuleType, model: str, query: str) -> dict[str, Any]:
    """An answer is asked for, another one explained; the map, the curves and the report are looked at."""
    return {
        "pictures": prompts.pictures(1, 64, 96, seed=sum(map(ord, query))),
        "lvlm": prompts.load_lvlm(model),
        "ask": prompts.ask("lvlm", "pictures", query, max_new_tokens=4),
        "answer": prompts.node("PreviewAny", source=["ask", 0]),
        "explain": prompts.explain("lvlm", "pictures", query, answer="a red star", words="red", method__steps=3),
        "view": prompts.view("pictures", "explain"),
        "report": prompts.node("PreviewAny", source=["explain", 1]),
        "curves": prompts.node("PreviewImage", images=["explain", 2]),
        "remember": prompts.node("ProbeRemember", model=["lvlm", 0]),
    }


def require_success(run: Any) -> Any:
    if run.ending != "execution_success":
        raise RuntimeError(f"The prompt ended with {run.ending}: {run.message or run.refused}")
    return run


def make_models(folder: Path, kind: str, *, large: bool) -> tuple[str, str]:
    """A tiny model and, if wanted, a large one in ComfyUI's model folders, by the names that workflows give them."""
    *_, tiny, zoo, large_lvlm = load_tests()
    place = folder / "models" / ("clip_vision" if kind == "clip" else "LLM")
    place.mkdir(parents=True)
    small = tiny.tiny_clip_folder(place / "tiny") if kind == "clip" else zoo.folder("llava-1.5", place)
    if large and kind == "clip":
        tiny.tiny_clip_folder(place / "large", vision=LARGE)
    elif large:
        large_lvlm.large_lvlm_folder(place / "large")
    return f"{place.name}/{small.name}", f"{place.name}/large"


def measure_free(folder: Path, kind: str, options: tuple[str, ...]) -> dict[str, Any]:
    """What of a large model's memory returns to the system when the user frees it, twice over."""
    servers, prompts, *_ = load_tests()
    small, large = make_models(folder, kind, large=True)
    with servers.started(folder, log=folder / "server.log", options=options) as server:
        require_success(server.run(graph(prompts, kind, small, "imports everything")))
        empty = free(server)
        rounds = []
        for number in range(ROUNDS):
            run = require_success(server.run(graph(prompts, kind, large, f"red square {number}")))
            model_bytes = int(next(text for text in run.outputs["remember"]["text"] if "bytes" in text).split("=")[1])
            loaded = settle(server)
            rounds.append((loaded, free(server)))
    given_back = [loaded["resident"] - freed["resident"] for loaded, freed in rounds]
    return {
        "model_bytes": model_bytes,
        "resident_empty": empty["resident"],
        "resident_loaded": [loaded["resident"] for loaded, _ in rounds],
        "resident_freed": [freed["resident"] for _, freed in rounds],
        "share_given_back": [round(given / model_bytes, 4) for given in given_back],
        "alive_after": max(freed["alive"] for _, freed in rounds),
    }


def measure_runs(folder: Path, kind: str, runs: int, settling: int, options: tuple[str, ...]) -> dict[str, Any]:
    """The slope of resident memory over runs, the first `settling` of them left out."""
    servers, prompts, *_ = load_tests()
    small, _ = make_models(folder, kind, large=False)
    resident = []
    with servers.started(folder, log=folder / "server.log", options=options) as server:
        for number in range(runs):
            work = graph(prompts, kind, small, f"red square number {number}")
            del work["remember"]
            require_success(server.run(work))
            resident.append(server.get("/probe/memory")["resident"])
    kept = np.asarray(resident[settling:], dtype=np.float64)
    slope, _ = np.polyfit(np.arange(len(kept)), kept, 1)
    return {"runs": runs, "fitted": len(kept), "bytes_per_run": round(float(slope)), "resident_last": resident[-1]}


def keeping_the_surer(prompts: ModuleType, model: str, query: str) -> dict[str, Any]:
    """A picture is magnified where the model looked, and the surer of both answers kept."""
    return {
        "pictures": prompts.pictures(1, 64, 96, seed=sum(map(ord, query))),
        "lvlm": prompts.load_lvlm(model),
        "heatmap": prompts.lvlm_heatmap("lvlm", "pictures", query, max_new_tokens=4),
        "mask": prompts.tune("heatmap"),
        "overlay": prompts.overlay("pictures", "mask"),
        "surer": prompts.surer("lvlm", "pictures", "overlay", query, max_new_tokens=4),
        "answer": prompts.node("PreviewAny", source=["surer", 0]),
        "shown": prompts.node("PreviewImage", images=["surer", 3]),
    }


def measure_soak(folder: Path, runs: int, *, keep_history: bool, options: tuple[str, ...]) -> dict[str, Any]:
    """Everything in turn: what two thirds of the runs leave in memory and on disk, and how long each third takes.

    keep_history: ComfyUI remembers the last 10,000 prompts with their results' names, which is most of what grows;
    without, its page's *clear* is pressed after each turn, and what still grows is a leak.
    """
    servers, prompts, *_ = load_tests()
    clip, _ = make_models(folder, "clip", large=False)
    lvlm, _ = make_models(folder, "lvlm", large=False)
    resident, seconds, on_disk = [], [], []
    with servers.started(folder, log=folder / "server.log", options=options) as server:
        for number in range(runs):
            query = f"red square number {number}"
            kind = ("clip", "lvlm", "surer", "clip", "lvlm", "explain")[number % 6]
            work = (
                keeping_the_surer(prompts, lvlm, query)
                if kind == "surer"
                else graph(prompts, kind, clip if kind == "clip" else lvlm, query)
            )
            work.pop("remember", None)
            begun = time.monotonic()
            require_success(server.run(work))
            seconds.append(time.monotonic() - begun)
            if number % 6 == 5:
                if not keep_history:
                    server.post("/history", {"clear": True})
                resident.append(server.get("/probe/memory")["resident"])
                on_disk.append([file_bytes(folder / "temp" / "attention_prompting"), file_bytes(folder / "temp")])
    third = len(resident) // 3
    kept = np.asarray(resident[third:], dtype=np.float64)
    slope, _ = np.polyfit(6 * np.arange(len(kept)), kept, 1)
    return {
        "runs": runs,
        "fitted": 6 * len(kept),
        "bytes_per_run": round(float(slope)),
        "resident_last": resident[-1],
        "faces_and_all_temp_bytes_after_thirds": [on_disk[third], on_disk[2 * third], on_disk[-1]],
        "median_seconds_of_thirds": [round(float(np.median(part)), 3) for part in np.array_split(seconds, 3)],
    }


def file_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["free", "runs", "soak"])
    parser.add_argument("--kind", choices=["clip", "lvlm", "explain", "core"], default="clip")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--settle", type=int, default=50, help="runs at the start that are not fitted")
    parser.add_argument("--folder", type=Path, help="where the server keeps its files (default: a temporary folder)")
    parser.add_argument(
        "--cache", choices=["classic", "default"], default="classic", help="default keeps older runs' results in memory"
    )
    parser.add_argument("--history", choices=["kept", "cleared"], default="kept", help="of ComfyUI, in a soak")
    given = parser.parse_args()
    options = ("--cache-classic",) if given.cache == "classic" else ()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if given.what == "free":
            report = measure_free(folder, given.kind, options)
        elif given.what == "soak":
            report = measure_soak(folder, given.runs, keep_history=given.history == "kept", options=options)
        else:
            report = measure_runs(folder, given.kind, given.runs, given.settle, options)
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
