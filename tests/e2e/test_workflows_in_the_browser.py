"""The shipped workflows in ComfyUI's own page, in both of its renderers: nothing is missing, and Run works."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pack.tests.e2e.browser import RENDERERS, ComfyPage
from pack.tests.e2e.server import ROOT

av = pytest.importorskip("av")  # ComfyUI brings it
pytestmark = pytest.mark.host
FRAMES, RATE = 24, 12

WORKFLOWS = ROOT / "workflows"
BETTER_ANSWER = "Attention prompt - better answer"
QUICK_START = "Attention prompt - quick start"
WITH_AND_WITHOUT = "Attention prompt - ask with and without"
WORD_BY_WORD = "Attention prompt - LVLM heatmap word by word"
HINT_WORDS = "Attention prompt - its own words as the hint"
ZOOM = "Attention prompt - zoom to read"
TRUST = "Attention prompt - trust or doubt"
VIDEO = "Attention prompt - video"
ALL = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
GENERATE_TEXT = "Attention prompt - Generate Text and where it looked"
ENCODER_READS = "Attention prompt - what the encoder reads in the picture"
DYNAMIC_COMBO, AUTOGROW = "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3"


def read(name: str) -> dict[str, Any]:
    return json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))


def assert_nothing_missing(page: ComfyPage, workflow: Mapping[str, Any]) -> None:
    assert page.node_types() == {str(node["id"]): node["type"] for node in workflow["nodes"]}


def run_anew(page: ComfyPage) -> dict[str, Any]:
    """Press Run in a ComfyUI that remembers no result; what became of it."""
    page.server.free()
    return page.run()


@RENDERERS
@pytest.mark.parametrize(
    ("name", "shows"),
    [
        (BETTER_ANSWER, {"AttnPromptView", "PreviewAny", "PreviewImage"}),
        (QUICK_START, {"AttnPromptView", "PreviewAny", "PreviewImage", "SaveImage"}),
        (
            WITH_AND_WITHOUT,
            {"AttnPromptView", "PreviewAny", "PreviewImage", "ImageCompare", "AttnPromptCompareAnswers"},
        ),
        (WORD_BY_WORD, {"AttnPromptView", "PreviewAny"}),
        (HINT_WORDS, {"AttnPromptView", "PreviewAny", "PreviewImage", "ImageCompare"}),
        (ZOOM, {"AttnPromptView", "PreviewAny", "PreviewImage", "AttnPromptCompareAnswers"}),
        (TRUST, {"AttnPromptView", "PreviewAny", "PreviewImage", "AttnPromptCompareAnswers"}),
        (VIDEO, {"PreviewAny", "SaveVideo"}),
    ],
)
def test_what_ships_runs(page: ComfyPage, name: str, shows: set[str], modern: bool) -> None:
    workflow = read(name)
    page.open(modern=modern)
    page.load(workflow)
    assert_nothing_missing(page, workflow)
    known = page.server.get("/object_info")
    types = {key: kind for key, kind in page.node_types().items() if kind in known}
    outputs = {key for key, kind in types.items() if known[kind]["output_node"]}
    assert {types[key] for key in outputs} >= shows

    history = run_anew(page)
    assert set(history["outputs"]) >= outputs
    cached = {
        key for message, data in history["status"]["messages"] if message == "execution_cached" for key in data["nodes"]
    }
    assert not outputs & cached
    page.wait_until_shown(outputs)


def test_the_first_that_a_newcomer_opens_answers_rightly_where_the_plain_picture_does_not(page: ComfyPage) -> None:
    page.open(modern=True)
    page.load(read(BETTER_ANSWER))
    history = run_anew(page)
    titles = {str(node["id"]): node.get("title") for node in read(BETTER_ANSWER)["nodes"]}
    said = {titles[key]: shown["text"][0] for key, shown in history["outputs"].items() if "text" in shown}
    assert (said["The answer"], said["Its answer"]) == ("green", "yellow")
    assert float(said["How sure: 0 to 1"]) > 0.99 > float(said["How sure that is"])


@RENDERERS
@pytest.mark.parametrize(("name", "kind"), [(GENERATE_TEXT, "qwen3vl"), (ENCODER_READS, "qwen25vl")])
def test_what_looks_into_comfyuis_own_encoders_runs_on_a_tiny_one(
    page: ComfyPage, name: str, kind: str, modern: bool
) -> None:
    """The file that Load CLIP names cannot be had here: a drawn encoder of the same class takes its place."""
    workflow = read(name)
    for node in workflow["nodes"]:
        if node["type"] == "CLIPLoader":
            node |= {"type": "ProbeEncoder", "widgets_values": [kind], "inputs": [], "properties": {}}
        if node["type"] == "TextGenerate":
            node["widgets_values"][1] = node["widgets_values_named"]["max_length"] = 4  # drawn weights find no end
    page.open(modern=modern)
    page.load(workflow)
    assert_nothing_missing(page, workflow)
    outputs = {key for key, kind in page.node_types().items() if kind in ("AttnPromptView", "PreviewAny")}
    assert set(run_anew(page)["outputs"]) >= outputs
    page.wait_until_shown(outputs)


@RENDERERS
def test_a_user_s_video_keeps_its_sound_and_its_pace(page: ComfyPage, modern: bool) -> None:
    """One line drawn from Load Video, as the note says; its frames fade where nothing was asked for."""
    make_video(page.server.base / "input" / "mine.mp4")
    page.open(modern=modern)
    page.load(read(VIDEO))
    page.page.evaluate("""() => {
        const find = (type) => window.app.graph.nodes.find((node) => node.type === type);
        find('LoadVideo').connect(0, find('GetVideoComponents'), 0);
        find('LoadVideo').widgets.find((widget) => widget.name === 'file').value = 'mine.mp4';
    }""")
    page.set_widget("AttnPromptCLIPHeatmap", "query", "the red square")
    history = run_anew(page)
    saver = next(str(node["id"]) for node in read(VIDEO)["nodes"] if node["type"] == "SaveVideo")
    (saved,) = history["outputs"][saver]["images"]
    with av.open(page.server.base / "output" / saved["subfolder"] / saved["filename"]) as video:
        (pictures,), (sound,) = video.streams.video, video.streams.audio
        assert pictures.average_rate == RATE
        assert float(sound.duration * sound.time_base) == pytest.approx(FRAMES / RATE, abs=0.1)
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(pictures)]
    assert len(frames) == FRAMES
    for number, frame in enumerate(frames[2:-2], 2):
        thing, rest = frame[30:50, 4 * number + 6 : 4 * number + 18, 0], frame[70:, :, 1]
        assert thing.mean() > 150
        assert rest.mean() < 90, "faded"


def make_video(path: Path) -> None:
    """A red square that moves to the right on grey, with a tone."""
    with av.open(path, "w") as video:
        pictures = video.add_stream("libx264", rate=RATE)
        pictures.width, pictures.height, pictures.pix_fmt = 144, 96, "yuv420p"
        sound = video.add_stream("aac", rate=44100, layout="mono")
        for number in range(FRAMES):
            levels = np.full((96, 144, 3), 128, np.uint8)
            levels[28:52, 4 * number : 4 * number + 24] = (230, 20, 20)
            video.mux(pictures.encode(av.VideoFrame.from_ndarray(levels, format="rgb24")))
        video.mux(pictures.encode())
        tone = 0.3 * np.sin(np.arange(44100 * FRAMES // RATE) * 0.06)
        heard = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
        heard.sample_rate = 44100
        video.mux(sound.encode(heard))
        video.mux(sound.encode())


@RENDERERS
def test_a_warning_is_still_to_be_read_when_the_run_is_over(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    page.load(read(QUICK_START))
    page.set_widget("AttnPromptCLIPHeatmap", "query", "the red star and the blue circle " * (40 + modern))
    page.run()
    # Older pages leave the text on the nodes too; the message is what has to stay everywhere, and once.
    messages = page.page.locator(".p-toast-message, li[role=alert]")  # before and from about frontend 1.50 on
    warning = messages.filter(has_text=re.compile("is longer than tiny-clip reads"))
    warning.first.wait_for(timeout=10_000)
    page.page.wait_for_timeout(2000)
    assert warning.count() == 1, "the nodes behind repeat it"


@RENDERERS
def test_links_and_values_are_what_the_nodes_take(page: ComfyPage, modern: bool) -> None:
    page.open(modern=modern)
    known = page.server.get("/object_info")
    for name in ALL:
        workflow = read(name)
        page.load(workflow)
        assert_nothing_missing(page, workflow)
        assert_links_and_values(page.prompt(), workflow, known)


def assert_links_and_values(prompt: Mapping[str, Any], workflow: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """A prompt holds every node but notes, every link, and values that the nodes of this ComfyUI take."""
    notes = {str(node["id"]) for node in workflow["nodes"] if node["type"].endswith("Note")}
    assert set(prompt) == {str(node["id"]) for node in workflow["nodes"]} - notes
    links = 0
    for key, node in prompt.items():
        offered = known[node["class_type"]]["input"]
        wanted = flat_inputs({**offered.get("required", {}), **offered.get("optional", {})}, node["inputs"])
        assert set(node["inputs"]) <= set(wanted), f"node {key} has inputs that {node['class_type']} does not know"
        required = flat_inputs(offered.get("required", {}), node["inputs"], sockets="min")
        assert set(required) <= set(node["inputs"]), f"node {key} lacks inputs of {node['class_type']}"
        for entry, value in node["inputs"].items():
            where = f"{node['class_type']}.{entry} of node {key}"
            if isinstance(value, list):
                links += 1
                origin, slot = value
                assert_link(known[prompt[origin]["class_type"]]["output"][slot], wanted[entry][0], where)
            else:
                assert_value(value, *wanted[entry], where=where)
    assert links == len(workflow["links"])


def flat_inputs(
    offered: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "", sockets: str = "max"
) -> dict[str, tuple[Any, Any]]:
    """The type and the settings of every input, those of the chosen option of a dynamic combo among them.

    sockets: of an input that grows, as many as there can be ("max") or as there have to be ("min").
    """
    found: dict[str, tuple[Any, Any]] = {}
    for entry, (kind, *settings) in offered.items():
        name = f"{prefix}{entry}"
        found[name] = (kind, settings[0] if settings else {})
        if kind == DYNAMIC_COMBO:
            chosen = next(option for option in settings[0]["options"] if option["key"] == given[name])
            for inner in chosen["inputs"].values():
                found |= flat_inputs(inner, given, f"{name}.", sockets)
        elif kind == AUTOGROW:
            del found[name]
            template = settings[0]["template"]
            socket = {**template["input"].get("required", {}), **template["input"].get("optional", {})}
            ((accepted, described),) = socket.values()
            names = [f"{name}.{template['prefix']}{number}" for number in range(template[sockets])]
            found |= dict.fromkeys(names, (accepted, described))
    return found


def assert_link(kind: str, accepted: str, where: str) -> None:
    assert accepted == "*" or kind in accepted.split(","), f"{where} takes {accepted}, not {kind}"


def assert_value(value: Any, kind: Any, settings: Mapping[str, Any], *, where: str) -> None:
    assert value is not None, f"{where} has no value"
    if settings.get("image_upload") or settings.get("video_upload") or kind == "IMAGECOMPARE":
        return  # whichever pictures and videos lie in this ComfyUI's input folder; a slider
    if kind == DYNAMIC_COMBO:
        assert value in [option["key"] for option in settings["options"]], f"{where} is {value!r}"
    elif isinstance(kind, list) or kind == "COMBO":
        options = kind if isinstance(kind, list) else settings["options"]
        assert value in options, f"{where} is {value!r}, not one of {options}"
    else:
        python = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool}[kind]
        assert isinstance(value, python), f"{where} is {value!r}, no {kind}"
        if kind in ("INT", "FLOAT"):
            assert settings.get("min", value) <= value <= settings.get("max", value), f"{where} is {value}"
