"""Every node with inputs from its own schema, and with what no page sends: a result, or an error of the pack's own."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from pack.api_core import overlay
from pack.api_core.models.clip.load import load_clip
from pack.tests import tiny_encoders, tiny_pairs, zoo
from pack.tests.fuzz import servers
from pack.tests.fuzz.examples import MANY, Tally, run_examples
from pack.tests.fuzz.outputs import nothing_swallowed, require_promised
from pack.tests.fuzz.prompts import CONNECTED, Drawing, Scene, parts
from pack.tests.fuzz.values import weighted
from pack.tests.nodes.conftest import EXPLAIN, HEATMAP, LVLM, LVLM_HEATMAP, REGIONS
from pack.tests.on_host import ON_REAL_HOST, TINY, TINY_LVLM, wants_lists
from pack.tests.promised import schemas
from pack.tests.servers.process import running

HEAVY = ("AttnPromptAsk", "AttnPromptSurerAnswer", "AttnPromptLVLMHeatmap", "AttnPromptExplain")
PAIR = "AttnPromptPairCLIP"  # of what only a real ComfyUI has
SIZES = [(2, 9, 12, 3), (1, 24, 32, 3), (1, 1, 1, 3)]
SIZES += [(1, 40, 1, 3), (3, 5, 64, 3), (2, 16, 16, 4), (1, 2, 900, 3), (1, 240, 330, 3)] if MANY else []
FAMILIES = [name for name in zoo.FAMILIES if not zoo.available(name)] if MANY else ["llava-1.5"]
PRECISIONS = ("fp32", "bf16", "fp16") if MANY else ("fp32",)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_fetched(nodes: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTENTION_PROMPTING_NO_DOWNLOADS", "1")
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with running() as process:
        yield process


@pytest.fixture(scope="module")
def drawing(run: Any, models: Any, server: Any) -> Drawing:
    clips = [run("AttnPromptLoadCLIP", model=TINY, precision=one, allow_download=False).args[0] for one in PRECISIONS]
    places = [f"LLM/{zoo.folder(name, models / 'LLM').name}" for name in FAMILIES]
    lvlms = [run("AttnPromptLoadLVLM", **{**LVLM, "model": place}).args[0] for place in places]
    lvlms += [
        run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, "precision": one}).args[0] for one in PRECISIONS[1:]
    ]
    sockets = {
        "ATTNPROMPT_CLIP": st.sampled_from(clips),
        "ATTNPROMPT_LVLM": st.sampled_from(lvlms),
        "ATTNPROMPT_SERVER": weighted((1, st.builds(servers.nobody)), (7, servers.server_models(server))),
    }
    own = {
        "AttnPromptLoadCLIP": {"model": st.sampled_from([TINY, TINY, "tiny-clip", "ViT-B-32/openai"])},
        "AttnPromptLoadLVLM": {
            "model": st.sampled_from([TINY_LVLM, TINY_LVLM, "tiny-lvlm", *places[:3], "Qwen2-VL-2B"])
        },
        "AttnPromptSurerAnswer": {"template": st.sampled_from(["plain", "plain", "step by step", "masked hint"])},
    }
    if ON_REAL_HOST:
        kinds = tiny_encoders.KINDS if MANY else tiny_encoders.KINDS[:1]
        sockets["CLIP"] = st.sampled_from([tiny_encoders.tiny_clip(kind) for kind in kinds])
        own[PAIR] = halves()
    scenes = [a_scene(run, clips, lvlms[0], size, number) for number, size in enumerate(SIZES)]
    return Drawing(scenes, sockets, own)


def halves() -> dict[str, st.SearchStrategy[Any]]:
    """Text and picture halves that ComfyUI loads, mostly such as belong together."""
    tiny = load_clip("tiny-clip", precision="fp32", device="cpu")
    texts = [tiny_pairs.random_text(name) for name in ("clip_l", "clip_h", "clip_g")]
    return {
        "CLIP": st.sampled_from([*[tiny_pairs.tiny_clip_text(tiny)] * 6, *texts]),
        "CLIP_VISION": st.sampled_from([*[tiny_pairs.tiny_clip_vision(tiny)] * 4, tiny_pairs.random_vision()]),
    }


def a_scene(run: Any, clips: Sequence[Any], lvlm: Any, size: Sequence[int], seed: int) -> Scene:
    """A batch of pictures of that size with masks, and with heatmaps of it by several nodes."""
    image = torch.rand(*size, generator=torch.Generator().manual_seed(seed))
    query = {**HEATMAP, "clip": clips[seed % len(clips)], "query": "red star"}
    asked = {"lvlm": lvlm, "image": image, "question": "what color is the star?", "answer": "a red star"}
    found = [
        run("AttnPromptCLIPHeatmap", image=image, **{**query, **more}).args[0]
        for more in ({}, {"neutral_text": "a picture"}, {"method": "neighbours", "fit": "crops"})
    ]
    found += [
        run("AttnPromptLVLMHeatmap", **asked, **LVLM_HEATMAP).args[0],
        run("AttnPromptExplain", **asked, **EXPLAIN).args[0],
    ]
    masks = image.mean(-1)
    moved = [
        tuple(overlay.mapping(mask, style, size=mask.shape) for mask in masks)
        for style in (overlay.MagnifyStyle(), overlay.FadeStyle())
    ]
    return {
        "IMAGE": [image],
        "MASK": [
            *[masks] * 6,
            masks[:1],
            torch.rand(len(image), 7, 5, generator=torch.Generator().manual_seed(seed)),
        ],
        "ATTNPROMPT_HEATMAP": [*found, *found, *found, type(found[0])()],
        "ATTNPROMPT_MAPPING": [*moved, *moved, *moved, ()],
        "points": ["[]", json.dumps([{"x": 0.5, "y": 0.25}])],
        "BOUNDING_BOX": [run("AttnPromptFindRegions", mask=masks, **REGIONS).args[0]],
    }


def fuzz(run: Any, classes: Any, drawing: Drawing, names: Sequence[str], few: int) -> Tally:
    drawn = st.sampled_from(names).flatmap(
        lambda node: st.tuples(st.just(node), drawing.prompts(node, wants_lists(classes[node])))
    )

    def attempt(example: tuple[str, dict[str, Any]]) -> Any:
        node, given = example
        given = dict(given)
        connected = given.pop(CONNECTED)
        for value in given.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, servers.Told):
                    one.prepare()
        with nothing_swallowed():
            found = run(node, connected, **given)
        require_promised(node, found)
        return found.args

    return run_examples(drawn, few, attempt, parts)


def test_nodes_that_ask_no_model(run: Any, classes: Any, drawing: Drawing) -> None:
    names = [name for name in schemas() if name not in HEAVY and (ON_REAL_HOST or name != PAIR)]
    assert fuzz(run, classes, drawing, names, 150).share() > 0.4


@pytest.mark.slow
def test_nodes_that_ask_one(run: Any, classes: Any, drawing: Drawing) -> None:
    *others, explain = HEAVY
    names = [*others * 3, explain]  # which takes ten times as long
    assert fuzz(run, classes, drawing, names, 30).share() > 0.25
