"""What an explanation costs: time beside the published program's way of working, and memory by chunk and by blends.

    python tools/benchmarks/explain_cost.py time --answers 4
    python tools/benchmarks/explain_cost.py memory

time: the embedded LVLM on drawn scenes, one interleaved round of all ways for each answer. "released loop" is the
published steps one blend at a time with the scores of every position, as the released program works; "paper" the same
steps in batches with the explained tokens' scores only, both of iGOS++ and, with "one mask", of iGOS+; the others are
the default settings. memory: the highest memory during one gradient beyond what the process holds before it, in a fresh
process for each figure, for chunks of a fixed number of blends and for numbers of blends at a fixed chunk. Random LLaVA
of `lvlm_capture_cost.py`, its tiny one: one core takes minutes for sixteen blends of a middle one.
"""

import argparse
import gc
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools" / "benchmarks")]

from lvlm_capture_cost import QUESTION, build, resident  # noqa: E402

from api_core.autograd import differentiable, without_weight_gradients  # noqa: E402
from api_core.evaluation.benchmark.explanations import EXPLAINED  # noqa: E402
from api_core.evaluation.benchmark.splits import asked_cases  # noqa: E402
from api_core.explanation.answer_objective import AnswerObjective  # noqa: E402
from api_core.explanation.baselines import baseline_picture  # noqa: E402
from api_core.explanation.igos import fast, paper  # noqa: E402
from api_core.explanation.igos.descent import TERMS, descend  # noqa: E402
from api_core.explanation.word_evidence import tokens_of_words, word_evidence  # noqa: E402
from api_core.models.conversation.case import Case  # noqa: E402
from api_core.models.lvlm.generate import teacher_forcing  # noqa: E402
from api_core.models.lvlm.load import load_lvlm  # noqa: E402

CHUNKS, BLENDS = (1, 2, 4, 8), (4, 8, 16)
"""At 4 blends of each term, and with 2 at once."""
BASES = ("released loop", "paper", "released loop, one mask", "paper, one mask")


class EveryPosition(AnswerObjective):
    """Has the model score the whole vocabulary at every position, as the released program does."""

    def read(self, pixels: dict[str, torch.Tensor], count: int) -> torch.Tensor:
        with patch.object(teacher_forcing, "log_likelihoods", likelihoods_of_all_scores):
            return super().read(pixels, count)


def likelihoods_of_all_scores(
    module: Any, inputs: dict[str, Any], rows: torch.Tensor, wanted: torch.Tensor
) -> torch.Tensor:
    """`teacher_forcing.log_likelihoods` of scores that were made for every position."""
    scores = module(**inputs, use_cache=True).logits[:, rows]
    return scores.float().log_softmax(-1).gather(2, wanted[None, :, None].expand(len(scores), -1, 1))[..., 0]


def answers(count: int) -> Iterator[tuple[AnswerObjective, AnswerObjective]]:
    """Answers of the embedded model that depend on the picture, read both ways."""
    model = load_lvlm("tiny-lvlm", device="cpu", precision="fp32")
    found = 0
    for asked in asked_cases(EXPLAINED, "test", 4 * count):
        picture = asked.load()
        case = Case((picture,), asked.question)
        (reply,) = model.generate(model.prepare([case], with_places=False), max_new_tokens=8)
        hidden, every = baseline_picture(picture, "blur"), tokens_of_words(reply)
        kept = word_evidence(AnswerObjective(model, case, hidden, reply.token_ids, every), reply).tokens
        if kept:
            found += 1
            yield tuple(kind(model, case, hidden, reply.token_ids, kept) for kind in (AnswerObjective, EveryPosition))
        if found == count:
            return


def ways(objective: AnswerObjective, released: AnswerObjective) -> dict[str, Callable[[], Any]]:
    return {
        "released loop": lambda: paper.optimise(released, "igos++", chunk=1),
        "paper": lambda: paper.optimise(objective, "igos++", chunk=10),
        "released loop, one mask": lambda: paper.optimise(released, "igos+", chunk=1),
        "paper, one mask": lambda: paper.optimise(objective, "igos+", chunk=10),
        "igos+": lambda: fast.optimise(objective, "igos+"),
        "igos++": lambda: fast.optimise(objective, "igos++"),
    }


def measure_time(count: int) -> Iterator[dict[str, Any]]:
    """What is known after each answer, so that a run that is stopped has told something."""
    taken: dict[str, list[float]] = {}
    shown: dict[str, list[int]] = {}
    for objective, released in answers(count):
        with differentiable(objective.model.module), without_weight_gradients(objective.model.module):
            for name, run in ways(objective, released).items():
                start = time.perf_counter(), time.process_time()
                made = run()
                taken.setdefault(name, []).append(time.perf_counter() - start[0])
                taken.setdefault(f"{name}, processor", []).append(time.process_time() - start[1])
                shown.setdefault(name, []).append(made.evaluations)
        yield _summary(taken, shown)


def _summary(taken: dict[str, list[float]], shown: dict[str, list[int]]) -> dict[str, Any]:
    found: dict[str, Any] = {"what": "time", "answers": len(taken["paper"])}
    for name, evaluations in shown.items():
        busy, least = taken[f"{name}, processor"], {base: taken[f"{base}, processor"] for base in BASES}
        found[name] = {
            "median s": round(statistics.median(taken[name]), 3),
            "median s of processor": round(statistics.median(busy), 3),
            "evaluations": round(statistics.mean(evaluations), 1),
            **{f"times as fast as {base}": round(sum(own) / sum(busy), 2) for base, own in least.items()},
        }
    return found


def memory_here(chunk: int, blends: int) -> dict[str, Any]:
    model = build("tiny", "cpu", "fp32")
    picture = torch.rand(336, 336, 3, generator=torch.Generator().manual_seed(0))
    case = Case((picture,), QUESTION)
    ids = model.encode_answer("w200 w201")
    objective = AnswerObjective(model, case, baseline_picture(picture, "mean colour"), ids, (0, 1))
    masks = torch.full((1, 16, 16), 0.7)
    for weight in model.module.parameters():
        weight.sum()
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    with differentiable(model.module), without_weight_gradients(model.module):
        descend(objective, masks, TERMS["igos+"], [(i + 1) / blends for i in range(blends)], chunk, None)
    return {"what": "memory", "chunk": chunk, "blends": blends, "extra MB": round(resident("VmHWM") - before, 1)}


def say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "memory", "memory-here"))
    parser.add_argument("--answers", type=int, default=20)
    parser.add_argument("--chunk", type=int, default=4)
    parser.add_argument("--blends", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    if options.what == "time":
        for found in measure_time(options.answers):
            say(found)
    elif options.what == "memory-here":
        say(memory_here(options.chunk, options.blends))
    else:
        pairs = [(chunk, BLENDS[0]) for chunk in CHUNKS] + [(CHUNKS[1], blends) for blends in BLENDS]
        for chunk, blends in dict.fromkeys(pairs):
            command = [sys.executable, __file__, "memory-here", "--chunk", str(chunk), "--blends", str(blends)]
            command += ["--threads", str(options.threads)]
            say(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
