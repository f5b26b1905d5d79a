"""Run by test_tiny_lvlm.py in a process of its own, in which the repository's root is on the path: training, in small.

Prints one JSON object: how far the training's forward pass is from transformers' own, and what a stopped run does.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from api_core.embedded import embedded_folder
from api_core.scenes import COLOURS, SHAPES
from api_core.scenes.captions import CONCEPTS
from api_core.scenes.questions import QUESTION_KINDS
from tools.train.tiny_clip.export import reload
from tools.train.tiny_clip.pairs import held_out_pairs, rows_without
from tools.train.tiny_lvlm.asking import Asking, pack
from tools.train.tiny_lvlm.bank import build_bank
from tools.train.tiny_lvlm.export import export
from tools.train.tiny_lvlm.network import GUIDED, answer, build_network, see
from tools.train.tiny_lvlm.tower import TowerSettings, as_transformers, train_tower, training_pictures
from tools.train.tiny_lvlm.training import AnswerSettings, train_answers


def distances(model, bank):
    """Largest difference of logits, and of attention over patches, to one plain forward per question."""
    rows = np.arange(3)
    batch, questions = pack(bank, rows, np.random.default_rng(0), Asking(system=1.0))
    pixels = training_pictures(bank, rows)
    with torch.no_grad():
        logits, attention = answer(model, see(model, pixels), batch, GUIDED)
    model.set_attn_implementation("eager")
    far = [0.0, 0.0]
    for picture, asked in enumerate(questions):
        place = 0
        for number, question in enumerate(asked):
            ids = torch.cat([batch.prompt, batch.words[picture][batch.block[picture] == number]])[None]
            with torch.no_grad():
                out = model(
                    input_ids=ids,
                    pixel_values=(pixels[picture : picture + 1] - 0.5) / 0.5,
                    attention_mask=torch.ones_like(ids),
                    output_attentions=True,
                )
            length = len(question.answer.split()) + 1
            mine = slice(place, place + length)
            far[0] = max(far[0], float((out.logits[0, -length:] - logits[picture, mine]).abs().max()))
            for layer in GUIDED:
                over = out.attentions[layer][0, :, -length:, len(batch.prompt) - 196 : len(batch.prompt)]
                over = (over / over.sum(-1, keepdim=True)).mean(0)
                far[1] = max(far[1], float((over - attention[layer][picture, mine]).abs().max()))
            place += length
    model.set_attn_implementation("sdpa")
    return far, sorted({question.kind for asked in questions for question in asked})


def main(work: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("tools").addHandler(handler)
    logging.getLogger("tools").setLevel(logging.INFO)
    bank = build_bank(work / "bank", 24, 1)
    held_out = build_bank(work / "held_out", 200, 1, stream="development")
    original = reload(embedded_folder("tiny-clip")).visual
    tower = reload(embedded_folder("tiny-clip")).visual
    train_tower(tower, bank, held_out, work, TowerSettings(images=8, probe_images=8, batch=4), 0)
    changed = float((tower.conv1.weight - original.conv1.weight).abs().max())
    model = build_network(as_transformers(tower))
    (logits, attention), kinds = distances(model, bank)
    few = AnswerSettings(answers=60, batch=2, score_pictures=4)
    train_answers(model, bank, held_out, work, few, 0)
    again = build_network(as_transformers(tower))
    train_answers(again, bank, held_out, work, AnswerSettings(answers=120, batch=2, score_pictures=4), 0)
    unseen = held_out_pairs(10)
    told = {
        "pairs": [CONCEPTS[pair].phrase for pair in unseen],
        "pairs in used rows": sorted(
            {
                f"{COLOURS[c]} {SHAPES[s]}"
                for c, s in held_out.kinds[rows_without(held_out.kinds, unseen)].reshape(-1, 2)
                if c >= 0
            }
        ),
        "logits": logits,
        "attention": attention,
        "kinds": kinds,
        "all kinds": sorted([*QUESTION_KINDS, "describe"]),
        "tower changed": changed,
        "messages": messages,
        "bytes": export(again, work / "model"),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
