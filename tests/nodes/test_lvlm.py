"""The nodes around vision-language models: loading, asking, reading attention, servers."""

import gc
import importlib
import json
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.attribution import LVLM_METHODS
from pack.api_core.errors import InvalidInput, ModelNotFound
from pack.tests.nodes.conftest import ASK, LVLM, LVLM_HEATMAP, MASK
from pack.tests.on_host import TINY_LVLM, Run

Image = torch.Tensor
QUESTION = "what color is the star?"


@pytest.mark.both_hosts
class TestLoading:
    def test_two_loaders_share_a_model(self, run: Run, lvlm: Any) -> None:
        (again,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, "allow_download": True}).args
        assert again is lvlm
        (other,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, "precision": "bf16"}).args
        assert other.model.module is not lvlm.model.module
        assert other.model.dtype == torch.bfloat16

    def test_model_dies_with_its_socket(self, run: Run) -> None:
        (loaded,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, "precision": "fp16"}).args
        module, holder = weakref.ref(loaded.model.module), weakref.ref(loaded.patcher)
        del loaded
        gc.collect()
        assert module() is None
        assert holder() is None

    def test_model_dies_after_it_was_used(self, run: Run, image: Image) -> None:
        (loaded,) = run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, "precision": "fp32", "max_pixels": 9}).args
        run("AttnPromptAsk", model=loaded, image=image, question=QUESTION, **ASK)
        run("AttnPromptLVLMHeatmap", lvlm=loaded, image=image, question=QUESTION, **LVLM_HEATMAP)
        module = weakref.ref(loaded.model.module)
        del loaded
        gc.collect()
        assert module() is None

    def test_weights_are_ordinary_after_a_move_inside_inference_mode(self, lvlm: Any, nodes: Any) -> None:
        from pack.nodes import host

        with torch.inference_mode():
            lvlm.model.module.to(torch.float64)
            host.on_device(lvlm, 0)
        assert not any(weight.is_inference() for weight in lvlm.model.module.parameters())
        lvlm.model.module.to(torch.float32)

    def test_models_are_offered(self, classes: dict[str, Any], models: Path) -> None:
        (offered,) = [
            given.options for given in classes["AttnPromptLoadLVLM"].define_schema().inputs if given.id == "model"
        ]
        assert offered[0] == "tiny-lvlm"
        assert "llava-1.5-7b" in offered
        assert TINY_LVLM in offered
        assert not [name for name in offered if name.startswith("clip_vision/")]

    @pytest.mark.parametrize("name", ["someone/else", "LLM/../LLM/llava-1.5", "/etc", "", "clip_vision/tiny"])
    def test_other_names_are_refused(self, run: Run, name: str) -> None:
        with pytest.raises(InvalidInput, match="Load LVLM"):
            run("AttnPromptLoadLVLM", **{**LVLM, "model": name, "allow_download": True})

    @pytest.mark.parametrize("changes", [{"precision": "int4"}, {"attention": "eager"}, {"max_pixels": -1}])
    def test_other_settings_are_refused(self, run: Run, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match=str(next(iter(changes.values())))):
            run("AttnPromptLoadLVLM", **{**LVLM, "model": TINY_LVLM, **changes})

    def test_downloads_are_off_unless_asked_for(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(ModelNotFound, match="allow_download"):
            run("AttnPromptLoadLVLM", **{**LVLM, "model": "llava-1.5-7b"})

    def test_replaced_files_are_another_model(self, classes: dict[str, Any], models: Path) -> None:
        node = classes["AttnPromptLoadLVLM"]
        before = node.fingerprint_inputs(model=TINY_LVLM)
        (models / TINY_LVLM / "config.json").touch()
        assert node.fingerprint_inputs(model=TINY_LVLM) != before
        assert node.fingerprint_inputs(model="tiny-lvlm") == node.fingerprint_inputs(model="tiny-lvlm")


class TestAsk:
    def test_a_batch_of_three_gives_three_answers(self, run: Run, lvlm: Any, image: Image) -> None:
        answers, thinking, *_ = run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK).args
        assert len(answers) == 3
        assert all(isinstance(answer, str) and answer for answer in answers)
        assert len(thinking) == 3
        singles = [
            run("AttnPromptAsk", model=lvlm, image=image[i : i + 1], question=QUESTION, **ASK).args[0][0]
            for i in range(3)
        ]
        assert answers == singles

    def test_questions_go_case_by_case(self, run: Run, lvlm: Any, image: Image) -> None:
        questions = ["what?", "where?", "what color is the star?"]
        answers, *_ = run("AttnPromptAsk", model=lvlm, image=image, question=questions, **ASK).args
        assert len(answers) == 3
        (last,), *_ = run("AttnPromptAsk", model=lvlm, image=image[2:], question=questions[2], **ASK).args
        assert answers[2] == last

    def test_one_picture_and_several_questions(self, run: Run, lvlm: Any, image: Image) -> None:
        answers, *_ = run("AttnPromptAsk", model=lvlm, image=image[:1], question=["what?", "where?"], **ASK).args
        assert len(answers) == 2

    def test_pictures_of_several_sizes_come_as_a_list(self, run: Run, lvlm: Any, image: Image) -> None:
        given = [image[:2], torch.rand(1, 30, 20, 3)]
        answers, *_ = run("AttnPromptAsk", model=lvlm, image=given, question=QUESTION, **ASK).args
        assert len(answers) == 3

    def test_further_pictures_are_part_of_the_prompt(self, run: Run, lvlm: Any, image: Image) -> None:
        alone, *_ = run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK).args
        more = {"more_image0": image.flip(0)}
        both, *_ = run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, more_images=more, **ASK).args
        assert len(both) == 3
        assert both != alone

    def test_sampling_follows_its_seed(self, run: Run, lvlm: Any, image: Image) -> None:
        sample = {"decoding": "sample", "temperature": 3.0, "top_p": 1.0, "top_k": 0}

        def ask(seed: int) -> list[str]:
            given = {**ASK, "seed": seed, "decoding": sample, "max_new_tokens": 8}
            return run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **given).args[0]

        assert ask(1) == ask(1)
        assert ask(1) != ask(2)

    @pytest.mark.parametrize("name", ["greedy", "sample", "VCD", "M3ID"])
    def test_blind_tokens_are_refused_where_the_decoding_has_none(
        self, run: Run, lvlm: Any, image: Image, name: str
    ) -> None:
        given = {**ASK, "decoding": {"decoding": name}}
        answers, _, blind, *_ = run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **given).args
        assert len(answers) == 3
        assert "only AvisC looks for them" in blind.message

    def test_avisc_gives_a_map_of_each_picture_that_makes_a_mask(self, run: Run, lvlm: Any, image: Image) -> None:
        given = {**ASK, "decoding": {"decoding": "AvisC"}}
        answers, _, blind, *_ = run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **given).args
        assert len(answers) == len(blind) == 3
        assert [picture.size for picture in blind.pictures] == [tuple(image.shape[1:3])] * 3
        (mask,) = run("AttnPromptTuneMask", heatmap=blind, **MASK).args
        assert mask.shape == image.shape[:3]

    @pytest.mark.both_hosts
    def test_image_tokens_without_a_place_are_said_to_have_none(self, nodes: Any) -> None:
        from pack.api_core.answering import Answer, AvisC
        from pack.api_core.answering.contrastive.blind_tokens import find_blind_tokens
        from pack.nodes.ask import to_blind_tokens

        found = find_blind_tokens({0: torch.rand(9)}, 0.5, 1.0)
        answer = Answer("a", "", "?", AvisC(), True, model="pooled", blind=found)
        assert "image tokens of pooled have no known place" in to_blind_tokens([answer]).message

    def test_decodings_have_the_librarys_defaults(self, nodes: Any) -> None:
        from pack.api_core.answering import DECODINGS
        from pack.nodes.ask import CHOICES, to_decoding
        from pack.nodes.widgets import default_values

        assert list(CHOICES) == [decoding.name for decoding in DECODINGS]
        for decoding in DECODINGS:
            shown = {name: [value] for name, value in default_values(decoding.settings()).items()}
            assert to_decoding({"decoding": [decoding.name], **shown}, 0) == decoding()
            assert to_decoding({"decoding": [decoding.name]}, 0) == decoding()

    @pytest.mark.parametrize("decoding", [None, {}, {"decoding": "beam"}])
    def test_unknown_decoding_is_named(self, run: Run, lvlm: Any, image: Image, decoding: Any) -> None:
        given = {**ASK, "decoding": decoding or {}}
        with pytest.raises(InvalidInput, match="greedy, sample"):
            run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **given)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"question": "  "}, "question"),
            ({"question": ["a", "b"]}, "2 of question"),
            ({"template": "haiku"}, "haiku"),
            ({"max_new_tokens": 0}, "0"),
            ({"max_new_tokens": [4, 5]}, "max_new_tokens is one setting"),
            ({"decoding": {"decoding": "sample", "temperature": -1.0}}, "-1"),
            ({"decoding": {"decoding": "sample", "top_p": 0.0}}, "0"),
            ({"decoding": {"decoding": "AvisC", "gamma": 2.0}}, "gamma must be from 0 to 1, not 2"),
            ({"decoding": {"decoding": "VCD", "noise_step": 2000}}, "noise_step"),
        ],
    )
    def test_mistakes(self, run: Run, lvlm: Any, image: Image, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidInput, match=said):
            run("AttnPromptAsk", **{"model": lvlm, "image": image, "question": QUESTION, **ASK, **changes})

    def test_picture_with_nan(self, run: Run, lvlm: Any, image: Image) -> None:
        image[1, 0, 0, 0] = float("nan")
        with pytest.raises(InvalidInput, match="NaN"):
            run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK)

    @pytest.mark.both_hosts
    def test_stop_ends_an_answer_within_a_token(
        self, run: Run, lvlm: Any, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        management = importlib.import_module("comfy.model_management")
        from pack.nodes import page

        seen: list[int] = []
        real = page.live_text

        def live_text(node_id: str | None, count: int) -> Any:
            show = real(node_id, count)

            def stop_after_three(case: int, text: str) -> None:
                seen.append(case)
                if len(seen) == 3:
                    management.interrupt_current_processing(True)
                show(case, text)

            return stop_after_three

        monkeypatch.setattr(page, "live_text", live_text)
        given = {**ASK, "max_new_tokens": 500, "decoding": {"decoding": "sample", "temperature": 5.0}}
        with pytest.raises(management.InterruptProcessingException):
            run("AttnPromptAsk", model=lvlm, image=image[:1], question=QUESTION, **given)
        assert len(seen) == 3

    @pytest.mark.both_hosts
    def test_stop_before_the_first_token(self, run: Run, lvlm: Any, image: Image) -> None:
        management = importlib.import_module("comfy.model_management")
        management.interrupt_current_processing(True)
        with pytest.raises(management.InterruptProcessingException):
            run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK)
        run("AttnPromptAsk", model=lvlm, image=image, question=QUESTION, **ASK)


class TestLVLMHeatmap:
    def test_a_batch_keeps_every_picture(self, run: Run, lvlm: Any, image: Image) -> None:
        result = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **LVLM_HEATMAP)
        heatmap, answers, further = result.args
        assert len(heatmap) == 3
        assert len(answers) == 3
        assert {picture.size for picture in heatmap.pictures} == {(40, 56)}
        assert "more_images" in further.message
        (mask,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK).args
        assert mask.shape == (3, 40, 56)

    @pytest.mark.parametrize("reading", ["precise", "upstream"])
    @pytest.mark.parametrize("method", LVLM_METHODS)
    def test_every_method_works_inside_inference_mode(
        self, run: Run, lvlm: Any, image: Image, method: str, reading: str
    ) -> None:
        given = {**LVLM_HEATMAP, "method": method, "reading": reading, "answer": "a red star"}
        (heatmap, *_) = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **given).args
        assert {picture.method for picture in heatmap.pictures} == {method}
        assert all(picture.parts["attention"][0].values[0].std() > 0 for picture in heatmap.pictures)

    def test_given_answers_are_explained(self, run: Run, lvlm: Any, image: Image) -> None:
        given = {**LVLM_HEATMAP, "answer": ["a red star", "blue", "a red star"]}
        heatmap, answers, _ = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **given).args
        assert answers == given["answer"]
        roles = {label.role for label in heatmap.pictures[0].labels}
        assert {"whole", "answer word"} <= roles
        words = {label.text for label in heatmap.pictures[0].labels if label.role == "answer word"}
        assert {"red", "star"} <= words
        (mask,) = run(
            "AttnPromptTuneMask", heatmap=heatmap.__class__(heatmap.pictures[:1]), **{**MASK, "words": "red"}
        ).args
        assert mask.shape == (1, 40, 56)

    def test_an_empty_answer_is_written_by_the_model(self, run: Run, lvlm: Any, image: Image) -> None:
        own = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **LVLM_HEATMAP).args[1]
        empty = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, answer=" ", **LVLM_HEATMAP)
        assert empty.args[1] == own

    @pytest.mark.both_hosts
    def test_stop_ends_a_heatmap(self, run: Run, lvlm: Any, image: Image) -> None:
        management = importlib.import_module("comfy.model_management")
        management.interrupt_current_processing(True)
        with pytest.raises(management.InterruptProcessingException):
            run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **LVLM_HEATMAP)
        run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **LVLM_HEATMAP)

    def test_hint_words_choose_the_whole(self, run: Run, lvlm: Any, image: Image) -> None:
        def whole(words: str) -> torch.Tensor:
            given = {**LVLM_HEATMAP, "answer": "a red star", "hint_words": words}
            heatmap = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image[:1], question=QUESTION, **given).args[0]
            return heatmap.pictures[0].parts["attention"][0].values[0]

        assert not torch.equal(whole(""), whole("STAR"))
        with pytest.raises(InvalidInput, match="zebra"):
            whole("zebra")

    def test_further_pictures_get_maps(self, run: Run, lvlm: Any, image: Image) -> None:
        more = {"more_image0": image.flip(0), "more_image1": torch.rand(1, 20, 30, 3)}
        given = {**LVLM_HEATMAP, "more_images": more}
        heatmap, _, further = run("AttnPromptLVLMHeatmap", lvlm=lvlm, image=image, question=QUESTION, **given).args
        assert [len(found) for found in (heatmap, *further)] == [3, 3, 3]
        assert {picture.size for picture in further[1].pictures} == {(20, 30)}

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"question": ""}, "question"),
            ({"layers": "99"}, "99"),
            ({"layers": "x"}, "whole number"),
            ({"method": "tea leaves"}, "tea leaves"),
            ({"reading": "rough"}, "rough"),
        ],
    )
    def test_mistakes(self, run: Run, lvlm: Any, image: Image, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidInput, match=said):
            run(
                "AttnPromptLVLMHeatmap",
                **{"lvlm": lvlm, "image": image, "question": QUESTION, **LVLM_HEATMAP, **changes},
            )


@pytest.mark.both_hosts
class TestServers:
    def test_profiles_are_offered_and_one_s_own_come_first(self, classes: dict[str, Any], servers: Path) -> None:
        assert offered_profiles(classes)[:3] == ["vllm", "sglang", "ollama"]
        write_profiles(servers, work={"address": "http://127.0.0.1:9/v1"})
        assert offered_profiles(classes)[0] == "work"

    def test_an_unknown_profile_says_how_to_add_one(self, classes: dict[str, Any], run: Run, servers: Path) -> None:
        said = classes["AttnPromptConnectServer"].validate_inputs(profile="grandma")
        assert "grandma" in said
        assert "servers add" in said
        assert str(servers) in said
        with pytest.raises(ModelNotFound, match="grandma"):
            run("AttnPromptConnectServer", profile="grandma", model="")
        assert classes["AttnPromptConnectServer"].validate_inputs(profile="ollama") is True
        assert classes["AttnPromptConnectServer"].validate_inputs(profile=None) is True

    def test_a_damaged_file_hides_no_node(self, classes: dict[str, Any], run: Run, servers: Path) -> None:
        servers.mkdir(parents=True, exist_ok=True)
        (servers / "servers.json").write_text('{"profiles": {"work": {"key": "sk-secret-1"', encoding="utf-8")
        assert "ollama" in offered_profiles(classes)
        with pytest.raises(InvalidInput, match="damaged") as caught:
            run("AttnPromptConnectServer", profile="ollama", model="")
        assert "sk-secret-1" not in str(caught.value)

    def test_a_changed_profile_is_another_server(self, classes: dict[str, Any], servers: Path) -> None:
        node = classes["AttnPromptConnectServer"]
        before = node.fingerprint_inputs(profile="ollama")
        write_profiles(servers, work={"address": "http://127.0.0.1:9/v1", "key": "sk-secret-2"})
        assert node.fingerprint_inputs(profile="ollama") != before
        assert "sk-secret-2" not in node.fingerprint_inputs(profile="ollama")

    def test_a_server_shows_no_attention(self, classes: dict[str, Any]) -> None:
        (lvlm, *_) = classes["AttnPromptLVLMHeatmap"].define_schema().inputs
        (model, *_) = classes["AttnPromptAsk"].define_schema().inputs
        assert lvlm.get_io_type() == "ATTNPROMPT_LVLM,CLIP"
        assert model.get_io_type() == "ATTNPROMPT_LVLM,ATTNPROMPT_SERVER,CLIP"


@pytest.fixture
def servers(nodes: Any) -> Any:
    """The folder of the server profiles, empty."""
    from pack.nodes import host

    folder = host.settings_folder()
    (folder / "servers.json").unlink(missing_ok=True)
    yield folder
    (folder / "servers.json").unlink(missing_ok=True)


def write_profiles(folder: Path, **profiles: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 1, "profiles": profiles})
    (folder / "servers.json").write_text(text, encoding="utf-8")


def offered_profiles(classes: dict[str, Any]) -> list[str]:
    return classes["AttnPromptConnectServer"].define_schema().inputs[0].options
