"""Plans without models for workers of Ray, and what is tried with them: a program, as Ray's workers import it.

    python ray_plans.py SCENARIO FOLDER

prints one line of JSON with what happened.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from api_core.answering import Greedy  # noqa: E402
from api_core.errors import AttentionPromptingError, CannotWrite, InvalidInput  # noqa: E402
from api_core.evaluation.cases import QuestionCase  # noqa: E402
from api_core.evaluation.runner.run_cases import RunResult, run_cases  # noqa: E402
from api_core.evaluation.runner.run_plan import RunPlan  # noqa: E402
from api_core.evaluation.runner.scale import Workers, run_scaled  # noqa: E402
from api_core.masks import MaskSettings  # noqa: E402
from api_core.overlay import FadeStyle  # noqa: E402
from api_core.progress import Progress, ignore_progress  # noqa: E402

CASES = [QuestionCase(f"case {n}", Path(f"{n}.png"), f"What is {n}?", (str(n),)) for n in range(44)]


@dataclass(frozen=True)
class PlanForTests(RunPlan):
    """What it does with a case is said by the case's id, by where it is named here. folder: of marks that are left."""

    folder: str = ""
    always_kill: tuple[str, ...] = ()
    kill_once: tuple[str, ...] = ()
    fail: tuple[str, ...] = ()
    disk_full: tuple[str, ...] = ()
    missing: str = ""
    settings_change: bool = False
    slow: float = 0.0

    def build(self, on_progress: Progress = ignore_progress, loaded: object = None) -> Any:
        if self.missing:
            raise InvalidInput(self.missing)
        return self.work, {"model": "m", "of": str(os.getpid()) if self.settings_change else "all"}

    def work(self, cases: Sequence[QuestionCase], on_progress: Progress) -> list[Mapping[str, Any]]:
        time.sleep(self.slow)
        for case in cases:
            mark = Path(self.folder) / f"{case.id}.killed"
            if case.id in self.always_kill or (case.id in self.kill_once and not mark.exists()):
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            if case.id in self.fail:
                raise InvalidInput(f"{case.id} is bad")
            if case.id in self.disk_full:
                raise CannotWrite(Path("far/away.png"), OSError(28, "No space left on device"))
        return [{"answer": f"{case.question} é", "picture": str(case.picture.name)} for case in cases]


def plan(folder: Path, **said: Any) -> PlanForTests:
    return PlanForTests(Greedy(), MaskSettings(), FadeStyle(), folder=str(folder), **{"batch_size": 4, **said})


def told(result: RunResult) -> dict[str, Any]:
    lines = [{name: value for name, value in line.items() if name != "seconds"} for line in result.records]
    return {"lines": lines, "skipped": result.skipped, "failed": result.failed}


def equal(folder: Path) -> dict[str, Any]:
    own = plan(folder, fail=("case 7",))
    work, settings = own.build()
    found = {"here": told(run_cases(CASES, work, folder / "here.jsonl", settings=settings, batch_size=4))}
    for workers, batch in ((1, 8), (2, 1), (2, 4)):
        name = f"{workers} workers, batches of {batch}"
        tried = plan(folder, fail=("case 7",), batch_size=batch)
        found[name] = told(run_scaled(CASES, tried, Workers(workers), folder / f"{name}.jsonl"))
    return found


def deaths(folder: Path) -> dict[str, Any]:
    out = folder / "R.jsonl"
    poisoned = plan(folder, always_kill=("case 5", "case 30"), kill_once=("case 12",))
    first = told(run_scaled(CASES, poisoned, Workers(2), out))
    again = told(run_scaled(CASES, plan(folder, always_kill=("case 30",)), Workers(2), out))
    return {"first": first, "again": again}


def refusals(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tried: dict[str, tuple[PlanForTests, Workers]] = {
        "missing": (plan(folder, missing="There is no model nowhere."), Workers(2)),
        "other settings": (plan(folder, settings_change=True), Workers(2)),
        "disk full": (plan(folder, disk_full=("case 9",)), Workers(1)),
        "too many": (plan(folder), Workers(10_000)),
        "all die": (plan(folder, always_kill=tuple(case.id for case in CASES), batch_size=1), Workers(2)),
    }
    for name, (own, workers) in tried.items():
        found[name] = refusal(own, workers, folder / f"{name}.jsonl")
    return found


def refusal(own: PlanForTests, workers: Workers, out: Path) -> list[str]:
    try:
        run_scaled(CASES, own, workers, out)
    except AttentionPromptingError as error:
        return [type(error).__name__, str(error)]
    return ["nothing", "was refused"]


def stop(folder: Path) -> dict[str, Any]:
    def on_progress(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    out = folder / "R.jsonl"
    try:
        run_scaled(CASES, plan(folder, slow=0.05), Workers(2), out, on_progress=on_progress)
    except KeyboardInterrupt:
        kept = len(out.read_bytes().splitlines())
    return {"kept": kept, "again": told(run_scaled(CASES, plan(folder), Workers(2), out))}


def slowly(folder: Path) -> dict[str, Any]:
    return told(run_scaled(CASES, plan(folder, slow=0.3), Workers(2), folder / "R.jsonl"))


if __name__ == "__main__":
    scenario, place = sys.argv[1:]
    import ray

    with_own_ray = scenario in ("equal", "deaths", "refusals", "stop")
    if with_own_ray:  # once for all that is tried
        paths = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
        )
    import ray_plans  # by the name that the workers import

    sys.stdout.write(json.dumps(getattr(ray_plans, scenario)(Path(place))) + "\n")
