"""The node that reads from an LVLM's own attention where its answer came from."""

from collections.abc import Mapping, Sequence

from comfy_api.latest import io
from torch import Tensor

from ..api_core.attribution import lvlm_heatmap
from ..api_core.choices import LVLM_METHODS, Reading
from ..api_core.settings import EVERY, read_words
from . import comfy_types, host, lvlm_models, page, sockets, ui_files, widgets
from .entrance import checked

AUTO = "auto"
METHODS = {AUTO: "the reading's own.", **LVLM_METHODS}
NO_FURTHER = "LVLM Heatmap was given no further pictures. Connect some to more_images, or disconnect this output."


class LVLMHeatmap(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptLVLMHeatmap",
            display_name="LVLM Heatmap",
            category=sockets.CATEGORY,
            description=(
                "Lets a vision-language model answer, and reads from its attention where it looked while it wrote: "
                "for the whole answer, for each of its words and for the words of the question."
            ),
            search_aliases=[
                "attention prompting",
                "llava attention",
                "attention map",
                "explain answer",
                "word heatmap",
            ],
            is_input_list=True,
            inputs=[
                sockets.model_input(
                    "lvlm", [sockets.Lvlm], "A model from Load LVLM. A server does not show its attention."
                ),
                io.Image.Input("image", tooltip="The pictures; each is asked about by itself and gets its own map."),
                widgets.question("What do you want to know?"),
                widgets.text(
                    "answer",
                    "An answer to explain, of any origin. Empty: the model writes its own first.",
                    optional=True,
                ),
                widgets.text(
                    "hint_words",
                    "Words of the answer, with commas between, that the whole map is made of. Empty: all of them. "
                    "Smooth & Enhance Mask can also choose single words later.",
                ),
                widgets.choice("method", METHODS, widgets.described(METHODS), advanced=True),
                widgets.text(
                    "layers",
                    "The layers that are read: auto (the model's own), or whole numbers with commas between; "
                    "negative numbers count from the end. Several are averaged.",
                    default=AUTO,
                    advanced=True,
                ),
                widgets.reading("the tokens lie"),
                widgets.max_new_tokens(
                    20, 4096, "How much of an answer is written, when none is given. A few words are enough for a map."
                ),
                sockets.more_images("Further pictures that the model sees in the same prompt; they get maps as well."),
                widgets.to_input(EVERY),
            ],
            outputs=[
                sockets.output(
                    sockets.Heatmap,
                    "heatmap",
                    "Raw attention per patch, for the whole answer and each word; for Smooth & Enhance Mask.",
                ),
                sockets.list_output(io.String, "answer", "The explained answer of each picture."),
                sockets.list_output(
                    sockets.Heatmap,
                    "further",
                    "The same for the further pictures: one heatmap for each socket of more_images.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @checked
    def execute(
        cls,
        lvlm: Sequence[lvlm_models.Answering],
        image: Sequence[Tensor],
        question: Sequence[str],
        hint_words: Sequence[str],
        method: Sequence[str],
        layers: Sequence[str],
        reading: Sequence[Reading],
        max_new_tokens: Sequence[int],
        answer: Sequence[str] | None = None,
        more_images: Mapping[str, Sequence[Tensor]] | None = None,
        every: Sequence[int] = (EVERY.default,),
    ) -> io.NodeOutput:
        cases = comfy_types.to_cases(image, more_images, question=question, answer=answer, hint_words=hint_words)
        limit = comfy_types.single_value(max_new_tokens, "max_new_tokens")
        chosen = comfy_types.single_value(method, "method")
        ready = lvlm_models.on_device(comfy_types.single_value(lvlm, "lvlm"), cases, limit)
        found = lvlm_heatmap(
            ready,
            cases.pictures,
            cases.texts["question"],
            answers=comfy_types.blank_to_none(cases.texts["answer"]),
            hint_words=[read_words(words) for words in cases.texts["hint_words"]],
            method=None if chosen == AUTO else chosen,
            layers=comfy_types.to_layers(comfy_types.single_value(layers, "layers")),
            reading=comfy_types.single_value(reading, "reading"),
            max_new_tokens=limit,
            more_pictures=cases.further,
            on_progress=page.NodeProgress(cls.hidden.unique_id),
            every=comfy_types.single_value(every, "every"),
        )
        page.warn(cls.hidden.unique_id, [*lvlm_models.doubts(ready), *found.heatmap.warnings])
        answers = [reply.text for reply in found.replies]
        return io.NodeOutput(
            found.heatmap,
            answers,
            list(found.further) or host.blocked(NO_FURTHER),
            ui=ui_files.ui_entry(heatmap=found.heatmap, pictures=cases.pictures, answers=answers),
        )
