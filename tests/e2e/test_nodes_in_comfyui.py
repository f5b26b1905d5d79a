"""Every node through a real ComfyUI, asked the way a client asks: API prompts, node ids that ran, messages, history."""

import io
import json
import random
import urllib.parse
from typing import Any

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.conftest import TINY, TINY_LVLM
from pack.tests.e2e.server import ROOT, Run, Server
from pack.tests.promised import schemas, some_choices
from PIL import Image

pytestmark = pytest.mark.host

STYLES = [
    {name if name == "style" else f"style__{name}": value for name, value in style.items()}
    for style in some_choices("AttnPromptOverlay", "style", random.Random(2))
]


def assert_ran(run: Run, *nodes: str) -> None:
    assert run.ending == "execution_success", run.refused or run.error
    assert not run.error
    # ComfyUI takes a prompt whose outputs are partly invalid, and leaves those out without a word.
    missing = set(nodes) - set(run.executed) - set(run.cached)
    assert not missing, f"did not run: {missing}"


def saved_pictures(server: Server, run: Run, node: str) -> list[Image.Image]:
    """The pictures that an output node wrote."""
    return [
        Image.open(io.BytesIO(server.get_bytes(f"/view?{urllib.parse.urlencode(shown)}")))
        for shown in run.outputs[node]["images"]
    ]


def test_nodes_are_offered_with_help_and_a_list_of_models(comfyui: Server) -> None:
    known = comfyui.get("/object_info")
    own = {name for name in known if name.startswith("AttnPrompt")}
    assert own == set(schemas())
    options = known["AttnPromptLoadCLIP"]["input"]["required"]["model"][1]["options"]
    assert options[0] == "tiny-clip"
    assert TINY in options
    options = known["AttnPromptLoadLVLM"]["input"]["required"]["model"][1]["options"]
    assert options[0] == "tiny-lvlm"
    assert TINY_LVLM in options
    for name in own:
        help_page = comfyui.get_bytes(f"/extensions/attention-prompting/docs/{name}.md").decode()
        assert help_page.startswith("# ")


def test_the_words_of_every_language_are_offered(comfyui: Server) -> None:
    """By the names of their folders, such as "pt-BR", which are the page's own."""
    offered = comfyui.get("/i18n")
    for path in (ROOT / "locales").glob("*/nodeDefs.json"):
        words = json.loads(path.read_text(encoding="utf-8"))
        assert {node: offered[path.parent.name]["nodeDefs"].get(node) for node in words} == words


def test_quick_start(comfyui: Server) -> None:
    run = comfyui.run(prompts.quick_start(TINY, query="the red square"))
    assert_ran(run, "picture", "clip", "heatmap", "mask", "overlay", "view", "save")
    assert {"heatmap", "mask", "overlay", "view", "save"} <= set(run.executed)
    (saved,) = saved_pictures(comfyui, run, "save")
    assert saved.size == (96, 64)
    original = Image.open(comfyui.base / "input" / "picture.png")
    darker = [a <= b + 1 for a, b in zip(saved.convert("L").tobytes(), original.convert("L").tobytes(), strict=True)]
    assert all(darker), "fading to black made a pixel brighter"
    assert len(set(saved.convert("L").tobytes())) > 20, "the mask did nothing"
    assert len(saved_pictures(comfyui, run, "view")) == 1
    assert run.progress, "no progress was reported"


def test_quick_start_with_what_ships(comfyui: Server) -> None:
    """The embedded model on a drawn scene: no file, no download."""
    graph = prompts.quick_start("tiny-clip", query="star")
    graph["picture"] = prompts.node("AttnPromptDemoScene", width=256, height=192, objects=3, seed=7)
    graph["description"] = prompts.node("PreviewAny", source=["picture", 1])
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    assert saved_pictures(comfyui, run, "save")[0].size == (256, 192)
    assert run.outputs["description"]["text"][0]


def test_same_prompt_again_runs_nothing(comfyui: Server) -> None:
    prompt = prompts.quick_start(TINY, query="a second look")
    assert_ran(comfyui.run(prompt), "heatmap", "save")
    again = comfyui.run(prompt)
    assert again.ending == "execution_success"
    assert not {"clip", "heatmap", "mask", "overlay"} & set(again.executed)
    assert set(again.cached) >= {"clip", "heatmap", "mask", "overlay"}


def test_another_query_runs_only_what_depends_on_it(comfyui: Server) -> None:
    assert_ran(comfyui.run(prompts.quick_start(TINY, query="a third")), "heatmap")
    run = comfyui.run(prompts.quick_start(TINY, query="a fourth"))
    assert_ran(run, "heatmap", "mask", "overlay", "view", "save")
    assert {"clip", "picture"} <= set(run.cached)


def test_batch_of_three_goes_through_every_node(comfyui: Server) -> None:
    graph = {
        "pictures": prompts.pictures(3),
        "clip": prompts.load_clip(TINY),
        "red": prompts.heatmap("clip", "pictures", "red square"),
        "blue": prompts.heatmap("clip", "pictures", "blue circle", neutral_text="a photo"),
        "both": prompts.node(
            "AttnPromptCombineHeatmaps",
            mode="contrast",
            scale="z-score",
            heatmaps__heatmap0=["red", 0],
            heatmaps__heatmap1=["blue", 0],
        ),
        "mask": prompts.tune("both"),
        "regions": prompts.find_regions("mask", image=["pictures", 0]),
        "boxes drawn": prompts.node("PreviewAny", source=["regions", 0]),
        "points": prompts.node("PreviewAny", source=["regions", 1]),
        "crops": prompts.node("PreviewImage", images=["regions", 2]),
        "crop masks": prompts.node("MaskPreview", mask=["regions", 3]),
        "masks": prompts.node("MaskPreview", mask=["mask", 0]),
        "overlay": prompts.overlay("pictures", "mask"),
        "save": prompts.node("SaveImage", images=["overlay", 0], filename_prefix="three"),
        "view": prompts.view("pictures", "both"),
        "view mask": prompts.view("pictures", "mask"),
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    for name in ("masks", "save", "view", "view mask"):
        assert len(run.outputs[name]["images"]) == 3, name
    assert len({picture.tobytes() for picture in saved_pictures(comfyui, run, "save")}) == 3
    points = [json.loads(text) for text in run.outputs["points"]["text"]]
    assert len(points) == 3
    assert all(0 <= point["x"] < 64 and 0 <= point["y"] < 48 for found in points for point in found)
    boxes = json.loads(run.outputs["boxes drawn"]["text"][0])
    assert [len(found) for found in boxes] == [len(found) for found in points]
    assert len(run.outputs["crops"]["images"]) == sum(len(found) for found in boxes)
    assert len(run.outputs["crop masks"]["images"]) == len(run.outputs["crops"]["images"])


def test_boxes_and_points_fit_the_host_s_own_nodes(comfyui: Server) -> None:
    graph = {
        "pictures": prompts.pictures(2),
        "clip": prompts.load_clip(TINY),
        "heatmap": prompts.heatmap("clip", "pictures"),
        "mask": prompts.tune("heatmap"),
        "regions": prompts.find_regions("mask"),
        "drawn": prompts.node("DrawBBoxes", image=["pictures", 0], bboxes=["regions", 0]),
        "shown": prompts.node("PreviewImage", images=["drawn", 0]),
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    assert len(run.outputs["shown"]["images"]) == 2


MAGNIFY = {
    "style": "magnify",
    "style__zoom": 3.0,
    "style__keep": 0.2,
    "style__profile": "peak",
    "style__in_place": True,
}


def test_what_is_found_in_a_magnified_picture_comes_back_to_the_picture(comfyui: Server) -> None:
    """The red squares of two pictures, found in what is shown; the host's own node draws the boxes."""
    graph = {
        "pictures": prompts.pictures(2),
        "red": prompts.node("ImageToMask", image=["pictures", 0], channel="red"),
        "plain": prompts.find_regions("red", threshold=0.9, max_regions=1),
        "magnified": prompts.overlay("pictures", "red", **MAGNIFY),
        "shown": prompts.node("ImageToMask", image=["magnified", 0], channel="red"),
        "found": prompts.find_regions("shown", threshold=0.6, max_regions=1),
        "back": prompts.map_back(["magnified", 1], bboxes=["found", 0], points=["found", 1], mask=["shown", 0]),
        "drawn": prompts.node("DrawBBoxes", image=["pictures", 0], bboxes=["back", 0]),
        "saved": prompts.node("PreviewImage", images=["drawn", 0]),
        "masks": prompts.node("MaskPreview", mask=["back", 2]),
        **{f"{name} boxes": prompts.node("PreviewAny", source=[name, 0]) for name in ("plain", "found", "back")},
        **{f"{name} points": prompts.node("PreviewAny", source=[name, 1]) for name in ("plain", "back")},
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    plain, found, back = (json.loads(run.outputs[f"{name} boxes"]["text"][0]) for name in ("plain", "found", "back"))
    for (wanted,), (shown,), (box,) in zip(plain, found, back, strict=True):
        assert shown["width"] > 1.2 * wanted["width"]
        assert all(abs(box[side] - wanted[side]) < 2 for side in ("x", "y", "width", "height"))
    assert [len(json.loads(text)) for text in run.outputs["back points"]["text"]] == [1, 1]
    assert len(run.outputs["saved"]["images"]) == len(run.outputs["masks"]["images"]) == 2


def test_what_is_found_in_crops_comes_back_to_the_picture(comfyui: Server) -> None:
    graph = {
        "pictures": prompts.pictures(2),
        "red": prompts.node("ImageToMask", image=["pictures", 0], channel="red"),
        "regions": prompts.find_regions("red", threshold=0.9, max_regions=1, padding=5, image=["pictures", 0]),
        "crop red": prompts.node("ImageToMask", image=["regions", 2], channel="red"),
        "found": prompts.find_regions("crop red", threshold=0.9, max_regions=1),
        "back": prompts.map_back(
            ["regions", 0], bboxes=["found", 0], points=["found", 1], mask=["crop red", 0], image=["pictures", 0]
        ),
        "plain": prompts.find_regions("red", threshold=0.9, max_regions=1),
        "masks": prompts.node("MaskPreview", mask=["back", 2]),
        **{f"{name} boxes": prompts.node("PreviewAny", source=[name, 0]) for name in ("plain", "back")},
        **{f"{name} points": prompts.node("PreviewAny", source=[name, 1]) for name in ("plain", "back")},
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    plain, back = (json.loads(run.outputs[f"{name} boxes"]["text"][0]) for name in ("plain", "back"))
    assert len(plain) == 2
    assert [[(box["x"], box["y"], box["width"], box["height"]) for box in found] for found in back] == [
        [(box["x"], box["y"], box["width"], box["height"]) for box in found] for found in plain
    ]
    assert run.outputs["back points"]["text"] == run.outputs["plain points"]["text"]
    assert len(run.outputs["masks"]["images"]) == 2


def test_the_host_s_own_box_is_a_crop(comfyui: Server) -> None:
    graph = {
        "pictures": prompts.pictures(1),
        "box": prompts.node("PrimitiveBoundingBox", x=8, y=4, width=30, height=20),
        "cut": prompts.node("ImageCrop", image=["pictures", 0], x=8, y=4, width=30, height=20),
        "red": prompts.node("ImageToMask", image=["cut", 0], channel="red"),
        "back": prompts.map_back(["box", 0], mask=["red", 0], image=["pictures", 0]),
        "shown": prompts.node("MaskPreview", mask=["back", 2]),
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    (picture,) = saved_pictures(comfyui, run, "shown")
    assert picture.size == (64, 48)
    assert picture.convert("L").getbbox() == (8, 4, 38, 24)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style["style"])
def test_overlay_styles(comfyui: Server, style: dict[str, Any]) -> None:
    graph = prompts.quick_start(TINY, query="styles")
    graph["overlay"] = prompts.overlay("picture", "mask", **style)
    run = comfyui.run(graph)
    assert_ran(run, "overlay", "save")
    assert saved_pictures(comfyui, run, "save")[0].size == (96, 64)


def test_pictures_with_alpha_keep_it(comfyui: Server) -> None:
    graph = {
        "pictures": prompts.pictures(2, channels=4),
        "clip": prompts.load_clip(TINY),
        "heatmap": prompts.heatmap("clip", "pictures"),
        "mask": prompts.tune("heatmap"),
        "overlay": prompts.overlay("pictures", "mask"),
        "save": prompts.node("SaveImage", images=["overlay", 0], filename_prefix="alpha"),
        "view": prompts.view("pictures", "heatmap"),
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    assert [picture.mode for picture in saved_pictures(comfyui, run, "save")] == ["RGBA", "RGBA"]


def test_crops_without_a_picture_are_stopped_and_the_rest_works(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY, query="no picture for crops")
    graph["regions"] = prompts.find_regions("mask")
    graph["points"] = prompts.node("PreviewAny", source=["regions", 1])
    graph["crops"] = prompts.node("PreviewImage", images=["regions", 2])
    run = comfyui.run(graph)
    assert run.ending == "execution_success"
    assert "points" in run.outputs
    assert "crops" not in run.outputs
    assert "connect" in run.message.lower()
    assert "image" in run.message


def test_a_batch_without_regions_stops_only_the_crops(comfyui: Server) -> None:
    graph = {
        "pictures": prompts.pictures(2),
        "mask": prompts.node("SolidMask", value=0.0, width=64, height=48),
        "regions": prompts.find_regions("mask", image=["pictures", 0]),
        "boxes": prompts.node("PreviewAny", source=["regions", 0]),
        "crops": prompts.node("PreviewImage", images=["regions", 2]),
    }
    run = comfyui.run(graph)
    assert run.ending == "execution_success"
    assert all(found == [] for found in json.loads(run.outputs["boxes"]["text"][0]))
    assert "crops" not in run.outputs
    assert "threshold" in run.message


def test_flat_heatmap_warns_on_the_node(comfyui: Server) -> None:
    graph = prompts.quick_start(TINY, query="flat")
    graph["heatmap"]["inputs"]["method"] = "patch similarity"
    graph["mask"] = prompts.tune("heatmap", contrast=0.0)
    graph["shown"] = prompts.node("MaskPreview", mask=["mask", 0])
    run = comfyui.run(graph)
    assert_ran(run, "mask")
    assert any("contrast 0" in text for text in run.texts), "no warning was sent to the node"
    assert "contrast 0" in run.outputs["mask"]["text"][0]
