"""Templates: what they say is fixed, what they need is checked, and braces in what is filled in mean nothing."""

import pytest
from pack.api_core.answering import PLACES, TEMPLATES, Template, find_template
from pack.api_core.errors import InvalidInput

NEEDS = {
    "plain": (),
    "step by step": (),
    "hint": ("hint",),
    "masked hint": (),
    "iterative": ("previous_answer",),
    "evaluate": ("previous_answer",),
}


def test_the_templates_and_what_each_needs() -> None:
    assert {name: template.needs for name, template in TEMPLATES.items()} == NEEDS
    assert set(PLACES) == {"question", "previous_answer", "hint"}
    assert all(template.describes.endswith(".") for template in TEMPLATES.values())
    assert len({template.text for template in TEMPLATES.values()}) == len(TEMPLATES)


@pytest.mark.parametrize("name", NEEDS)
def test_each_holds_the_question_and_what_it_needs_once(name: str) -> None:
    given = {place: f"<the {place}>" for place in NEEDS[name]}
    sent = find_template(name).fill("what is it?", **given)
    for text in ("what is it?", *given.values()):
        assert sent.count(text) == 1
    assert "{" not in sent


def test_the_plain_one_adds_nothing() -> None:
    assert find_template("plain").fill("  what is it? ") == "what is it?"


@pytest.mark.parametrize(
    "question", ["what is {hint}?", "{question}", 'give {"a": {"b": 1}}', "{0} {} {", r"\1 \g<0> {{question}}"]
)
def test_braces_of_a_user_s_mean_nothing(question: str) -> None:
    assert find_template("plain").fill(question) == question
    sent = find_template("iterative").fill(question, previous_answer="a {question} b {previous_answer}")
    assert question in sent
    assert "a {question} b {previous_answer}" in sent


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("{question}!", "q!"),
        ('Answer as {"shape": {"name": "…"}}. {question}', 'Answer as {"shape": {"name": "…"}}. q'),
        ("Write {{question}} for {question}", "Write {question} for q"),
        ("{question} {hint} {previous_answer} {hint}", "q h p h"),
    ],
)
def test_one_s_own_template(text: str, sent: str) -> None:
    template = find_template(text)
    given = {"hint": "h", "previous_answer": "p"}
    assert template.fill("q", **{name: given[name] for name in template.needs}) == sent


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{question} {answer}", "{answer}.*not known.*{{answer}}"),
        ("look at {hint}", "no place for the question"),
        ("plian", "plain, step by step"),
    ],
)
def test_a_template_that_cannot_work_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        find_template(text)


def test_what_is_missing_or_idle_is_said() -> None:
    with pytest.raises(InvalidInput, match="needs hint"):
        find_template("hint").fill("q", hint="  ")
    with pytest.raises(InvalidInput, match="'iterative' or 'evaluate'"):
        find_template("plain").fill("q", previous_answer="p")
    assert Template("mine", "{question}").fill("q", hint=" ") == "q"
