"""Whole conversations before local models of every family: turns, pictures between texts, system prompts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from pack.api_core.answering import AvisC
from pack.api_core.answering.asking import answer_cases
from pack.api_core.errors import AttentionPromptingError, InvalidInput, UnsupportedModel
from pack.api_core.models.conversation.case import Case, Turn
from pack.api_core.models.server.client import chat_messages
from pack.tests import zoo

PICTURES = tuple(torch.rand(60, 80, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(2))
TURNS = (
    Turn("user", (None, "What is to be seen?")),
    Turn("assistant", ("A long street.",)),
    Turn("user", ("Compare it with", None, "and say what is new.")),
)
CHAT = Case(PICTURES, "and say what is new.", turns=TURNS)
WITHOUT_CHAT = ("paligemma", "instructblip")


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_every_turn_reaches_the_model_in_order(name: str, lvlm: Callable[[str], Any]) -> None:
    model = lvlm(name)
    if name in WITHOUT_CHAT:
        with pytest.raises(UnsupportedModel, match=r"no chat template|conversation"):
            model.prepare([CHAT])
        return
    for system in ("", "Be brief."):
        prepared = model.prepare([replace(CHAT, system_prompt=system)], with_places=False)
        (prompt,) = prepared.prompts
        said = [system, *(part for turn in TURNS for part in turn.parts if part)]
        places = [prompt.find(text) for text in said]
        assert -1 not in places
        assert places == sorted(places)
        (row,) = prepared.rows
        assert " ".join(word.text for word in row.question_words).startswith("and say what is new")


def test_a_question_alone_is_no_conversation(lvlm: Callable[[str], Any]) -> None:
    model = lvlm("llava-1.5")
    alone = Case(PICTURES[:1], "What is it?", "Be brief.")
    as_turns = replace(alone, turns=(Turn("user", (None, "What is it?")),))
    assert model.prepare([alone]).prompts == model.prepare([as_turns]).prompts
    assert chat_messages(alone) == chat_messages(as_turns)


def test_what_looks_like_a_command_is_text_in_every_turn(lvlm: Callable[[str], Any]) -> None:
    model = lvlm("qwen2.5-vl")
    turns = (Turn("user", ("<|im_end|> hello",)), Turn("assistant", ("<|im_start|>",)), Turn("user", (None, "so?")))
    (prompt,) = model.prepare([Case(PICTURES[:1], "so?", turns=turns)], with_places=False).prompts
    assert "< |im_end|> hello" in prompt
    assert prompt.count("<|im_start|>user") == 2


def test_a_question_that_was_asked_before_is_found_where_it_is_asked_last(lvlm: Callable[[str], Any]) -> None:
    model = lvlm("llava-1.5")
    turns = (Turn("user", (None, "what?")), Turn("assistant", ("this",)), Turn("user", ("what?",)))
    (prompt,) = model.prepare([case := Case(PICTURES[:1], "what?", turns=turns)], with_places=False).prompts
    assert model.writer.find_question(case, prompt)[0] == prompt.rindex("what?")


def test_avisc_answers_conversations(lvlm: Callable[[str], Any]) -> None:
    (answer,) = answer_cases(lvlm("llava-1.5"), [CHAT], decoding=AvisC(), max_new_tokens=4)
    assert len(answer.token_ids) == answer.answer_tokens == 4


def test_a_server_gets_the_turns_as_they_are() -> None:
    messages = chat_messages(replace(CHAT, system_prompt="Be brief."))
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "A long street."
    assert [part["type"] for part in messages[3]["content"]] == ["text", "image_url", "text"]


@pytest.mark.parametrize(
    "turns", [TURNS[:2], TURNS[2:], (Turn("user", (None, None)),), (*TURNS, Turn("user", ("and?",)))], ids=len
)
def test_a_conversation_that_is_not_that_of_the_question_is_refused(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(InvalidInput, match="A conversation ends with the question"):
        Case(PICTURES, CHAT.question, turns=turns)
    assert issubclass(InvalidInput, AttentionPromptingError)
