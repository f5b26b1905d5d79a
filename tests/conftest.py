"""Load the repository as the package `pack`, the way ComfyUI loads it: by file location, under another name.

The repository's root must not be on `sys.path`: its `nodes` would hide ComfyUI's module of that name.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

# The tests' models are tiny: more threads only wait for each other, many times as long on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# What a shell starts in the background ignores Ctrl-C, and so would all commands that the tests press it for.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

if "pack" not in sys.modules:
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    pack = importlib.util.module_from_spec(spec)
    sys.modules["pack"] = pack
    spec.loader.exec_module(pack)


from pack.tests import zoo  # noqa: E402  (there is a `pack` now)
from pack.tests.e2e.server import OUTCOME  # noqa: E402
from pack.tests.on_host import classes, models, nodes, run  # noqa: E402, F401 - one host for all

IN_COMFYUI = ROOT / "tests" / "e2e"
OTHER_FAMILIES = {*zoo.FAMILIES, *zoo.FURTHER} - {*zoo.QUICK}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="what `make check` runs: nothing in ComfyUI, nothing marked slow, and of the families of vision-language "
        "models those of tests.zoo.QUICK",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("--quick") and collection_path == IN_COMFYUI else None


def in_a_browser(file: str) -> bool:
    return file.endswith("_in_the_browser.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests in ComfyUI come first: no process may start them last, as they take longest.

    Those that want its page in the same look follow each other, and share it.
    """

    def place(item: pytest.Item) -> tuple[bool, bool, bool]:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return IN_COMFYUI not in item.path.parents, in_a_browser(item.path.name), parameters.get("modern") is True

    items.sort(key=place)
    if config.getoption("--quick"):
        left_out = [item for item in items if not is_quick(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_quick(item)]


def is_quick(item: pytest.Item) -> bool:
    """A test that says nothing about itself is; one that is parametrised by a family is where that is a quick one."""
    if any(item.get_closest_marker(name) for name in ("host", "slow", "soak")):
        return False
    given = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    parts = (part for value in given for part in (value if isinstance(value, tuple | list) else (value,)))
    return OTHER_FAMILIES.isdisjoint(part for part in parts if isinstance(part, str))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the tests, one keeps a file, with what it made once; one the ComfyUI that is talked
    to, and one that which a browser shows."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFileOrServer(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            if "tests/e2e/" not in file:
                return file
            return "a browser" if in_a_browser(file) else "ComfyUI"

    return ByFileOrServer(config, log)


# Here and not beside the server: of several processes, the one that reports reads no other conftest.
def pytest_sessionfinish(session: pytest.Session) -> None:
    line, told = session.config.stash.get(OUTCOME, None), getattr(session.config, "workeroutput", None)
    if line and told is not None:
        told["comfyui"] = line


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of several processes is done: the one that had the ComfyUI says what it was."""
    if "comfyui" in getattr(node, "workeroutput", {}):
        node.config.stash[OUTCOME] = node.workeroutput["comfyui"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if OUTCOME in config.stash:
        terminalreporter.write_line(f"End-to-end tests: {config.stash[OUTCOME]}")
