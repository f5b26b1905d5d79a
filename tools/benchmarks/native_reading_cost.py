"""What reading an encoder that ComfyUI loaded costs beside ComfyUI's own Generate Text, and what it leaves in memory.

    COMFYUI_PATH=~/comfy/ComfyUI python tools/benchmarks/native_reading_cost.py time --rounds 15
    COMFYUI_PATH=~/comfy/ComfyUI python tools/benchmarks/native_reading_cost.py memory --runs 100

A random Qwen3-VL of ComfyUI's own class, 12 layers of 512 channels with 130 tokens of a picture, on the CPU in one
thread. time: all kinds one after the other, round by round, each answer of 16 tokens; processor time, and the median of
the rounds' own ratios to Generate Text with their quartiles. memory: what the process holds more after so many runs of
LVLM Heatmap and Ask, after a tenth of them as warm-up. Linux only.
"""

import argparse
import gc
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
TOKENS = 16
SIZES = {"hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8, "num_key_value_heads": 2}
BARS = {"one layer": 1.05, "all layers": 1.10}
BYTES_A_RUN = 50_000


def load_pack() -> None:
    """ComfyUI on the CPU, and the pack as `pack`."""
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    home = importlib.import_module("pack.tests.e2e.server").find_comfyui()
    if home is None:
        sys.exit("There is no ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI.")
    sys.path.insert(0, str(home))
    importlib.import_module("utils.extra_config")
    importlib.import_module("comfy.cli_args").args.cpu = True


def build() -> Any:
    """The encoder, which never ends an answer by itself."""
    encoders = importlib.import_module("pack.tests.tiny_encoders")
    with encoders.exchanged(encoders._QWEN, "num_hidden_layers", 12):
        for name, value in SIZES.items():
            encoders._QWEN[name] = value
        clip = encoders.tiny_clip("qwen3vl")
    clip.cond_stage_model.qwen3vl_4b.transformer.model.config.stop_tokens = []
    return clip


def kinds(clip: Any) -> dict[str, Callable[[], Any]]:
    """What is compared, by name."""
    native = importlib.import_module("pack.nodes.native.lvlm")
    rows = importlib.import_module("pack.api_core.models.lvlm.attention.rows")
    case = importlib.import_module("pack.api_core.models.conversation.case").Case
    node = importlib.import_module("comfy_extras.nodes_textgen").TextGenerate
    picture = torch.rand(320, 416, 3, generator=torch.Generator().manual_seed(1))
    question = "What is in the picture?"

    def read(layers: int, given: bool = False) -> Any:
        model = native.NativeLvlm(clip)
        prepared = model.prepare([case((picture,), question)])
        chosen = model.seeing_layers[-layers:]
        (found,) = rows.answer_rows(
            model,
            prepared,
            layers=chosen,
            answers=[reply if given else None],
            max_new_tokens=TOKENS,
            question_rows=True,
        )
        return found.reply

    def ask() -> Any:
        model = native.NativeLvlm(clip)
        return model.generate(model.prepare([case((picture,), question)], with_places=False), max_new_tokens=TOKENS)

    reply = read(1)
    assert len(reply.token_ids) == TOKENS
    return {
        "Generate Text": lambda: node.execute(clip, question, TOKENS, {"sampling_mode": "off"}, image=picture[None]),
        "ask": ask,
        "one layer": lambda: read(1),
        "all layers": lambda: read(12),
        "second pass, one layer": lambda: read(1, given=True),
    }


def measure_time(rounds: int) -> dict[str, Any]:
    runs = kinds(build())
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            if number:  # the first is a warm-up
                seconds[name].append(time.process_time() - begin)
    plain = seconds["Generate Text"]
    found: dict[str, Any] = {"Generate Text, seconds": round(statistics.median(plain), 3)}
    for name, own in seconds.items():
        ratios = [one / other for one, other in zip(own, plain, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        found[name] = {"ratio": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)], "bar": BARS.get(name)}
    return found


def measure_memory(runs: int) -> dict[str, Any]:
    work = kinds(build())

    def held() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def repeat(count: int) -> None:
        for _ in range(count):
            work["one layer"]()
            work["ask"]()

    repeat(max(1, runs // 10))
    before = held()
    repeat(runs)
    grown = (held() - before) / runs
    return {"runs": runs, "bytes a run": round(grown), "bar": BYTES_A_RUN}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "memory"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    load_pack()
    with torch.inference_mode():
        found = measure_time(options.rounds) if options.what == "time" else measure_memory(options.runs)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
