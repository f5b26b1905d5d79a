"""Ask a vision-language model about pictures: a local one, or one on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from ..broadcast import broadcast_together
from ..errors import InvalidInput, UnsupportedModel
from ..models.conversation.case import Case, Prepared, Reply, WordTokens
from ..models.conversation.reply import opens_thinking, split_thinking
from ..models.own_code import runs_a_model
from ..models.server.model import ServerModel
from ..models.server.read_stream import ServerReply
from ..models.vision_language import VisionLanguageModel
from ..pictures import flatten_alpha
from ..progress import Progress, ignore_progress
from ..results import Heatmap
from ..settings import require_number
from .contrastive.blind_tokens import BlindTokens, blind_map
from .decoding import Decoding, OnToken
from .decodings import DECODINGS
from .greedy_and_sample import Greedy
from .templates import Template, find_template

OnParts = Callable[[int, str, str], None]
"""Gets the index of a case, and the thinking and the answer that there are so far."""

GREEDY = Greedy()
AT_ONCE = 8
"""Cases that a local model answers in one batch unless told otherwise."""


@dataclass(frozen=True)
class Answer:
    """An answer and how it was got.

    text: without the thinking, which stands apart and is empty for models that do not think aloud. question_as_sent:
    the question in its template. complete: whether the model ended the answer (False: the limit of tokens, or the
    server, did). token_ids, words: of a local model, as in Reply; a server tells neither. model: its name. notes: what
    went otherwise than asked, such as a setting that the server did not take.

    blind: the image tokens that were found blind, by a decoding that looks for them; blind_tokens: the same as a map of
    each picture of the prompt, None where the model's image tokens have no place in them. confidence: the product of
    the probabilities of the answer's tokens, its end included where it is known, the thinking not; None where nobody
    told them. untold: why a server that was asked for it did not, as the end of a sentence about the model.

    spelled: of a local model, as in Reply. prompt_tokens, answer_tokens: how many the model read and wrote; None where
    a server did not count them.
    """

    text: str
    thinking: str
    question_as_sent: str
    decoding: Decoding
    complete: bool
    token_ids: tuple[int, ...] = ()
    words: tuple[WordTokens, ...] = ()
    model: str = ""
    notes: tuple[str, ...] = ()
    blind: BlindTokens | None = field(default=None, compare=False, repr=False)
    blind_tokens: Heatmap | None = field(default=None, compare=False, repr=False)
    confidence: float | None = field(default=None, compare=False)
    untold: str = field(default="", compare=False)
    spelled: tuple[tuple[str, float], ...] = field(default=(), compare=False, repr=False)
    prompt_tokens: int | None = field(default=None, compare=False)
    answer_tokens: int | None = field(default=None, compare=False)


def ask(
    model: VisionLanguageModel | ServerModel,
    pictures: Tensor | Sequence[Tensor],
    questions: str | Sequence[str],
    *,
    template: str | Template = "plain",
    system_prompt: str = "",
    previous_answers: str | Sequence[str] | None = None,
    hints: str | Sequence[str] | None = None,
    more_pictures: Sequence[Tensor | Sequence[Tensor]] = (),
    max_new_tokens: int = 512,
    decoding: Decoding = GREEDY,
    seeds: Sequence[int] | None = None,
    thinking: bool = False,
    batch_size: int = AT_ONCE,
    confidence: bool = False,
    on_token: OnToken | None = None,
    on_progress: Progress = ignore_progress,
    on_notice: Callable[[str], None] | None = None,
) -> list[Answer]:
    """One answer for each case.

    pictures: float32 [B, H, W, 3 or 4] or B of [H, W, 3 or 4], 0..1; what is transparent lies on white. A case is one
    picture with its question; of pictures, questions, previous_answers and hints each may be one for all cases or one
    for each. more_pictures: for each further picture of the prompt, one or one for each case (for example the prompted
    pictures); a model sees them in order. template: a name of TEMPLATES or a text with {question} in it. seeds: one
    for each case, of the chance in its answer, in the place of the decoding's one for all. thinking: whether a local
    model that can choose thinks before it answers; on a server its own settings decide. batch_size: cases that a local
    model answers together; a server has its own limit. confidence: whether a server is also asked how likely its words
    are, which not all tell (a local model always does); its answers then come in one piece.

    on_token: called with the index of the case and its text so far, the thinking included. on_progress: called with the
    tokens there are and the most there can be, at least at every token; raising from it stops within a token and, on a
    server, closes the connections. on_notice: lines on a server's retries, which are logged without it.
    """
    filled = find_template(template)
    cases = _cases(filled, system_prompt, pictures, questions, previous_answers, hints, more_pictures)
    return answer_cases(
        model,
        cases if seeds is None else _seeded(cases, seeds),
        max_new_tokens=max_new_tokens,
        decoding=decoding,
        thinking=thinking,
        batch_size=batch_size,
        confidence=confidence,
        on_token=on_token,
        on_progress=on_progress,
        on_notice=on_notice,
    )


@runs_a_model
def answer_cases(
    model: VisionLanguageModel | ServerModel,
    cases: Sequence[Case],
    *,
    max_new_tokens: int = 512,
    decoding: Decoding = GREEDY,
    thinking: bool = False,
    batch_size: int = AT_ONCE,
    confidence: bool = False,
    on_token: OnToken | None = None,
    on_parts: OnParts | None = None,
    on_progress: Progress = ignore_progress,
    on_notice: Callable[[str], None] | None = None,
) -> list[Answer]:
    """What `ask` does, for cases as they are, which may be whole conversations.

    on_parts: as on_token, with the thinking and the answer apart; a server is then also asked to count its tokens.
    """
    if type(decoding) not in DECODINGS:
        known = ", ".join(kind.__name__ for kind in DECODINGS)
        raise InvalidInput(f"{type(decoding).__name__} is no way of decoding. Use one of {known}.")
    require_number(max_new_tokens, "max_new_tokens", 1, whole=True)
    require_number(batch_size, "batch_size", 1, whole=True)
    if isinstance(model, ServerModel):
        told = model.generate(
            cases,
            max_new_tokens=max_new_tokens,
            settings=settings_for_server(decoding),
            confidence=confidence,
            usage=on_parts is not None,
            on_token=on_token,
            on_parts=on_parts,
            on_progress=on_progress,
            on_notice=on_notice,
        )
        return [_answer_of_server(model.name, case, done, decoding) for case, done in zip(cases, told, strict=True)]
    answers: list[Answer] = []
    decoding = decoding.resolved_for(model.name)
    for start in range(0, len(cases), batch_size):
        prepared, notes = _prepared(model, cases[start : start + batch_size], decoding, thinking)
        generate = partial(
            model.generate,
            prepared,
            max_new_tokens=max_new_tokens,
            on_token=_told(prepared, start, on_token, on_parts),
            on_progress=_part(on_progress, start, len(prepared), len(cases)),
        )
        decoded = decoding.decode(model, prepared, generate)
        for case, row, done in zip(prepared.cases, prepared.rows, decoded, strict=True):
            seen = None if done.blind is None else blind_map(row, case, done.blind, model.name)
            about = {"model": model.name, "notes": notes, "blind": done.blind, "blind_tokens": seen}
            counts = {"prompt_tokens": row.length - row.padding, "answer_tokens": len(done.reply.token_ids)}
            answers.append(_answer(case, done.reply, decoding, **about, **counts))
    return answers


def _cases(
    template: Template,
    system_prompt: str,
    pictures: Tensor | Sequence[Tensor],
    questions: str | Sequence[str],
    previous_answers: str | Sequence[str] | None,
    hints: str | Sequence[str] | None,
    more_pictures: Sequence[Tensor | Sequence[Tensor]],
) -> list[Case]:
    lists: dict[str, list[Any]] = {"pictures": listed_pictures(pictures, "pictures")}
    for number, slot in enumerate(more_pictures, 1):
        name = f"further pictures no. {number}"
        lists[name] = listed_pictures(slot, name)
    shown = len(lists)
    lists |= {
        "questions": listed_texts(questions),
        "previous answers": listed_texts(previous_answers or ""),
        "hints": listed_texts(hints or ""),
    }
    each = list(broadcast_together(lists).values())
    asked, previous, hinted = each[shown:]
    cases = []
    for index, question in enumerate(asked):
        if not question.strip():
            which = f" no. {index + 1}" if len(lists["questions"]) > 1 else ""
            raise InvalidInput(f"The question{which} is empty. Write what you want to know about the picture.")
        sent = template.fill(question, previous_answer=previous[index], hint=hinted[index])
        cases.append(Case(tuple(slot[index] for slot in each[:shown]), sent, system_prompt))
    return cases


def _seeded(cases: Sequence[Case], seeds: Sequence[int]) -> list[Case]:
    if len(seeds) != len(cases):
        raise InvalidInput(f"There are {len(seeds)} seeds for {len(cases)} cases. Give one for each.")
    for seed in seeds:
        if not 0 <= seed < 1 << 64:
            raise InvalidInput(f"Seeds must be 0 or more and below 2^64, not {seed}.")
    return [replace(case, seed=seed) for case, seed in zip(cases, seeds, strict=True)]


def _prepared(
    model: VisionLanguageModel, cases: Sequence[Case], decoding: Decoding, thinking: bool
) -> tuple[Prepared, tuple[str, ...]]:
    """The cases, with the places of their image tokens where those are wanted and can be found, and what to say."""
    if not decoding.needs_layout:
        return model.prepare(cases, with_places=False, thinking=thinking), ()
    try:
        return model.prepare(cases, thinking=thinking), ()
    except (UnsupportedModel, InvalidInput) as error:
        # Answers need no places; what else is wrong is said again.
        return model.prepare(cases, with_places=False, thinking=thinking), (f"There is no map: {error}",)


def _answer(case: Case, reply: Reply, decoding: Decoding, **known: Any) -> Answer:
    """The reply as an answer, which has its fields by the same names. known: the other fields."""
    if case.seed is not None and decoding.draws:
        own: dict[str, Any] = {"seed": case.seed}
        decoding = replace(decoding, **own)
    return Answer(**vars(reply), question_as_sent=case.question, decoding=decoding, **known)


def _answer_of_server(name: str, case: Case, done: ServerReply, decoding: Decoding) -> Answer:
    read, written = done.usage or (None, None)
    about = {"model": name, "notes": done.notes, "untold": done.untold}
    return _answer(case, done.reply, decoding, **about, prompt_tokens=read, answer_tokens=written)


def settings_for_server(decoding: Decoding) -> Mapping[str, float]:
    """What a server is told of a decoding; InvalidInput for one that needs the model itself."""
    settings = decoding.for_server()
    if settings is None:
        raise InvalidInput(
            f"Decoding {decoding.name!r} needs the model itself, and a server gives only its answers. Load a model "
            "on this machine, or choose greedy or sample."
        )
    return settings


def _told(prepared: Prepared, start: int, on_token: OnToken | None, on_parts: OnParts | None) -> OnToken | None:
    """What is called with the rows of a batch whose first is the case `start`."""
    if on_token is None and on_parts is None:
        return None
    thinks = [opens_thinking(prompt) for prompt in prepared.prompts]

    def tell(row: int, text: str) -> None:
        if on_token is not None:
            on_token(start + row, text)
        if on_parts is not None:
            thinking, (first, last) = split_thinking(text, thinks[row])
            on_parts(start + row, thinking, text[first:last])

    return tell


def _part(on_progress: Progress, start: int, own: int, count: int) -> Progress:
    """The progress of a batch of `own` cases from `start`, told as that of all `count` cases."""

    def report(done: int, total: int) -> None:
        each = total // own if own else total
        on_progress(start * each + done, count * each)

    return report


def listed_pictures(pictures: Tensor | Sequence[Tensor], what: str) -> list[Tensor]:
    """Pictures of several cases one by one, without transparency; InvalidInput for what is no list of pictures."""
    if isinstance(pictures, Tensor) and pictures.ndim != 4:
        raise InvalidInput(f"The {what} must be [B, H, W, 3] or a list of [H, W, 3], not {list(pictures.shape)}.")
    found = [flatten_alpha(picture) for picture in pictures]
    if not found:
        raise InvalidInput(f"There are no {what}. Give at least one.")
    return found


def listed_texts(texts: str | Sequence[str]) -> list[str]:
    """Texts of several cases one by one; InvalidInput where there is none."""
    found = [texts] if isinstance(texts, str) else [text or "" for text in texts]
    if not found:
        raise InvalidInput("There is no question. Give one for all pictures, or one for each.")
    return found
