"""Build the shipped workflows in ComfyUI's own frontend, so that they are saved the way a user's are.

    python tools/workflows/shipped.py --url http://127.0.0.1:8188

needs a running ComfyUI with this pack, Chromium, and `pip install playwright av`. Each story is laid out node by node
in the page, serialised by it, and written to `workflows/`; the blueprints to `subgraphs/`. With `--run`, stories that
need no download are queued there as well, and the pictures that they showed become the thumbnail of the same name; the
thumbnail of the others shows the graph. `--keep` copies what ships, and the prompt that the page makes of it, to where
the tests replay it from; do it once a release.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import answer_workflow
import clip_workflows
import encoder_workflows
import interop_workflows
import lvlm_workflows
import trust_workflow
import video_workflow
import word_workflow
from blueprint import Blueprint, to_saved
from blueprints import BLUEPRINTS
from page import ComfyPage, opened
from workflow_spec import THUMBNAIL, Story

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / "workflows"
SUBGRAPHS = ROOT / "subgraphs"
SAVED = ROOT / "tests" / "workflows" / "saved"
PACK_PREFIX = "AttnPrompt"
STORIES = (
    *answer_workflow.STORIES,
    *clip_workflows.STORIES,
    *lvlm_workflows.STORIES,
    *word_workflow.STORIES,
    *trust_workflow.STORIES,
    *video_workflow.STORIES,
    *encoder_workflows.STORIES,
    *interop_workflows.STORIES,
)


def version() -> str:
    """The pack's version, as `pyproject.toml` states it."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version"))


def clean(graph: dict[str, Any], story: Story) -> dict[str, Any]:
    """Name each node's pack and version, keep the models to fetch, and drop what belongs to one machine."""
    for node in graph["nodes"]:
        properties = {"Node name for S&R": node["type"]}
        if node["type"].startswith(PACK_PREFIX):
            properties |= {"cnr_id": "attention-prompting", "ver": version()}
        elif not node["type"].endswith("Note"):
            properties |= {"cnr_id": "comfy-core", "ver": story.core_version}
        if models := story.models.get(node["type"]):
            properties["models"] = models
        node["properties"] = properties
        for slot in [*node.get("inputs", []), *node.get("outputs", [])]:
            slot.pop("localized_name", None)
    graph["extra"] = {"ds": {"scale": 0.7, "offset": [480, 120]}}
    graph["revision"] = 0
    graph["id"] = story.id
    return graph


def write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")


def build(page: ComfyPage, story: Story, *, run: bool, screenshots: Path | None) -> None:
    graph = clean(page.lay_out(story.layout()), story)
    if overlaps := page.overlaps():
        raise RuntimeError(f"{story.name}: nodes lie over each other: {', '.join(overlaps)}")
    target = WORKFLOWS / f"{story.name}.json"
    write(target, graph)
    page.show_whole()
    pictures = page.run(graph) if run and story.thumbnail else {}
    page.page.wait_for_timeout(2500)
    if overlaps := page.overlaps():
        raise RuntimeError(f"{story.name}: after a run nodes lie over each other: {', '.join(overlaps)}")
    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
        page.page.screenshot(path=screenshots / f"{story.name}.png")
    if run:
        picture = story.thumbnail(pictures) if story.thumbnail else page.picture()
        picture.thumbnail(THUMBNAIL)
        picture.save(target.with_suffix(".jpg"), quality=88)


def build_blueprint(page: ComfyPage, shown: Blueprint) -> None:
    graph = clean(page.lay_out(shown.inside.layout()), shown.inside)
    write(SUBGRAPHS / f"{shown.name}.json", to_saved(shown, graph))


def keep(page: ComfyPage) -> None:
    """Copy each shipped workflow, with the prompt that this page makes of it, for the tests that replay old ones."""
    for path in sorted(WORKFLOWS.glob("*.json")):
        graph = json.loads(path.read_text(encoding="utf-8"))
        page.load(graph)
        write(SAVED / version() / path.name, {"workflow": graph, "prompt": page.prompt()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8188", help="a running ComfyUI with this pack")
    parser.add_argument("--run", action="store_true", help="run those that need no download, and make thumbnails")
    parser.add_argument("--only", default="", help="build those whose name holds this")
    parser.add_argument("--screenshots", type=Path, help="folder for a picture of each laid-out workflow")
    parser.add_argument("--keep", action="store_true", help="build nothing: keep what ships, for the replay tests")
    args = parser.parse_args()
    if args.keep:
        with opened(args.url) as page:
            keep(page)
        return
    for shown in BLUEPRINTS:
        if args.only in shown.name:
            with opened(args.url) as page:
                build_blueprint(page, shown)
    for story in STORIES:
        if args.only in story.name:
            with opened(args.url) as page:
                build(page, story, run=args.run, screenshots=args.screenshots)


if __name__ == "__main__":
    main()
