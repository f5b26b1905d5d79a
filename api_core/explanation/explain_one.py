"""One answer explained: its tokens, its map, the maps of its words, and the curves that judge it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..choices import Baseline
from ..errors import InvalidInput, quoted
from ..models.conversation.case import Case, Reply
from ..models.vision_language import VisionLanguageModel
from ..progress import Progress, share_of
from ..results import Box, Label, PictureMap, View
from ..settings import MaskDefaults, Number
from .answer_contrast import AnyObjective, ContrastObjective, differing, other_reply
from .answer_scores import AnswerScores
from .baselines import baseline_picture
from .blend_batches import blend_batch_size, compute_map, judge_map, with_fewer_blends
from .faithfulness import Faithfulness
from .method import ExplainContext, ExplanationMethod, MethodResult
from .objective import ignore_preview
from .picture_objective import answer_objective
from .result import Explanation, why_not
from .word_evidence import Evidence, chosen_words, preference_evidence, tokens_of_words, word_evidence

PART = "importance"
DEFAULTS = MaskDefaults(contrast=1.0, smoothing=1)
"""Of these maps: they are small and smooth as they come, and a model's own contrast would leave no shades of them."""
_CURVES = 0.3  # of the work


@dataclass(frozen=True)
class ExplainRequest:
    """What `explain` was asked for one case; answer and instead_of are texts."""

    answer: str | None
    instead_of: str | None
    words: Sequence[str]
    per_word: bool
    method: ExplanationMethod
    settings: Mapping[str, Number]
    baselines: tuple[Baseline, Baseline | None]
    steps: int
    max_new_tokens: int
    seed: int
    on_progress: Progress
    on_preview: Callable[[Tensor], None]


def explain_one(model: VisionLanguageModel, case: Case, request: ExplainRequest) -> Explanation:
    """See `explain`."""
    reply = _reply(model, case, request)
    every = tokens_of_words(reply)
    if not every:
        raise InvalidInput(
            f"The answer {quoted(reply.text)} has no words to explain. Ask otherwise, or allow more tokens."
        )
    hidden = baseline_picture(case.pictures[0], request.baselines[0], request.seed)
    all_words = answer_objective(model, case, hidden, reply.token_ids, every)
    instead = (request.instead_of or "").strip()
    other = other_reply(model, reply, instead) if instead else None
    objective, evidence = with_fewer_blends(model, 1, lambda _: _objective(all_words, reply, other, request.words))
    if not evidence.tokens:
        found = MethodResult(torch.zeros(2, 2))
        made = _map(model, case, request, [(Label(reply.text, "whole"), found)], (why_not(reply, other, evidence),))
        return Explanation(made, reply, evidence, other=other)
    context = ExplainContext(
        model=model,
        case=case,
        reply=reply,
        objective=objective,
        other=other,
        baseline=hidden,
        settings=request.settings,
        seed=request.seed,
        chunk=blend_batch_size(model, objective),
        on_progress=request.on_progress,
        on_preview=request.on_preview,
    )
    maps = _maps(context, reply, evidence, request)
    found = maps[0][1]
    faithful = _judge(context, found.importance, request)
    made = _map(model, case, request, maps, _doubts(faithful))
    totals = (sum(one.evaluations for _, one in maps), sum(one.gradients for _, one in maps))
    return Explanation(made, reply, evidence, faithful, *totals, other)


def _reply(model: VisionLanguageModel, case: Case, request: ExplainRequest) -> Reply:
    if request.answer is not None and request.answer.strip():
        return model.reply_of_text(request.answer)

    def report(done: int, total: int) -> None:
        request.on_progress(0, 1)

    prepared = model.prepare([case], with_places=False)
    (reply,) = model.generate(prepared, max_new_tokens=request.max_new_tokens, on_progress=report)
    return reply


def _objective(
    every: AnswerScores, reply: Reply, other: Reply | None, words: Sequence[str]
) -> tuple[AnyObjective, Evidence]:
    """What is explained, and the evidence for it; without tokens in the evidence the objective is not used."""
    if other is None:
        evidence = word_evidence(every, reply, words)
        return every.of(reply.token_ids, evidence.tokens) if evidence.tokens else every, evidence
    differ, others = differing(reply, other)
    chosen = chosen_words(reply, words)
    own = differ
    if chosen is not None:
        own = tuple(i for n in sorted(chosen) for i in range(reply.words[n].first, reply.words[n].last))
    objective = ContrastObjective(every.of(reply.token_ids, own), every.of(other.token_ids, others))
    return objective, preference_evidence(objective, every, reply, differ)


def _maps(
    context: ExplainContext, reply: Reply, evidence: Evidence, request: ExplainRequest
) -> list[tuple[Label, MethodResult]]:
    """The map of the whole, and of each explained word where that was asked for."""
    objectives: list[tuple[Label, AnyObjective]] = [(Label(reply.text, "whole"), context.objective)]
    if request.per_word:
        explained = set(evidence.tokens)
        for word in evidence.words:
            own = tuple(token for token in word.tokens if token in explained)
            if own:
                span = (word.tokens[0], word.tokens[-1] + 1)
                objectives.append((Label(word.text, "answer word", span), _of_word(context.objective, own)))
    end = 1 - _CURVES if request.steps else 1.0
    made = []
    for number, (label, objective) in enumerate(objectives):
        start, stop = (end * place / len(objectives) for place in (number, number + 1))
        own_part = replace(
            context,
            objective=objective,
            on_progress=share_of(request.on_progress, start, stop),
            on_preview=ignore_preview if number else context.on_preview,
        )
        made.append((label, compute_map(request.method, own_part)))
    return made


def _of_word(objective: AnyObjective, tokens: tuple[int, ...]) -> AnyObjective:
    if isinstance(objective, ContrastObjective):
        return replace(objective, answer=objective.answer.of(objective.answer.token_ids, tokens))
    return objective.of(objective.token_ids, tokens)


def _judge(context: ExplainContext, importance: Tensor, request: ExplainRequest) -> dict[str, Faithfulness]:
    """The curves on the map's own baseline, and on the one that it has not seen."""
    if not request.steps:
        return {}
    first, second = request.baselines
    objectives = {first: context.objective}
    if second is not None:
        unseen = baseline_picture(context.case.pictures[0], second, request.seed)
        objectives[second] = context.objective.against(unseen)
    faithful: dict[str, Faithfulness] = {}
    for number, (name, objective) in enumerate(objectives.items()):
        start, stop = (1 - _CURVES * (1 - place / len(objectives)) for place in (number, number + 1))
        report = share_of(request.on_progress, start, stop)
        faithful[name] = judge_map(context, objective, importance, request.steps, report)
    return faithful


def _map(
    model: VisionLanguageModel,
    case: Case,
    request: ExplainRequest,
    maps: Sequence[tuple[Label, MethodResult]],
    warnings: tuple[str, ...],
) -> PictureMap:
    size = (case.pictures[0].shape[0], case.pictures[0].shape[1])
    values = torch.stack([found.importance.detach().float().cpu() for _, found in maps])
    cells = torch.ones(values.shape[1:], dtype=torch.bool)
    return PictureMap(
        size=size,
        labels=tuple(label for label, _ in maps),
        parts={PART: (View(values, picture_box(size, values[0]), cells),)},
        method=request.method.name,
        model=model.name,
        layer=None,
        warnings=warnings,
        defaults=DEFAULTS,
    )


def picture_box(size: tuple[int, int], importance: Tensor) -> Box:
    """Where importance [rows, columns] lies on a picture (H, W): its corner cells' middles on the picture's corners."""
    down, right = (side / (2 * (cells - 1)) for side, cells in zip(size, importance.shape, strict=True))
    return Box(-right, -down, size[1] + right, size[0] + down)


def _doubts(faithful: Mapping[str, Faithfulness]) -> tuple[str, ...]:
    return tuple(
        f"on the baseline {name!r} what the map calls important matters no more than the rest (insertion less deletion "
        f"{found.gap:.2f}): do not trust this map"
        for name, found in faithful.items()
        if found.depends_on_the_picture and found.gap <= 0
    )
