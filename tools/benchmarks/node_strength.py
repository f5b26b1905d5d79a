"""What a newly placed Overlay Attention may draw without harm: python tools/benchmarks/node_strength.py [LOOK ...]

A LOOK is a contrast, a strength and a grey level, such as 1:0.3:0; without any, those that the default was chosen among
(docs/results-surest.md). Each is asked about hard scenes, scenes of things alike and easy ones, with the embedded
models, beside the plain picture. Choose with `--stream development`, report with `--stream test`.
"""

import argparse
from pathlib import Path

from api_core import FadeStyle, load_clip, load_lvlm
from api_core.evaluation.benchmark.answers import PLAIN, accuracy_table
from api_core.evaluation.benchmark.arms import Arm, AskArms, Look, describe
from api_core.evaluation.benchmark.experiment import Experiment
from api_core.evaluation.benchmark.splits import ALIKE, EASY, HARD, asked_cases
from api_core.evaluation.runner.map_sources import ClipMaps
from api_core.evaluation.runner.run_plan import answerer
from api_core.progress import ignore_progress

TRIED = ("1:0.3:0", "1:0.4:0", "1:0.5:0", "5:0.3:0", "5:0.4:0", "5:0.5:0", "10:0.4:0", "10:0.5:0", "1:0.6:128")
SMOOTHING = 3.0


def to_look(text: str) -> Look:
    contrast, strength, level = map(float, text.split(":"))
    return Look(contrast, SMOOTHING, 0.0, FadeStyle.grey(round(level)), strength)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("looks", nargs="*", type=to_look, default=[to_look(text) for text in TRIED])
    parser.add_argument("--stream", choices=("development", "test"), default="development")
    parser.add_argument("--questions", nargs=3, type=int, default=(320, 200, 200), metavar=("HARD", "ALIKE", "EASY"))
    parser.add_argument("--out", type=Path, help="folder for the single answers; a run that was stopped goes on there")
    options = parser.parse_args()
    clip, lvlm = load_clip("tiny-clip"), load_lvlm("tiny-lvlm")
    arms = [PLAIN, *(Arm(look.title, "CLIP", look) for look in options.looks)]
    maps = {"CLIP": ClipMaps(clip)}
    work = AskArms(answerer(lvlm, max_new_tokens=8, batch_size=64), arms, maps)
    for split, count in zip((HARD, ALIKE, EASY), options.questions, strict=True):
        cases = asked_cases(split, options.stream, count)
        title = f"{split.name.capitalize()} {options.stream} questions"
        experiment = Experiment("node-strength", options.out, ignore_progress, count)
        settings = {"benchmark": title, **describe(arms, maps)}
        records = experiment.run(f"{split.name}-{options.stream}", cases, work, settings, batch_size=16)
        print(accuracy_table(title, cases, records, arms).to_markdown(), flush=True)


if __name__ == "__main__":
    main()
