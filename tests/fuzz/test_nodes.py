"""Every node with inputs from its own schema, and with what no page sends: a result, or an error of the pack's own."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from pack.api_core import overlay
from pack.tests.fuzz.examples import run_examples
from pack.tests.fuzz.prompts import boxes, prompts
from pack.tests.nodes.conftest import HEATMAP, LVLM
from pack.tests.on_host import TINY, TINY_LVLM, wants_lists
from pack.tests.promised import schemas

HEAVY = ("AttnPromptAsk", "AttnPromptSurerAnswer", "AttnPromptLVLMHeatmap", "AttnPromptExplain")


@pytest.fixture(scope="module", autouse=True)
def nothing_is_fetched(nodes: Any) -> Iterator[None]:
    import os

    os.environ["ATTENTION_PROMPTING_NO_DOWNLOADS"] = "1"
    yield
    del os.environ["ATTENTION_PROMPTING_NO_DOWNLOADS"]


@pytest.fixture
def sockets(run: Any, nodes: Any) -> dict[str, st.SearchStrategy[Any]]:
    from pack.api_core.models.server import Limits, Profile, ServerModel

    (clip,) = run("AttnPromptLoadCLIP", model=TINY, precision="fp32", allow_download=False).args
    (lvlm,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM}).args
    image = torch.rand(2, 9, 12, 3, generator=torch.Generator().manual_seed(1))
    heatmaps = [
        run("AttnPromptCLIPHeatmap", clip=clip, image=some, query="red star", **{**HEATMAP, **more}).args[0]
        for some, more in ((image, {}), (image[:1], {"neutral_text": "a picture"}), (image, {"method": "neighbours"}))
    ]
    moved = overlay.mapping(image[0, ..., 0], overlay.MagnifyStyle())
    nobody = ServerModel(Profile("a", "http://127.0.0.1:9"), "m", limits=Limits(retries=0, connect=1))
    return {
        "ATTNPROMPT_CLIP": st.just(clip),
        "ATTNPROMPT_LVLM": st.just(lvlm),
        "ATTNPROMPT_SERVER": st.just(nobody),
        "ATTNPROMPT_HEATMAP": st.sampled_from([*heatmaps, type(heatmaps[0])()]),
        "ATTNPROMPT_MAPPING": st.sampled_from([(moved,), (moved, moved), ()]),
        "BOUNDING_BOX": boxes(),
        "CLIP": st.just(lvlm),
        "CLIP_VISION": st.just(clip),
    }


def fuzz(run: Any, classes: Any, sockets: Any, names: list[str], few: int) -> None:
    drawn = st.sampled_from(names).flatmap(
        lambda node: st.tuples(st.just(node), prompts(node, sockets, wants_lists(classes[node])))
    )

    def attempt(example: tuple[str, dict[str, Any]]) -> Any:
        node, given = example
        return run(node, **given).args

    run_examples(drawn, few, attempt)


def test_nodes_that_ask_no_model(run: Any, classes: Any, sockets: Any) -> None:
    fuzz(run, classes, sockets, [name for name in schemas() if name not in HEAVY], 250)


@pytest.mark.slow
def test_nodes_that_ask_one(run: Any, classes: Any, sockets: Any) -> None:
    fuzz(run, classes, sockets, list(HEAVY), 60)
