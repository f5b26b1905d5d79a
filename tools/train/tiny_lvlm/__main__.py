"""Train the embedded tiny LVLM: bank, patch stage of the tower, answers, export. Run it again to go on after a stop.

    python -m tools.train.tiny_lvlm --work out/tiny_lvlm

It starts from the vision tower of the embedded tiny CLIP. Everything lands in --work (log, checkpoints, a bank of 4 GB
at the default size); --install copies the result into the package, at every checkpoint; --unguided trains the twin
without a loss on attention (it shares bank and tower with the run of the same --work; the rest is in `unguided` there).
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any

import torch

from api_core.embedded import embedded_folder

from ..tiny_clip.export import reload
from .bank import build_bank
from .export import export
from .network import build_network
from .tower import TowerSettings, as_transformers, train_tower
from .training import AnswerSettings, train_answers

_PACKAGED = Path(__file__).resolve().parents[3] / "api_core" / "embedded" / "tiny_lvlm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=100_000, help="pictures in the bank")
    parser.add_argument("--tower-images", type=int, default=TowerSettings.images)
    parser.add_argument("--answers", type=int, default=AnswerSettings.answers)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--unguided", action="store_true", help="no loss on attention")
    parser.add_argument("--install", action="store_true", help="put the finished model into the package")
    options = parser.parse_args()
    folder = options.work / "unguided" if options.unguided else options.work
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(folder / "train.log")],
    )
    log = logging.getLogger("tiny_lvlm")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    workers = min(os.cpu_count() or 1, options.threads)
    bank = build_bank(options.work / "bank", options.scenes, workers)
    held_out = build_bank(options.work / "held_out", 2_000, workers, stream="development")
    log.info("bank ready: %d pictures", len(bank))

    visual: Any = reload(embedded_folder("tiny-clip")).visual
    train_tower(visual, bank, held_out, options.work, TowerSettings(images=options.tower_images), options.seed)
    model = build_network(as_transformers(visual))
    settings = AnswerSettings(answers=options.answers, guide=0.0 if options.unguided else AnswerSettings.guide)

    def write() -> None:
        for place in [folder / "model", *([_PACKAGED] if options.install else [])]:
            log.info("wrote %s, %d bytes of weights", place, export(model, place))

    train_answers(model, bank, held_out, folder, settings, options.seed, on_checkpoint=write)


if __name__ == "__main__":
    main()
