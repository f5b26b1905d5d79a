"""What a shipped workflow is made of; the stories themselves are in the files called after workflows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

Pictures = Mapping[str, list[Image.Image]]
Link = tuple[str, str, str, str]
THUMBNAIL = (640, 640)


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
    """A workflow.

    links: (from node, output, to node, input). thumbnail: of the pictures that the output nodes showed, by title; None
    where the models cannot be had here, so that the graph itself is shown. models: the files to fetch, by node type.
    """

    name: str
    id: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    thumbnail: Callable[[Pictures], Image.Image] | None
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


def note(key: str, pos: tuple[int, int], size: tuple[int, int], text: str) -> Node:
    return Node(key, "MarkdownNote", pos, size, values={"text": text.strip()})


def half_and_half(before: Image.Image, after: Image.Image) -> Image.Image:
    """One picture on the left, the other on the right of a split down the middle."""
    joined = before.copy()
    half = before.width // 2
    joined.paste(after.resize(before.size).crop((half, 0, *before.size)), (half, 0))
    joined.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    return joined


def row(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one height, side by side."""
    joined = Image.new("RGB", (sum(one.width for one in pictures), pictures[0].height))
    left = 0
    for one in pictures:
        joined.paste(one, (left, 0))
        left += one.width
    joined.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    return joined
