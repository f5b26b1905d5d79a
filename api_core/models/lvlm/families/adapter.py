"""What a family of vision-language models has to say for itself, and how any model of transformers says it."""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ....errors import InvalidInput, UnsupportedModel
from ...conversation.case import Case, PictureLayout, TokenGrid
from .grids import patch_raster, shapes, token_grid
from .pixel_probe import ProbedPicture, probe_picture

_IMAGE_TOKEN_NAMES = ("image_token_id", "image_token_index", "image_patch_id")
# A part of a configuration with one of these in its name pools the picture into tokens that have no place in it.
_POOLING = ("qformer", "perceiver", "resampler", "query_token", "num_queries", "latents", "cross_attention_layers")
_PER_TOKEN = ("token_type_ids",)
# What belongs to the prompt alone: positions are found again, and labels would only cost a loss.
_NOT_OF_AN_ANSWER = ("position_ids", "cache_position", "labels")
_PICTURE = {"type": "image"}
_MOST_LAYOUTS = 256
_SMALLEST = 16
_layouts: weakref.WeakKeyDictionary[Any, OrderedDict[tuple[Any, ...], PictureLayout]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Family:
    """The generic family; a family that differs overrides what differs.

    title: the name for people. model_types: `config.model_type` of its models. no_layout: why its image tokens have no
    place in the picture, so that heatmaps are refused; None when they have. placeholder: the processor's name for what
    stands for a picture in a text.
    """

    title: str
    model_types: tuple[str, ...] = ()
    no_layout: str | None = None
    placeholder: str = "image_token"

    def messages(self, case: Case) -> list[dict[str, Any]]:
        """The case as a conversation for the processor's chat template: the pictures, then the question."""
        turns = [
            {"role": turn.role, "content": [_PICTURE if part is None else _text(part) for part in turn.parts]}
            for turn in case.conversation
        ]
        system = [{"role": "system", "content": [_text(case.system_prompt)]}] if case.system_prompt else []
        return [*system, *turns]

    def plain_prompt(self, processor: Any, case: Case) -> str:
        """The text where the model has no chat template: pictures, system prompt and question, a line each."""
        mark = getattr(processor, self.placeholder, None)
        if not isinstance(mark, str):
            raise UnsupportedModel(
                f"{self.title}: the model has no chat template and its processor, {type(processor).__name__}, does not "
                "say which token stands for a picture. Put the model's chat_template.jinja into its folder."
            )
        return "\n".join(part for part in (mark * len(case.pictures), case.system_prompt, case.question) if part)

    def unsaid_system_prompt(self, prompt: str) -> str:
        """What a model of this family was told first in training and its published code says, and `prompt`, as its
        chat template writes it for a question alone, does not; "" for nothing."""
        return ""

    def image_token(self, config: Any) -> int:
        """The id that stands for every image token in the input ids."""
        for name in _IMAGE_TOKEN_NAMES:
            if isinstance(found := getattr(config, name, None), int):
                return found
        raise UnsupportedModel(
            f"The configuration of this {config.model_type} model names no image token (it has none of "
            f"{', '.join(_IMAGE_TOKEN_NAMES)}), so its image tokens cannot be found. Use another model for heatmaps."
        )

    def positions_of_image_tokens(self, config: Any, row_ids: Tensor) -> Tensor:
        """Where the image tokens of a row of input ids [S] stand: long [n]."""
        return (row_ids == self.image_token(config)).nonzero().flatten()

    def layouts(
        self,
        processor: Any,
        config: Any,
        sizes: Sequence[tuple[int, int]],
        inputs: Mapping[str, Tensor],
        row_ids: Tensor,
        *,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[PictureLayout, ...]:
        """Where every image token of one row comes from, picture by picture.

        sizes: (H, W) of the row's pictures in order. inputs: what the processor made of the whole batch. row_ids: the
        row's input ids [S]. options: what else the processor was called with. Raises UnsupportedModel when the tokens
        have no place, or a place cannot be found for each of them.
        """
        if found := self.why_no_layout(config):
            raise UnsupportedModel(found)
        positions = self.positions_of_image_tokens(config, row_ids)
        # Some processors treat several pictures of a prompt otherwise than one.
        copies = min(len(sizes), 2)
        layouts = [self.picture_layout(processor, config, (int(h), int(w)), copies, options or {}) for h, w in sizes]
        counts = [len(layout.positions) for layout in layouts]
        if sum(counts) != len(positions):
            raise UnsupportedModel(
                f"{self.title}: the prompt has {len(positions)} image tokens, but its pictures make "
                f"{' + '.join(map(str, counts)) or 'none'}. Use one picture, or another model."
            )
        return tuple(_moved(layout, own) for layout, own in zip(layouts, positions.split(counts), strict=True))

    def picture_layout(
        self, processor: Any, config: Any, size: tuple[int, int], copies: int, options: Mapping[str, Any]
    ) -> PictureLayout:
        """The places of one picture's tokens, counted from 0; of a prompt that holds `copies` pictures of that size.

        Kept for the same processor, its settings, the model's, and options.
        """
        images = getattr(processor, "image_processor", processor)
        kept = _layouts.setdefault(images, OrderedDict())
        settings = (images.to_json_string(), repr(config), repr(sorted(options.items())))
        key = (self, size, copies, *settings)
        if key not in kept:
            prompt = self._probing_prompt(processor, Case((torch.zeros(1, 1, 3),) * copies, "?"))
            seen = probe_picture(processor, prompt, self.image_token(config), size, copies, options)
            try:
                layout = self.token_layout(config, size, seen, torch.arange(seen.tokens))
            except UnsupportedModel as error:
                if min(size) >= _SMALLEST:
                    raise
                raise InvalidInput(
                    f"A picture of {size[0]} x {size[1]} pixels (height x width) is too small to find out where "
                    f"{self.title} looks. Enlarge it to at least {_SMALLEST} pixels on each side."
                ) from error
            if not torch.equal(layout.positions, torch.arange(seen.tokens)):
                raise UnsupportedModel(
                    f"{self.title}: {len(layout.positions)} of {seen.tokens} image tokens of a picture of {size[0]} x "
                    f"{size[1]} pixels (height x width) have a place. Use another model for heatmaps."
                )
            kept[key] = layout
        kept.move_to_end(key)
        while len(kept) > _MOST_LAYOUTS:
            kept.popitem(last=False)
        return kept[key]

    def _probing_prompt(self, processor: Any, case: Case) -> str:
        for holder in (processor, getattr(processor, "tokenizer", None)):
            template = getattr(holder, "chat_template", None)
            template = template.get("default") if isinstance(template, dict) else template
            if template:
                return str(processor.apply_chat_template(self.messages(case), chat_template=template, tokenize=False))
        return self.plain_prompt(processor, case)

    def token_layout(self, config: Any, size: tuple[int, int], seen: ProbedPicture, tokens: Tensor) -> PictureLayout:
        """Lay one picture's tokens over what its views saw: views in order, each row by row."""
        grids, first = [], 0
        for view, shape in zip(seen.views, shapes(seen.views, len(tokens), self.patch_side(config)), strict=True):
            raster = patch_raster(view, round(shape.side)) if view.in_patches else view
            grids.append(token_grid(raster, shape, tokens[first : first + shape.tokens], size))
            first += shape.tokens
        return PictureLayout(size, tuple(grids))

    def patch_side(self, config: Any) -> int | None:
        """The side of a patch of the picture tower in its pixels, where the configuration says it."""
        side = getattr(getattr(config, "vision_config", None), "patch_size", None)
        side = side[0] if isinstance(side, list | tuple) else side
        return side if isinstance(side, int) else None

    def why_no_layout(self, config: Any) -> str:
        """Why this model's image tokens have no place in the picture, for people; "" where they have."""
        reason = self.no_layout
        if reason is None and getattr(config, "is_encoder_decoder", False):
            reason = "its answer attends to an encoder's memory instead of the prompt"
        if reason is None and (names := _pooling_parts(config)):
            reason = f"it pools the picture before the answer sees it ({', '.join(names)} in its configuration)"
        if reason is None:
            return ""
        return (
            f"{self.title} models give no heatmap: {reason}. They can still be asked. For a heatmap use a model whose "
            "image tokens lie on the picture, such as LLaVA or Qwen2.5-VL."
        )

    def decoder(self, module: nn.Module) -> nn.Module:
        """The part of the model that reads the prompt and writes the answer; its `layers` are the layers."""
        candidates: list[Any] = [cast(Any, module).get_decoder()] if hasattr(module, "get_decoder") else []
        for path in ("model.language_model", "model.text_model", "language_model.model", "language_model", "model"):
            part: Any = module
            for name in path.split("."):
                part = getattr(part, name, None)
            candidates.append(part)
        for candidate in candidates:
            for decoder in (candidate, getattr(candidate, "model", None)):
                if isinstance(decoder, nn.Module) and isinstance(getattr(decoder, "layers", None), nn.ModuleList):
                    return decoder
        raise UnsupportedModel(
            f"The layers of {type(module).__name__} could not be found, so its attention cannot be read. Use another "
            "model for heatmaps."
        )

    def seeing_layers(self, config: Any, module: nn.Module | None = None) -> tuple[int, ...]:
        """The layers whose attention reaches the whole prompt: not those with a sliding window or linear attention.

        When all of them slide, all are given: the window decides what they see.
        """
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        depth = int(text.num_hidden_layers) if module is None else len(self.layers(module))
        kinds = list(getattr(text, "layer_types", None) or ["full_attention"] * depth)[:depth]
        full = tuple(i for i, kind in enumerate(kinds) if kind == "full_attention")
        return full or tuple(i for i, kind in enumerate(kinds) if "sliding" in kind or "chunked" in kind)

    def layers(self, module: nn.Module) -> nn.ModuleList:
        """The decoder's layers."""
        layers = self.decoder(module).layers
        assert isinstance(layers, nn.ModuleList)
        return layers

    def attention(self, module: nn.Module, layer: int) -> nn.Module:
        """The attention module of a layer; UnsupportedModel when its attention cannot be read."""
        found = getattr(self.layers(module)[layer], "self_attn", None)
        if not isinstance(found, nn.Module):
            raise UnsupportedModel(
                f"Layer {layer} of {type(module).__name__} has no attention that could be read (a linear or recurrent "
                f"layer). Choose one of {', '.join(map(str, self.seeing_layers(module.config, module)))}."
            )
        if not (hasattr(found, "config") and hasattr(sys.modules[type(found).__module__], "ALL_ATTENTION_FUNCTIONS")):
            raise UnsupportedModel(
                f"{type(found).__name__} of {type(module).__name__} computes its attention in a way of its own that "
                "cannot be read. Use another model for heatmaps."
            )
        return found

    def readable_layers(self, module: nn.Module) -> tuple[int, ...]:
        """The layers whose attention can be read, those with a sliding window among them."""

        def readable(layer: int) -> bool:
            try:
                self.attention(module, layer)
            except UnsupportedModel:
                return False
            return True

        return tuple(layer for layer in range(len(self.layers(module))) if readable(layer))

    def with_answer(
        self, inputs: Mapping[str, Tensor], answer_ids: Tensor, answer_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """A prompt and its answer as one input, for a pass that reads all of it at once.

        inputs: of the prompts, input_ids [B, S]. answer_ids: long [B, R]; shorter answers are padded on the right,
        which answer_mask [B, R] says with 0. Positions are left to the model.
        """
        ids = inputs["input_ids"]
        answer_ids = answer_ids.to(ids.device)
        made = {name: value for name, value in inputs.items() if name not in _NOT_OF_AN_ANSWER}
        made["input_ids"] = torch.cat([ids, answer_ids], 1)
        mask = inputs.get("attention_mask", torch.ones_like(ids))
        own = torch.ones_like(answer_ids) if answer_mask is None else answer_mask
        made["attention_mask"] = torch.cat([mask, own.to(mask)], 1)
        for name, value in made.items():
            if name.endswith(_PER_TOKEN):
                made[name] = torch.cat([value, torch.full_like(answer_ids, self.answer_type).to(value)], 1)
        return made

    @property
    def answer_type(self) -> int:
        """The token type of an answer's tokens: text."""
        return 0


def _moved(layout: PictureLayout, positions: Tensor) -> PictureLayout:
    """A layout whose tokens stand at `positions` [n] of a row."""
    grids = tuple(TokenGrid(positions[grid.tokens], grid.valid, grid.box) for grid in layout.grids)
    return PictureLayout(layout.size, grids, positions[layout.unplaced])


def _pooling_parts(config: Any) -> list[str]:
    parts = [config] + [getattr(config, name, None) for name in ("vision_config", "text_config")]
    settings = [setting for part in parts if part is not None for setting in vars(part).items()]
    return sorted({name for name, value in settings if value and any(word in name for word in _POOLING)})


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
