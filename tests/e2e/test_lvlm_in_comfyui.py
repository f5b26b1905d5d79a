"""Vision-language models through a real ComfyUI: ask and compare, batches, servers, Stop, mistakes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pack.tests.e2e import prompts
from pack.tests.e2e.conftest import TINY, TINY_LVLM
from pack.tests.e2e.server import Run, Server
from pack.tests.e2e.test_mistakes_in_comfyui import assert_readable
from pack.tests.e2e.test_nodes_in_comfyui import assert_ran, saved_pictures
from pack.tests.servers.process import ServerProcess, running

pytestmark = pytest.mark.host

EMBEDDED = "tiny-lvlm"
KEY = "sk-of-the-end-to-end-tests"


def texts(run: Run, node: str) -> list[str]:
    """What a Preview as Text showed."""
    return run.outputs[node]["text"]


def scene(seed: int = 7) -> dict[str, Any]:
    return prompts.node("AttnPromptDemoScene", width=384, height=256, objects=3, seed=seed)


def shown(source: str, slot: int = 0) -> dict[str, Any]:
    return prompts.node("PreviewAny", source=[source, slot])


def small(model: str = EMBEDDED, question: str = "What colour is the star?", **asked: Any) -> prompts.Graph:
    """A scene, a model, an answer."""
    return {
        "scene": scene(),
        "lvlm": prompts.load_lvlm(model),
        "ask": prompts.ask("lvlm", "scene", question, **asked),
        "answer": shown("ask"),
    }


def test_ask_and_compare_with_what_ships(comfyui: Server) -> None:
    """The plain picture, one prompted by the CLIP and one by the LVLM's own attention, and what is answered to each."""
    question = "What colour is the star?"
    graph: prompts.Graph = {
        "scene": scene(),
        "question": prompts.node("PrimitiveStringMultiline", value=question),
        "clip": prompts.load_clip("tiny-clip"),
        "lvlm": prompts.load_lvlm(EMBEDDED),
        "clip heatmap": prompts.heatmap("clip", "scene", "star"),
        "own heatmap": prompts.lvlm_heatmap("lvlm", "scene", ["question", 0]),
        "explained": shown("own heatmap", 1),
    }
    graph["plain"] = prompts.ask("lvlm", "scene", ["question", 0])
    graph["plain answer"] = shown("plain")
    for name in ("clip", "own"):
        graph[f"{name} mask"] = prompts.tune(f"{name} heatmap")
        graph[f"{name} overlay"] = prompts.overlay("scene", f"{name} mask")
        graph[f"{name} view"] = prompts.view("scene", f"{name} heatmap")
        graph[f"{name} ask"] = prompts.ask("lvlm", f"{name} overlay", ["question", 0], template="masked hint")
        graph[f"{name} answer"] = shown(f"{name} ask")
        graph[f"{name} compare"] = prompts.node(
            "ImageCompare", image_a=["scene", 0], image_b=[f"{name} overlay", 0], compare_view={}
        )
    graph["together"] = prompts.ask("lvlm", "scene", ["question", 0], more_images__more_image0=["clip overlay", 0])
    graph["together answer"] = shown("together")
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    for name in ("plain answer", "clip answer", "own answer", "together answer", "explained"):
        (answer,) = texts(run, name)
        assert answer.strip(), name
    assert len(saved_pictures(comfyui, run, "own view")) == 1
    assert run.progress


def test_a_batch_of_three_gives_three_answers_and_three_explanations(comfyui: Server) -> None:
    """The answers go on as a list: without that ComfyUI would run the next node three times, over all pictures each."""
    graph: prompts.Graph = {
        "pictures": prompts.pictures(3, 64, 96),
        "questions": prompts.node("ProbeTexts", lines="what colour is it?\nis there a star?\nwhere is the square?"),
        "lvlm": prompts.load_lvlm(TINY_LVLM),
        "ask": prompts.ask("lvlm", "pictures", ["questions", 0], max_new_tokens=5),
        "answers": shown("ask"),
        "thinking": shown("ask", 1),
        "heatmap": prompts.lvlm_heatmap("lvlm", "pictures", ["questions", 0], answer=["ask", 0]),
        "explained": shown("heatmap", 1),
        "mask": prompts.tune("heatmap"),
        "masks": prompts.node("MaskPreview", mask=["mask", 0]),
        "view": prompts.view("pictures", "heatmap"),
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    assert len(texts(run, "answers")) == 3
    assert texts(run, "explained") == [answer.strip() for answer in texts(run, "answers")]
    assert len(run.outputs["masks"]["images"]) == 3
    assert len(run.outputs["view"]["images"]) == 3
    assert len([node for node in run.executed if node == "heatmap"]) == 1


def test_further_pictures_get_heatmaps_of_their_own(comfyui: Server) -> None:
    graph: prompts.Graph = {
        "first": prompts.pictures(2, 64, 96),
        "second": prompts.pictures(2, 48, 48, seed=4),
        "third": prompts.pictures(1, 32, 64, seed=5),
        "lvlm": prompts.load_lvlm(TINY_LVLM),
        "heatmap": prompts.lvlm_heatmap(
            "lvlm", "first", more_images__more_image0=["second", 0], more_images__more_image1=["third", 0]
        ),
        "mask": prompts.node(**as_node(prompts.tune("heatmap"), heatmap=["heatmap", 2])),
        "masks": prompts.node("MaskPreview", mask=["mask", 0]),
    }
    run = comfyui.run(graph)
    assert_ran(run, *graph)
    assert len(run.outputs["masks"]["images"]) == 4, "two heatmaps of two pictures each"


def as_node(made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"class_type": made["class_type"], **made["inputs"], **changes}


def test_text_shows_on_the_node_while_it_grows(comfyui: Server) -> None:
    run = comfyui.run(small(TINY_LVLM, "a growing text", max_new_tokens=120))
    assert_ran(run, "ask", "answer")
    growing = [text for text in run.texts if text and text in texts(run, "answer")[0]]
    assert growing
    assert growing[0] != texts(run, "answer")[0]


def test_same_question_again_asks_nothing(comfyui: Server) -> None:
    graph = small(question="Is there a star?")
    assert_ran(comfyui.run(graph), "ask")
    again = comfyui.run(graph)
    assert {"lvlm", "ask"} <= set(again.cached)
    other = comfyui.run(small(question="Is there a circle?"))
    assert {"lvlm", "scene"} <= set(other.cached)
    assert "ask" in other.executed


def test_stop_in_the_middle_of_an_answer(comfyui: Server) -> None:
    seconds: list[float] = []
    while len(seconds) < 3 and not any(each < 1.0 for each in seconds):  # what else this machine does is not ours
        graph = small(TINY_LVLM, f"stop {len(seconds)}", max_new_tokens=3000)
        # One answer of this model may end by itself in no time; forty take several batches.
        graph["scene"] = prompts.pictures(40, 64, 96)
        run = comfyui.run(graph, stop_when=lambda run: len(run.texts) > 2)
        assert run.ending == "execution_interrupted"
        assert "answer" not in run.executed
        assert run.seconds_to_stop is not None
        seconds.append(run.seconds_to_stop)
    assert min(seconds) < 1.0, seconds
    assert_ran(comfyui.run(small(question="And after the stop?")), "answer")


def test_stop_half_way_through_a_surer_answer(comfyui: Server) -> None:
    """The plain pictures are answered, and the prompted ones are being asked about."""

    def half_way(run: Run) -> bool:
        return any(2 * done > total for _, done, total in run.progress)

    seconds: list[float] = []
    while len(seconds) < 3 and not any(each < 1.0 for each in seconds):  # what else this machine does is not ours
        graph: prompts.Graph = {
            "lvlm": prompts.load_lvlm(TINY_LVLM),
            "plain": prompts.pictures(16, 64, 96),
            "prompted": prompts.pictures(16, 64, 96, seed=1),
            "surer": prompts.surer("lvlm", "plain", "prompted", f"stop {len(seconds)}", max_new_tokens=300),
            "answer": shown("surer"),
        }
        run = comfyui.run(graph, stop_when=half_way)
        assert run.ending == "execution_interrupted"
        assert "answer" not in run.executed
        assert any(total == 2 * 16 * 300 for _, _, total in run.progress)
        assert run.seconds_to_stop is not None
        seconds.append(run.seconds_to_stop)
    assert min(seconds) < 1.0, seconds
    graph["surer"] = prompts.surer("lvlm", "plain", "prompted", "And after the stop?", max_new_tokens=3)
    assert_ran(comfyui.run(graph), "answer")


def test_a_wire_from_blind_tokens_stops_what_it_leads_to_and_nothing_else(comfyui: Server) -> None:
    graph = small(question="Are there blind tokens?")
    graph["blind"] = prompts.node("AttnPromptView", image=["scene", 0], map=["ask", 2])
    run = comfyui.run(graph)
    assert run.ending == "execution_success"
    assert texts(run, "answer")
    assert "blind" not in run.outputs
    assert "only AvisC looks for them" in run.message
    assert "blind_tokens" in run.message


def test_a_cut_answer_warns(comfyui: Server) -> None:
    run = comfyui.run(small(TINY_LVLM, "cut", max_new_tokens=2))
    assert_ran(run, "answer")
    assert any("max_new_tokens" in text for text in run.texts)


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"question": "  "}, ["question"]),
            ({"template": "evaluate"}, ["previous_answer"]),
            ({"decoding": "beam"}, ["decoding", "greedy", "sample"]),
        ],
    )
    def test_on_ask(self, comfyui: Server, changes: dict[str, Any], words: list[str]) -> None:
        graph = small()
        graph["ask"]["inputs"].update(changes)
        assert_readable(comfyui.run(graph), "ask", *words)

    def test_questions_that_do_not_match_the_pictures(self, comfyui: Server) -> None:
        graph = small()
        graph["scene"] = prompts.pictures(3, 64, 64)
        graph["questions"] = prompts.node("ProbeTexts", lines="one?\ntwo?")
        graph["ask"]["inputs"]["question"] = ["questions", 0]
        assert_readable(comfyui.run(graph), "ask", "3 of image", "2 of question")

    def test_two_settings_where_one_is_needed(self, comfyui: Server) -> None:
        graph = small()
        graph["prompts"] = prompts.node("ProbeTexts", lines="be brief\nbe long")
        graph["ask"]["inputs"]["system_prompt"] = ["prompts", 0]
        assert_readable(comfyui.run(graph), "ask", "system_prompt", "2")

    @pytest.mark.parametrize(
        ("changes", "words"), [({"layers": "99"}, ["99", "layers"]), ({"hint_words": "zebra"}, ["zebra"])]
    )
    def test_on_the_heatmap(self, comfyui: Server, changes: dict[str, Any], words: list[str]) -> None:
        graph = small()
        graph["heatmap"] = prompts.lvlm_heatmap("lvlm", "scene", answer="a red star", **changes)
        graph["view"] = prompts.view("scene", "heatmap")
        assert_readable(comfyui.run(graph), "heatmap", *words)

    def test_picture_with_nan(self, comfyui: Server) -> None:
        graph = small()
        graph["scene"] = prompts.pictures(2, nan=True)
        assert_readable(comfyui.run(graph), "ask", "NaN")

    @pytest.mark.parametrize("name", ["someone/else", "LLM/../../secret", "/etc/passwd", TINY])
    def test_model_name_over_a_link_is_checked_again(self, comfyui: Server, name: str) -> None:
        graph = small()
        graph["name"] = prompts.node("ProbeText", text=name)
        graph["lvlm"] = prompts.load_lvlm(["name", 0])
        assert_readable(comfyui.run(graph), "lvlm", name, "Load LVLM")

    def test_model_that_is_not_here_says_how_to_get_it(self, comfyui: Server) -> None:
        assert_readable(comfyui.run(small("llava-1.5-7b")), "lvlm", "llava-1.5-7b", "allow_download")

    def test_a_server_has_no_heatmap(self, comfyui: Server) -> None:
        graph = {
            "scene": scene(),
            "server": prompts.connect("ollama"),
            "heatmap": prompts.lvlm_heatmap("server", "scene"),
            "view": prompts.view("scene", "heatmap"),
        }
        run = comfyui.run(graph)
        assert run.ending == "refused"
        assert "ATTNPROMPT_SERVER" in str(run.refused["node_errors"]["heatmap"])


@pytest.fixture(scope="module")
def chat() -> Iterator[ServerProcess]:
    """A chat server that wants a key."""
    with running(key=KEY) as process:
        yield process


@pytest.fixture
def profile(comfyui: Server, chat: ServerProcess) -> str:
    """A profile of that server, with its key in the file."""
    file = comfyui.base / "user" / "__attention_prompting" / "servers.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    entries = {"work": {"address": chat.address, "key": KEY}, "no key": {"address": chat.address}}
    file.write_text(json.dumps({"version": 1, "profiles": entries}), encoding="utf-8")
    file.chmod(0o600)
    chat.misbehave()
    return "work"


def asked_of(profile: str, **asked: Any) -> prompts.Graph:
    return {
        "pictures": prompts.pictures(asked.pop("count", 1), 64, 96),
        "server": prompts.connect(profile, asked.pop("model", "")),
        "ask": prompts.ask("server", "pictures", **asked),
        "answer": shown("ask"),
    }


class TestServer:
    def test_answers_each_picture_of_a_batch(self, comfyui: Server, chat: ServerProcess, profile: str) -> None:
        run = comfyui.run(asked_of(profile, count=3, question="a batch of three"))
        assert_ran(run, "server", "ask", "answer")
        assert len(texts(run, "answer")) == 3
        assert all(texts(run, "answer"))
        assert len(chat.requests) == 3

    def test_the_key_is_nowhere(self, comfyui: Server, chat: ServerProcess, profile: str) -> None:
        run = comfyui.run(asked_of(profile, question="where is the key?"))
        assert_ran(run, "answer")
        chat.misbehave({"kind": "status", "status": 401, "body": {"error": {"message": "bad key $KEY"}}})
        failed = comfyui.run(asked_of(profile, question="and in an error?"))
        assert failed.ending == "execution_error"
        seen = json.dumps([comfyui.get("/object_info"), comfyui.get("/history"), run.outputs, failed.error, run.texts])
        assert KEY not in seen
        assert KEY not in (comfyui.base / "server.log").read_text(encoding="utf-8", errors="replace")

    def test_a_profile_added_later_works_at_once(self, comfyui: Server, profile: str) -> None:
        options = comfyui.get("/object_info")["AttnPromptConnectServer"]["input"]["required"]["profile"][1]["options"]
        assert options[:2] == ["no key", "work"]
        assert_readable(comfyui.run(asked_of("no key", question="no key")), "ask", "401")

    def test_an_unknown_profile_is_refused_with_a_way_out(self, comfyui: Server) -> None:
        run = comfyui.run(asked_of("grandma"))
        assert run.ending == "refused"
        (error,) = run.refused["node_errors"]["server"]["errors"]
        assert "grandma" in error["details"]
        assert "servers add" in error["details"]

    def test_a_server_that_is_not_running(self, comfyui: Server) -> None:
        run = comfyui.run(asked_of("sglang", question="is anybody there?"))
        assert run.ending == "execution_error"
        assert re.search(r"sglang|30000", run.message)

    def test_another_model_s_name(self, comfyui: Server, profile: str) -> None:
        assert_readable(comfyui.run(asked_of(profile, model="gpt-99", question="gpt-99?")), "ask", "gpt-99")

    def test_how_sure_it_is_only_where_that_is_wanted(self, comfyui: Server, chat: ServerProcess, profile: str) -> None:
        told = {"kind": "none", "text": "red", "logprobs": [{"token": "red", "logprob": -0.5}]}
        chat.misbehave(told)
        graph = asked_of(profile, question="how sure?")
        assert_ran(comfyui.run(graph), "ask", "answer")
        assert "logprobs" not in chat.requests[0]["settings"]
        graph["sure"] = shown("ask", 3)
        late = comfyui.run(graph)  # ComfyUI keeps the answer that it has
        assert "before confidence was connected" in late.message
        graph["ask"]["inputs"]["seed"] = 1
        chat.misbehave(told)
        run = comfyui.run(graph)
        assert_ran(run, "ask", "sure")
        assert float(texts(run, "sure")[0]) == pytest.approx(0.6065, abs=1e-3)

    def test_a_surer_answer_and_stop_half_way(self, comfyui: Server, chat: ServerProcess, profile: str) -> None:
        told = {"kind": "none", "text": "red", "logprobs": [{"token": "red", "logprob": -0.5}]}
        graph: prompts.Graph = {
            "plain": prompts.pictures(1, 64, 96),
            "prompted": prompts.pictures(1, 64, 96, seed=1),
            "server": prompts.connect(profile),
            "surer": prompts.surer("server", "plain", "prompted", "half way?"),
            "answer": shown("surer"),
            "which": shown("surer", 1),
        }
        chat.misbehave(told, {"kind": "silence", "seconds": 60})
        run = comfyui.run(graph, stop_when=lambda run: len(chat.requests) == 2)
        assert run.ending == "execution_interrupted"
        assert run.seconds_to_stop is not None
        assert run.seconds_to_stop < 5.0
        surer = {"token": "blue", "logprob": -0.1}
        chat.misbehave(told, {"kind": "none", "text": "blue", "logprobs": [surer]})
        again = comfyui.run(graph)
        assert_ran(again, "surer", "answer")
        assert (texts(again, "answer"), texts(again, "which")) == (["blue"], ["1"])

    def test_a_server_that_does_not_say_how_sure_it_is(
        self, comfyui: Server, chat: ServerProcess, profile: str
    ) -> None:
        graph = asked_of(profile, question="no probabilities?")
        graph["ask"] = prompts.surer("server", "pictures", "pictures", "no probabilities?")
        assert_readable(comfyui.run(graph), "ask", "does not say how likely")

    def test_stop_closes_the_connection(self, comfyui: Server, chat: ServerProcess, profile: str) -> None:
        chat.misbehave({"kind": "silence", "seconds": 60})
        graph = asked_of(profile, question="silence")
        run = comfyui.run(graph, stop_when=lambda run: bool(chat.requests))
        assert run.ending == "execution_interrupted"
        assert run.seconds_to_stop is not None
        assert run.seconds_to_stop < 5.0


def test_a_server_that_has_the_embedded_model_answers_as_it_does_here(comfyui: Server) -> None:
    from pack.tests.e2e.server import ROOT

    file = comfyui.base / "user" / "__attention_prompting" / "servers.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with running(model=ROOT / "api_core" / "embedded" / "tiny_lvlm") as chat:
        entries = {"tiny": {"address": chat.address}}
        file.write_text(json.dumps({"version": 1, "profiles": entries}), encoding="utf-8")
        graph = small(question="Is there a star?")
        graph["server"] = prompts.connect("tiny")
        graph["remote"] = prompts.ask("server", "scene", "Is there a star?")
        graph["remote answer"] = shown("remote")
        run = comfyui.run(graph)
    assert_ran(run, *graph)
    assert texts(run, "remote answer") == texts(run, "answer")
