"""Ask a vision-language model about pictures: one answer for each, on stdout."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..answering import Answer, SurestAnswer, ask, ask_surest, find_template
from ..errors import AttentionPromptingError, InvalidInput
from ..overlay import Style
from ..pictures import flatten_alpha, to_picture
from ..prompting import prompt_picture
from .decoding_options import chosen_decoding
from .files import find_pictures
from .loading import load_answering_model
from .options import SURER, chosen_style, given_overlay_flags, surer_above
from .terminal import ProgressBar, complain, one_line, say


def run(options: argparse.Namespace) -> int:
    """Ask about every picture; returns how many could not be read. Raises where nothing could be done as asked."""
    decoding = chosen_decoding(options)
    skip_above = surer_above(options, decoding)
    style = chosen_style(options)
    filled = find_template(options.template)
    filled.fill(options.question, previous_answer=options.previous_answer, hint=options.hint)
    _require_consistent(options)
    sources = [picture for source in options.pictures for picture in find_pictures(source)]
    model = load_answering_model(options, options.model, options.folder)
    if model is None:
        raise InvalidInput("A model has to answer. Give its name or folder with --model, or a --server.")
    asked, pictures, failed = _read_all(sources)
    if not asked:
        return failed
    prompt = _prompter(options, style, asked, pictures)
    asking: dict[str, Any] = {
        "template": filled,
        "system_prompt": options.system_prompt,
        "previous_answers": options.previous_answer,
        "hints": options.hint,
        "max_new_tokens": options.max_new_tokens,
        "decoding": decoding,
        "thinking": options.think,
    }
    with ProgressBar("answering") as bar:
        asking |= {"on_progress": bar, "on_notice": bar.note}
        if skip_above is not None:

            def prompt_aside(cases: Sequence[int]) -> list[Tensor]:
                with bar.aside():
                    return prompt(cases)

            kept: list[SurestAnswer | None] = [
                *ask_surest(model, pictures, [prompt_aside], options.question, skip_above=skip_above, **asking)
            ]
            answers = [one.answer for one in kept if one is not None]
        else:
            shown = prompt(range(len(asked))) if options.prompted_by else pictures
            first, further = (pictures, [shown]) if options.with_original else (shown, [])
            answers = ask(model, first, options.question, more_pictures=further, **asking)
            kept = [None] * len(answers)
    for source, answer, one in zip(asked, answers, kept, strict=True):
        _show(options, source, answer, one, several=len(sources) > 1)
    return failed


def _require_consistent(options: argparse.Namespace) -> None:
    if options.prompted_by:
        if options.with_original and options.keep == SURER:
            raise InvalidInput(
                f"--keep {SURER} asks about the plain and the prompted picture one after the other; --with-original "
                "shows both at once. Leave one of them out."
            )
        return
    if options.with_original:
        raise InvalidInput("--with-original shows the original beside the prompted picture; add --prompted-by MODEL.")
    if options.keep == SURER:
        raise InvalidInput(f"--keep {SURER} compares the plain picture with a prompted one; add --prompted-by MODEL.")
    for flag in given_overlay_flags(options):
        raise InvalidInput(f"--{flag} says how a picture is prompted; add --prompted-by MODEL.")


def _read_all(sources: list[Path]) -> tuple[list[Path], list[Tensor], int]:
    """The files that can be read, their pictures, and how many cannot."""
    asked, pictures, failed = [], [], 0
    for source in sources:
        try:
            pictures.append(flatten_alpha(to_picture(source)))
            asked.append(source)
        except AttentionPromptingError as error:
            failed += 1
            complain(f"failed: {source}: {one_line(error)}")
    return asked, pictures, failed


def _prompter(
    options: argparse.Namespace, style: Style, sources: list[Path], pictures: list[Tensor]
) -> Callable[[Sequence[int]], list[Tensor]]:
    """What prompts the pictures that it gets the numbers of."""

    def prompt(cases: Sequence[int]) -> list[Tensor]:
        prompted = []
        with ProgressBar("prompting", shown=len(cases) > 1) as bar:
            for done, case in enumerate(cases):
                bar(done, len(cases))
                drawn = prompt_picture(
                    pictures[case],
                    options.question,
                    model=options.prompted_by,
                    style=style,
                    strength=options.strength,
                    allow_download=options.allow_download,
                )
                prompted.append(flatten_alpha(drawn.picture))
                for warning in drawn.warnings:
                    bar.note(f"warning: {sources[case]}: {one_line(warning)}")
        return prompted

    return prompt


def _show(
    options: argparse.Namespace, source: Path, answer: Answer, kept: SurestAnswer | None, several: bool
) -> None:
    if not answer.complete:
        complain(f"warning: {source}: the answer is not complete; --max-new-tokens is {options.max_new_tokens}")
    for note in answer.notes:
        complain(f"warning: {source}: {note}")
    if options.json:
        say(json.dumps(_as_json(source, options, answer, kept), ensure_ascii=False))
        return
    if several:
        say(f"# {source}")
    if options.show_thinking and answer.thinking:
        say(f"(thinking) {answer.thinking}\n")
    say(answer.text)


def _as_json(
    source: Path, options: argparse.Namespace, answer: Answer, kept: SurestAnswer | None
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "picture": str(source),
        "question": options.question,
        "question_as_sent": answer.question_as_sent,
        "answer": answer.text,
        "thinking": answer.thinking,
        "complete": answer.complete,
        "model": answer.model,
        "prompted_by": options.prompted_by,
        "decoding": {"name": answer.decoding.name, **dataclasses.asdict(answer.decoding)},
        "notes": list(answer.notes),
    }
    if answer.confidence is not None:
        told["confidence"] = answer.confidence
    if kept is not None:
        each = zip(("plain", "prompted"), kept.answers, strict=False)
        told["kept"] = ("plain", "prompted")[kept.which]
        told["asked"] = {name: {"answer": one.text, "confidence": one.confidence} for name, one in each}
    if answer.blind is not None:
        found = answer.blind
        told["blind_tokens"] = {"count": int(found.blind.sum()), "of": len(found.blind), "layers": list(found.layers)}
    return told
