"""lmms-eval's tasks as a file of cases, and answers of `run` back into its tables: for settings and scales of our own.

    PYTHON tools/parity/lmms_eval_bridge.py export CASES.jsonl --tasks pope,mme [--limit 20 …]
    python -m api_core run CASES.jsonl --out RESULTS.jsonl --lvlm MODEL …
    PYTHON tools/parity/lmms_eval_bridge.py replay RESULTS.jsonl [--arm prompted] --tasks pope,mme --output_path out …

PYTHON: of an environment that has lmms-eval 0.7.3 (`pip install "lmms-eval==0.7.3" "filelock<4"`); this file imports
nothing of ours. What is not named here are lmms-eval's own options. `export` writes each question once, with its
pictures beside the cases, under `<task>/<split>/<number>`, and a table that means nothing; `replay` gives the answers
under the same names, and refuses where one is missing. A picture is prompted with the first line of the question.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import sys
import types
from pathlib import Path
from typing import Any

VERSION = "0.7.3"
ARMS = ("prompted", "plain", "kept")
_EXPORT, _REPLAY = "attention_prompting_export", "attention_prompting_replay"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("export", "replay"))
    parser.add_argument("file", type=Path, help="CASES.jsonl to write, or RESULTS.jsonl to read")
    parser.add_argument("--arm", choices=ARMS, default=ARMS[0], help="replay: the answers to which picture")
    own, theirs = parser.parse_known_args()
    if (found := importlib.metadata.version("lmms-eval")) != VERSION:
        raise SystemExit(f"This is written for lmms-eval {VERSION}, and {found} is installed.")
    if own.action == "export" and own.file.exists():
        raise SystemExit(f"{own.file} exists already. Remove it, or name another file.")
    from lmms_eval.__main__ import cli_evaluate
    from lmms_eval.models import MODEL_REGISTRY_V2
    from lmms_eval.models.registry_v2 import ModelManifest

    # A module by a name of its own, so that lmms-eval can import the classes from it.
    module = types.ModuleType("attention_prompting_bridge")
    module.__dict__.update({kind.__name__: kind for kind in models(own.file, own.arm)})
    sys.modules[module.__name__] = module
    for name, kind in ((_EXPORT, "Export"), (_REPLAY, "Replay")):
        MODEL_REGISTRY_V2.register_manifest(ModelManifest(name, simple_class_path=f"{module.__name__}.{kind}"))
    model = _EXPORT if own.action == "export" else _REPLAY
    sys.argv = ["lmms_eval", "--model", model, "--batch_size", "1", *theirs]
    cli_evaluate()


def models(file: Path, arm: str) -> tuple[type, type]:
    """The classes that lmms-eval asks, for a file."""
    from lmms_eval.api.model import lmms

    class Bridge(lmms):  # type: ignore[misc]
        def __init__(self, **_: Any) -> None:
            super().__init__()

        def loglikelihood(self, requests: Any) -> Any:
            raise SystemExit("A task that asks for likelihoods and not for answers cannot be carried over.")

        generate_until_multi_round = loglikelihood

    class Export(Bridge):
        def generate_until(self, requests: list[Any]) -> list[str]:
            folder = file.with_suffix(".pictures")
            folder.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as stream:
                for request in requests:
                    stream.write(json.dumps(case_of(self, request, folder), ensure_ascii=False) + "\n")
            return [""] * len(requests)

    class Replay(Bridge):
        def generate_until(self, requests: list[Any]) -> list[str]:
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            answers = {line["id"]: line[arm]["answer"] for line in lines if arm in line}
            missing = [name for name in map(name_of, requests) if name not in answers]
            if missing:
                raise SystemExit(f"{file} has no {arm} answer to {len(missing)} questions, such as {missing[0]}.")
            return [answers[name_of(request)] for request in requests]

    if arm not in ARMS:
        raise SystemExit(f"There is no arm {arm!r}: {', '.join(ARMS)}.")
    return Export, Replay


def name_of(request: Any) -> str:
    """A question by its task, split and number."""
    *_, number, task, split = request.args
    return f"{task}/{split}/{number}"


def case_of(model: Any, request: Any, folder: Path) -> dict[str, Any]:
    """A request as a case of `run`; its pictures are written as PNG, each once."""
    question, settings, show, number, task, split = request.args
    shown = show(model.task_dict[task][split][number]) or []
    paths = []
    for picture in shown:
        if not hasattr(picture, "tobytes"):
            raise SystemExit(f"{task} shows a {type(picture).__name__}, and only pictures can be carried over.")
        pixels = picture.convert("RGB")
        digest = hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()[:24]
        path = folder / f"{digest}.png"
        if not path.exists():
            pixels.save(path)
        paths.append(f"{folder.name}/{path.name}")
    if not paths:
        raise SystemExit(f"{name_of(request)} shows no picture, and nothing can be prompted.")
    asked = question.strip()
    case = {"id": name_of(request), "picture": paths[0], "question": asked, "query": asked.splitlines()[0]}
    case |= {"more_pictures": paths[1:]} if paths[1:] else {}
    return case | {"meta": {"max_new_tokens": settings.get("max_new_tokens")}}


if __name__ == "__main__":
    main()
