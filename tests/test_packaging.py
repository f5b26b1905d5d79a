"""What leaves the repository: the registry's zip, the wheel, the requirements, and names that have to agree."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
# ComfyUI chooses these; naming one in the requirements lets pip replace it.
BROUGHT_BY_COMFYUI = {
    "torch", "torchvision", "torchaudio", "torchsde", "numpy", "pillow", "transformers", "tokenizers", "safetensors",
    "einops", "scipy", "aiohttp", "kornia", "tqdm", "psutil", "huggingface-hub",
}  # fmt: skip
FOR_USERS = {"__init__.py", "pyproject.toml", "requirements.txt", "README.md", "CHANGELOG.md", "LICENSE"}
FOLDERS_FOR_USERS = {"api_core", "nodes", "web", "workflows", "locales", "subgraphs"}
ZIP_LIMIT = 32_000_000


def tracked_files() -> list[str]:
    """What git tracks and is there; what a release is made of."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    result = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in result.stdout.split("\0") if name and (ROOT / name).is_file()]


def ignored(name: str, patterns: list[str]) -> bool:
    """The part of .gitignore's rules that .comfyignore uses: `folder/` anywhere, `/folder/` at the root, file names."""
    path = f"/{name}"
    return any(
        path.startswith(p) if p.startswith("/") else f"/{p}" in path if p.endswith("/") else name == p for p in patterns
    )


def comfyignore() -> list[str]:
    lines = (ROOT / ".comfyignore").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def copy_of_the_project(folder: Path) -> Path:
    for name in tracked_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return folder


ON_THE_DOUBLE = """
import asyncio, importlib, pkgutil, sys, tempfile
from pathlib import Path
import comfy_double
NEEDS_MORE = "run", "merge", "benchmark", "data", "judge", "score", "export", "serve", "reproduce", "row_options"
comfy_double.install(Path(tempfile.mkdtemp()))
import pack, torch
from pack.nodes import create_extension
nodes = {node.define_schema().node_id: node for node in asyncio.run(create_extension().get_node_list())}

def run(node, **inputs):
    hidden = {"hidden_inputs": {importlib.import_module("comfy_api.latest").io.Hidden.unique_id: "1"}}
    return nodes[node].PREPARE_CLASS_CLONE(hidden).execute(**inputs).args

image, named, _ = run("AttnPromptDemoScene", width=96, height=64, objects=3, seed=1)
(clip,) = run("AttnPromptLoadCLIP", model="tiny-clip", precision="auto", allow_download=False)
settings = {"method": "decomposition", "layer": "auto", "reading": "precise", "fit": "auto"}
heatmap, *_ = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query=named, **settings)
assert heatmap.pictures[0].size == (64, 96)
import pack.api_core
lost = []
for module in pkgutil.walk_packages(pack.api_core.__path__, "pack.api_core.", onerror=lost.append):
    if not module.name.endswith(("__main__", *(f"command_line.{name}" for name in NEEDS_MORE))):
        importlib.import_module(module.name)
assert not lost, lost
print(len(nodes), any(name.startswith("pack.api_core.evaluation") for name in sys.modules))
"""
# As a part of the pack: `api_core` by itself may be found where this project is installed for development.
COMMAND = "import sys; from pack.api_core.command_line import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.slow
def test_the_pack_without_what_only_researchers_use(tmp_path: Path) -> None:
    """What the registry gets: nodes and the rest of the library work, `run` and the like say what is missing."""
    pack = tmp_path / "pack"
    for name in tracked_files():
        if not ignored(name, comfyignore()):
            target = pack / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    assert (pack / "api_core" / "scenes").is_dir()
    assert not (pack / "api_core" / "evaluation").exists()
    assert not (pack / "api_core" / "serving").exists()
    shutil.copyfile(ROOT / "tests" / "comfy_double.py", tmp_path / "comfy_double.py")

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [sys.executable, "-c", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    done = python(ON_THE_DOUBLE)
    assert done.stdout.split() == [str(len(node_ids())), "False"], done.stderr
    needy = (
        "run cases.jsonl --out results.jsonl",
        "benchmark answers",
        "data list",
        "score r.jsonl --cases c.jsonl",
        "serve",
    )
    for command in (line.split() for line in needy):
        asked = python(COMMAND, *command)
        assert asked.returncode == 2
        assert asked.stderr.startswith(
            f"error: `{command[0]}` needs api_core/{'serving' if command[0] == 'serve' else 'evaluation'}"
        )
        assert asked.stderr.count("\n") == 1
        assert PROJECT["urls"]["Repository"] in asked.stderr
    assert python(COMMAND, "models").returncode == 0


def requirement_name(line: str) -> str:
    return re.split(r"[<>=!~\[ ;]", line, maxsplit=1)[0].lower().replace("_", "-")


def test_the_registry_gets_what_users_need_and_nothing_else() -> None:
    patterns = comfyignore()
    assert not [p for p in patterns if any(sign in p for sign in "*?![")], "plain names only, or this test is wrong"
    packed = [name for name in tracked_files() if not ignored(name, patterns)]
    strangers = [n for n in packed if n not in FOR_USERS and n.split("/")[0] not in FOLDERS_FOR_USERS]
    assert not strangers, f"not for users: {strangers}; list them in .comfyignore"
    assert not [name for name in packed if name.endswith((".pyc", ".pt", ".bin", ".ckpt", ".env", ".zip"))]
    assert {"__init__.py", "pyproject.toml", "requirements.txt", "LICENSE"} <= set(packed)
    assert sum((ROOT / name).stat().st_size for name in packed) < ZIP_LIMIT


def test_nothing_in_comfyignore_is_stale() -> None:
    names = tracked_files()
    stale = [p for p in comfyignore() if not any(ignored(name, [p]) for name in names)]
    assert not stale, f".comfyignore names what does not exist: {stale}"


def comfy_cli() -> str:
    name = "comfy.exe" if os.name == "nt" else "comfy"
    beside = Path(sys.executable).with_name(name)
    if not beside.exists():
        pytest.skip("comfy-cli is not installed in this environment (extra: test)")
    return str(beside)


@pytest.mark.slow
def test_comfy_cli_validates_and_packs_the_same(tmp_path: Path) -> None:
    comfy = comfy_cli()
    project = copy_of_the_project(tmp_path / "project")
    # A home of its own: comfy-cli keeps its settings there, and must not meet the user's.
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "DO_NOT_TRACK": "1"}
    environment = {k: v for k, v in environment.items() if not k.startswith("GIT_")}
    environment["PATH"] = os.pathsep.join([str(Path(comfy).parent), environment["PATH"]])

    def run(*command: str) -> str:
        result = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, encoding="utf-8"
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    run("git", "init", "--quiet")
    run("git", "add", "--all", "--force")
    said = run(comfy, "--skip-prompt", "node", "validate")
    assert "passed" in said
    assert not [line for line in said.splitlines() if "warning" in line.lower()], said
    run(comfy, "--skip-prompt", "node", "pack")
    with zipfile.ZipFile(project / "node.zip") as archive:
        packed = set(archive.namelist())
    assert packed == {name for name in tracked_files() if not ignored(name, comfyignore())}


@pytest.mark.slow
def test_the_wheel_holds_the_library_alone_and_all_of_it(tmp_path: Path) -> None:
    setuptools = importlib.metadata.version("setuptools") if importlib.util.find_spec("setuptools") else "0"
    if int(setuptools.split(".")[0]) < 77:
        pytest.skip(f"building without a network needs setuptools 77 or newer here, not {setuptools}")
    project = copy_of_the_project(tmp_path / "project")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--no-index"]
    result = subprocess.run([*command, "-w", str(tmp_path)], cwd=project, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        information = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        scripts = archive.read(f"{information}/entry_points.txt").decode()
    library = {name for name in names if not name.startswith(information)}
    assert library == {name for name in tracked_files() if name.startswith("api_core/")}
    assert "attention-prompting = api_core.command_line:run" in scripts
    assert any(name.startswith(f"{information}/") and "LICENSE" in name for name in names)


def test_requirements_name_nothing_that_comfyui_brings() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if line and not line.startswith("#")]
    assert requirements == PROJECT["dependencies"]
    assert not {requirement_name(line) for line in requirements} & BROUGHT_BY_COMFYUI


def test_requirements_are_lower_bounds_only() -> None:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for line in [*PROJECT["dependencies"], *extras]:
        if not line.startswith("attention-prompting["):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z]+\])?>=[0-9.]+", line), line


def test_what_the_library_imports_is_declared() -> None:
    """By the library itself, or by what only some of its commands need."""
    extras = PROJECT["optional-dependencies"]
    needed = ("standalone", "data", "amber", "scale")
    lines = [*PROJECT["dependencies"], *(line for name in needed for line in extras[name])]
    declared = {requirement_name(line) for line in lines}
    packages = {"PIL": "pillow", "open_clip": "open-clip-torch", "huggingface_hub": "huggingface-hub"}
    imported = set()
    for path in (ROOT / "api_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").split(".")[0])
    third_party = {packages.get(name, name) for name in imported - set(sys.stdlib_module_names)}
    assert third_party <= declared, f"not in pyproject: {third_party - declared}"


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    for path in (ROOT / "workflows").glob("*.json"):
        graph = json.loads(path.read_text(encoding="utf-8"))
        own = [n["properties"] for n in graph["nodes"] if n["properties"].get("cnr_id") == PROJECT["name"]]
        assert own, f"{path.name} has no node of this pack"
        assert {properties.get("ver") for properties in own} == {version}, path.name


def node_ids() -> set[str]:
    found = set()
    for path in (ROOT / "nodes").rglob("*.py"):
        found |= set(re.findall(r"node_id\s*=\s*[\"'](\w+)[\"']", path.read_text(encoding="utf-8")))
    return found


def test_every_node_has_its_help_page_and_every_page_its_node() -> None:
    pages = {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    assert node_ids()
    assert node_ids() == pages


def test_every_make_command_that_is_written_about_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        written = set(re.findall(r"(?:^|`|failed\+=\(\")make ([a-z]+)", text, re.M))
        assert written, f"{name} names no make command"
        assert written <= targets, f"{name}: make {written - targets}"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^make test\b", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.M)
    assert os.access(ROOT / ".ci" / "run", os.X_OK) or os.name == "nt"
