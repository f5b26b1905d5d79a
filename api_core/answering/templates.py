"""How a question is put: templates with places for the question, a hint and an earlier answer.

After the prompts of "Attention Prompting on Image" (arXiv 2409.17143): a prompted picture may be asked about plainly,
step by step, with a word on what was done to it, again with an earlier answer in view, or so that the model judges that
answer first (the paper's self-reflection, "evaluate"). The wording is ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidInput, quoted

PLACES: Mapping[str, str] = {
    "question": "what is asked",
    "previous_answer": "an earlier answer to the question",
    "hint": "words for what to look at",
}
"""What can stand between braces in a template."""

_PLACE = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")


@dataclass(frozen=True)
class Template:
    """A text with places: {question}, {previous_answer}, {hint}. {{word}} writes {word}; other braces stay as they are.

    describes: one sentence for people who choose.
    """

    name: str
    text: str
    describes: str = ""

    def __post_init__(self) -> None:
        unknown = sorted(self._named() - set(PLACES))
        known = ", ".join(f"{{{name}}} ({meaning})" for name, meaning in PLACES.items())
        if unknown:
            raise InvalidInput(
                f"The template has a place {{{unknown[0]}}}, which is not known. There are {known}. "
                f"To write it as it stands, double the braces: {{{{{unknown[0]}}}}}."
            )
        if "question" not in self._named():
            raise InvalidInput(f"The template has no place for the question. Write {{question}}; there are {known}.")

    def _named(self) -> set[str]:
        return {found.group(2) for found in _PLACE.finditer(self.text) if found.group(2)}

    @property
    def needs(self) -> tuple[str, ...]:
        """The places besides the question that have to be filled, in the order of PLACES."""
        return tuple(name for name in PLACES if name != "question" and name in self._named())

    def fill(self, question: str, *, previous_answer: str = "", hint: str = "") -> str:
        """The text to send; braces in what is filled in mean nothing. InvalidInput for what is missing or idle."""
        given = {"question": question, "previous_answer": previous_answer, "hint": hint}
        given = {name: value.strip() for name, value in given.items()}
        for name in self.needs:
            if not given[name]:
                raise InvalidInput(f"The template {quoted(self.name)} needs {name} ({PLACES[name]}), and got none.")
        for name in PLACES:
            if given[name] and name not in ("question", *self.needs):
                takers = [template.name for template in TEMPLATES.values() if name in template.needs]
                raise InvalidInput(
                    f"The template {quoted(self.name)} has no place for {name}, but one was given: "
                    f"{quoted(given[name])}. Leave it away, or choose {' or '.join(map(repr, takers))}."
                )

        def place(found: re.Match[str]) -> str:
            return given[found.group(2)] if found.group(2) else f"{{{found.group(1)}}}"

        return _PLACE.sub(place, self.text)


_ALL = (
    Template("plain", "{question}", "The question as it is."),
    Template(
        "step by step",
        "{question}\nThink it through step by step, and give your answer at the end.",
        "Asks for the steps before the answer.",
    ),
    Template(
        "hint",
        "{question}\nHint: pay attention to {hint}.",
        "Adds what to look at, in words.",
    ),
    Template(
        "masked hint",
        "Some parts of this picture were faded because they matter less to the question; what matters more was left as "
        "it was. Look at the clear parts first, and use the faded ones where you need them.\n{question}",
        "For a prompted picture: says why parts of it are faded.",
    ),
    Template(
        "iterative",
        "{question}\nAn earlier attempt was answered like this: {previous_answer}\n"
        "Look at the picture again and give a better answer, or the same one if it was right.",
        "Asks once more, with an earlier answer in view.",
    ),
    Template(
        "evaluate",
        "{question}\nAn earlier attempt was answered like this: {previous_answer}\n"
        "The clear part of this picture is what that answer was based on; the rest was faded. First judge whether the "
        "clear part holds what is needed to answer the question, and whether it supports that answer. Then give your "
        "final answer: keep the earlier one if it is supported, and correct it if it is not.",
        "Self-reflection on a prompted picture: the model judges whether what is lit supports an earlier answer.",
    ),
)

TEMPLATES: Mapping[str, Template] = {template.name: template for template in _ALL}
"""The templates by name."""


def find_template(template: str | Template) -> Template:
    """A template by its name, or one that is written out: any text with {question} in it."""
    if isinstance(template, Template):
        return template
    if template in TEMPLATES:
        return TEMPLATES[template]
    if "{" in template:
        return Template("your own", template)
    raise InvalidInput(
        f"There is no template {quoted(template)}. Choose one of {', '.join(TEMPLATES)}, or write one out with "
        "{question} in it."
    )
