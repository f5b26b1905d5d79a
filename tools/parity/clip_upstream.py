"""Compare the upstream reading with the official code, run live with the same random weights.

    python tools/parity/clip_upstream.py path/to/apiprompting            # a tiny model: under a minute
    python tools/parity/clip_upstream.py path/to/apiprompting --big      # ViT-L-14-336: minutes a picture, 6 GB
    python tools/parity/clip_upstream.py path/to/apiprompting --keep     # and rewrite the fixture of the tests

The checkout is github.com/yu-rp/apiprompting. Its CLIP program runs in a process of its own (`official_runner.py`). For
each picture this prints the largest difference of the raw maps, relative to their spread, and of the prompted pictures,
in grey levels; it ends with 1 where a bar is missed. Two float32 programs round differently in the last place, and the
official mask is cut to 8 bits: a cell within that rounding of a whole level falls to either side. So one value in a
million may be off by more than a level (a resizing filter's overshoot makes two of one).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pack_loading import load_pack

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "core" / "fixtures" / "official_clip"
MAP_BAR = 1e-4
BEYOND_ONE_LEVEL_BAR = 1e-6


load_pack()

from pack.api_core.models.clip import ClipModel, PictureSpec, build_clip  # noqa: E402
from pack.tests.core.fixtures import official_clip_cases as cases  # noqa: E402
from pack.tests.core.fixtures.official_clip_compare import compare, our_outputs  # noqa: E402


def commit_of(checkout: Path, given: str | None) -> str:
    """The commit that is compared with: given, or the checkout's own."""
    if given:
        return given
    asked = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def run_official(checkout: Path, layer: int, big: bool, chosen: list, settings: list, weights: Path) -> dict:
    """The official maps and prompted pictures of the chosen cases, by the names `official_runner.py` gives them."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = []
        for index, case in enumerate(chosen):
            path = Path(folder, f"{index}.png")
            cases.make_picture(case).save(path)
            pictures.append(str(path))
        job = {
            "architecture": cases.BIG_ARCHITECTURE,
            "config": None if big else {**cases.TINY_CONFIG, "quick_gelu": True},
            "quick_gelu": True,
            "weights": str(weights),
            "layer": layer,
            "pictures": pictures,
            "queries": [case.query for case in chosen],
            "settings": settings,
        }
        job_path, out = Path(folder, "job.json"), Path(folder, "out.npz")
        job_path.write_text(json.dumps(job))
        runner = Path(__file__).with_name("official_runner.py")
        command = [sys.executable, "-W", "ignore", runner, checkout, job_path, out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # it prints a path per picture
        with np.load(out) as arrays:
            return {name: arrays[name] for name in arrays.files}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of the official repository")
    parser.add_argument("--big", action="store_true", help="ViT-L-14-336 with random weights instead of a tiny model")
    parser.add_argument("--keep", action="store_true", help="rewrite the fixture of the tests (tiny model only)")
    parser.add_argument("--commit", help="the checkout's commit, where it has no git history of its own")
    options = parser.parse_args()
    torch.set_num_threads(1)
    from open_clip import CLIP, get_model_config
    from open_clip.tokenizer import SimpleTokenizer

    config = get_model_config(cases.BIG_ARCHITECTURE) if options.big else cases.TINY_CONFIG
    module = CLIP(**{**config, "quick_gelu": True}).eval().requires_grad_(False)
    module.load_state_dict(cases.random_state(module, seed=0))
    model = build_clip(
        module,
        library="open_clip",
        name="random",
        preprocess=PictureSpec(config["vision_cfg"]["image_size"]),
        tokenize=SimpleTokenizer(),
    )
    chosen = list(cases.CASES[3:4] if options.big else cases.CASES)
    worst_map = worst_level = 0.0
    beyond = values = 0
    kept: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "weights.pt")
        torch.save(module.state_dict(), weights)
        for layer in cases.BIG_LAYERS if options.big else cases.TINY_LAYERS:
            settings = [cases.all_settings()] * len(chosen)
            official = run_official(options.checkout, layer, options.big, chosen, settings, weights)
            for index, case in enumerate(chosen):
                ours = our_outputs(model, case, layer, settings[index])
                result = compare(official, ours, index)
                print(f"layer {layer}, {case.width} x {case.height} {case.mode}: {result}")
                worst_map, worst_level = max(worst_map, result.maps), max(worst_level, result.levels)
                beyond, values = beyond + result.beyond, values + result.values
            seconds, megabytes = official["cost_0"]
            own = own_seconds(model, chosen[0].query)
            print(
                f"layer {layer}, the maps of one picture: official {seconds:.2f} s and {megabytes:.0f} MB, "
                f"this pack {own:.2f} s, ratio {seconds / own:.0f}"
            )
            if options.keep and not options.big:
                kept.update(pick_kept(official, layer, len(chosen)))
    print(f"worst: maps {worst_map:.2g} (bar {MAP_BAR:g}), prompted {worst_level:g} levels")
    print(f"{beyond} of {values} values differ by more than one level (bar {BEYOND_ONE_LEVEL_BAR:g} of them)")
    if kept:
        FIXTURE.parent.mkdir(exist_ok=True)
        np.savez_compressed(FIXTURE.with_suffix(".npz"), **kept)
        about = {"repository": "github.com/yu-rp/apiprompting", "commit": commit_of(options.checkout, options.commit)}
        FIXTURE.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n")
    return int(worst_map > MAP_BAR or beyond > BEYOND_ONE_LEVEL_BAR * values)


def own_seconds(model: ClipModel, query: str) -> float:
    """The time of one picture's two maps and its text, the median of three."""
    pixels = torch.rand(1, 3, model.side, model.side)
    taken = []
    for number in range(4):  # the first warms up
        start = time.perf_counter()
        features = model.encode_texts([f"{query} {number}"])
        (encoding,) = model.encode_pictures(pixels)
        encoding.class_token(features), encoding.patch(features)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def pick_kept(official: dict, layer: int, count: int) -> dict:
    """What the fixture holds of a run: every raw map, and the prompted pictures of `kept_settings`."""
    everything = cases.all_settings()
    kept = {}
    for index in range(count):
        for part in ("class_token", "patch"):
            kept[f"{layer}_{part}_{index}"] = official[f"{part}_{index}"]
        for number, setting in enumerate(cases.kept_settings(index, layer)):
            kept[f"{layer}_prompted_{index}_{number}"] = official[f"prompted_{index}_{everything.index(setting)}"]
    return kept


if __name__ == "__main__":
    sys.exit(main())
