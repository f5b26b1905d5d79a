"""Compare `llava_api(reading="upstream")` with the paper's package, run live with the same random weights.

    python tools/parity/llava_upstream.py PACKAGES --python OLD_PYTHON [--keep]

PACKAGES is a folder that holds the packages `apiprompting` (0.1.0rc2) and `apillava` (0.1.0), as `pip install --no-deps
--target` puts them there. OLD_PYTHON is a Python with torch, torchvision, safetensors and tokenizers 0.13.3, which they
were made for; they run there (`official_llava.py`), on the CPU and in single precision. The model is a tiny random
LLaVA-1.5 with the published 336 pixels and 24 x 24 tokens. For each picture and layer this prints whether prompt and
answer are the same tokens, the largest difference of the raw maps, relative to their spread, and of the prompted
pictures, in grey levels; it ends with 1 where a bar is missed. --keep rewrites the fixture of the tests.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from pack_loading import load_pack

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "core" / "fixtures" / "official_llava.npz"


load_pack()

from pack.tests.core.fixtures import official_llava_cases as cases  # noqa: E402
from pack.tests.core.fixtures.official_llava_compare import compare, our_outputs  # noqa: E402


def run_official(packages: Path, python: Path, model: Path, place: Path) -> dict[str, np.ndarray]:
    """The official numbers of all cases, by the names that `official_llava.py` gives them."""
    pictures = []
    for index, case in enumerate(cases.CASES):
        pictures.append(str(place / f"{index}.png"))
        cases.make_picture(case).save(pictures[-1])
    job = {
        "model": str(model),
        "layers": cases.LAYERS,
        "pictures": pictures,
        "questions": [case.question for case in cases.CASES],
        "settings": cases.SETTINGS,
    }
    (place / "job.json").write_text(json.dumps(job))
    runner = Path(__file__).with_name("official_llava.py")
    subprocess.run([python, "-W", "ignore", runner, packages, place / "job.json", place / "out.npz"], check=True)
    with np.load(place / "out.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, help="folder of the packages apiprompting and apillava")
    parser.add_argument("--python", type=Path, required=True, help="the Python that runs them")
    parser.add_argument("--keep", action="store_true", help="rewrite the fixture of the tests")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        model = cases.save_model(Path(place, "tiny"))
        official = run_official(options.packages, options.python, model, Path(place))
        found = []
        for layer in cases.LAYERS:
            for index, case in enumerate(cases.CASES):
                found.append(compare(official, our_outputs(model, index, layer), index, layer))
                print(f"layer {layer}, {case.width} x {case.height}: {found[-1]}")
    if options.keep:
        np.savez_compressed(FIXTURE, **official)
        print(f"wrote {FIXTURE}, {FIXTURE.stat().st_size} bytes")
    return int(not all(one.passes for one in found))


if __name__ == "__main__":
    sys.exit(main())
