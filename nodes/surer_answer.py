"""The node that asks about a picture and about prompted ones, and keeps the surest answer."""

from collections.abc import Mapping, Sequence

from comfy_api.latest import io
from torch import Tensor

from ..api_core.answering.keeping import SKIP_ABOVE_SETTING
from ..api_core.answering.surest import ask_surest
from ..api_core.models.server import ServerModel
from . import comfy_types, host, lvlm_models, page, sockets, widgets
from .ask import OFFERED, to_warnings
from .entrance import checked

MOST_WAYS = 4


class SurerAnswer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        prompted = io.Image.Input(
            "prompted",
            optional=True,
            tooltip="The same pictures prompted in one way, such as magnified: one for each picture.",
        )
        return io.Schema(
            node_id="AttnPromptSurerAnswer",
            display_name="Surer Answer",
            category=sockets.CATEGORY,
            description=(
                "Asks about the plain picture and, where that answer is not sure, about prompted ones; keeps the "
                "answer that the model holds most likely. A prompt that misleads then costs little."
            ),
            search_aliases=["attention prompting", "better answer", "confidence", "vqa", "best of"],
            is_input_list=True,
            inputs=[
                sockets.model_input(
                    "model",
                    [sockets.Lvlm, sockets.Server],
                    "From Load LVLM. A server has to say how likely its words are.",
                ),
                io.Image.Input("image", tooltip="The plain pictures; each is asked about by itself."),
                widgets.question("What do you want to know?"),
                widgets.to_input(SKIP_ABOVE_SETTING),
                widgets.choice("template", OFFERED, widgets.described(OFFERED)),
                widgets.max_new_tokens(64, 4096, "An answer ends here at the latest. Short ones can be compared best."),
                sockets.growing(
                    "prompted",
                    prompted,
                    1,
                    MOST_WAYS,
                    "The prompted pictures, a socket for each way; another appears when one is used.",
                ),
            ],
            outputs=[
                sockets.list_output(io.String, "answer", "The surest answer about each picture."),
                sockets.list_output(
                    io.Int, "which", "The picture that gave it: 0 the plain one, 1 the first prompted one."
                ),
                sockets.list_output(io.Float, "confidence", "How likely the model held that answer to be, 0 to 1."),
                sockets.list_output(io.Image, "image", "The picture that gave the answer."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model: Sequence[lvlm_models.Answering | ServerModel],
        image: Sequence[Tensor],
        question: Sequence[str],
        skip_above: Sequence[float],
        template: Sequence[str],
        max_new_tokens: Sequence[int],
        prompted: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> io.NodeOutput:
        cases = comfy_types.to_cases(image, prompted, question=question)
        limit = comfy_types.single_value(max_new_tokens, "max_new_tokens")
        chosen = comfy_types.single_value(model, "model")
        ready = chosen if isinstance(chosen, ServerModel) else lvlm_models.on_device(chosen, cases, limit)
        found = ask_surest(
            ready,
            cases.pictures,
            cases.further,
            cases.texts["question"],
            skip_above=comfy_types.single_value(skip_above, "skip_above"),
            template=comfy_types.single_value(template, "template"),
            max_new_tokens=limit,
            on_token=page.live_text(cls.hidden.unique_id, len(cases)),
            on_progress=page.NodeProgress(cls.hidden.unique_id),
            on_notice=lambda line: page.warn(cls.hidden.unique_id, [line]),
        )
        page.warn(
            cls.hidden.unique_id, [*lvlm_models.doubts(ready), *to_warnings([one.answer for one in found], limit)]
        )
        return io.NodeOutput(
            [one.answer.text for one in found],
            [one.which for one in found],
            [one.confidence for one in found],
            [host.to_intermediate(one.picture[None]) for one in found],
        )
