"""Compare VCD and M3ID with the programs in AvisC's repository, run live with the same random weights.

    python tools/parity/decodings_upstream.py CHECKOUT --python OLD_PYTHON [--keep]

CHECKOUT is a working copy of github.com/sangminwoo/AvisC, which brings both and its own LLaVA (its AvisC takes the
picture's tokens to begin at place 35, as they do with the published tokeniser alone). OLD_PYTHON is a Python with
torch, torchvision, safetensors and transformers 4.31, which it was made for; it runs there (`official_decodings.py`),
on the CPU and in single precision, and takes the likeliest word instead of drawing one. The model is the tiny LLaVA of
`llava_upstream.py`. VCD's noise comes from torch's generator with the same seed. For each case and decoding this prints
whether prompt and answer are the same tokens, and the largest difference of the joined scores of any step; it ends with
1 where a bar is missed. --keep rewrites the fixture of the tests.
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
FIXTURE = ROOT / "tests" / "core" / "fixtures" / "official_decodings.npz"


load_pack()

from pack.tests.core.fixtures import official_decoding_compare as ways  # noqa: E402
from pack.tests.core.fixtures import official_llava_cases as cases  # noqa: E402


def run_official(checkout: Path, python: Path, model: Path, place: Path) -> dict[str, np.ndarray]:
    """The official numbers of all cases, by the names that `official_decodings.py` gives them."""
    asked = cases.CASES[: ways.COUNT]
    for index, case in enumerate(asked):
        cases.make_picture(case).save(place / f"{index}.png")
    job = {
        "model": str(model),
        "pictures": [str(place / f"{index}.png") for index in range(len(asked))],
        "questions": [case.question for case in asked],
        "decodings": ways.OFFICIAL,
        "steps": ways.STEPS,
    }
    (place / "job.json").write_text(json.dumps(job))
    runner = Path(__file__).with_name("official_decodings.py")
    subprocess.run([python, "-W", "ignore", runner, checkout, place / "job.json", place / "out.npz"], check=True)
    with np.load(place / "out.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of the official repository")
    parser.add_argument("--python", type=Path, required=True, help="the Python that runs it")
    parser.add_argument("--keep", action="store_true", help="rewrite the fixture of the tests")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = cases.save_model(Path(place, "tiny"))
        official = run_official(options.checkout, options.python, folder, Path(place))
        model = ways.load(folder)
        found = []
        for index in range(ways.COUNT):
            for name, decoding in ways.DECODINGS.items():
                found.append(ways.compare(official, ways.our_outputs(model, index, decoding), index, name))
                print(f"case {index}, {name}: {found[-1]}")
    if options.keep:
        np.savez_compressed(FIXTURE, **official)
        print(f"wrote {FIXTURE}, {FIXTURE.stat().st_size} bytes")
    return int(not all(one.passes for one in found))


if __name__ == "__main__":
    sys.exit(main())
