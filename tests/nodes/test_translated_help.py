"""Help pages in other languages.

At a release they have the parts of the English one, and names as the page has them in that language.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pack.tools import locales

DOCS = locales.ROOT / "web" / "docs"
PAGES = sorted(DOCS.glob("*/*.md"))
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")
LIST_ENTRY = re.compile(r"^( *)- ", re.MULTILINE)
HEADING = re.compile(r"^(#+) ", re.MULTILINE)


def names(texts: dict[str, Any]) -> Iterator[str]:
    """What the inputs and outputs of a node are called, without the numbers of sockets that appear one by one."""
    for part in (*texts["inputs"].values(), *texts["outputs"].values()):
        yield re.sub(r" ?\d+$", "", part["name"])


def test_each_is_of_a_node_and_a_language() -> None:
    assert {f"{path.parent.name}.md" for path in PAGES} <= {path.name for path in DOCS.glob("*.md")}
    assert {path.stem for path in PAGES} <= set(locales.LANGUAGES) - {locales.SOURCE}


@pytest.mark.release
@pytest.mark.parametrize("path", PAGES, ids=[f"{path.parent.name}-{path.stem}" for path in PAGES])
class TestTranslatedPage:
    def test_names_every_input_and_output_as_the_node_does(self, path: Path) -> None:
        texts, page = locales.read(path.stem)[path.parent.name], path.read_text(encoding="utf-8")
        assert page.startswith(f"# {texts['display_name']}\n")
        missing = [name for name in names(texts) if f"**{name}**" not in page]
        assert not missing

    def test_names_the_nodes_that_the_english_page_names(self, classes: dict[str, Any], path: Path) -> None:
        page, translated = path.read_text(encoding="utf-8"), locales.read(path.stem)
        source = (DOCS / f"{path.parent.name}.md").read_text(encoding="utf-8")
        for node, shown in classes.items():
            title = shown.define_schema().display_name
            if f"**{title}**" in source:
                assert f"**{translated[node]['display_name']}**" in page, title

    def test_has_the_parts_of_the_english_page(self, path: Path) -> None:
        page = path.read_text(encoding="utf-8")
        source = (DOCS / f"{path.parent.name}.md").read_text(encoding="utf-8")
        assert set(CODE.findall(page)) == set(CODE.findall(source)), "values and file names are the same everywhere"
        for kind in (LINK, LIST_ENTRY, HEADING):
            assert kind.findall(page) == kind.findall(source)
