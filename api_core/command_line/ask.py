"""Ask a vision-language model about pictures: one answer for each, on stdout."""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..answering import Answer, SurestAnswer, ask, ask_surest, find_template
from ..answering.keeping import ARMS
from ..errors import AttentionPromptingError, InvalidInput
from ..masks import MaskSettings
from ..overlay import Style
from ..pictures import flatten_alpha, to_picture
from ..prompting import names_lvlm, prompt_picture
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
    require_prompting(options, ["least-presence"] if options.least_presence else [])
    sources = [picture for source in options.pictures for picture in find_pictures(source)]
    model = load_answering_model(options, options.model, options.folder)
    if model is None:
        raise InvalidInput("A model has to answer. Give its name or folder with --model, or a --server.")
    asked, pictures, failed = _read_all(sources)
    if not asked:
        return failed
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
        presences: dict[int, float] = {}
        prompt = _prompter(options, style, asked, pictures, presences, bar)
        if skip_above is not None:
            kept = ask_surest(model, pictures, [prompt], options.question, skip_above=skip_above, **asking)
            told = [(one.answer, _comparison(one)) for one in kept]
        else:
            shown = prompt(range(len(asked))) if options.prompted_by else pictures
            first, further = (pictures, [shown]) if options.with_original else (shown, [])
            answers = ask(model, first, options.question, more_pictures=further, **asking)
            told = [(answer, {}) for answer in answers]
    for case, (source, (answer, more)) in enumerate(zip(asked, told, strict=True)):
        more |= {"presence": presences[case]} if case in presences else {}
        _show(options, source, answer, more, several=len(sources) > 1)
    return failed


def require_prompting(options: argparse.Namespace, further: Sequence[str]) -> None:
    """InvalidInput for options on the prompted picture that do not go together, or without a model that prompts it.

    further: what was given that needs one, beside the overlay's options.
    """
    if options.prompted_by:
        if options.least_presence and names_lvlm(options.prompted_by):
            raise InvalidInput(f"--least-presence is for a CLIP; --prompted-by {options.prompted_by} is an LVLM.")
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
    for flag in [*given_overlay_flags(options), *further]:
        raise InvalidInput(f"--{flag} says how a picture is prompted; add --prompted-by MODEL.")


def _read_all(sources: list[Path]) -> tuple[list[Path], list[Tensor], int]:
    """The files that can be read, their pictures, and how many cannot."""
    read = [(source, _read(source)) for source in sources]
    there = [(source, picture) for source, picture in read if picture is not None]
    return [source for source, _ in there], [picture for _, picture in there], len(read) - len(there)


def _read(source: Path) -> Tensor | None:
    try:
        return flatten_alpha(to_picture(source))
    except AttentionPromptingError as error:
        complain(f"failed: {source}: {one_line(error)}")
        return None


def _prompter(
    options: argparse.Namespace,
    style: Style,
    sources: list[Path],
    pictures: list[Tensor],
    presences: dict[int, float],
    around: ProgressBar,
) -> Callable[[Sequence[int]], list[Tensor]]:
    """What prompts the pictures that it gets the numbers of. presences: filled with theirs, where a map says it."""

    def prompt(cases: Sequence[int]) -> list[Tensor]:
        prompted = []
        with around.aside(), ProgressBar("prompting", shown=len(cases) > 1) as bar:
            for done, case in enumerate(cases):
                bar(done, len(cases))
                drawn = prompt_picture(
                    pictures[case],
                    options.question,
                    model=options.prompted_by,
                    style=style,
                    strength=options.strength,
                    allow_download=options.allow_download,
                    mask=MaskSettings(least_presence=options.least_presence),
                )
                if drawn.presence is not None:
                    presences[case] = drawn.presence
                prompted.append(flatten_alpha(drawn.picture))
                for warning in drawn.warnings:
                    bar.note(f"warning: {sources[case]}: {one_line(warning)}")
        return prompted

    return prompt


def _show(options: argparse.Namespace, source: Path, answer: Answer, more: dict[str, Any], several: bool) -> None:
    if not answer.complete:
        complain(f"warning: {source}: the answer is not complete; --max-new-tokens is {options.max_new_tokens}")
    for note in answer.notes:
        complain(f"warning: {source}: {note}")
    if options.json:
        say(json.dumps(_as_json(source, options, answer) | more, ensure_ascii=False))
        return
    if several:
        say(f"# {source}")
    if options.show_thinking and answer.thinking:
        say(f"(thinking) {answer.thinking}\n")
    say(answer.text)


def _as_json(source: Path, options: argparse.Namespace, answer: Answer) -> dict[str, Any]:
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
    if answer.blind is not None:
        found = answer.blind
        told["blind_tokens"] = {"count": int(found.blind.sum()), "of": len(found.blind), "layers": list(found.layers)}
    return told


def _comparison(one: SurestAnswer) -> dict[str, Any]:
    """For JSON: which picture's answer was kept, of what was answered to each that was asked about."""
    told = [{"answer": answer.text, "confidence": answer.confidence} for answer in one.answers]
    return {"kept": ARMS[one.which], "asked": dict(zip(ARMS, told, strict=False))}
