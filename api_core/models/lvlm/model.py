"""A vision-language model as the rest of the library sees it: cases in, prompts and answers out."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ...autograd import frozen, without_autocast
from ...errors import InvalidInput, UnsupportedModel
from ...progress import Progress, ignore_progress
from ..catalog import RELATIVE_LAYER, LvlmEntry, find_lvlm_model
from ..conversation.case import Case, PictureLayout, Prepared, PromptRow, Reply
from ..conversation.reply import parse_reply, thinking_tokens
from ..conversation.token_text import IncrementalDecoder, Span, locate_words
from ..devices import HoldsWeights
from ..hooks import capturing
from ..vision_language import Enter, Need, resolve_layers
from . import memory_estimate
from .attention.intercept import Read, intercepting
from .calibration import find_calibration
from .families import Family, family_of
from .generate import decoding_loop, teacher_forcing
from .generate.answer_tokens import AnswerEncoder
from .generate.batching import Around, OnToken, generate_replies
from .generate.sampling import Sampling
from .inputs.chat_prompt import PromptWriter, require_pictures, special_ids
from .inputs.context import context_of, fitting_answer, require_context
from .inputs.processor import cap_processor_pixels, downscale_to, left_pad, to_pil_rgb
from .inputs.token_views import rescale_layout

log = logging.getLogger(__name__)

DEFAULT_NEW_TOKENS = 256


@dataclass(eq=False)
class LvlmModel(HoldsWeights):
    """One vision-language model. `module` is the only thing that a host moves; everything else follows its weights.

    warnings: what a person should know about this model as it was loaded.
    """

    name: str
    module: nn.Module
    processor: Any
    family: Family
    max_pixels: int = 0
    default_layers: tuple[int, ...] = ()
    relative_layer: float = RELATIVE_LAYER
    warnings: tuple[str, ...] = ()
    _shrinks: bool = field(default=False, repr=False)

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def config(self) -> Any:
        """The configuration of transformers."""
        return self.module.config

    @property
    def depth(self) -> int:
        """Number of decoder layers."""
        return len(self.family.layers(self.module))

    @property
    def decoder_layers(self) -> Sequence[nn.Module]:
        """The decoder layers; none where they cannot be found, which only reading them needs."""
        try:
            return list(self.family.layers(self.module))
        except UnsupportedModel:
            return []

    @property
    def seeing_layers(self) -> tuple[int, ...]:
        """The layers whose attention can reach the picture."""
        return self.family.seeing_layers(self.config, self.module)

    @cached_property
    def writer(self) -> PromptWriter:
        """What writes its prompts."""
        return PromptWriter(self.processor, self.family, self.name)

    @cached_property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return decoding_loop.end_tokens(self.module, self.tokenizer)

    @cached_property
    def special(self) -> frozenset[int]:
        """The tokens that are no text."""
        return special_ids(self.tokenizer) | self.ends

    def warn(self, message: str) -> None:
        """Remember something that a person should know about this model, and log it."""
        log.warning(message)
        self.warnings = (*self.warnings, message)

    @property
    def cases_at_once(self) -> int:
        """As many as fit."""
        return 0

    def why_not(self, need: Need) -> str:
        """Why its image tokens have no place, for models that pool the picture; all else it can do."""
        return self.family.why_no_layout(self.config) if need == "places" else ""

    def why_unread(self, layer: int) -> str:
        """What to say of a layer that computes its attention in another way."""
        return (
            f"Layer {layer} of {self.name} did not show its attention to transformers' interface. Choose another layer."
        )

    def resolve_layers(self, layers: Sequence[int] | None = None) -> tuple[int, ...]:
        """Indices 0 … depth - 1 of decoder layers; negative ones count from the end.

        None is the model's default: the catalog's, of a model that it does not know what a calibration found. A default
        that cannot see the picture moves to the nearest layer that can.
        """
        wanted = self.default_layers or (round(self.relative_layer * self.depth),)
        unknown = not layers and find_lvlm_model(self.name) is None
        if unknown and (calibration := find_calibration(self)) is not None:
            wanted = (calibration.layer,)
        return resolve_layers(self.name, layers, self.depth, self.seeing_layers, wanted)

    def prepare(self, cases: Sequence[Case], *, with_places: bool = True, thinking: bool = False) -> Prepared:
        """Cases as the model reads them: its chat template, its own processor, padded on the left.

        with_places: find where each image token lies in its picture; False spares that for a model that only answers.
        thinking: whether a model that can choose thinks before it answers. Raises UnsupportedModel when places are
        wanted and this model's image tokens have none that can be found.
        """
        if not cases:
            raise InvalidInput("There is nothing to ask about. Give at least one picture and a question.")
        clean = [self.writer.clean(case) for case in cases]
        prompts = [self.writer.write(case, thinking) for case in clean]
        pictures = [[self._limited(picture) for picture in case.pictures] for case in cases]
        inputs = self._process(prompts, pictures)
        filling = {self.tokenizer.unk_token_id, self.tokenizer.pad_token_id}  # unknown letters, and before a short row
        require_context(self.name, context_of(self.config), clean, inputs["input_ids"].tolist(), self.special - filling)
        rows = tuple(
            self._row(index, inputs, case, prompt, self.writer.find_question(case, prompt, thinking), seen, with_places)
            for index, (case, prompt, seen) in enumerate(zip(clean, prompts, pictures, strict=True))
        )
        return Prepared(inputs, rows, tuple(cases), tuple(prompts), thinking)

    def to_device(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs beside the weights, fractions in their precision."""
        device, dtype = self.device, self.dtype
        return {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in inputs.items()
        }

    def generate(
        self,
        prepared: Prepared,
        *,
        max_new_tokens: int = DEFAULT_NEW_TOKENS,
        sampling: Sampling | None = None,
        around: Around | None = None,
        on_token: OnToken | None = None,
        on_progress: Progress = ignore_progress,
    ) -> list[Reply]:
        """The answer to each row, greedily, or drawn with `sampling`; never touches torch's own random state.

        around: makes of each batch a context that it is generated in, such as `contrastive_decoding`.

        on_token: called with a row's number and its text so far (thinking included), whole characters only. on_progress
        counts tokens, before every layer of the first and after each; raising from it stops the work. Where memory runs
        out, fewer rows are answered at once; NotEnoughMemory is raised when one alone is too many.
        """
        if max_new_tokens < 1:
            raise InvalidInput(f"max_new_tokens must be 1 or more, not {max_new_tokens}.")
        return generate_replies(
            self,
            prepared,
            max_new_tokens,
            sampling=sampling,
            around=around,
            on_token=on_token,
            on_progress=on_progress,
        )

    @contextmanager
    def reading(self, layers: Sequence[int], read: Read, enter: Enter | None = None) -> Iterator[None]:
        """See `VisionLanguageModel`."""
        blocks = self.family.layers(self.module)
        with capturing() as hooks:
            if enter is not None:
                for layer in layers:
                    hooks.before(blocks[layer], _entering(layer, enter))
            with intercepting({layer: self.family.attention(self.module, layer) for layer in layers}, read):
                yield

    def read_once(self, prepared: Prepared, replies: Sequence[Reply]) -> None:
        """See `VisionLanguageModel`."""
        inputs = teacher_forcing.answered_inputs(self, prepared, replies)
        with frozen(), without_autocast(self.device.type):
            self.module(**inputs, use_cache=False)

    def log_likelihoods(self, prepared: Prepared, token_ids: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """See `VisionLanguageModel`; without gradients."""
        answer = [self.reply_of(token_ids[: max(tokens) + 1])] * len(prepared)
        inputs = teacher_forcing.answered_inputs(self, prepared, answer)
        rows = torch.tensor([prepared.rows[0].length - 1 + token for token in tokens], device=self.device)
        wanted = torch.tensor([token_ids[token] for token in tokens], device=self.device)
        with frozen(), without_autocast(self.device.type):
            return teacher_forcing.log_likelihoods(self.module, inputs, rows, wanted).cpu()

    def incremental_decoder(self) -> IncrementalDecoder:
        """What spells its tokens out as they come; marks of thinking are left in."""
        return IncrementalDecoder(self.tokenizer, self.special, thinking_tokens(self.tokenizer, self.special))

    def reply_of(
        self, token_ids: Sequence[int], log_probabilities: Sequence[float] = (), *, inside_thinking: bool = False
    ) -> Reply:
        """The answer that tokens spell. log_probabilities: of each token, where the model wrote them. inside_thinking:
        the prompt had opened a thinking part."""
        decoder = self.incremental_decoder()
        return parse_reply(decoder, token_ids, log_probabilities, ends=self.ends, inside_thinking=inside_thinking)

    def reply_of_text(self, text: str) -> Reply:
        """An answer from anywhere, as if the model had written it."""
        return self.reply_of(self.encode_answer(text))

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """The tokens of an answer as the model would have written it after its prompt, with its end token."""
        return fitting_answer(self.name, context_of(self.config), text, self._answers.encode(text))

    def estimate_memory(self, prepared: Prepared | int, max_new_tokens: int = DEFAULT_NEW_TOKENS) -> int:
        """About the bytes that answering takes beside the weights. prepared: the cases, or a picture's pixels."""
        return memory_estimate.estimate(self.module, self._for_size(prepared).inputs, self.dtype, max_new_tokens)

    def estimate_gradient_memory(self, prepared: Prepared | int) -> int:
        """The same for one pass over the cases that gradients go back through to the pixels."""
        return memory_estimate.estimate_gradient(self.module, self._for_size(prepared).inputs, self.dtype)

    def _for_size(self, prepared: Prepared | int) -> Prepared:
        """The cases, or one of a black square of so many pixels."""
        if not isinstance(prepared, int):
            return prepared
        side = max(1, round(prepared**0.5))
        black = torch.zeros(side, side, 3)
        return self.prepare([Case((black,), "What is in the picture?")], with_places=False)

    @cached_property
    def _answers(self) -> AnswerEncoder:
        case = Case((torch.zeros(64, 64, 3),), "What is in the picture?")
        row = self.prepare([case], with_places=False).inputs["input_ids"][0].tolist()
        return AnswerEncoder(self.tokenizer, self.writer, case, row, self.special, self.ends)

    def _limited(self, picture: Tensor) -> Tensor:
        return downscale_to(picture, self.max_pixels) if self._shrinks else picture

    def _process(self, prompts: list[str], pictures: list[list[Tensor]]) -> dict[str, Tensor]:
        images = [[to_pil_rgb(picture) for picture in row] for row in pictures]
        most = max(len(row) for row in images)
        begin = self.tokenizer.bos_token
        # A template that writes the first token itself must not get a second one, as transformers' own path has it.
        options = {"add_special_tokens": False} if begin and prompts[0].startswith(begin) else {}
        if len(prompts) > 1:
            options["padding"] = True
        try:
            made = self.processor(text=prompts, images=images if most else None, return_tensors="pt", **options)
        except (ValueError, TypeError, IndexError, KeyError, RuntimeError) as error:
            raise require_pictures(self.name, most, error) from error
        # Labels are for training: with them every step would also pay for a loss.
        tensors = {name: value for name, value in made.items() if isinstance(value, Tensor) and name != "labels"}
        return left_pad(tensors)

    def _row(
        self,
        index: int,
        inputs: dict[str, Tensor],
        case: Case,
        prompt: str,
        question: Span,
        pictures: list[Tensor],
        with_places: bool,
    ) -> PromptRow:
        ids = inputs["input_ids"][index]
        words = locate_words(self.tokenizer, ids.tolist(), prompt, question, self.special)
        padding = int((inputs["attention_mask"][index] == 0).sum())
        places = self._places(case, pictures, inputs, ids) if with_places else None
        return PromptRow(len(ids), padding, words, places)

    def _places(
        self, case: Case, pictures: list[Tensor], inputs: dict[str, Tensor], ids: Tensor
    ) -> tuple[PictureLayout, ...] | None:
        if self.family.no_layout:
            return None
        seen = [(picture.shape[0], picture.shape[1]) for picture in pictures]
        found = self.family.layouts(self.processor, self.config, seen, inputs, ids)
        whole = [(picture.shape[0], picture.shape[1]) for picture in case.pictures]
        return tuple(rescale_layout(place, size) for place, size in zip(found, whole, strict=True))


def _entering(layer: int, enter: Enter) -> Any:
    return lambda args, kwargs: enter(layer, args[0] if args else kwargs["hidden_states"])


def build_lvlm(
    module: nn.Module, processor: Any, *, name: str, entry: LvlmEntry | None = None, max_pixels: int = 0
) -> LvlmModel:
    """Make an LvlmModel of a loaded transformers model and its processor, which is set to `max_pixels`."""
    module.eval()
    limited = bool(max_pixels) and cap_processor_pixels(processor.image_processor, max_pixels)
    model = LvlmModel(
        name,
        module,
        processor,
        family_of(module.config),
        max_pixels,
        () if entry is None else entry.layers,
        RELATIVE_LAYER if entry is None else entry.relative_layer,
        _shrinks=bool(max_pixels) and not limited,
    )
    if not model.writer.template and type(model.family).plain_prompt is Family.plain_prompt:
        model.warn(
            f"{name} has no chat template, so it reads the question as plain text. If it was trained to chat, put its "
            "chat_template.jinja (or the tokenizer_config.json that holds it) into its folder."
        )
    return model
