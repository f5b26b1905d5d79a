"""The node that shows where answers differ."""

from collections.abc import Mapping, Sequence

from comfy_api.latest import io

from ..api_core.answering import difference
from ..api_core.broadcast import broadcast
from ..api_core.errors import InvalidInput
from ..api_core.settings import read_words
from . import comfy_types, page, sockets, ui_files, widgets
from .entrance import checked

MOST_ANSWERS = 6


class CompareAnswers(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        answer = io.String.Input("answer", force_input=True, tooltip="An answer to the same question.")
        return io.Schema(
            node_id="AttnPromptCompareAnswers",
            display_name="Compare Answers",
            category=sockets.CATEGORY,
            description="Marks the words in which answers differ: asked plainly, with a prompted picture, calibrated.",
            search_aliases=["attention prompting", "diff text", "text difference", "compare text", "show answer"],
            is_input_list=True,
            is_output_node=True,
            inputs=[
                widgets.text(
                    "names", "What the answers are called, with commas between. Empty: answer 1, answer 2 ..."
                ),
                sockets.growing("answers", answer, 2, MOST_ANSWERS, "The answers; each is compared with the first."),
            ],
            outputs=[
                sockets.list_output(
                    io.String,
                    "differences",
                    "The answers to each question with [brackets] around the words that differ.",
                )
            ],
        )

    @classmethod
    @checked
    def execute(cls, answers: Mapping[str, Sequence[str]], names: Sequence[str] = ("",)) -> io.NodeOutput:
        given = [list(texts) for texts in answers.values() if texts is not None]
        called = to_names(comfy_types.single_value(names, "names"), len(given))
        count = max((len(texts) for texts in given), default=0)
        if any(len(texts) not in (1, count) for texts in given):
            listed = ", ".join(f"{len(texts)} of {name}" for name, texts in zip(called, given, strict=True))
            raise InvalidInput(f"These do not go together, answer by answer: {listed}. Give as many of each, or one.")
        cases = zip(*(broadcast(texts, count, "answers") for texts in given), strict=True)
        found = [difference(case) for case in cases]
        texts = [case.text(called) for case in found]
        comparison = [[[[p.text, p.differs] for p in pieces] for pieces in case.answers] for case in found]
        ui = {
            "text": [page.for_page(text) for text in texts],
            ui_files.KEY: [{"comparison": {"names": called, "cases": comparison}}],
        }
        return io.NodeOutput(texts, ui=ui)


def to_names(text: str, count: int) -> list[str]:
    """What `count` answers are called: the names given, and numbers where there are no more."""
    names = read_words(text)[:count]
    return [*names, *(f"answer {number}" for number in range(len(names) + 1, count + 1))]
