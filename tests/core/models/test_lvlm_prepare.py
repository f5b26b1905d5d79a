"""Prompts of vision-language models: templates, words on their tokens, padding, special words, large pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput, UnsupportedModel
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.inputs.chat_prompt import PromptWriter, escape_special_tokens, special_strings
from pack.api_core.models.lvlm.inputs.processor import downscale_to, left_pad, to_pil_rgb
from pack.api_core.models.lvlm.load import load_lvlm
from pack.tests import zoo
from PIL import Image

QUESTION = "Where is the blue Zebra on the left?"
Models = Callable[[str], Any]

with_places = [name for name in zoo.FAMILIES if name not in zoo.WITHOUT_PLACES]
with_chat = [name for name in zoo.FAMILIES if name not in zoo.WITHOUT_CHAT]


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    pixels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(seed))
    return pixels.float() / 255


def case(height: int = 60, width: int = 80, question: str = QUESTION, **more: Any) -> Case:
    return Case((picture(height, width),), question, **more)


@pytest.mark.parametrize("name", with_chat)
def test_the_prompt_is_what_transformers_own_path_makes(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    ours = model.prepare([case()], with_places=False)
    image = Image.fromarray((picture(60, 80).numpy() * 255).round().astype(np.uint8))
    content = [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]
    options = {"enable_thinking": False} if "enable_thinking" in model.writer.template else {}
    theirs = model.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        **options,
    )
    assert ours.inputs["input_ids"].tolist() == theirs["input_ids"].tolist()
    pixels = {key for key in ours.inputs if "pixel" in key}
    assert pixels
    for key in pixels:
        assert torch.equal(ours.inputs[key], theirs[key])


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_words_of_the_question_lie_on_their_own_tokens(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    prepared = model.prepare([case(), case(90, 50, "Is the small ring red?")], with_places=False)
    for row, ids, question in zip(
        prepared.rows, prepared.inputs["input_ids"], (QUESTION, "Is the small ring red?"), strict=True
    ):
        words = row.question_words
        assert [word.text for word in words] == question.rstrip("?").split()
        assert row.length == len(ids)
        for word in words:
            said = model.tokenizer.decode(ids[word.first : word.last])
            assert word.text in said
            assert len(said.strip().strip("?")) == len(word.text)
            assert not set(ids[word.first : word.last].tolist()) & model.special


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_batch_is_padded_on_the_left_and_says_how_far(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    short, long = case(question="Red?"), case(90, 50, f"{QUESTION} {QUESTION}")
    prepared = model.prepare([short, long], with_places=False)
    alone = [model.prepare([one], with_places=False).inputs["input_ids"][0] for one in (short, long)]
    for row, ids, mask, own in zip(
        prepared.rows, prepared.inputs["input_ids"], prepared.inputs["attention_mask"], alone, strict=True
    ):
        assert row.padding == len(ids) - len(own)
        assert mask.tolist() == [0] * row.padding + [1] * len(own)
        assert ids[row.padding :].tolist() == own.tolist()
    assert {row.padding > 0 for row in prepared.rows} == {True, False}


@pytest.mark.parametrize("name", with_places)
def test_places_are_of_the_picture_as_it_came_and_on_image_tokens(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    prepared = model.prepare([case(), case(90, 50, "Red?")])
    token = model.family.image_token(model.config)
    for row, ids, size in zip(prepared.rows, prepared.inputs["input_ids"], [(60, 80), (90, 50)], strict=True):
        (place,) = row.layouts
        assert place.size == size
        assert (ids == token).nonzero().flatten().tolist() == place.positions.tolist()


@pytest.mark.parametrize("name", zoo.WITHOUT_PLACES)
def test_a_model_without_places_still_prepares(name: str, lvlm: Models) -> None:
    assert lvlm(name).prepare([case()]).rows[0].layouts is None


@pytest.mark.parametrize("name", ["llava-1.5", "qwen2.5-vl", "gemma3", "smolvlm2", "internvl", "mistral3"])
def test_special_words_in_a_question_stay_words(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    specials = special_strings(model.processor)
    assert specials
    nasty = "What does " + " ".join(specials) + " mean?"
    plain = model.prepare([case(system_prompt="Be kind.", opening="It")], with_places=False)
    attacked = model.prepare([case(question=nasty, system_prompt=nasty, opening=nasty)])
    clean = plain.inputs["input_ids"][0].tolist()
    seen = attacked.inputs["input_ids"][0].tolist()
    for token in model.special - {model.tokenizer.unk_token_id}:
        assert seen.count(token) == clean.count(token), token
    image = model.family.image_token(model.config)
    assert seen.count(image) == clean.count(image)


def test_padding_goes_where_a_model_can_bear_it() -> None:
    ids = torch.tensor([[7, 7, 0, 0, 1, 2], [7, 7, 1, 2, 3, 4]])
    mask = torch.tensor([[1, 1, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]])
    other, other_mask = torch.tensor([[0, 5, 6], [4, 5, 6]]), torch.tensor([[0, 1, 1], [1, 1, 1]])
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 10}
    settled = left_pad({**given, "reader_input_ids": other, "reader_attention_mask": other_mask})
    assert settled["input_ids"].tolist() == [[0, 0, 7, 7, 1, 2], [7, 7, 1, 2, 3, 4]]
    assert settled["attention_mask"].tolist() == [[0, 0, 1, 1, 1, 1], [1] * 6]
    assert torch.equal(settled["token_type_ids"], settled["input_ids"] * 10)
    assert settled["reader_input_ids"].tolist() == [[5, 6, 0], [4, 5, 6]]
    assert settled["reader_attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert left_pad({"input_ids": ids})["attention_mask"].tolist() == [[1] * 6] * 2


def test_neutralising_leaves_nothing_that_is_special() -> None:
    specials = ("<image>", "</s>", "<|im_end|>", "[IMG]")
    text = escape_special_tokens("a <im<image>age> <|im_end|> [IMG]</s>", specials)
    assert not [mark for mark in specials if mark in text]
    assert text.replace(" ", "") == "a<im<image>age><|im_end|>[IMG]</s>"
    assert escape_special_tokens("nothing < here >", specials) == "nothing < here >"


def test_a_short_question_is_not_sought_in_the_templates_words(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    prepared = model.prepare([case(question="A")])
    (word,) = prepared.rows[0].question_words
    ids = prepared.inputs["input_ids"][0]
    after = model.tokenizer.decode(ids[word.last :])
    assert after.strip() == "ASSISTANT:"
    assert "A" in model.tokenizer.decode(ids[word.first : word.last])


@pytest.mark.parametrize("name", with_chat)
def test_a_system_prompt_is_read_before_the_question(name: str, lvlm: Models) -> None:
    prompt = lvlm(name).prepare([case(system_prompt="Be brief now.")], with_places=False).prompts[0]
    assert 0 <= prompt.index("Be brief now.") < prompt.index(QUESTION)


def test_a_template_without_a_system_prompt_gets_it_before_the_question(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    writer = PromptWriter(model.processor, model.family, "m")
    writer.template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text }}{% endfor %}{% endfor %}"
    )
    assert writer.write(case(system_prompt="Be brief.")) == f"<image>Be brief.\n\n{QUESTION}"
    writer.template = "{% for m in messages %}{{ m.role }}{% endfor %}"
    with pytest.raises(UnsupportedModel, match="chat template of m does not show the question"):
        writer.write(case())


def test_a_template_that_wants_the_system_prompt_as_a_string_gets_it(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    writer = PromptWriter(model.processor, model.family, "m")
    writer.template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '|' }}{% else %}"
        "{% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text }}{% endfor %}{% endif %}{% endfor %}"
    )
    assert writer.write(case(system_prompt="Be brief.")) == f"Be brief.|<image>{QUESTION}"


def test_the_opening_is_the_end_of_the_prompt(lvlm: Models) -> None:
    prepared = lvlm("qwen2.5-vl").prepare([case(opening="It is")])
    assert prepared.prompts[0].endswith("assistant\nIt is")
    assert [word.text for word in prepared.rows[0].question_words][-1] == "left"


@pytest.mark.parametrize("name", ["llava-1.5", "qwen2.5-vl", "gemma3", "internvl", "smolvlm2", "mistral3"])
def test_several_pictures_of_a_prompt_are_placed_apart(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    both = Case((picture(60, 80), picture(90, 50, 1)), QUESTION)
    (row,) = model.prepare([both]).rows
    assert [place.size for place in row.layouts] == [(60, 80), (90, 50)]
    first, second = (set(place.positions.tolist()) for place in row.layouts)
    assert max(first) < min(second)


def test_large_pictures_are_shrunk_the_models_own_way(zoo_folder: Models) -> None:
    limited = load_lvlm(zoo_folder("qwen2.5-vl"), device="cpu", max_pixels=80 * 80)
    free = load_lvlm(zoo_folder("qwen2.5-vl"), device="cpu")
    large = case(200, 400)
    (place,) = limited.prepare([large]).rows[0].layouts
    (more,) = free.prepare([large]).rows[0].layouts
    assert place.size == more.size == (200, 400)
    assert len(place.positions) * 16 * 16 <= 80 * 80 < len(more.positions) * 16 * 16
    box = place.grids[0].box
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((0, 0, 400, 200), abs=1)


def test_other_models_get_pictures_shrunk_before_and_places_in_full_size(zoo_folder: Models) -> None:
    limited = load_lvlm(zoo_folder("llava-next"), device="cpu", max_pixels=100 * 100)
    free = load_lvlm(zoo_folder("llava-next"), device="cpu")
    large = case(200, 400)
    seen, whole = limited.prepare([large]).rows[0].layouts[0], free.prepare([large]).rows[0].layouts[0]
    assert seen.size == whole.size == (200, 400)
    ours, theirs = seen.grids[0].box, whole.grids[0].box
    assert ours.right == pytest.approx(theirs.right, rel=0.02)
    assert ours.bottom == pytest.approx(theirs.bottom, rel=0.02)


def test_shrinking_keeps_the_mean_and_the_aspect() -> None:
    large = picture(120, 360)
    small = downscale_to(large, 40 * 120)
    assert small.shape == (40, 120, 3)
    assert torch.allclose(small.mean(), large.mean(), atol=1e-6)
    assert downscale_to(large, 0) is large
    assert downscale_to(large, 120 * 360) is large


def test_pictures_reach_the_processor_as_they_were_in_their_file() -> None:
    values = torch.arange(256).reshape(16, 16, 1).expand(16, 16, 3).float() / 255
    assert (np.asarray(to_pil_rgb(values)) == np.arange(256).reshape(16, 16, 1)).all()
    with pytest.raises(InvalidInput, match="NaN"):
        to_pil_rgb(values / 0 * 0)


def test_what_a_processor_refuses_is_said_with_the_count(lvlm: Models) -> None:
    model = replace(lvlm("llava-1.5"))

    def refuse(**kwargs: Any) -> None:
        raise ValueError("only one image per prompt")

    refuse.tokenizer = model.tokenizer
    model.processor = refuse
    model.writer = lvlm("llava-1.5").writer
    with pytest.raises(InvalidInput, match=r"llava-1\.5 cannot read a prompt with 2 pictures: only one image"):
        model.prepare([Case((picture(60, 80), picture(60, 80)), QUESTION)])


def test_nothing_to_ask_about_is_said(lvlm: Models) -> None:
    with pytest.raises(InvalidInput, match="nothing to ask about"):
        lvlm("llava-1.5").prepare([])


def test_a_thinking_switch_of_the_template_is_used(lvlm: Models) -> None:
    model = lvlm("qwen3.5")
    quiet, loud = (model.prepare([case()], with_places=False, thinking=on) for on in (False, True))
    assert "</think>" in quiet.prompts[0]
    assert quiet.prompts != loud.prompts
    assert loud.thinking


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_layers(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    assert 0 < len(model.seeing_layers) <= model.depth
    (default,) = model.resolve_layers(None)
    assert default in model.seeing_layers
    assert model.resolve_layers([-1, 0, model.depth - 1]) == (model.depth - 1, 0)
    with pytest.raises(InvalidInput, match=f"has no layer {model.depth}; its {model.depth} layers are 0 to"):
        model.resolve_layers([model.depth])


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_memory_grows_with_tokens_rows_and_pixels(name: str, lvlm: Models) -> None:
    model = lvlm(name)
    one = model.prepare([case()], with_places=False)
    two = model.prepare([case(), case()], with_places=False)
    few, many = model.estimate_memory(one, 10), model.estimate_memory(one, 1000)
    assert 0 < few < many
    assert model.estimate_memory(two, 10) > few
    assert model.estimate_memory(60 * 80, 10) > 0
