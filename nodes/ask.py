"""The node that asks a vision-language model about pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..api_core.answering import DECODINGS, TEMPLATES, Answer, Decoding, ask
from ..api_core.answering.decodings import CONTRASTIVE, SEEN
from ..api_core.models.server import ServerModel
from ..api_core.results import Heatmap
from . import comfy_types, host, lvlm_models, page, sockets, widgets
from .entrance import checked

NO_BLIND_TOKENS = (
    "Ask LVLM has no blind tokens to show: only AvisC looks for them. Choose it as the decoding, or disconnect "
    "blind_tokens."
)
NO_PLACES = (
    "The image tokens of {model} have no known place in the picture, so blind tokens cannot be shown on it. The "
    "answers are not affected; disconnect blind_tokens."
)

NO_CONFIDENCE = (
    "{model} does not say how likely its answers are{why}. The answers are not affected; disconnect confidence, or ask "
    "a model that is loaded here."
)
NOT_ASKED_FOR = (
    "{model} was asked before confidence was connected, and ComfyUI kept that answer. Another seed asks again."
)
CONFIDENCE = 3  # the output's place

# A hint in words is written into the question here.
OFFERED = {name: template.describes for name, template in TEMPLATES.items() if "hint" not in template.needs}

# A decoding that was released gets no further setting, but a new name: the page saves values by place, and those of
# `previous_answer`, which is optional, after those of the chosen decoding.
NAMED = {decoding.name: decoding for decoding in DECODINGS}
CHOICES = {name: decoding.settings() for name, decoding in NAMED.items()}


def to_decoding(said: Mapping[str, Sequence[Any]], seed: int) -> Decoding:
    """The decoding that the `decoding` input describes."""
    name, settings = widgets.to_choice("decoding", CHOICES, comfy_types.single_values(said))
    return NAMED[name].of(settings, seed)


def to_blind_tokens(answers: Sequence[Answer]) -> Any:
    """A map of each case's first picture; where there are none, what stops the output and says why."""
    maps = [answer.blind_tokens for answer in answers]
    found = [heatmap.pictures[0] for heatmap in maps if heatmap is not None]
    if len(found) == len(answers):
        return Heatmap(tuple(found))
    unlooked = all(answer.blind is None for answer in answers)
    return host.blocked(NO_BLIND_TOKENS if unlooked else NO_PLACES.format(model=answers[0].model))


def to_confidence(answers: Sequence[Answer], asked_for: bool) -> Any:
    """How sure each answer is; of a model that does not tell, what stops the output and says why.

    asked_for: of a server, which is not asked where nothing is connected.
    """
    untold = next((answer for answer in answers if answer.confidence is None), None)
    if untold is None:
        return [answer.confidence for answer in answers]
    why = f" (it {untold.untold.rstrip('.')})" if untold.untold else ""
    return host.blocked((NO_CONFIDENCE if asked_for else NOT_ASKED_FOR).format(model=untold.model, why=why))


def to_warnings(answers: Sequence[Answer], limit: int) -> list[str]:
    """What a reader of the answers should know."""
    return [
        *lvlm_models.cut_off([answer.complete for answer in answers], limit),
        *dict.fromkeys(note for answer in answers for note in answer.notes),
    ]


class Ask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptAsk",
            display_name="Ask LVLM",
            category=sockets.CATEGORY,
            description=(
                "Asks a vision-language model about each picture: one that is loaded here, or one on a server. "
                "A batch of pictures, or a list of questions, gives a list of answers."
            ),
            search_aliases=[
                "attention prompting",
                "vqa",
                "vlm",
                "caption",
                "describe image",
                "chat with image",
                "llava",
            ],
            is_input_list=True,
            inputs=[
                sockets.model_input(
                    "model", [sockets.Lvlm, sockets.Server], "From Load LVLM, or from Connect LVLM Server."
                ),
                io.Image.Input("image", tooltip="The pictures to ask about; each is asked about by itself."),
                widgets.question("What do you want to know?"),
                widgets.choice("template", OFFERED, widgets.described(OFFERED)),
                widgets.text(
                    "system_prompt",
                    "Instructions that come before everything else. Not every model has a place for them.",
                    multiline=True,
                    advanced=True,
                    placeholder="How the model should behave (optional)",
                ),
                widgets.text(
                    "previous_answer",
                    "An earlier answer, for templates that show it to the model again. One, or one each.",
                    optional=True,
                    advanced=True,
                ),
                widgets.max_new_tokens(
                    256,
                    32768,
                    "The answer ends here at the latest; a token is about three quarters of an English word.",
                ),
                widgets.seed("For sampled answers: the same number gives the same answer. Greedy answers need none."),
                sockets.more_images(
                    "Further pictures that the model sees in the same prompt, such as the prompted one."
                ),
                widgets.dynamic_input(
                    "decoding",
                    CHOICES,
                    "How words are chosen. greedy: always the likeliest. sample: by chance, as the seed wills. "
                    f"{CONTRASTIVE}: against a second reading, which sees {SEEN}; they take about twice as long and "
                    "need a model that is loaded here.",
                ),
            ],
            outputs=[
                sockets.list_output(io.String, "answer", "One answer for each picture."),
                sockets.list_output(
                    io.String, "thinking", "What a reasoning model thought before each answer; empty for others."
                ),
                sockets.output(
                    sockets.Heatmap,
                    "blind_tokens",
                    "Parts of the picture that draw attention whatever is asked, from decodings that seek it.",
                ),
                sockets.list_output(
                    io.Float,
                    "confidence",
                    "How likely the model held each answer to be, 0 to 1: the product over its words. Not every "
                    "server tells.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model: Sequence[lvlm_models.Answering | ServerModel],
        image: Sequence[Tensor],
        question: Sequence[str],
        template: Sequence[str],
        system_prompt: Sequence[str],
        max_new_tokens: Sequence[int],
        seed: Sequence[int],
        decoding: Mapping[str, Sequence[Any]],
        previous_answer: Sequence[str] | None = None,
        more_images: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> io.NodeOutput:
        cases = comfy_types.to_cases(image, more_images, question=question, previous_answer=previous_answer)
        limit = comfy_types.single_value(max_new_tokens, "max_new_tokens")
        chosen = comfy_types.single_value(model, "model")
        way = to_decoding(decoding, comfy_types.single_value(seed, "seed"))
        confidence = host.is_connected(cls.hidden, CONFIDENCE)
        ready = chosen if isinstance(chosen, ServerModel) else lvlm_models.on_device(chosen, cases, limit, way.passes)
        answers = ask(
            ready,
            cases.pictures,
            cases.texts["question"],
            template=comfy_types.single_value(template, "template"),
            system_prompt=comfy_types.single_value(system_prompt, "system_prompt"),
            previous_answers=cases.texts["previous_answer"],
            more_pictures=cases.further,
            max_new_tokens=limit,
            decoding=way,
            confidence=confidence,
            on_token=page.live_text(cls.hidden.unique_id, len(cases)),
            on_progress=page.NodeProgress(cls.hidden.unique_id),
            on_notice=lambda line: page.warn(cls.hidden.unique_id, [line]),
        )
        page.warn(cls.hidden.unique_id, [*lvlm_models.doubts(ready), *to_warnings(answers, limit)])
        return io.NodeOutput(
            [answer.text for answer in answers],
            [answer.thinking for answer in answers],
            to_blind_tokens(answers),
            to_confidence(answers, confidence),
        )
