"""Ask a vision-language model about pictures: one answer for each, on stdout."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ..answering import Answer, ask, find_template
from ..errors import AttentionPromptingError, InvalidInput
from ..pictures import flatten_alpha, to_picture
from ..prompting import prompt_picture
from .decoding_options import chosen_decoding
from .files import find_pictures
from .loading import load_answering_model
from .terminal import ProgressBar, complain, one_line, say


def run(options: argparse.Namespace) -> int:
    """Ask about every picture; returns how many could not be read. Raises where nothing could be done as asked."""
    decoding = chosen_decoding(options)
    filled = find_template(options.template)
    filled.fill(options.question, previous_answer=options.previous_answer, hint=options.hint)
    if options.with_original and not options.prompted_by:
        raise InvalidInput("--with-original shows the original beside the prompted picture; add --prompted-by MODEL.")
    sources = [picture for source in options.pictures for picture in find_pictures(source)]
    model = load_answering_model(options, options.model, options.folder)
    if model is None:
        raise InvalidInput("A model has to answer. Give its name or folder with --model, or a --server.")
    asked, shown, failed = _pictures(options, sources)
    if not asked:
        return failed
    first, further = (shown, []) if not options.with_original else ([_read(source) for source in asked], [shown])
    with ProgressBar("answering") as bar:
        answers = ask(
            model,
            first,
            options.question,
            template=filled,
            system_prompt=options.system_prompt,
            previous_answers=options.previous_answer,
            hints=options.hint,
            more_pictures=further,
            max_new_tokens=options.max_new_tokens,
            decoding=decoding,
            thinking=options.think,
            on_progress=bar,
            on_notice=bar.note,
        )
    for source, answer in zip(asked, answers, strict=True):
        _show(options, source, answer, several=len(sources) > 1)
    return failed


def _pictures(options: argparse.Namespace, sources: list[Path]) -> tuple[list[Path], list[Tensor], int]:
    """The pictures to show, prompted where that is asked for, of the files that can be read; how many cannot."""
    asked, shown, failed = [], [], 0
    with ProgressBar("prompting", shown=bool(options.prompted_by) and len(sources) > 1) as bar:
        for done, source in enumerate(sources):
            bar(done, len(sources))
            try:
                picture = _read(source)
            except AttentionPromptingError as error:
                failed += 1
                bar.note(f"failed: {source}: {one_line(error)}")
                continue
            if options.prompted_by:
                drawn = prompt_picture(
                    picture, options.question, model=options.prompted_by, allow_download=options.allow_download
                )
                picture = flatten_alpha(drawn.picture)
                for warning in drawn.warnings:
                    bar.note(f"warning: {source}: {one_line(warning)}")
            asked.append(source)
            shown.append(picture)
    return asked, shown, failed


def _read(source: Path) -> Tensor:
    return flatten_alpha(to_picture(source))


def _show(options: argparse.Namespace, source: Path, answer: Answer, several: bool) -> None:
    if not answer.complete:
        complain(f"warning: {source}: the answer is not complete; --max-new-tokens is {options.max_new_tokens}")
    for note in answer.notes:
        complain(f"warning: {source}: {note}")
    if options.json:
        say(json.dumps(_as_json(source, options, answer), ensure_ascii=False))
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
    if answer.blind is not None:
        found = answer.blind
        told["blind_tokens"] = {"count": int(found.blind.sum()), "of": len(found.blind), "layers": list(found.layers)}
    return told
