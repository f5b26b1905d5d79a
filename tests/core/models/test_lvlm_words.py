"""The words of questions and answers, and the tokens that spell them."""

import random

import pytest
from pack.api_core.models.conversation.reply import opens_thinking, split_thinking
from pack.api_core.models.conversation.token_text import (
    IncrementalDecoder,
    decode_with_spans,
    locate_words,
    tokens_of_words,
    word_spans,
)
from pack.tests.zoo import vocabulary

SENTENCE = "The Elephant's café: 3.5 猫です, well-known 🙂 it is."
WORDS = ["The", "Elephant's", "café", "3.5", "猫", "で", "す", "well-known", "it", "is"]


def tokenizer(kind: str) -> object:
    from transformers import PreTrainedTokenizerFast

    if kind == "bytes":
        made = vocabulary.byte_level(["<|end|>", "<|pad|>"], end="<|end|>", pad="<|pad|>")
    elif kind == "llama":
        made = vocabulary.llama_2([])
    elif kind == "gemma":
        made = vocabulary.gemma([])
    else:
        made = vocabulary.words(["<end>", "<pad>"], end="<end>", pad="<pad>")
    return PreTrainedTokenizerFast(tokenizer_object=made.backend, unk_token="<unk>" if kind != "bytes" else None)


KINDS = ("bytes", "llama", "gemma")


def test_words_are_whole() -> None:
    assert [SENTENCE[start:end] for start, end in word_spans(SENTENCE)] == WORDS
    assert word_spans(" ,.! ") == []


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_spell_the_text_they_were_made_of(kind: str) -> None:
    known = tokenizer(kind)
    ids = known(SENTENCE, add_special_tokens=False)["input_ids"]
    text, spans = decode_with_spans(known, ids, frozenset())
    assert text == SENTENCE
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    found = tokens_of_words(text, word_spans(text), spans)
    assert [piece.text for piece in found] == WORDS
    for piece in found:
        said = known.decode(ids[piece.first : piece.last])
        assert piece.text in said
        assert len(said) <= len(piece.text) + 3
    assert len(found[1:2][0].text) == len("Elephant's")
    assert found[1].last - found[1].first > 1, "the word should have been several tokens for this test to mean anything"


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_text_never_holds_a_broken_character(kind: str) -> None:
    known = tokenizer(kind)
    decoder = IncrementalDecoder(known, frozenset())
    seen = []
    for token in known(SENTENCE, add_special_tokens=False)["input_ids"]:
        decoder.push(token)
        seen.append(decoder.text)
        assert SENTENCE.startswith(decoder.text)
    decoder.finish()
    assert decoder.text == SENTENCE
    assert len(set(seen)) < len(seen), "some character should have been split for this test to mean anything"


def test_bytes_that_never_become_a_character_do_not_hold_the_rest_back() -> None:
    known = tokenizer("bytes")
    broken = known("🙂", add_special_tokens=False)["input_ids"][:2]
    after = known(" is the", add_special_tokens=False)["input_ids"]
    decoder = IncrementalDecoder(known, frozenset())
    for token in [*broken, *after]:
        decoder.push(token)
    decoder.finish()
    assert decoder.text.endswith(" is the")
    assert decode_with_spans(known, broken, frozenset())[0].strip("\ufffd") == ""


def test_special_tokens_spell_nothing_and_do_not_break_words() -> None:
    known = tokenizer("llama")
    ids = known("The circle", add_special_tokens=False)["input_ids"]
    end = known.convert_tokens_to_ids("</s>")
    text, spans = decode_with_spans(known, [end, ids[0], end, *ids[1:], end], frozenset([end]))
    assert text == "The circle"
    assert spans[0] == (0, 0)
    assert tokens_of_words(text, word_spans(text), spans)[1].text == "circle"


@pytest.mark.parametrize("kind", [*KINDS, "words"])
@pytest.mark.parametrize("fast", [True, False])
def test_words_of_a_question_are_found_behind_expanded_pictures(kind: str, fast: bool) -> None:
    known = tokenizer(kind)
    question = "Where is the blue Zebra?" if kind != "words" else "Where is the blue ring ?"
    prompt = f"user {question} assistant the"
    ids = known(prompt, add_special_tokens=False)["input_ids"]
    row = [ids[0]] * 30 + ids  # a picture's tokens before it
    start = prompt.index(question)
    seen = known if fast else Slow(known)
    found = locate_words(seen, row, prompt, (start, start + len(question)), frozenset())
    assert [piece.text for piece in found] == question.rstrip("? ").split()
    for piece in found:
        assert piece.text in known.decode(row[piece.first : piece.last])
        assert piece.first >= 30


def test_an_unknown_word_is_found_by_its_offsets() -> None:
    known = tokenizer("words")
    prompt = "Where is the Zebra ?"
    row = known(prompt, add_special_tokens=False)["input_ids"]
    found = locate_words(known, row, prompt, (0, len(prompt)), frozenset())
    assert [(piece.text, piece.first, piece.last) for piece in found][-1] == ("Zebra", 3, 4)


def test_the_question_is_meant_and_not_the_same_words_in_the_opening_of_the_answer() -> None:
    known = tokenizer("gemma")
    prompt = "user is it red assistant is it red"
    row = known(prompt, add_special_tokens=False)["input_ids"]
    by_offsets = locate_words(known, row, prompt, (5, 14), frozenset())
    by_text = locate_words(Slow(known), row, prompt, (5, 14), frozenset())
    assert by_offsets == by_text
    assert known.decode(row[by_text[0].first : by_text[-1].last]).strip() == "is it red"
    assert by_text[-1].last < len(row) - 3


def test_a_mark_that_is_not_spelled_out_holds_no_word_of_the_question() -> None:
    known = tokenizer("bytes")
    prompt = "user end<|end|> so the"
    row = known(prompt, add_special_tokens=False)["input_ids"]
    marks = frozenset({known.convert_tokens_to_ids("<|end|>")})
    (found,) = locate_words(Slow(known), row, prompt, (5, 8), marks)
    assert (found.text, known.decode(row[found.first : found.last]).strip()) == ("end", "end")


class Slow:
    """A tokenizer that gives no offsets, as those written in Python."""

    is_fast = False

    def __init__(self, known: object) -> None:
        self.known = known

    def decode(self, ids: list[int]) -> str:
        return self.known.decode(ids)


@pytest.mark.parametrize(
    ("text", "inside", "thinking", "answer"),
    [
        ("It is red.", False, "", "It is red."),
        ("<think>\nHm.\n</think>\n\nRed.", False, "Hm.", "Red."),
        ("<think>Hm, and then", False, "Hm, and then", ""),
        ("Hm.</think>Red.", True, "Hm.", "Red."),
        ("Hm.</think>Red.", False, "Hm.", "Red."),
        ("Hm, and then", True, "Hm, and then", ""),
        ("<think></think>Red.", False, "", "Red."),
        ("<think>a</think><think>b</think>Red.", False, "a\n\nb", "Red."),
        ("<|channel>thought\nHm.<channel|>Red.", False, "Hm.", "Red."),
        ("[THINK]Hm.[/THINK]Red.", False, "Hm.", "Red."),
        ("<think>Hm.</think><answer>Red.</answer>", False, "Hm.", "Red."),
        ("Write <think> before </think> it.", False, "", "Write <think> before </think> it."),
        ("", False, "", ""),
    ],
)
def test_thinking_is_told_from_the_answer(text: str, inside: bool, thinking: str, answer: str) -> None:
    found, (start, end) = split_thinking(text, inside)
    assert (found, text[start:end]) == (thinking, answer)


def test_a_prompt_that_leaves_thinking_open_is_noticed() -> None:
    assert opens_thinking("user: what?\nassistant:\n<think>\n")
    assert not opens_thinking("assistant:\n<think>\n\n</think>\n\n")
    assert not opens_thinking("assistant:")


def test_words_of_long_texts_are_found_as_those_of_short_ones() -> None:
    """Against the definition: the first and last token that share a character with the word; empty ones share none."""
    rng = random.Random(5)
    for _ in range(60):
        text = "".join(rng.choice("ab  ") for _ in range(40))
        cuts = sorted(rng.choices(range(41), k=rng.randint(0, 30)))
        tokens = list(zip([0, *cuts], [*cuts, 40], strict=True))
        tokens = [token for token in tokens for _ in range(rng.choice((1, 1, 2)))]  # a character over two tokens
        wanted = []
        for start, end in word_spans(text):
            touching = [n for n, (first, last) in enumerate(tokens) if max(first, start) < min(last, end)]
            if touching:
                wanted.append((text[start:end], 7 + touching[0], 8 + touching[-1]))
        found = tokens_of_words(text, word_spans(text), tokens, 7)
        assert [(word.text, word.first, word.last) for word in found] == wanted
