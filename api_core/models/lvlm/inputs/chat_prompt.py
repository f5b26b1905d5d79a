"""From a case to the text that a model reads: its own chat template, and a person's text that stays text.

A model without a chat template is a base model: it reads the pictures' places, the system prompt and the question as
plain lines (`Family.plain_prompt`), and goes on writing.
"""

import logging
from dataclasses import replace
from typing import Any

from ....errors import InvalidInput, UnsupportedModel, reason
from ...conversation.case import Case
from ..families.adapter import Family

log = logging.getLogger(__name__)

_SHORTEST_MARK = 3
_STAND_IN = "\u2021question\u2021"
_AS_PUBLISHED = "Get the model's chat_template.jinja (or tokenizer_config.json) again, as published."


def special_strings(processor: Any) -> tuple[str, ...]:
    """What must not be read as a command when a person writes it: special tokens, and what the processor looks for."""
    tokenizer = processor.tokenizer
    found = {str(token) for token in tokenizer.all_special_tokens}
    found |= {str(token) for token in getattr(tokenizer, "added_tokens_decoder", {}).values() if _is_special(token)}
    for name in dir(type(processor)) + list(vars(processor)):
        if name.endswith("_token"):
            value = getattr(processor, name, None)
            found.add("" if value is None or callable(value) else str(value))
    marks = (mark for mark in found if len(mark) >= _SHORTEST_MARK and not mark[0].isalnum() and not mark.isspace())
    return tuple(sorted(marks, key=lambda mark: (-len(mark), mark)))


def special_ids(tokenizer: Any) -> frozenset[int]:
    """The tokens that are no text: special ones, those of pictures included."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return frozenset(tokenizer.all_special_ids) | {int(token) for token, value in added.items() if _is_special(value)}


def _is_special(token: Any) -> bool:
    return bool(getattr(token, "special", False))


def escape_special_tokens(text: str, specials: tuple[str, ...]) -> str:
    """`text` with a blank inside everything that the model would read as a command: `<image>` becomes `< image>`.

    Otherwise such a word in a question would ask for a second picture, or end the question.
    """
    while present := [mark for mark in specials if mark in text]:
        for mark in present:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


class PromptWriter:
    """Writes the prompts of one model."""

    def __init__(self, processor: Any, family: Family, name: str) -> None:
        self.processor = processor
        self.family = family
        self.name = name
        self.specials = special_strings(processor)
        self.template = _template(processor)

    def clean(self, case: Case) -> Case:
        """The case with its texts made harmless, and blanks around question and system prompt left out."""
        return replace(
            case.rewritten(lambda text: escape_special_tokens(text.strip(), self.specials)),
            system_prompt=escape_special_tokens(case.system_prompt.strip(), self.specials),
            opening=escape_special_tokens(case.opening, self.specials),
        )

    def write(self, case: Case, thinking: bool = False) -> str:
        """The prompt of a clean case up to where the answer begins, with a placeholder for each picture.

        thinking: whether a model that can choose thinks first. A model whose template has no place for a system prompt
        gets it before the question.
        """
        if not self.template:
            if case.turns:
                raise UnsupportedModel(
                    f"{self.name} has no chat template, so it reads pictures and then one question. Ask without "
                    "earlier turns and with the pictures first, or use a model that chats."
                )
            return self.family.plain_prompt(self.processor, case) + case.opening
        shown = [case.system_prompt, *(part for turn in case.conversation for part in turn.parts if part is not None)]
        for attempt in _attempts(case, self.family):
            text = self._render(attempt, thinking)
            if text is not None and all(part in text for part in shown):
                return text + case.opening
        raise UnsupportedModel(
            f"The chat template of {self.name} does not show "
            f"{'all turns of the conversation' if case.turns else 'the question'} it is given. "
            + ("Ask without the earlier ones." if case.turns else _AS_PUBLISHED)
        )

    def find_question(self, case: Case, prompt: str, thinking: bool = False) -> tuple[int, int]:
        """The characters of the question in the prompt of a clean case: [start, end)."""
        start = prompt.find(case.question)
        if prompt.count(case.question) > 1:  # a short one may stand in the template's own words
            start = self.write(case.asking(_STAND_IN), thinking).index(_STAND_IN)
        return start, start + len(case.question)

    def write_answered(self, case: Case, answer: str) -> str | None:
        """The prompt of a case with an answer behind it as the template closes it; None where it cannot."""
        if not self.template:
            return None
        for form in ([{"type": "text", "text": answer}], answer):
            for attempt in _attempts(case, self.family):
                text = self._render([*attempt, {"role": "assistant", "content": form}], False, generation=False)
                if text is not None and answer in text and case.question in text:
                    return text
        return None

    def _render(self, messages: list[dict[str, Any]], thinking: bool, generation: bool = True) -> str | None:
        from jinja2 import TemplateError

        options = {"enable_thinking": thinking} if "enable_thinking" in self.template else {}
        try:
            return str(
                self.processor.apply_chat_template(
                    messages,
                    chat_template=self.template,
                    tokenize=False,
                    add_generation_prompt=generation,
                    **options,
                )
            )
        except (TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            log.debug("%s: the chat template takes no %s: %s", self.name, [m["role"] for m in messages], error)
            return None


def _attempts(case: Case, family: Family) -> list[list[dict[str, Any]]]:
    """Ways to put a case before a template, best first: some take text only as a string, some no system prompt."""
    attempts = [family.messages(case)]
    if case.system_prompt:
        without = family.messages(replace(case, system_prompt=""))
        attempts.append([{"role": "system", "content": case.system_prompt}, *without])
        attempts.append(family.messages(case.with_system_folded()))
    if case.turns:
        attempts += [[_answered_as_string(message) for message in attempt] for attempt in attempts]
    return attempts


def _answered_as_string(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] != "assistant":
        return message
    return {**message, "content": "\n".join(part["text"] for part in message["content"])}


def _template(processor: Any) -> str:
    """The model's chat template, "" where it has none."""
    for holder in (processor, processor.tokenizer):
        template = getattr(holder, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default") or next(iter(template.values()), None)
        if template:
            return str(template)
    return ""


def require_pictures(name: str, count: int, error: Exception) -> InvalidInput:
    """What to say when a processor refuses a prompt with so many pictures."""
    pictures = "no picture" if count == 0 else "one picture" if count == 1 else f"{count} pictures"
    advice = " Ask about one picture at a time." if count > 1 else ""
    return InvalidInput(f"{name} cannot read a prompt with {pictures}: {reason(error)}.{advice}")
