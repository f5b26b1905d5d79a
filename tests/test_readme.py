"""What README, CONTRIBUTING and docs/ show exists, runs, and says what it is said to say."""

import argparse
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
README_LIMIT = 8000  # bytes: a page that is read, and not searched
UNFINISHED = re.compile(r"\b(TODO|TBD|FIXME)\b|@@")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
OURS = re.compile(r"python (-m (api_core|tools)\b|tools/|tests/)|pytest ")
PRINTED = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def python_of(page: Path) -> str:
    return "\n".join(code for language, code in FENCE.findall(text_of(page)) if language == "python")


def commands_of(page: Path) -> list[str]:
    """Every shell command of a page, in fences and in lines; a line that ends with a backslash goes on."""
    text = text_of(page)
    shown = [code.replace("\\\n", " ") for language, code in FENCE.findall(text) if not language]
    lines = [line for code in shown for line in code.splitlines()]
    return [*lines, *CODE.findall(FENCE.sub("", text))]


def headings_of(page: Path) -> set[str]:
    """What a page's headings are called in links, by GitHub's rule."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def run_elsewhere(folder: Path, script: str) -> str:
    """Run Python in a folder with the pictures, so that what it saves is not left in the repository."""
    shutil.copytree(ROOT / "assets", folder / "assets")
    script = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{script}"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=name_of)
def test_python_runs_and_prints_what_its_comments_say(page: Path, tmp_path: Path) -> None:
    code = python_of(page)
    said = PRINTED.findall(code)
    assert code.count("print(") == len(said), "a print without a comment that says what it prints"
    assert run_elsewhere(tmp_path, code).splitlines() == said
    for saved in re.findall(r'\.save\("([^"]+)"\)', code):
        assert (tmp_path / saved).stat().st_size > 5_000


@pytest.mark.slow
def test_the_example_of_the_readme_runs_in_a_shell_as_well(tmp_path: Path) -> None:
    commands = [line for line in commands_of(ROOT / "docs" / "results-prompting.md") if "Where is the heart?" in line]
    assert len(commands) == 3
    said = [line.rpartition("# ")[2] for line in commands if "api_core ask" in line]
    arguments = [shlex.split(line, comments=True)[3:] for line in commands]
    (tmp_path / "out").mkdir()
    script = f"from api_core.command_line import main\nassert not any([main(one) for one in {arguments!r}])"
    lines = run_elsewhere(tmp_path, script).splitlines()
    assert [line for line in lines if line in ("left", "right")] == said == ["left", "right"]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], ModuleType]:
    """A file that `docs/write-your-own.md` shows, by its path: as a module of the package, as if it lay there."""
    shown = [code for language, code in FENCE.findall(text_of(ROOT / "docs" / "write-your-own.md")) if language == "py"]

    def load(path: str) -> ModuleType:
        (code,) = (code for code in shown if code.startswith(f"# {path}\n"))
        file = tmp_path / Path(path).name
        file.write_text(code, encoding="utf-8")
        name = "pack." + path.removesuffix(".py").replace("/", ".")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.slow
def test_the_method_that_is_shown_makes_a_map(
    example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pack.api_core import load_lvlm, lvlm_heatmap, to_picture
    from pack.api_core.attribution.lvlm.heatmap import LVLM_METHODS, LvlmMethod

    example("api_core/attribution/lvlm/strongest_head.py")
    monkeypatch.setitem(LVLM_METHODS, "strongest head", LvlmMethod("strongest head", ""))
    model, picture = load_lvlm("tiny-lvlm"), to_picture(ROOT / "assets" / "scene.png")
    strongest, mean = (
        lvlm_heatmap(model, [picture], "What colour is the cross?", method=method).heatmap.pictures[0].parts
        for method in ("strongest head", "image mass")
    )
    (high,), (low,) = strongest["attention"], mean["attention"]
    assert high.values.shape == low.values.shape
    assert (high.values >= low.values).all()
    assert (high.values > low.values).any()


@pytest.mark.slow
def test_the_explaining_method_that_is_shown_explains(
    example: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pack.api_core import explain, load_lvlm, to_picture
    from pack.api_core.explanation.methods import METHODS

    method = example("api_core/explanation/methods/darkness.py").METHOD
    monkeypatch.setitem(METHODS, method.name, method)
    model, picture = load_lvlm("tiny-lvlm"), to_picture(ROOT / "assets" / "scene.png")
    (found,) = explain(
        model, [picture], "What colour is the cross?", method="darkness", settings={"power": 2.0}, steps=0
    )
    (view,) = found.map.parts["importance"]
    dark = (1 - picture[..., :3].mean(-1)) ** 2
    assert view.values.argmax() == dark.argmax()


def test_the_style_that_is_shown_draws(example: Callable[[str], ModuleType]) -> None:
    import torch
    from pack.api_core import overlay

    style = example("api_core/overlay/wash.py").WashStyle
    picture = torch.rand(5, 7, 3)
    mask = torch.zeros(5, 7)
    mask[0] = 1
    drawn = overlay.apply(picture, mask, style(amount=1.0))
    torch.testing.assert_close(drawn[0], picture[0])
    torch.testing.assert_close(drawn[1:], picture.mean((0, 1)).expand(4, 7, 3))
    (form,) = style.forms()
    assert form.make(**{setting.name: setting.default for setting in form.settings}) == style()


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_LIMIT


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_left_unfinished(page: Path) -> None:
    assert not [line for line in text_of(page).splitlines() if UNFINISHED.search(line)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in LINK.findall(FENCE.sub("", text_of(page))):
        if link.startswith("https://"):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (heading and heading not in headings_of(target)):
            lost.append(link)
    assert not lost


def test_every_page_of_the_documentation_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        linked = {(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(text_of(page))}
        waiting += [other for other in PAGES if other in linked - reached]
    assert DOCS
    assert not set(PAGES) - reached


def test_the_pictures_have_what_is_shown_and_nothing_else() -> None:
    shown = {link for page in PAGES for link in re.findall(r"assets/([\w.-]+)", text_of(page))}
    assert shown == {path.name for path in (ROOT / "assets").iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path) -> None:
    for command in filter(OURS.match, commands_of(page)):
        words = [word for word in shlex.split(command, comments=True) if word != "..."]
        if words[:3] == ["python", "-m", "api_core"]:
            assert is_accepted(words[3], words[4:]), command
        elif words[1] == "-m":
            path = ROOT.joinpath(*words[2].split("."))
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), command
        else:
            assert (ROOT / words[1]).exists(), command


def is_accepted(command: str, arguments: list[str]) -> bool:
    """Whether the command line takes these words, or ends well at once, as with `--help`."""
    from pack.api_core.command_line import COMMANDS

    parser = argparse.ArgumentParser()
    add_options, _ = COMMANDS[command]
    add_options(parser)
    try:
        parser.parse_args(arguments)
    except SystemExit as end:
        return end.code == 0
    return True


def test_the_two_commands_of_the_readme_are_targets_of_make() -> None:
    assert re.findall(r"^make (\w+)", text_of(ROOT / "README.md"), re.MULTILINE) == ["demo", "test"]


@pytest.mark.parametrize("page", ["README.md", "docs/nodes.md"])
def test_every_node_has_its_row(page: str) -> None:
    files = sorted((ROOT / "nodes").rglob("*.py"))
    names = re.findall(r'display_name="([^"]+)",\s*category', "".join(text_of(path) for path in files))
    assert len(names) >= 14
    shown = {re.sub(r" \(.*\)$", "", name) for name in names}
    assert not [name for name in shown if not re.search(rf"^\| \[?\*\*{name}\*\*", text_of(ROOT / page), re.MULTILINE)]


def test_every_method_has_its_row() -> None:
    from pack.api_core.answering import DECODINGS
    from pack.api_core.attribution import list_lvlm_methods, list_methods
    from pack.api_core.explanation.methods import METHODS

    written = rows_of("methods.md")
    assert not [method for method in (*list_methods(), *list_lvlm_methods(), *METHODS) if f"`{method}`" not in written]
    calibrated = [kind.name for kind in DECODINGS if kind.name not in ("greedy", "sample")]
    assert not [name for name in calibrated if f"`{name}`" not in written]


def test_every_vision_language_model_has_its_row() -> None:
    from pack.api_core.models.catalog import list_lvlm_models
    from pack.tests.zoo import FAMILIES, FURTHER

    written = rows_of("models.md")
    assert not [name for name in list_lvlm_models() if f"`{name}`" not in written]
    plain = re.sub(r"[^a-z0-9]", "", written.lower())
    assert not [name for name in (*FAMILIES, *FURTHER) if re.sub(r"[^a-z0-9]", "", name) not in plain]


def test_every_data_set_has_its_row_with_all_its_rules() -> None:
    from pack.api_core.evaluation.official.registry import DATA_SETS

    rows = {row.split("`")[1]: row for row in rows_of("data-sets.md").splitlines() if row.startswith("| `")}
    assert set(rows) == set(DATA_SETS)
    for name, data_set in DATA_SETS.items():
        wanted = {*data_set.rules, *data_set.wordings, *list(data_set.counts)[:5]}
        assert not [word for word in wanted if f"`{word}`" not in rows[name]], name


def rows_of(page: str) -> str:
    """The rows of a page's tables."""
    return "\n".join(line for line in text_of(ROOT / "docs" / page).splitlines() if line.startswith("|"))
