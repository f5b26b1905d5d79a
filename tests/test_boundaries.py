"""The architecture, checked: who may import whom, and what importing costs.

Ranks: a module imports only modules of lower rank, of its own folder, or (at one rank) of the same top folder.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "api_core"
NODES = ROOT / "nodes"

# The longest matching prefix counts. A new module has to be given a rank here.
RANKS = {
    "errors": 0,
    "texts": 0,
    "progress": 0,
    "whole_file": 0,
    "writing": 0,
    "user_folder": 0,
    "choices": 0,
    "broadcast": 0,
    "lazy": 0,
    "settings": 0,
    "autograd": 0,
    "results": 0,
    "scales": 0,
    "presence_score": 0,
    "resample": 0,
    "geometry": 0,
    "pictures": 0,
    "morphology": 0,
    "colormaps": 0,
    "fonts": 0,
    "masks": 1,
    "combine": 1,
    "regions": 1,
    "map_back": 1,
    "overlay": 1,
    "models.catalog": 1,
    "panel": 2,  # shows what rank 1 made
    "models": 2,
    "embedded": 2,
    "attribution": 3,
    "answering": 3,
    "explanation": 4,
    "prompting": 4.5,  # composes a whole job of the ranks below
    "scenes": 1,
    "doctor": 5,
    "evaluation": 5,
    "serving": 5,
    "command_line": 5.5,  # runs what evaluation holds
    "__main__": 6,
    "__init__": 6,  # the lazy public surface
}
HOST = ("comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "nodes", "server", "execution")
HEAVY = ("transformers", "open_clip", "huggingface_hub", "timm", "ray", "openai", "pyarrow", "nltk", "spacy")
MAY_LOAD_HEAVY = ("models", "evaluation")


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def library_files() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import of a file, and whether it is inside a function (or only for type checkers)."""

    def walk(node: ast.AST, deferred: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child, deferred
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from walk(child, deferred or checking or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False)


def absolute_names(path: Path) -> list[tuple[str, bool, int]]:
    found = []
    for node, deferred in imports(path):
        if isinstance(node, ast.Import):
            found += [(alias.name, deferred, node.lineno) for alias in node.names]
        elif not node.level:
            found.append((node.module or "", deferred, node.lineno))
    return found


def targets(path: Path) -> Iterator[tuple[str, int]]:
    """The library modules that a library file imports, by dotted name below `api_core`."""
    package = path.relative_to(LIBRARY).parent.parts
    for node, _ in imports(path):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = package[: len(package) - (node.level - 1)]
        base = [*above, *((node.module or "").split(".") if node.module else [])]
        for alias in node.names:
            deeper = [*base, alias.name]
            exists = LIBRARY.joinpath(*deeper).with_suffix(".py").exists() or LIBRARY.joinpath(*deeper).is_dir()
            yield ".".join(deeper if exists else base) or "__init__", node.lineno


def rank(name: str) -> float:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in RANKS:
            return RANKS[prefix]
    raise AssertionError(f"api_core.{name} has no rank: give it one in {Path(__file__).name} and CONTRIBUTING.md")


def rank_violation(name: str, target: str) -> str | None:
    own, other = rank(name), rank(target)
    if other < own:
        return None
    if other > own:
        return f"rank {own:g} imports {target} of rank {other:g}"
    same_folder = name.split(".")[0] == target.split(".")[0] or ("." not in name and "." not in target)
    same_package = (LIBRARY / target.split(".")[0]).is_dir() or (LIBRARY / name.split(".")[0]).is_dir()
    if name.split(".")[0] == target.split(".")[0] or (same_folder and not same_package):
        return None
    return f"imports {target} of its own rank {own:g} in another folder"


def listed(violations: list[str]) -> str:
    return "\n  ".join(["", *violations])


def test_every_module_imports_only_lower_ranks() -> None:
    violations = []
    for path in library_files():
        name = module_name(path, LIBRARY)
        for target, line in targets(path):
            problem = rank_violation(name, target)
            if problem:
                violations.append(f"api_core/{path.relative_to(LIBRARY)}:{line} {problem}")
    assert not violations, listed(violations)


@pytest.mark.parametrize(
    ("name", "target", "allowed"),
    [
        ("masks.tuning", "results", True),
        ("masks.tuning", "masks.precise", True),
        ("pictures", "results", True),
        ("masks.tuning", "overlay", False),
        ("results", "masks", False),
        ("attribution.clip_heatmap", "models.clip", True),
        ("models.clip.run_tower", "attribution", False),
        ("models.catalog", "models.clip", False),
        ("overlay.drawing", "regions", False),
        ("command_line.run", "evaluation", True),
        ("evaluation.runner", "command_line", False),
    ],
)
def test_the_rank_rule_itself(name: str, target: str, allowed: bool) -> None:
    assert (rank_violation(name, target) is None) is allowed


def import_circles() -> list[list[str]]:
    """The groups of modules that import each other, directly or not; imports for types and in functions count."""
    imported: dict[str, set[str]] = {}
    for path in library_files():
        name = module_name(path, LIBRARY)
        imported.setdefault(name, set()).update(target for target, _ in targets(path))

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = imported.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found

    reach = {name: reached(name) for name in imported}
    circles = {frozenset(other for other in reach[name] if name in reach.get(other, ())) for name in reach}
    return sorted(sorted(circle) for circle in circles if circle)


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert not import_circles(), listed([" and ".join(circle) for circle in import_circles()])


@pytest.mark.parametrize(
    ("left_out", "commands"),
    [
        ("evaluation", {"run", "merge", "benchmark", "data", "judge", "score", "export", "reproduce", "row_options"}),
        ("serving", {"serve"}),
    ],
    ids=["evaluation", "serving"],
)
def test_only_some_commands_need_what_the_node_pack_leaves_out(left_out: str, commands: set[str]) -> None:
    """It is for researchers: it is not in what ComfyUI's users install, so nothing else may import it."""
    may = {LIBRARY / "command_line" / f"{command}.py" for command in commands}
    outside = [path for path in library_files() if left_out not in path.relative_to(LIBRARY).parts]
    users = {path for path in outside for target, _ in targets(path) if target.split(".")[0] == left_out}
    assert users == may
    in_nodes = [p.name for p in NODES.rglob("*.py") if re.search(rf"\bapi_core\.{left_out}\b", p.read_text("utf-8"))]
    assert not in_nodes


def test_the_library_never_imports_the_host() -> None:
    violations = [
        f"api_core/{path.relative_to(LIBRARY)}:{line} imports {name}"
        for path in library_files()
        for name, _, line in absolute_names(path)
        if name.split(".")[0] in HOST
    ]
    assert not violations, listed(violations)


def test_imports_inside_the_library_are_relative() -> None:
    violations = [
        f"api_core/{path.relative_to(LIBRARY)}:{line} imports {name}"
        for path in library_files()
        for name, _, line in absolute_names(path)
        if name.split(".")[0] in ("api_core", "pack", "tests", "tools")
    ]
    assert not violations, listed(violations)


def test_relative_imports_stay_inside_the_library() -> None:
    violations = [
        f"api_core/{path.relative_to(LIBRARY)}:{node.lineno}"
        for path in library_files()
        for node, _ in imports(path)
        if isinstance(node, ast.ImportFrom) and node.level > len(path.relative_to(ROOT).parent.parts)
    ]
    assert not violations, listed(violations)


def test_heavy_libraries_are_imported_only_inside_functions_of_models_and_evaluation() -> None:
    violations = []
    for path in [*library_files(), *NODES.rglob("*.py")]:
        inside = path.is_relative_to(LIBRARY) and path.relative_to(LIBRARY).parts[0] in MAY_LOAD_HEAVY
        for name, deferred, line in absolute_names(path):
            if name.split(".")[0] in HEAVY and not (inside and deferred):
                violations.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not violations, listed(violations)


# Data sets and their programs are called as they were published, which is after families too.
KNOWS_FAMILIES = ("models/lvlm/families", "models/catalog", "models/random_models.py", "evaluation/official")
PUBLISHED_NAMES = ("llava_api",)


def words_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every name and every text of a file, but what explains it: comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    explains = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explains:
            yield node.value, node.lineno
        for part in ("id", "attr", "name", "arg", "module"):
            if isinstance(word := getattr(node, part, None), str):
                yield word, getattr(node, "lineno", 0)


def test_family_names_stay_with_the_families() -> None:
    from pack.api_core.models.lvlm.families import FAMILIES

    names = {re.match("[a-z]+", kind)[0] for family in FAMILIES for kind in family.model_types}
    assert len(names) > 8
    violations = [
        f"api_core/{path.relative_to(LIBRARY)}:{line} says {word[:60]!r}"
        for path in library_files()
        if not any(path.is_relative_to(LIBRARY / folder) for folder in KNOWS_FAMILIES)
        for word, line in words_of(path)
        if word not in PUBLISHED_NAMES and any(name in word.lower() for name in names)
    ]
    assert not violations, listed(violations)


def test_only_one_node_file_knows_the_host() -> None:
    violations = []
    for path in sorted(NODES.rglob("*.py")):
        for name, _, line in absolute_names(path):
            top = name.split(".")[0]
            if top in HOST and top != "comfy_api" and path.name != "host.py":
                violations.append(f"nodes/{path.name}:{line} imports {name}; only nodes/host.py may")
            if top == "nodes":
                violations.append(f"nodes/{path.name}:{line} imports ComfyUI's `nodes` by mistake")
    assert not violations, listed(violations)


def test_the_library_and_the_nodes_print_nothing() -> None:
    violations = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in [*library_files(), *NODES.rglob("*.py")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "pprint")
    ]
    assert not violations, listed(violations)


def run_python(code: str, folder: Path) -> str:
    """Run `code` in a fresh Python in `folder`; returns what it writes."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


LOAD_PACK = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location(
    "custom_nodes_any_name", {str(ROOT / "__init__.py")!r}, submodule_search_locations=[{str(ROOT)!r}])
pack = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = pack
spec.loader.exec_module(pack)
"""
LOADED = f"print(sorted({{'torch', 'numpy', 'scipy', 'PIL', *{HEAVY!r}}} & set(sys.modules)))"


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert run_python(f"import sys, api_core; {LOADED}", ROOT) == "[]"


def test_importing_the_pack_loads_nothing_heavy_and_nothing_of_the_host(tmp_path: Path) -> None:
    assert run_python(f"{LOAD_PACK}\n{LOADED}", tmp_path) == "[]"
    assert run_python(f"{LOAD_PACK}\nprint(sorted(set({HOST!r}) & set(sys.modules)))", tmp_path) == "[]"


COMPUTE = """
import torch
values = torch.arange(6, dtype=torch.float32).reshape(1, 2, 3)
view = results.View(values, results.Box(0, 0, 12, 8), torch.ones(2, 3, dtype=torch.bool))
label = results.Label("star", "whole")
picture = results.PictureMap((8, 12), (label,), {"scores": (view,)}, "m", "model", None)
tuned = masks.tune(results.Heatmap((picture,)), contrast=1.0, smoothing=1)
print(round(float(tuned.masks[0].double().sum()), 9))
"""


def test_the_library_gives_the_same_from_the_root_and_inside_the_pack(tmp_path: Path) -> None:
    from_root = run_python(f"from api_core import masks, results\n{COMPUTE}", ROOT)
    in_pack = run_python(
        f"{LOAD_PACK}\nfrom custom_nodes_any_name.api_core import masks, results\n"
        f"assert 'api_core' not in sys.modules\n{COMPUTE}",
        tmp_path,
    )
    assert float(from_root) > 0
    assert from_root == in_pack


def test_files_are_short_enough_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*library_files(), *NODES.rglob("*.py")]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 330
    }
    assert not long, f"split these: {long}"
