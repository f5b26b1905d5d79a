"""The embedded LVLM is an ordinary transformers folder; it answers about drawn scenes and looks where it is asked."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from pack.api_core.embedded import embedded_folder
from pack.api_core.evaluation.scorers.localisation import score_map
from pack.api_core.scenes import SceneOptions, draw_scene, make_scene
from pack.api_core.scenes.questions import QUESTION_KINDS, ask, facts_from_boxes, facts_of
from pack.tests.conftest import ROOT
from pack.tools.train.foreign_scenes import draw_foreign_scene
from pack.tools.train.wordings import QUESTION_WORDINGS
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaForConditionalGeneration

WORLD = SceneOptions(objects=(2, 4), radius=(0.09, 0.2), overlap=0.0, spoil=0.0)


@pytest.fixture(scope="module")
def folder():
    return embedded_folder("tiny-lvlm")


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


def _prompt(processor, content, system=None):
    told = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
    return processor.apply_chat_template([*told, {"role": "user", "content": content}], add_generation_prompt=True)


def _inputs(processor, picture, questions, system=None):
    content = [[{"type": "image"}, {"type": "text", "text": question}] for question in questions]
    pixels = (picture * 255).round().astype(np.uint8)
    texts = [_prompt(processor, each, system) for each in content]
    return processor(images=[pixels] * len(texts), text=texts, padding=True, return_tensors="pt")


def _answers(model, processor, picture, questions, system=None):
    inputs = _inputs(processor, picture, questions, system)
    with torch.no_grad():
        out = model.generate(**inputs, max_new_tokens=20)
    return processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_it_is_small_and_has_a_card_and_the_words_of_its_licence(folder):
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "license: mit" in card
    assert "## How it scored" in card
    assert "MIT" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_stock_transformers_reads_it_and_no_weight_is_left_over(folder):
    model, info = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    assert isinstance(model, LlavaForConditionalGeneration)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert "auto_map" not in json.loads((folder / "config.json").read_text(encoding="utf-8"))


def test_it_loads_in_under_a_second(folder):
    AutoModelForImageTextToText.from_pretrained(folder)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        AutoModelForImageTextToText.from_pretrained(folder)
        AutoProcessor.from_pretrained(folder)
        times.append(time.perf_counter() - started)
    assert min(times) < 1


def test_the_chat_template_takes_what_people_put_into_it(processor):
    text = {"type": "text", "text": "Where is it?"}
    image = {"type": "image"}
    assert _prompt(processor, [image, text]) == "USER: <image>\nWhere is it? ASSISTANT:"
    assert _prompt(processor, "Where is it?") == "USER: Where is it? ASSISTANT:"
    assert _prompt(processor, [image, image, text], "Be brief.") == (
        "Be brief. USER: <image>\n<image>\nWhere is it? ASSISTANT:"
    )
    turns = [
        {"role": "user", "content": [image, text]},
        {"role": "assistant", "content": [{"type": "text", "text": "left"}]},
        {"role": "user", "content": "Sure?"},
    ]
    assert processor.apply_chat_template(turns, add_generation_prompt=True) == (
        "USER: <image>\nWhere is it? ASSISTANT: left</s>USER: Sure? ASSISTANT:"
    )


def test_words_are_whole_and_unknown_ones_are_said_to_be(processor):
    tokenizer = processor.tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer("What COLOUR is the zyzzyva?")["input_ids"]) == [
        "<s>", "what", "colour", "is", "the", "<unk>", "?",
    ]  # fmt: skip
    assert tokenizer.decode(tokenizer("a red star and two hearts.", add_special_tokens=False)["input_ids"]) == (
        "a red star and two hearts."
    )
    offsets = tokenizer("Red, star", return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert offsets == [(0, 3), (3, 4), (5, 9)]


def test_the_whole_picture_is_seen_whatever_its_shape(processor):
    picture = np.zeros((60, 120, 3), np.float32)
    picture[:, -10:] = 1
    inputs = _inputs(processor, picture, ["What is this?"])
    assert inputs["pixel_values"].shape == (1, 3, 112, 112)
    assert inputs["pixel_values"][0, :, :, -3:].mean() > 0.8
    assert int((inputs["input_ids"] == 4).sum()) == 196


def _scenes(count, first=7_000):
    number = first
    while count:
        scene = make_scene(number, "test", WORLD)
        drawn = draw_scene(scene, round(180 * scene.height), round(180 * scene.width))
        if facts_of(drawn) is not None:
            yield number, drawn
            count -= 1
        number += 1


@pytest.fixture(scope="module")
def judged(model, processor):
    """By kind, whether each answer about 36 test scenes is right."""
    right = {kind: [] for kind in QUESTION_KINDS}
    for number, drawn in _scenes(36):
        questions = ask(drawn, np.random.default_rng(number))
        answers = _answers(model, processor, drawn.picture, [question.text for question in questions])
        for question, answer in zip(questions, answers, strict=True):
            right[question.kind].append(answer == question.answer)
    return right


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_it_answers(judged, kind):
    assert len(judged[kind]) >= 10
    assert np.mean(judged[kind]) >= 0.8


@pytest.mark.slow
def test_it_answers_about_pictures_somebody_else_drew(model, processor):
    right = []
    for number in range(20):
        scene = draw_foreign_scene(number)
        facts = facts_from_boxes(scene.names, scene.boxes, scene.picture.shape[:2])
        questions = ask(facts, np.random.default_rng(number), ("colour", "shape", "exist", "verify", "where"))
        answers = _answers(model, processor, scene.picture, [question.text for question in questions])
        right += [question.answer == answer for question, answer in zip(questions, answers, strict=True)]
    assert np.mean(right) >= 0.8


@pytest.mark.slow
def test_without_the_picture_it_cannot_know(model, processor):
    right = []
    for number, drawn in _scenes(30):
        questions = ask(drawn, np.random.default_rng(number), ("exist", "verify", "relation", "compare"))
        answers = _answers(model, processor, np.full((112, 112, 3), 0.5, np.float32), [q.text for q in questions])
        right += [question.answer == answer for question, answer in zip(questions, answers, strict=True)]
    assert 0.25 <= np.mean(right) <= 0.75


@pytest.mark.parametrize("system", ["You are a helpful assistant.", "Zyzzyva quux! Answer briefly."])
def test_a_system_prompt_and_other_wordings_do_not_throw_it(model, processor, system):
    right = []
    for number, drawn in _scenes(10):
        kinds = ("colour", "shape", "exist", "verify")
        questions = ask(drawn, np.random.default_rng(number), kinds, QUESTION_WORDINGS)
        answers = _answers(model, processor, drawn.picture, [question.text for question in questions], system)
        right += [question.answer == answer for question, answer in zip(questions, answers, strict=True)]
    assert np.mean(right) >= 0.75


def test_answers_do_not_depend_on_the_batch(model, processor):
    ((_, drawn),) = _scenes(1)
    questions = ["Describe the picture.", "What do you see?", "How many stars are there?", "Is there a red star?"]
    together = _answers(model, processor, drawn.picture, questions)
    alone = [_answers(model, processor, drawn.picture, [question])[0] for question in questions]
    assert together == alone


def test_the_answer_looks_at_what_was_asked_about(folder, processor):
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    scores = []
    for number, drawn in _scenes(20, 8_000):
        for question in ask(drawn, np.random.default_rng(number), ("colour", "shape", "where")):
            inputs = _inputs(processor, drawn.picture, [question.text])
            with torch.no_grad():
                out = model(**inputs, output_attentions=True)
            image = inputs["input_ids"][0] == model.config.image_token_id
            heat = out.attentions[1][0, :, -1, image].mean(0).unflatten(0, (1, 1, 14, 14))
            size = drawn.picture.shape[:2]
            full = torch.nn.functional.interpolate(heat, size=size, mode="bilinear")[0, 0]
            scores.append(score_map(full.numpy(), drawn.boxes, question.objects[0]))
    assert len(scores) > 30
    assert np.mean([score.pointing for score in scores]) >= 0.8
    assert np.mean([score.first for score in scores]) >= 0.8


@pytest.fixture(scope="module")
def trained_a_little(tmp_path_factory):
    work = tmp_path_factory.mktemp("train")
    script = Path(__file__).with_name("train_a_little.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, script, work], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return work, json.loads(done.stdout)


@pytest.mark.slow
def test_many_questions_at_once_give_what_one_at_a_time_gives(trained_a_little):
    _, told = trained_a_little
    assert told["logits"] < 1e-4
    assert told["attention"] < 1e-6
    assert told["kinds"] == told["all kinds"]


@pytest.mark.slow
def test_a_stopped_training_goes_on(trained_a_little):
    work, told = trained_a_little
    assert told["tower changed"] > 0
    assert any(message.startswith("answers: going on from") for message in told["messages"])
    counted = [int(message.split()[1]) for message in told["messages"] if message.startswith("answers  ")]
    assert len(counted) == 2
    assert 60 <= counted[0] < 120 <= counted[1]
    reread = AutoModelForImageTextToText.from_pretrained(work / "model")
    assert sum(parameter.numel() for parameter in reread.parameters()) * 2 < told["bytes"] < 12_000_000


@pytest.mark.slow
def test_held_out_pairs_are_met_in_no_used_picture_but_their_parts_are(trained_a_little):
    _, told = trained_a_little
    assert len(set(told["pairs"])) == 10
    assert not set(told["pairs"]) & set(told["pairs in used rows"])
    for part in (0, 1):
        assert {pair.split()[part] for pair in told["pairs"]} <= {
            pair.split()[part] for pair in told["pairs in used rows"]
        }
