"""Train the embedded tiny CLIP from nothing: bank, dense stage, map stage, export. Run it again to go on after a stop.

    python -m tools.train.tiny_clip --work out/tiny_clip

Everything lands in --work (log, checkpoints, bank: about 7 GB at the default size); --install copies the result into
the package.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import torch

from .bank import build_bank
from .dense import DenseSettings, train_dense
from .evaluation import draw_held_out
from .export import export
from .maps import MapSettings, train_maps
from .network import build_network
from .pairs import held_out_pairs, rows_without
from .vocabulary import open_tokenizer, write_merges

_PACKAGED = Path(__file__).resolve().parents[3] / "api_core" / "embedded" / "tiny_clip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--scenes", type=int, default=120_000, help="size of the bank")
    parser.add_argument("--dense-images", type=int, default=DenseSettings.images)
    parser.add_argument("--map-images", type=int, default=MapSettings.images)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hold-out-pairs", type=int, default=0, help="colour-shape pairs never shown nor asked for")
    parser.add_argument("--install", action="store_true", help="put the finished model into the package")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(options.work / "train.log")],
    )
    log = logging.getLogger("tiny_clip")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    workers = min(os.cpu_count() or 1, options.threads)
    bank = build_bank(options.work / "bank", options.scenes, workers)
    held_out = build_bank(options.work / "held_out", 1_500, workers, stream="development")
    unseen = held_out_pairs(options.hold_out_pairs)
    rows = rows_without(bank.kinds, unseen)
    log.info("bank ready: %d scenes, %d of them used", len(bank), len(rows))

    merges = options.work / "merges.txt.gz"
    model = build_network(options.layers, write_merges(merges))
    if not (options.work / "maps.pt").exists():
        dense = DenseSettings(images=options.dense_images)
        train_dense(model, bank, held_out, options.work, dense, options.seed, rows)
    tokenizer = open_tokenizer(merges)
    settings = MapSettings(images=options.map_images)
    train_maps(model, tokenizer, bank, draw_held_out(250), options.work, settings, options.seed, rows, unseen)

    for folder in [options.work / "model", *([_PACKAGED] if options.install else [])]:
        log.info("wrote %s, %d bytes of weights", folder, export(model, options.layers, merges, folder))


if __name__ == "__main__":
    main()
