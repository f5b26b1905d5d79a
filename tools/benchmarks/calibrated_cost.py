"""What a second reading of the prompt costs beside plain greedy decoding of as many tokens. Random weights.

    python tools/benchmarks/calibrated_cost.py
    python tools/benchmarks/calibrated_cost.py --tokens 64 --rounds 7 --threads 1 --kinds AvisC M3ID

The random LLaVA of `lvlm_capture_cost.py`: one picture of 576 image tokens, 12 layers of 1024 channels, fp32 on the CPU
(`--shape 7b --device cuda --precision bf16` for LLaVA-1.5-7B's own). The baseline, named plain, is the library's own
greedy decoding; each round runs all kinds one after the other, and a ratio is of one round's times. Beside the clock's
time stands the processor's own, which other work on the machine changes less. Also: how often the picture is encoded,
and what is kept of the attention that the choice of blind tokens is made on.
"""

import argparse
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lvlm_capture_cost import PRECISIONS, SHAPES, build, prepare, wait

from api_core.answering import M3ID, VCD, AvisC, Decoding, Greedy
from api_core.models.conversation.case import Prepared
from api_core.models.lvlm.contrastive import second_pass
from api_core.models.lvlm.contrastive.second_pass import PromptState, WeakenedPrompt, contrastive_decoding
from api_core.models.lvlm.model import LvlmModel

BAR = 2.1
BARRED = ("AvisC", "M3ID")
"""VCD encodes a second picture, which is its own business."""

PLAIN = "plain"
KINDS: dict[str, Decoding] = {PLAIN: Greedy(), "AvisC": AvisC(), "M3ID": M3ID(), "VCD": VCD()}
TWO_CACHES = "AvisC, two caches"
LONG = (2900, 32)
"""Image tokens and layers of a large picture in a model of tiles."""

MOST_KEPT = 1_000_000


def runs(model: LvlmModel, prepared: Prepared, tokens: int) -> dict[str, Callable[[], None]]:
    def by(decoding: Decoding) -> Callable[[], None]:
        def answer() -> None:
            decoding.decode(model, prepared, partial(model.generate, prepared, max_new_tokens=tokens))

        return answer

    def apart() -> None:
        append, second_pass.append_rows = second_pass.append_rows, lambda *_: False
        try:
            by(KINDS["AvisC"])()
        finally:
            second_pass.append_rows = append

    return {name: by(decoding) for name, decoding in KINDS.items()} | {TWO_CACHES: apart}


def measure_time(model: LvlmModel, tokens: int, rounds: int, kinds: list[str]) -> dict[str, Any]:
    prepared = prepare(model)
    ways = runs(model, prepared, tokens)
    for kind in kinds:
        ways[kind]()
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for turn in range(rounds):
        for kind in kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]:
            wait(model)
            start = time.perf_counter(), time.process_time()
            ways[kind]()
            wait(model)
            taken[kind].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    found: dict[str, Any] = {"what": "time", "tokens": tokens, "rounds": rounds}
    found["prompt tokens"] = prepared.rows[0].length
    for kind in kinds:
        found[kind] = {}
        for place, clock in enumerate(("clock", "processor")):
            own = sorted(one[place] / other[place] for one, other in zip(taken[kind], taken[PLAIN], strict=True))
            found[kind][clock] = {
                "median s": round(statistics.median(one[place] for one in taken[kind]), 3),
                "ratio": round(statistics.median(own), 3),
                "quartiles": [round(own[len(own) // 4], 3), round(own[(3 * len(own)) // 4], 3)],
            }
        if kind in BARRED:
            found[kind] |= {"bar": BAR, "met": found[kind]["processor"]["ratio"] <= BAR}
    return found


def count_encodings(model: LvlmModel) -> dict[str, Any]:
    """How often the vision tower runs."""
    prepared = prepare(model)
    tower = model.module.get_submodule("model.vision_tower")
    found: dict[str, Any] = {"what": "vision tower runs"}
    for kind, way in runs(model, prepared, 2).items():
        calls: list[int] = []
        handle = tower.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        way()
        handle.remove()
        found[kind] = len(calls)
    return found


class Weighing:
    """A second reading that leaves all as it is, and weighs what was kept of the plain reading's attention."""

    needs_attention = True
    kept = 0

    def begin(self, model: Any, prepared: Any) -> None:
        pass

    def weaken(self, prompt: PromptState) -> WeakenedPrompt:
        own = {row.untyped_storage().data_ptr(): row.untyped_storage().nbytes() for row in prompt.attention[0].values()}
        self.kept = sum(own.values())
        return WeakenedPrompt({})

    def combine_logits(self, plain: torch.Tensor, weakened: torch.Tensor, step: int) -> torch.Tensor:
        return plain


def weigh_capture(model: LvlmModel) -> dict[str, Any]:
    prepared, second = prepare(model), Weighing()
    model.generate(prepared, max_new_tokens=1, around=partial(contrastive_decoding, model, second))
    tokens = int((prepared.inputs["input_ids"][0] == model.config.image_token_index).sum())
    each = second.kept / (tokens * model.depth)
    long = round(each * LONG[0] * LONG[1])
    return {
        "what": "attention kept of one picture, bytes",
        f"measured, {tokens} tokens x {model.depth} layers": second.kept,
        f"by that, {LONG[0]} tokens x {LONG[1]} layers": long,
        "bar": MOST_KEPT,
        "met": long < MOST_KEPT,
    }


def say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    kinds = [*KINDS, TWO_CACHES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="mid")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--tokens", type=int, nargs="+", default=[64, 20])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", choices=kinds, nargs="+", default=kinds, help="what is timed beside plain")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    model = build(options.shape, options.device, options.precision)
    say(weigh_capture(model))
    say(count_encodings(model))
    for tokens in options.tokens:
        say(measure_time(model, tokens, options.rounds, list(dict.fromkeys([PLAIN, *options.kinds]))))


if __name__ == "__main__":
    main()
