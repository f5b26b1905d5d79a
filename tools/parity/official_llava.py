"""Runs the package `apiprompting` on given pictures with a LLaVA. Started by `llava_upstream.py` in another Python.

It is called by the names that its documentation and `dir()` show; nothing of it is repeated here.
"""

import argparse
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from official_model import OnCpu, Tokenizer, build
from PIL import Image


def run(packages: Path, job: dict, out: Path) -> None:
    """Write to `out` as .npz, by case: the tokens of prompt and answer, each layer's map and prompted picture."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(packages))
    for name in ("apiprompting.api_clip", "apiprompting.api_clip.main"):  # the other half, which is not run
        sys.modules[name] = types.ModuleType(name)
    sys.modules["apiprompting.api_clip.main"].clip_api = None
    import apillava.transformers as library
    from apillava.model.language_model import llava_llama
    from apiprompting.api_llava import main

    folder = Path(job["model"])
    tokenizer = Tokenizer(folder)
    results: dict[str, np.ndarray] = {}
    made_mask, seen = main.getmask, {}

    def getmask(args: object) -> object:
        mask, said = made_mask(args)
        seen["mask"] = mask
        return mask, said

    main.getmask = getmask
    for layer in job["layers"]:
        model, images = build(folder, llava_llama, library)
        generate = model.generate

        def noting(ids: torch.Tensor, generate: object = generate, **more: object) -> torch.Tensor:
            found = generate(ids, **more)
            seen["prompt"], seen["answer"] = ids[0], found[0, ids.shape[1] :]
            return found

        model.generate = noting
        main.get_model = lambda name, model=model, images=images: (tokenizer, model, images, 2048, name)
        for index, (picture, question) in enumerate(zip(job["pictures"], job["questions"], strict=True)):
            contrast, smoothing, interpolation, grey = job["settings"][index]
            with OnCpu(), Image.open(picture) as image:
                (prompted,) = main.llava_api(
                    [image], [question], "llava-v1.5-7b", layer_index=layer, enhance_coe=contrast,
                    kernel_size=smoothing, interpolate_method_name=interpolation, grayscale=grey,
                )  # fmt: skip
            results[f"prompted_{layer}_{index}"] = np.asarray(prompted)
            results[f"map_{layer}_{index}"] = seen["mask"].float().numpy()
            results[f"prompt_{index}"] = seen["prompt"].numpy().astype(np.int16)
            results[f"answer_{index}"] = seen["answer"].numpy().astype(np.int16)
    np.savez_compressed(out, **results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("job", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    run(arguments.packages.resolve(), json.loads(arguments.job.read_text()), arguments.out.resolve())
