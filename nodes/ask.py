"""The node that asks a vision-language model about pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..api_core.answering import TEMPLATES, Answer, Decoding, Greedy, Sample, ask
from ..api_core.errors import InvalidInput
from ..api_core.models.server import ServerModel
from . import convert, host, lvlm_models, sockets

NO_BLIND_TOKENS = (
    "Ask LVLM has no blind tokens to show: greedy and sample decoding do not look for any. "
    "Disconnect blind_tokens, or choose a decoding that finds them."
)

# A hint in words is written into the question here.
OFFERED = {name: template for name, template in TEMPLATES.items() if "hint" not in template.needs}


def _greedy(seed: int) -> Decoding:
    return Greedy()


def _sample(seed: int, temperature: float = 0.7, top_p: float = 0.95, top_k: int = 0) -> Decoding:
    return Sample(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)


DECODINGS: Mapping[str, Callable[..., Decoding]] = {"greedy": _greedy, "sample": _sample}


def to_decoding(chosen: Mapping[str, Sequence[Any]] | None, seed: int) -> Decoding:
    """The decoding that the `decoding` input describes: its own name under "decoding", and that one's settings."""
    settings = convert.only_each(chosen)
    name = settings.pop("decoding", None)
    if name not in DECODINGS:
        # ComfyUI leaves the whole input away when it does not know the name, so the name cannot be repeated here.
        raise InvalidInput(f"Ask LVLM does not know this decoding. Choose one of: {', '.join(DECODINGS)}.")
    return DECODINGS[name](seed=seed, **settings)


def to_warnings(answers: Sequence[Answer], limit: int) -> list[str]:
    """What a reader of the answers should know."""
    return [
        *cut_off([answer.complete for answer in answers], limit),
        *dict.fromkeys(note for answer in answers for note in answer.notes),
    ]


def cut_off(complete: Sequence[bool], limit: int) -> list[str]:
    """Which answers, numbered from 1 where there are several, did not end by themselves."""
    cut = [str(number) for number, whole in enumerate(complete, 1) if not whole]
    which = f" ({', '.join(cut)} of {len(complete)})" if len(complete) > 1 else ""
    return [f"The answer was cut off at {limit} tokens{which}. Raise max_new_tokens for the rest."] if cut else []


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
                io.MultiType.Input(
                    "model",
                    types=[sockets.Lvlm, sockets.Server],
                    tooltip="From Load LVLM, or from Connect LVLM Server.",
                ),
                io.Image.Input("image", tooltip="The pictures to ask about; each is asked about by itself."),
                io.String.Input(
                    "question",
                    default="",
                    multiline=True,
                    placeholder="What do you want to know?",
                    tooltip="The question. A list of as many questions as pictures goes picture by picture.",
                ),
                io.Combo.Input(
                    "template",
                    options=list(OFFERED),
                    default="plain",
                    tooltip=" ".join(f"{name}: {template.describes}" for name, template in OFFERED.items()),
                ),
                io.String.Input(
                    "system_prompt",
                    default="",
                    multiline=True,
                    advanced=True,
                    placeholder="How the model should behave (optional)",
                    tooltip="Instructions that come before everything else. Not every model has a place for them.",
                ),
                io.String.Input(
                    "previous_answer",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="An earlier answer, for templates that show it to the model again. One, or one each.",
                ),
                io.Int.Input(
                    "max_new_tokens",
                    default=256,
                    min=1,
                    max=32768,
                    tooltip="The answer ends here at the latest; a token is about three quarters of an English word.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    control_after_generate=True,
                    tooltip="For sampled answers: the same number gives the same answer. Greedy answers need none.",
                ),
                sockets.more_images(
                    "Further pictures that the model sees in the same prompt, such as the prompted one."
                ),
                io.DynamicCombo.Input(
                    "decoding",
                    options=[
                        io.DynamicCombo.Option("greedy", []),
                        io.DynamicCombo.Option("sample", _sample_inputs()),
                    ],
                    tooltip="How words are chosen. greedy: always the likeliest. sample: by chance, as the seed wills.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "answer", display_name="answer", is_output_list=True, tooltip="One answer for each picture."
                ),
                io.String.Output(
                    "thinking",
                    display_name="thinking",
                    is_output_list=True,
                    tooltip="What a reasoning model thought before each answer; empty for others.",
                ),
                sockets.Heatmap.Output(
                    "blind_tokens",
                    display_name="blind_tokens",
                    tooltip="Parts of the picture that draw attention whatever is asked, from decodings that seek it.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model: Sequence[sockets.LoadedLvlm | ServerModel],
        image: Sequence[Tensor],
        question: Sequence[str],
        template: Sequence[str],
        system_prompt: Sequence[str],
        max_new_tokens: Sequence[int],
        seed: Sequence[int],
        previous_answer: Sequence[str] | None = None,
        more_images: Mapping[str, Sequence[Tensor]] | None = None,
        decoding: Mapping[str, Sequence[Any]] | None = None,
    ) -> io.NodeOutput:
        cases = convert.to_cases(image, more_images, question=question, previous_answer=previous_answer)
        limit = convert.only(max_new_tokens, "max_new_tokens")
        chosen = convert.only(model, "model")
        answers = ask(
            chosen if isinstance(chosen, ServerModel) else lvlm_models.on_device(chosen, cases, limit),
            cases.pictures,
            cases.texts["question"],
            template=convert.only(template, "template"),
            system_prompt=convert.only(system_prompt, "system_prompt"),
            previous_answers=cases.texts["previous_answer"],
            more_pictures=cases.further,
            max_new_tokens=limit,
            decoding=to_decoding(decoding, convert.only(seed, "seed")),
            on_token=host.live_text(cls.hidden.unique_id, len(cases)),
            on_progress=host.progress(cls.hidden.unique_id),
            on_notice=lambda line: host.warn(cls.hidden.unique_id, [line]),
        )
        host.warn(cls.hidden.unique_id, to_warnings(answers, limit))
        return io.NodeOutput(
            [answer.text for answer in answers],
            [answer.thinking for answer in answers],
            host.blocked(NO_BLIND_TOKENS),
        )


def _sample_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "temperature",
            default=0.7,
            min=0.01,
            max=5.0,
            step=0.05,
            tooltip="Below 1 likely words become likelier; above 1 chance counts more.",
        ),
        io.Float.Input(
            "top_p",
            default=0.95,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="Words are chosen among the likeliest that together reach this share; 1: among all.",
        ),
        io.Int.Input(
            "top_k",
            default=0,
            min=0,
            max=1000,
            tooltip="Words are chosen among so many of the likeliest; 0: among all.",
        ),
    ]


NODES: list[type[io.ComfyNode]] = [Ask]
