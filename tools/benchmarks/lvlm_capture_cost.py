"""What reading attention rows costs beside transformers' own `generate` of the same tokens. Random weights.

    python tools/benchmarks/lvlm_capture_cost.py all
    python tools/benchmarks/lvlm_capture_cost.py time --tokens 20 --layers all
    python tools/benchmarks/lvlm_capture_cost.py all --layers all --threads 1 --kind "few heads" "few heads, given"

One picture of 576 image tokens in a LLaVA of 12 layers and 1024 channels, fp32 on the CPU; `--shape 7b --device cuda
--precision bf16` for LLaVA-1.5-7B's own. time: one interleaved round of all kinds after the other, and the ratio of
medians with the quartiles of the rounds' own ratios; processor time on a CPU. memory: the highest memory during one run
beyond what the loaded model holds, in a fresh process for each kind, less that of `generate`. Few heads also reads the
54 words of the question.
"""

import argparse
import gc
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from api_core.attribution.lvlm import few_heads  # noqa: E402
from api_core.attribution.lvlm.method import LvlmRequest  # noqa: E402
from api_core.autograd import frozen  # noqa: E402
from api_core.models.conversation.case import Case, Prepared, Reply  # noqa: E402
from api_core.models.lvlm.attention.layer_recorder import LayerRows  # noqa: E402
from api_core.models.lvlm.attention.rows import answer_rows  # noqa: E402
from api_core.models.lvlm.model import LvlmModel  # noqa: E402
from api_core.models.random_models import PAD, QUESTION, SHAPES, random_lvlm  # noqa: E402
from api_core.progress import ignore_progress  # noqa: E402

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
KINDS = ("plain", "own generate", "generation", "second pass", "eager", "few heads", "few heads, given")
BARS = {"generation": 1.05, "second pass": 1.25, "few heads": 1.05}
MEMORY_BAR_MB = 40.0


def build(shape: str, device: str, precision: str) -> LvlmModel:
    return random_lvlm(shape, device, PRECISIONS[precision])


def mean_of_heads(rows: LayerRows) -> tuple[torch.Tensor, ...]:
    """What the published method keeps of a layer's rows."""
    return (rows.among_image().mean(0),)


def transformers_generate(model: LvlmModel, prepared: Prepared, tokens: int, **more: Any) -> Any:
    with frozen():
        return model.module.generate(
            **model.to_device(prepared.inputs),
            max_new_tokens=tokens,
            do_sample=False,
            disable_compile=True,
            pad_token_id=PAD,
            **more,
        )


def eagerly(model: LvlmModel, prepared: Prepared, tokens: int) -> None:
    """Every layer's attention by transformers' own reference, which computes all of it in the open."""
    model.module.set_attn_implementation("eager")
    try:
        transformers_generate(model, prepared, tokens, output_attentions=True, return_dict_in_generate=True)
    finally:
        model.module.set_attn_implementation("sdpa")


def runs(model: LvlmModel, prepared: Prepared, tokens: int, layers: list[int]) -> dict[str, Callable[[], object]]:
    def rows(answers: list[Reply | None]) -> None:
        settings: dict[str, Any] = {"layers": layers, "max_new_tokens": tokens, "reduce": mean_of_heads}
        answer_rows(model, prepared, answers=answers, **settings)

    def few(answers: list[Reply | None]) -> None:
        request = LvlmRequest(tuple(layers), tuple(answers), tokens, "precise", ignore_progress)
        few_heads.compute(model, prepared, request)

    def plain() -> None:
        transformers_generate(model, prepared, tokens)

    def own() -> list[Reply]:
        return model.generate(prepared, max_new_tokens=tokens)

    return {
        "plain": plain,
        "own generate": own,
        "generation": lambda: rows([None]),
        "second pass": lambda: rows([*own()]),
        "eager": lambda: eagerly(model, prepared, tokens),
        "few heads": lambda: few([None]),
        "few heads, given": lambda: few([*own()]),
    }


def prepare(model: LvlmModel) -> Prepared:
    return model.prepare([Case((torch.rand(336, 336, 3, generator=torch.Generator().manual_seed(0)),), QUESTION)])


def chosen_layers(model: LvlmModel, layers: str) -> list[int]:
    return list(range(model.depth)) if layers == "all" else list(model.resolve_layers(None))


def wait(model: LvlmModel) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def measure_time(model: LvlmModel, tokens: int, layers: str, rounds: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    prepared = prepare(model)
    ways = runs(model, prepared, tokens, chosen_layers(model, layers))
    for kind in kinds:
        ways[kind]()
    now = time.process_time if model.device.type == "cpu" else time.perf_counter
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(rounds):
        order = kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]
        for kind in order:
            wait(model)
            start = now()
            ways[kind]()
            wait(model)
            taken[kind].append(now() - start)
    plain = statistics.median(taken["plain"])
    found: dict[str, Any] = {"what": "time", "tokens": tokens, "layers": layers, "rounds": rounds}
    found["prompt tokens"] = prepared.rows[0].length
    for kind in kinds:
        ratio = statistics.median(taken[kind]) / plain
        own = sorted(one / other for one, other in zip(taken[kind], taken["plain"], strict=True))
        found[kind] = {
            "median s": round(statistics.median(taken[kind]), 4),
            "ratio": round(ratio, 3),
            "quartiles": [round(own[len(own) // 4], 3), round(own[(3 * len(own)) // 4], 3)],
            **({"bar": BARS[kind], "met": ratio <= BARS[kind]} if kind in BARS else {}),
        }
    return found


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MB (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise SystemExit("Memory is measured through /proc, which this system does not have; run it on Linux.")


def measure_memory_here(model: LvlmModel, tokens: int, layers: str, kind: str) -> dict[str, Any]:
    prepared = prepare(model)
    ways = runs(model, prepared, tokens, chosen_layers(model, layers))
    for weight in model.module.parameters():
        weight.sum()
    transformers_generate(model, prepared, 2)
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
        ways[kind]()
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        ways[kind]()
        peak = resident("VmHWM")
    return {"what": "memory", "kind": kind, "tokens": tokens, "layers": layers, "extra MB": round(peak - before, 1)}


def measure_memory(options: argparse.Namespace, tokens: int, layers: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Each kind in a process of its own; the median of several."""
    found: dict[str, Any] = {"what": "memory over plain", "tokens": tokens, "layers": layers}
    extra: dict[str, float] = {}
    for kind in kinds:
        command = [sys.executable, __file__, "memory-here", "--kind", kind, "--tokens", str(tokens), "--layers", layers]
        command += ["--shape", options.shape, "--device", options.device, "--precision", options.precision]
        command += ["--threads", str(options.threads)]
        values = []
        for _ in range(options.repeats):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            values.append(json.loads(done.stdout.splitlines()[-1])["extra MB"])
        extra[kind] = statistics.median(values)
    found["plain MB"] = extra["plain"]
    for kind in kinds[1:]:
        over = round(extra[kind] - extra["plain"], 1)
        found[kind] = {"MB over plain": over}
        if kind in BARS:
            found[kind] |= {"bar": MEMORY_BAR_MB, "met": over <= MEMORY_BAR_MB}
    return found


def say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("all", "time", "memory", "memory-here"))
    parser.add_argument("--shape", choices=SHAPES, default="mid")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--tokens", type=int, nargs="+", default=[64, 20])
    parser.add_argument("--layers", choices=("default", "all"), nargs="+", default=["default", "all"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each figure of memory")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    kinds = tuple(kind for kind in KINDS if kind in options.kind or kind == "plain")
    if options.what == "memory-here":
        model = build(options.shape, options.device, options.precision)
        say(measure_memory_here(model, options.tokens[0], options.layers[0], options.kind[-1]))
        return
    settings = [(tokens, layers) for tokens in options.tokens for layers in options.layers]
    if options.what in ("all", "time"):
        model = build(options.shape, options.device, options.precision)
        for tokens, layers in settings:
            say(measure_time(model, tokens, layers, options.rounds, kinds))
    if options.what in ("all", "memory"):
        for tokens, layers in settings:
            say(measure_memory(options, tokens, layers, kinds))


if __name__ == "__main__":
    main()
