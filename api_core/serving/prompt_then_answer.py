"""What is done for requests: the picture is prompted, then a model is asked, here or on a server."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ..answering import Answer, Decoding, Greedy, Template, find_template
from ..answering.asking import answer_cases, settings_for_server
from ..answering.keeping import ARMS, PLAIN, PROMPTED, require_comparable
from ..answering.surest import surest_of
from ..choices import QUERIES
from ..errors import Cancelled, InvalidInput, require_one_of
from ..models.conversation.case import Case
from ..models.lvlm.model import LvlmModel
from ..models.server import ServerModel
from ..models.vision_language import VisionLanguageModel
from ..pictures import flatten_alpha
from ..progress import Progress
from ..prompting import PromptedPicture
from .read_messages import MOST_LETTERS, Conversation
from .read_request import ChatRequest
from .refusal import UNSUPPORTED, Refused
from .request_queue import Finished, Job, Written
from .shown_text import cut

_NAMED_QUESTION = re.compile(r"^\s*Question:\s*(\S.*)", re.MULTILINE)

Prompter = Callable[[Tensor, str, Progress], PromptedPicture]
"""Gets a picture [H, W, 3] and what to look for."""


@dataclass(frozen=True)
class BatchKey:
    """What is the same of requests that are answered together. compared: the surer of two answers is kept."""

    decoding: Decoding
    max_new_tokens: int
    compared: bool


@dataclass(frozen=True)
class Serving:
    """What is served, and how.

    prompter: None asks about pictures as they come. query: one of QUERIES, of the last user's text. system_prompt: said
    to the model first where a request has no system's text. with_original: the picture is shown as it
    came before it is shown prompted. skip_above: the surer of the answers to the plain and to the prompted picture is
    kept, and a plain one this sure is not compared; None: the prompted picture's. decoding, max_new_tokens: where the
    client says nothing else. at_once: requests that a local model answers together, or a server gets.
    """

    model: VisionLanguageModel | ServerModel
    name: str
    prompter: Prompter | None = None
    query: str = QUERIES[0]
    system_prompt: str = ""
    template: Template = field(default_factory=lambda: find_template("plain"))
    with_original: bool = False
    skip_above: float | None = None
    decoding: Decoding = field(default_factory=Greedy)
    thinking: bool = False
    max_new_tokens: int = 256
    at_once: int = 8

    def __post_init__(self) -> None:
        require_one_of(self.query, QUERIES, "query")
        if isinstance(self.model, ServerModel):
            settings_for_server(self.decoding)
        if self.skip_above is not None:
            require_comparable(self.decoding, self.skip_above)
        if self.template.needs:
            raise InvalidInput(
                f"The template {self.template.name!r} needs {' and '.join(self.template.needs)}, which requests do not "
                "have. Choose another one."
            )

    @property
    def threads(self) -> int:
        """A model answers one batch after another; a server many requests."""
        return self.at_once if isinstance(self.model, ServerModel) else 1

    @property
    def batch(self) -> int:
        """Requests that one thread answers together."""
        return 1 if isinstance(self.model, ServerModel) else self.at_once

    def job(self, request: ChatRequest) -> Job:
        """A request for the queue. Refused for what this model cannot be asked."""
        if request.model != self.name:
            raise Refused(
                f"There is no model {request.model[:60]!r} here. There is {self.name!r}.",
                "model",
                status=404,
                code="model_not_found",
            )
        if request.logprobs and isinstance(self.model, ServerModel):
            raise Refused("logprobs are told of a model on this machine only.", "logprobs", code=UNSUPPORTED)
        decoding = request.decoding(self.decoding)
        if self._is_compared(request):
            assert self.skip_above is not None
            try:
                require_comparable(decoding, self.skip_above)
            except InvalidInput as error:
                raise Refused(str(error), "temperature") from None
        self._require_room(request.conversation)
        limit = request.max_new_tokens or self.max_new_tokens
        return Job(request, BatchKey(decoding, limit, self._is_compared(request)))

    def query_of(self, conversation: Conversation) -> str:
        """What the picture is prompted with."""
        asked = conversation.asked.strip()
        if self.query == "whole":
            return asked
        named = _NAMED_QUESTION.search(asked) if self.query == "question" else None
        return named[1].strip() if named else asked.splitlines()[0].strip()

    def _require_room(self, conversation: Conversation) -> None:
        """Refused for more text than a model of this machine can read."""
        if not isinstance(self.model, LvlmModel):
            return
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or MOST_LETTERS
        text = conversation.text
        if len(text.encode()) <= most:  # no token has less than a byte
            return
        tokens = len(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])
        if tokens > most:
            raise Refused(
                f"The messages have {tokens} tokens, and {self.name} reads at most {most}, pictures included.",
                "messages",
                code="context_length_exceeded",
            )

    def _is_compared(self, request: ChatRequest) -> bool:
        return self.skip_above is not None and self._is_prompted(request)

    def _is_prompted(self, request: ChatRequest) -> bool:
        return self.prompter is not None and request.conversation.picture is not None


class PromptThenAnswer:
    """Answers jobs of one key. It may be called by several threads; pictures are prompted one at a time."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._prompting = threading.Lock()

    def __call__(self, jobs: Sequence[Job]) -> None:
        try:
            _Batch(self, jobs).answer()
        except Cancelled:
            if not all(job.ended.is_set() for job in jobs):
                raise

    def prompted(self, conversation: Conversation, on_progress: Progress) -> tuple[Conversation, PromptedPicture]:
        """The conversation with its picture prompted."""
        serving, picture = self.serving, conversation.picture
        assert serving.prompter is not None
        assert picture is not None
        with self._prompting:
            done = serving.prompter(picture, serving.query_of(conversation), on_progress)
        shown = flatten_alpha(done.picture)
        return conversation.showing([picture, shown] if serving.with_original else [shown]), done


class _Batch:
    """Jobs that are answered together."""

    def __init__(self, work: PromptThenAnswer, jobs: Sequence[Job]) -> None:
        self._work = work
        self._serving = work.serving
        self._jobs = jobs
        key = jobs[0].key
        assert isinstance(key, BatchKey)
        self._decoding, self._limit, self._compared = key.decoding, key.max_new_tokens, key.compared
        self._about: list[dict[str, Any]] = [{"picture": None} for _ in jobs]
        self._steps = 0

    def answer(self) -> None:
        """Answer every job."""
        everyone = range(len(self._jobs))
        if self._compared:
            told = surest_of(self._asked, len(self._jobs), 1, self._serving.skip_above or 0)
        else:
            told = [(0, (answer,)) for answer in self._asked(1, everyone)]
        for number, (which, answers) in enumerate(told):
            if self._compared:
                self._about[number]["picture"] = ARMS[which]
                self._about[number]["asked"] = [
                    {"answer": answer.text, "confidence": answer.confidence} for answer in answers
                ]
            self._finish(number, answers[which])

    def _asked(self, at: int, numbers: Sequence[int]) -> list[Answer]:
        """The answers to the plain pictures (0) or to the prompted ones (1) of some jobs."""
        cases = [self._case(number, ARMS[at] == PROMPTED) for number in numbers]
        self._steps = 0

        def on_parts(row: int, thinking: str, text: str) -> None:
            self._write(numbers[row], cases[row], thinking, text)

        def on_progress(done: int, total: int) -> None:
            self._steps = done // max(len(cases), 1)
            self._go_on(done, total)

        return answer_cases(
            self._serving.model,
            cases,
            max_new_tokens=self._limit,
            decoding=self._decoding,
            thinking=self._serving.thinking,
            batch_size=len(cases),
            confidence=self._compared,
            on_parts=on_parts,
            on_progress=on_progress,
        )

    def _case(self, number: int, prompted: bool) -> Case:
        conversation, about = self._jobs[number].request.conversation, self._about[number]
        if prompted and self._serving.prompter is not None and conversation.picture is not None:
            conversation, done = self._work.prompted(conversation, self._go_on)
            about["picture"] = PROMPTED
            about |= {"presence": done.presence} if done.presence is not None else {}
            about |= {"notes": list(dict.fromkeys(done.warnings))} if done.warnings else {}
        elif conversation.picture is not None:
            about["picture"] = PLAIN
        case = conversation.case()
        case = case if case.system_prompt else replace(case, system_prompt=self._serving.system_prompt)
        return case.asking(self._serving.template.fill(case.question))

    def _go_on(self, done: int, total: int) -> None:
        """Raise Cancelled where nobody waits any more."""
        if all(job.ended.is_set() for job in self._jobs):
            raise Cancelled("Nobody waits for the answer any more.")

    def _write(self, number: int, case: Case, thinking: str, text: str) -> None:
        """Tell a job of what is written; of compared answers nothing is told before one is kept."""
        job = self._jobs[number]
        if self._compared or job.ended.is_set():
            return
        text, stopped = cut(text, job.request.stop)
        if not stopped:
            job.tell(Written(thinking, text))
            return
        tokens = self._counted(case, self._steps + 1)
        job.tell(Finished(thinking, text, True, tokens, dict(self._about[number])))

    def _counted(self, case: Case, written: int) -> tuple[int, int] | None:
        """The tokens of a prompt whose answer is not waited for, and of the answer."""
        model = self._serving.model
        if isinstance(model, ServerModel):
            return None
        (row,) = model.prepare([case], with_places=False, thinking=self._serving.thinking).rows
        return row.length - row.padding, written

    def _finish(self, number: int, answer: Answer) -> None:
        job, about = self._jobs[number], self._about[number]
        text, stopped = cut(answer.text, job.request.stop)
        notes = [*about.get("notes", ()), *answer.notes]
        about |= {"notes": notes} if notes else {}
        about |= {"confidence": answer.confidence} if answer.confidence is not None else {}
        read, written = answer.prompt_tokens, answer.answer_tokens
        tokens = None if read is None or written is None else (read, written)
        spelled = answer.spelled if job.request.logprobs else ()
        job.tell(Finished(answer.thinking, text, answer.complete or stopped, tokens, about, spelled))
