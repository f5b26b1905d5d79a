"""The shipped workflows, told node by node; `build.py` lays them out in the frontend and saves them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

Pictures = Mapping[int, list[Image.Image]]
NOTE_COLUMN = -420


@dataclass(frozen=True)
class Node:
    """One node: `values` are widget values by name."""

    key: str
    type: str
    pos: tuple[int, int]
    size: tuple[int, int] | None = None
    title: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """A workflow: `links` are (from node, output name, to node, input name); `models` names files to fetch by node type."""

    name: str
    id: str
    nodes: tuple[Node, ...]
    links: tuple[tuple[str, str, str, str], ...]
    thumbnail: Callable[[Pictures], Image.Image]
    models: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    groups: tuple[Mapping[str, Any], ...] = ()
    core_version: str = "0.30.0"

    def layout(self) -> dict[str, Any]:
        """What the page needs to lay the workflow out."""
        nodes = [
            {
                "key": node.key,
                "type": node.type,
                "pos": node.pos,
                "size": node.size,
                "title": node.title,
                "values": node.values,
            }
            for node in self.nodes
        ]
        return {"nodes": nodes, "links": self.links, "groups": self.groups}


def before_and_after(pictures: Pictures) -> Image.Image:
    """The two pictures that the compare node showed, split down the middle, 4:3."""
    before, after = next(shown for shown in pictures.values() if len(shown) == 2)
    joined = before.copy()
    half = before.width // 2
    joined.paste(after.crop((half, 0, after.width, after.height)), (half, 0))
    joined.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return joined


def note(key: str, pos: tuple[int, int], size: tuple[int, int], text: str) -> Node:
    return Node(key, "MarkdownNote", pos, size, values={"text": text.strip()})
