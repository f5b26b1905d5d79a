"""Runs the official code on given pictures and settings. Started by `clip_upstream.py` in a process of its own.

It calls the official functions from outside, by the names that `dir()` and `inspect.signature` show; nothing of them is
repeated here. Packages that the official module imports and this run does not need are stood in for.
"""

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import sys
import tempfile
import time
import types
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from PIL import Image

ABSENT: set[str] = set()


class _StandIn(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


class _StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        known = name.split(".")[0] in ABSENT
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def import_official(checkout: Path) -> types.ModuleType:
    """The official CLIP program as a module."""
    folder = checkout / "API" / "API_CLIP"
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    sys.meta_path.append(_StandInFinder())
    while (module := _try_import()) is None:
        pass
    return module


def _try_import() -> types.ModuleType | None:
    """The program, or None after learning of one more package that is absent here."""
    try:
        import main
    except ModuleNotFoundError as error:
        missing = str(error.name).split(".")[0]
        if missing in ABSENT:
            raise
        ABSENT.add(missing)
        return None
    return main


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def run(checkout: Path, job: dict, out: Path) -> None:
    """Build the model of `job`, make the maps and the prompted pictures, write them to `out` as .npz.

    `cost_N` holds the seconds of picture N's maps and the memory in MB that they took at most.
    """
    torch.set_num_threads(1)
    official = import_official(checkout)
    from clip_prs.utils import factory

    with tempfile.TemporaryDirectory() as folder:
        name = job["architecture"]
        if job["config"] is not None:
            name = "parity-model"
            Path(folder, f"{name}.json").write_text(json.dumps(job["config"]))
            factory.add_model_config(folder)
        model, _, preprocess = factory.create_model_and_transforms(name, force_quick_gelu=job["quick_gelu"])
        model.load_state_dict(torch.load(job["weights"], weights_only=True))
        model.eval()
        hook = official.hook_prs_logger(model, "cpu", job["layer"])
        tokenizer = factory.get_tokenizer(name)
        results: dict[str, np.ndarray] = {}
        for index, (picture, query) in enumerate(zip(job["pictures"], job["queries"], strict=True)):
            with Image.open(picture) as image:
                image.load()
                images = [image]
            before = resident("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
            start = time.perf_counter()
            with torch.no_grad():
                images, class_map, patch_map = official.gen_mask(
                    model, hook, preprocess, "cpu", tokenizer, images, [query]
                )
            cost = (time.perf_counter() - start, resident("VmHWM") - before)
            results[f"cost_{index}"] = np.array(cost)
            results[f"class_token_{index}"] = class_map[0].float().numpy()
            results[f"patch_{index}"] = patch_map[0].float().numpy()
            for number, (contrast, smoothing, interpolation, grey) in enumerate(job["settings"][index]):
                kernel = getattr(Image.Resampling, interpolation)
                prompted = official.blend_mask(
                    images[0], class_map[0], patch_map[0], "picture", contrast, smoothing, kernel, grey, folder
                )
                results[f"prompted_{index}_{number}"] = np.asarray(prompted)
        np.savez_compressed(out, **results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("job", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    run(arguments.checkout.resolve(), json.loads(arguments.job.read_text()), arguments.out.resolve())
