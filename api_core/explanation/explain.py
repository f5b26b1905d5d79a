"""From pictures, questions and answers to maps of what each answer needed, and how far each map can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from ..broadcast import broadcast, broadcast_texts, broadcast_words
from ..choices import BASELINES, Baseline
from ..errors import AttentionPromptingError, InvalidInput, quoted, require_one_of
from ..models.conversation.case import Case
from ..models.own_code import runs_a_model
from ..models.vision_language import VisionLanguageModel, require
from ..pictures import AnyPicture, opaque_picture
from ..progress import Progress, ignore_progress, share_of
from ..settings import Number, require_number, require_seed, resolve
from .explain_one import ExplainRequest, explain_one
from .method import ExplanationMethod
from .methods import DEFAULT_METHOD, METHODS
from .result import Explanation

Preview = Callable[[int, Tensor], None]
"""Gets a case's number and its importance [rows, columns] so far; raising from it stops the work."""


@runs_a_model
def explain(
    model: VisionLanguageModel,
    pictures: Sequence[AnyPicture],
    questions: str | Sequence[str],
    *,
    answers: str | Sequence[str | None] | None = None,
    instead_of: str | Sequence[str | None] | None = None,
    words: Sequence[str] | Sequence[Sequence[str]] = (),
    per_word: bool = False,
    method: str = DEFAULT_METHOD,
    settings: Mapping[str, Number] | None = None,
    baseline: Baseline = "blur",
    other_baseline: Baseline | None = "mean colour",
    steps: int = 25,
    more_pictures: Sequence[Sequence[AnyPicture]] = (),
    system_prompt: str = "",
    max_new_tokens: int = 64,
    seed: int = 0,
    on_progress: Progress = ignore_progress,
    on_preview: Preview | None = None,
) -> tuple[Explanation, ...]:
    """Explain the answer to each picture's question.

    pictures: one per case, [H, W, 3 or 4] of 0..1, of any sizes (or PIL pictures). questions, answers, instead_of: one
    for all cases, or one for each. answers: what is explained; None (or blank) is generated greedily. instead_of:
    another answer; what is explained is then why it was not that one. words: of the answer, to be explained whether
    they depend on the picture or not (with instead_of: in place of those that differ, if the picture decides); none
    means those that do; a list of lists gives each case its own. per_word: also a map of each explained word by itself.
    method: one of `list_explanation_methods()`; settings: its numbers by name, within the ranges that
    `METHODS[method].settings` tell.

    baseline: what takes the place of what a mask removes. other_baseline: a second one that the map is judged on and
    was not made on (where both are the same, the first of BASELINES that differs); None spares it. steps: of the
    curves, 0 for none. on_progress: thousandths of a case. Raising from on_progress or on_preview stops, and leaves the
    model as it was.
    """
    count = len(pictures)
    if not count:
        raise InvalidInput("There is no picture whose answer could be explained. Pass at least one.")
    require_number(steps, "steps", 0, whole=True)
    require_number(max_new_tokens, "max_new_tokens", 1, whole=True)
    require_seed(seed)
    for name in (baseline, other_baseline):
        if name is not None and name not in BASELINES:
            raise InvalidInput(f"There is no baseline {quoted(name)}. Choose one of {', '.join(BASELINES)}.")
    if other_baseline == baseline:
        other_baseline = next(name for name in BASELINES if name != baseline)
    chosen = find_method(method)
    require(model, "answers")
    if chosen.by_gradient:
        require(model, "gradients", f"The method {chosen.name}")
    resolved = resolve(chosen.name, chosen.settings, settings)
    slots = [broadcast([opaque_picture(one) for one in slot], count, "further pictures") for slot in more_pictures]
    asked = broadcast_texts(questions, count, "questions")
    given = broadcast_texts(answers, count, "answers")
    others = broadcast_texts(instead_of, count, "answers instead of which")
    hints = broadcast_words(words, count, "lists of words")
    made = []
    for number, picture in enumerate(pictures):

        def preview(importance: Tensor, case: int = number) -> None:
            if on_preview is not None:
                on_preview(case, importance.detach().float().cpu().clone())

        shown = (opaque_picture(picture), *(slot[number] for slot in slots))
        case = Case(shown, asked[number], system_prompt)
        request = ExplainRequest(
            answer=given[number],
            instead_of=others[number],
            words=hints[number],
            per_word=per_word,
            method=chosen,
            settings=resolved,
            baselines=(baseline, other_baseline),
            steps=steps,
            max_new_tokens=max_new_tokens,
            seed=seed,
            on_progress=share_of(on_progress, number / count, (number + 1) / count),
            on_preview=preview,
        )
        try:
            made.append(explain_one(model, case, request))
        except AttentionPromptingError as error:
            if count == 1:
                raise
            raise type(error)(f"Picture {number + 1}: {error}") from error
    on_progress(1000, 1000)
    return tuple(made)


def find_method(name: str) -> ExplanationMethod:
    """The method of that name; raises InvalidInput with the names there are."""
    require_one_of(name, METHODS, "way of explaining")
    return METHODS[name]
