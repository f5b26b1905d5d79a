"""Many processes and machines, by Ray Data: each worker loads the models once and does batches; one process writes.

The only module that imports Ray, an optional package. Batches go to the workers as text, a case's picture as its path,
so all machines need the same folders; outcomes come back as text, and the driver alone writes results. A batch whose
worker dies is tried once more, then case by case; a case that kills its worker again gets an error.
"""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import AttentionPromptingError, InvalidInput, MissingPackage, reason
from ...progress import Progress, ignore_progress
from ..cases import QuestionCase, SceneReference
from ..readers.jsonl import case_of_line
from .run_cases import Keep, RunResult, Watch, outcomes_of, run_groups, versions
from .work_plan import LoadedModels, WorkPlan

log = logging.getLogger(__name__)

REQUIREMENT = "ray[data]>=2.50"
DIED = "the worker died"
_TRIES = 2
"""Of a batch; then its cases are done one by one."""
_FEWEST_DEATHS = 8
"""So many batches may kill their workers, or a tenth of all, before the run is given up: it is not the cases then."""


@dataclass(frozen=True)
class Workers:
    """How many processes, and where. gpus: of each, a part of one where several share it; None shares all there are
    evenly. address: of a Ray cluster, `auto` for the one that this machine belongs to, None for this machine alone."""

    count: int
    gpus: float | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or (self.gpus is not None and self.gpus < 0):
            raise InvalidInput(f"There are 1 or more workers with 0 or more GPUs each, not {self.count}, {self.gpus}.")


class Cluster:
    """A context manager: Ray, started or joined, or as it runs in this process already, for one run or several."""

    def __init__(self, workers: Workers) -> None:
        self._ray = _require_ray()
        self._workers = workers
        self._describer: Any = None
        self._opened = ExitStack()

    def __enter__(self) -> Cluster:
        with _quietly():
            self._opened.enter_context(_started(self._ray, self._workers))
        return self

    def __exit__(self, *about: object) -> None:
        with _quietly(), self._opened:
            self._make_room()  # where Ray was there before, it goes on

    def run(
        self,
        cases: Sequence[QuestionCase],
        plan: WorkPlan,
        out: Path | None,
        *,
        overwrite: bool = False,
        on_progress: Progress = ignore_progress,
    ) -> RunResult:
        """As `run_cases` with what `plan` builds, and with the same lines, by the workers."""
        with _quietly():
            return self._run(cases, plan.everywhere(), out, overwrite, on_progress)

    def _run(
        self, cases: Sequence[QuestionCase], plan: WorkPlan, out: Path | None, overwrite: bool, on_progress: Progress
    ) -> RunResult:
        ray, workers = self._ray, self._workers
        each = _share(ray, workers, plan)
        settings = self._settings_of(plan, each)

        def do(groups: Sequence[Sequence[QuestionCase]], keep: Keep, watch: Watch) -> None:
            if groups:
                self._make_room()
            waiting = {case.id: case for group in groups for case in group}
            _do(ray, plan, workers, each, groups, _TRIES, settings, waiting, keep)
            _do(ray, plan, workers, each, [[case] for case in waiting.values()], 1, settings, waiting, keep)
            keep([*waiting.values()], [{"error": DIED} for _ in waiting])
            if plan.saving is not None:
                plan.saving.tidy()

        return run_groups(cases, do, out, settings, plan.cases_at_once, overwrite, on_progress)

    def _settings_of(self, plan: WorkPlan, each: Mapping[str, float]) -> dict[str, Any]:
        """What decides the results, asked of a worker: the driver may have no place for the models. It stays, with the
        models that it has loaded, until others need its place, so that runs that are done already cost little."""
        ray = self._ray
        try:
            if self._describer is None:
                self._describer = ray.remote(max_restarts=0, max_task_retries=0, **each)(_Describer).remote()
            told: dict[str, Any] = json.loads(ray.get(self._describer.describe.remote(plan)))
        except ray.exceptions.RayError as error:
            self._describer = None
            raise AttentionPromptingError(f"No worker could be started ({_cause(error)}).") from error
        if "error" in told:
            raise AttentionPromptingError(told["error"])
        return told

    def _make_room(self) -> None:
        if self._describer is not None:
            self._ray.kill(self._describer)
            self._describer = None


def run_scaled(
    cases: Sequence[QuestionCase],
    plan: WorkPlan,
    workers: Workers,
    out: Path | None,
    *,
    overwrite: bool = False,
    on_progress: Progress = ignore_progress,
) -> RunResult:
    """As `Cluster.run`, with workers for this run alone."""
    with Cluster(workers) as cluster:
        return cluster.run(cases, plan, out, overwrite=overwrite, on_progress=on_progress)


class _Describer:
    """A process that builds plans only to say their settings."""

    def __init__(self) -> None:
        self._loaded = LoadedModels()

    def describe(self, plan: WorkPlan) -> str:
        try:
            return json.dumps(plan.build(loaded=self._loaded)[1])
        except AttentionPromptingError as error:
            return json.dumps({"error": str(error)})


class _Worker:
    """A process with models of its own, which Ray makes and hands one batch after another."""

    def __init__(self, plan: WorkPlan) -> None:
        self._work, self._settings = plan.build()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        told: dict[str, Any] = {"settings": self._settings, "versions": versions(), "host": socket.gethostname()}
        try:
            cases = [case_of_line(line, Path()) for line in json.loads(str(batch["cases"][0]))]
            outcomes = outcomes_of(self._work, cases, _Unstopped())
            told["outcomes"] = {case.id: found for case, found in zip(cases, outcomes, strict=True)}
        except AttentionPromptingError as error:  # such as a full disk: Ray would only try again
            told["stop"] = str(error)
        return {"told": [json.dumps(told)]}


def _quietly() -> redirect_stdout[_ToLog]:
    """Ray tells of every death on stdout, which holds what was asked for and nothing else."""
    return redirect_stdout(_ToLog())


class _ToLog(io.TextIOBase):
    """What is written to it is logged."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.strip())
        return len(text)


class _Unstopped:
    """A worker is stopped by Ray, not by its progress."""

    stopped = False

    def inside(self, done: int, total: int) -> None:
        """Nothing to report to."""


def _do(
    ray: Any,
    plan: WorkPlan,
    workers: Workers,
    each: Mapping[str, float],
    groups: Sequence[Sequence[QuestionCase]],
    tries: int,
    settings: Mapping[str, Any],
    waiting: dict[str, QuestionCase],
    keep: Keep,
) -> None:
    """Have the workers do these groups, keep what comes, and take it from `waiting`; what never comes is left there."""
    if not groups:
        return
    rows = [{"cases": json.dumps([_portable(case) for case in group])} for group in groups]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what becomes of a batch is told by its cases
    context.max_errored_blocks = max(_FEWEST_DEATHS, len(groups) // 10) if tries > 1 else -1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*ray_remote_args.* is deprecated")
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Worker,
            fn_constructor_args=(plan,),
            batch_size=1,  # a row is a batch of cases, and a block: what is lost with its worker
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=min(workers.count, len(rows)), max_tasks_in_flight_per_actor=tries),
            **each,
            **_restarts(len(rows), tries),
        )
    try:
        for batch in done.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
            for text in batch["told"]:
                _take(json.loads(str(text)), settings, waiting, keep)
    except ray.exceptions.RayError as error:
        raise AttentionPromptingError(
            f"The workers died at more than {context.max_errored_blocks} batches, or could not be started: that is not "
            f"one bad case ({_cause(error)}). What is done stays; run again to go on."
        ) from error


def _take(told: Mapping[str, Any], settings: Mapping[str, Any], waiting: dict[str, QuestionCase], keep: Keep) -> None:
    if told["settings"] != settings:
        names = sorted(name for name in settings if told["settings"].get(name) != settings[name])
        raise InvalidInput(
            f"The worker on {told['host']} would give other results ({', '.join(names)} differ): its models are not "
            "those of the others."
        )
    if "stop" in told:
        raise AttentionPromptingError(told["stop"])
    for name, outcome in told["outcomes"].items():
        case = waiting.pop(name, None)
        if case is not None:  # done twice where a worker died with its answer on the way
            keep([case], [{**outcome, "versions": told["versions"]}])


def _restarts(batches: int, tries: int) -> dict[str, int]:
    """Ray's limits, of which by default it has none: a worker comes back as often as its batches can kill it, and a
    batch is tried so often. Ray says that from 2.64 on these go to another place."""
    return {"max_restarts": batches * tries, "max_task_retries": tries - 1}


@contextmanager
def _started(ray: Any, workers: Workers) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    package = Path(__file__).resolve().parents[2]
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if workers.address is None:
        paths = os.pathsep.join(filter(None, (str(package.parent), os.environ.get("PYTHONPATH"))))
        ray.init(
            "local",
            num_cpus=max(workers.count, os.cpu_count() or 1),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            runtime_env={"env_vars": {"PYTHONPATH": paths}},
            **quiet,
        )
    else:
        try:
            ray.init(workers.address, runtime_env={"py_modules": [str(package)]}, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"There is no Ray cluster at {workers.address!r} ({reason(error)}).") from error
    try:
        yield
    finally:
        ray.shutdown()


def _share(ray: Any, workers: Workers, plan: WorkPlan) -> dict[str, float]:
    """What each worker gets of the machines; refused where there is not enough for all, who would wait for ever."""
    there = ray.cluster_resources()
    gpus = 0.0 if plan.device == "cpu" else min(1.0, there.get("GPU", 0.0) / workers.count)
    each = {"num_cpus": 1.0, "num_gpus": gpus if workers.gpus is None else workers.gpus}
    for kind, own in zip(("CPU", "GPU"), each.values(), strict=True):
        if own * workers.count > there.get(kind, 0.0) + 1e-6:
            raise InvalidInput(
                f"{workers.count} workers want {own * workers.count:g} {kind}s; there are {there.get(kind, 0.0):g}. "
                "Give fewer --workers, or less --gpus-per-worker."
            )
    return each


def _require_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingPackage(
            f"--workers needs the package 'ray'. Install it: python -m pip install '{REQUIREMENT}'"
        ) from error
    return ray


def _portable(case: QuestionCase) -> dict[str, Any]:
    """A case as a line, with whole paths."""
    picture = case.picture if isinstance(case.picture, SceneReference) else case.picture.absolute()
    more = tuple(path.absolute() for path in case.more_pictures)
    return replace(case, picture=picture, more_pictures=more).to_json()


def _cause(error: BaseException) -> str:
    """The last line of what Ray says, which is the reason: what stands before is where it happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return reason(RuntimeError(lines[-1] if lines else type(error).__name__))
