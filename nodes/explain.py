"""The node that finds out which parts of a picture an answer needed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..api_core import overlay
from ..api_core.choices import BASELINES, Baseline
from ..api_core.explanation.curves import draw_curves
from ..api_core.explanation.explain import explain
from ..api_core.explanation.methods import METHODS
from ..api_core.explanation.result import Explanation, full_report
from ..api_core.models.lvlm.inputs.processor import downscale_to
from ..api_core.results import Heatmap
from ..api_core.settings import Setting, read_words
from . import comfy_types, host, lvlm_models, page, sockets, ui_files, widgets
from .entrance import checked

PREVIEW_PIXELS = 512 * 512


def _as_widget(setting: Setting) -> Setting:
    """Optional, so that a workflow without it has the library's default; with the steps that the page rounds to."""
    fine = 0.001 if setting.most <= 1 else 0.01  # settled is told in thousandths
    return replace(setting, step=1 if setting.whole else fine, optional=True, advanced=True)


CHOICES = {method.name: [_as_widget(setting) for setting in method.settings] for method in METHODS.values()}
METHOD_SENTENCES = {method.name: method.describes for method in METHODS.values()}


def to_warnings(found: Sequence[Explanation], limit: int) -> list[str]:
    """What a reader of the maps should know, the cases numbered where there are several."""
    several = len(found) > 1
    said = [
        f"Picture {number}: {warning}" if several else warning
        for number, explanation in enumerate(found, 1)
        for warning in explanation.map.warnings
    ]
    return [*lvlm_models.cut_off([explanation.reply.complete for explanation in found], limit), *said]


def preview(progress: page.NodeProgress, pictures: Sequence[Tensor]) -> Callable[[int, Tensor], None]:
    """A callback that shows a case's picture on the node with its map so far over it."""

    def show(case: int, importance: Tensor) -> None:
        low, high = importance.aminmax()
        mask = (importance - low) / (high - low).clamp(min=1e-12)
        progress.show(lambda: overlay.apply(downscale_to(pictures[case], PREVIEW_PIXELS), mask, overlay.HeatStyle()))

    return show


class Explain(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptExplain",
            display_name="Explain Answer",
            category=sockets.CATEGORY,
            description=(
                "Finds the parts of a picture without which a vision-language model would not have given its answer, "
                "and measures how far that map can be trusted. It runs the model a few hundred times."
            ),
            search_aliases=[
                "attention prompting",
                "explain answer",
                "why this answer",
                "igos",
                "saliency",
                "faithfulness",
                "insertion deletion",
            ],
            is_input_list=True,
            inputs=[
                sockets.model_input("lvlm", [sockets.Lvlm], "A model from Load LVLM. A server gives only answers."),
                io.Image.Input("image", tooltip="The pictures; each is explained by itself and gets its own map."),
                widgets.question("What was asked?"),
                widgets.text(
                    "answer",
                    "The answer to explain, of any origin. Empty: the model writes its own first.",
                    optional=True,
                ),
                widgets.text(
                    "words",
                    "Words of the answer, with commas between, that are explained. Empty: those that the picture makes "
                    "likelier.",
                ),
                widgets.choice(
                    "baseline", BASELINES, "What takes the place of the parts that are taken away.", advanced=True
                ),
                widgets.seed(
                    "Of the chance in the method: the same number gives the same map.",
                    control=io.ControlAfterGenerate.fixed,  # or every run would explain anew
                ),
                widgets.text(
                    "instead_of",
                    "Another answer, to learn why it was not that one: what speaks for the answer and against this.",
                    optional=True,
                ),
                io.Boolean.Input(
                    "per_word",
                    default=False,
                    tooltip="Also a map for each explained word by itself, which Smooth & Enhance Mask picks by words. "
                    "Takes as long again for each.",
                ),
                widgets.max_new_tokens(64, 4096, "How much of an answer is written, when none is given."),
                sockets.more_images(
                    "Further pictures that the model sees in the same prompt; only image is explained."
                ),
                # Optional, because the page puts what is optional last, and widgets that come and go belong there.
                widgets.dynamic_input("method", CHOICES, widgets.described(METHOD_SENTENCES), optional=True),
            ],
            outputs=[
                sockets.output(
                    sockets.Heatmap,
                    "heatmap",
                    "How much the answer needs each part, for View Heatmap or Smooth & Enhance Mask.",
                ),
                sockets.list_output(
                    io.String,
                    "report",
                    "For each picture, as JSON: the answer, how likely its words are, the curves, a verdict.",
                ),
                sockets.output(
                    io.Image,
                    "curves",
                    "For each picture: how the answer fares as the important parts go or come, and a verdict.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    @checked
    def execute(
        cls,
        lvlm: Sequence[lvlm_models.Answering],
        image: Sequence[Tensor],
        question: Sequence[str],
        words: Sequence[str],
        baseline: Sequence[Baseline],
        seed: Sequence[int],
        per_word: Sequence[bool],
        max_new_tokens: Sequence[int],
        method: Mapping[str, Sequence[Any]],
        answer: Sequence[str] | None = None,
        instead_of: Sequence[str] | None = None,
        more_images: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> io.NodeOutput:
        cases = comfy_types.to_cases(
            image, more_images, question=question, answer=answer, words=words, instead_of=instead_of
        )
        limit = comfy_types.single_value(max_new_tokens, "max_new_tokens")
        progress = page.NodeProgress(cls.hidden.unique_id)
        said = comfy_types.single_values(method)
        name, settings = widgets.to_choice("method", CHOICES, said)
        ready = lvlm_models.on_device_with_gradients(comfy_types.single_value(lvlm, "lvlm"), cases, limit)
        found = explain(
            ready,
            cases.pictures,
            cases.texts["question"],
            answers=comfy_types.blank_to_none(cases.texts["answer"]),
            instead_of=comfy_types.blank_to_none(cases.texts["instead_of"]),
            words=[read_words(chosen) for chosen in cases.texts["words"]],
            per_word=comfy_types.single_value(per_word, "per_word"),
            method=name,
            settings=settings,
            baseline=comfy_types.single_value(baseline, "baseline"),
            more_pictures=cases.further,
            max_new_tokens=limit,
            seed=comfy_types.single_value(seed, "seed"),
            on_progress=progress,
            on_preview=preview(progress, cases.pictures),
        )
        page.warn(cls.hidden.unique_id, [*lvlm_models.doubts(ready), *to_warnings(found, limit)])
        heatmap = Heatmap(tuple(explanation.map for explanation in found))
        answers = [explanation.reply.text for explanation in found]
        return io.NodeOutput(
            heatmap,
            [
                json.dumps(full_report(explanation, question), ensure_ascii=False, indent=1)
                for explanation, question in zip(found, cases.texts["question"], strict=True)
            ],
            host.to_intermediate(torch.stack([draw_curves(explanation) for explanation in found])),
            ui=ui_files.ui_entry(heatmap=heatmap, pictures=cases.pictures, answers=answers),
        )
