"""A CLIP as the rest of the library sees it: pictures and texts in, encodings and features out."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsIndex

import torch
from torch import Tensor, nn

from ...autograd import frozen, without_autocast
from ...errors import InvalidInput
from ...progress import Progress, ignore_progress
from ..devices import HoldsWeights
from ..memory import in_batches_that_fit
from . import run_tower
from .encoding import Encoding
from .picture_spec import PictureSpec
from .tokenise_text import TextTokenizer, merge
from .towers import TextTower, Tower, open_clip, transformers
from .towers.class_token import ClassTokenReadout
from .towers.neighbours import neighbour_readout

Library = Literal["open_clip", "transformers"]

TEXT_BATCH = 64
REMEMBERED_TEXTS = 1024
SECOND_TO_LAST = -2


@dataclass(eq=False)
class ClipModel(HoldsWeights):
    """One CLIP. `module` is the only thing that a host moves between devices; everything else follows its weights."""

    name: str
    module: nn.Module
    spec: PictureSpec
    tower: Tower
    text_tower: TextTower
    reader: TextTokenizer
    default_layer: int = SECOND_TO_LAST
    _texts: "OrderedDict[tuple[str, torch.dtype], Tensor]" = field(default_factory=OrderedDict, repr=False)
    _fixed: dict[tuple[tuple[str, ...], torch.dtype], Tensor] = field(default_factory=dict, repr=False)

    @property
    def side(self) -> int:
        """Height and width of the pictures that it takes, in pixels."""
        return self.tower.side

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of its maps."""
        return self.tower.grid(self.side, self.side)

    @property
    def depth(self) -> int:
        """Number of blocks, of which `layer` chooses one."""
        return len(self.tower.blocks)

    @property
    def family(self) -> str:
        """How the tower reads its patches out."""
        return self.tower.family

    @property
    def reads_class_token(self) -> bool:
        """Whether its feature is that of a class token, as the neighbours of a patch need it."""
        return isinstance(self.tower.readout, ClassTokenReadout)

    def resolve_layer(self, layer: int | None) -> int:
        """The index 0 … depth - 1 of a block; negative counts from the end, None is the model's default."""
        chosen = self.default_layer if layer is None else layer
        depth = self.depth
        if layer is None:
            chosen = max(chosen, -depth)
        if not isinstance(chosen, SupportsIndex) or not -depth <= chosen < depth:
            raise InvalidInput(
                f"{self.name} has no layer {chosen}; its {depth} layers are 0 to {depth - 1}, or -{depth} to -1 from "
                "the end."
            )
        return chosen % depth

    def encode_pictures(
        self,
        pixels: Tensor,
        layer: int | None = None,
        *,
        valid: Tensor | None = None,
        neighbours: bool = False,
        batch_size: int | None = None,
        on_progress: Progress = ignore_progress,
    ) -> list[Encoding]:
        """Encode pictures for any number of texts: one plain forward per mini-batch.

        pixels: [N, 3, side, side], 0..1, cropped or resized but not normalised; a tower of any size takes other
        multiples of its patch. valid: bool [N, rows, columns], cells that hold picture; a tower that can leave the
        others out of its attention does. neighbours: also read `Encoding.neighbours` of that block; UnsupportedModel
        for a tower without a class token. batch_size: None follows the memory there is; where it runs out all the same,
        fewer pictures go through at once, and NotEnoughMemory is raised when one alone is too many.
        on_progress is called between blocks with counts of pictures times blocks; raising from it stops the work.
        """
        layer = self.resolve_layer(layer)
        self._check(pixels, valid)
        device, dtype = self.device, self.dtype
        height, width = pixels.shape[2:]
        readout = self.tower.readout
        if neighbours:
            readout = neighbour_readout(readout, self.tower.grid(height, width), self.name)
        size = batch_size or run_tower.batch_size(self.tower, height, width, dtype, device)
        count, depth = pixels.shape[0], self.depth

        def encode(batch: range) -> list[Encoding]:
            rows = slice(batch.start, batch.stop)
            with frozen(), without_autocast(device.type):
                part = self.spec.normalise(pixels[rows].to(device)).to(dtype)
                seen = None if valid is None else valid[rows].to(device)
                counts = {"done": batch.start * depth, "total": count * depth}
                return run_tower.encode(
                    self.tower, part, seen, layer, readout=readout, on_progress=on_progress, **counts
                )

        encodings = in_batches_that_fit(
            encode,
            count,
            size,
            model=self.name,
            device=device,
            single="with a single picture",
            advice="load it with precision fp16, choose a smaller model, or run it on the CPU",
        )
        on_progress(count * depth, count * depth)
        return encodings

    def encode_texts(
        self, texts: Sequence[str], *, cut: bool = False, on_progress: Progress = ignore_progress
    ) -> Tensor:
        """[T, e], unit norm, float32 on the CPU.

        A text that does not fit is encoded in pieces (see `split_text`) whose features are averaged; cut: its end is
        dropped instead, as the official code does. on_progress: called with the texts that were taken apart and those
        there are, often while a long one is, and then while they are encoded.
        """

        def apart(done: int) -> Progress:
            return lambda *_: on_progress(done, len(texts))

        pieces = [
            [self.reader.clean(text)] if cut else self.reader.split(text, apart(done))
            for done, text in enumerate(texts)
        ]
        if not pieces:
            raise InvalidInput("There is no text to encode. Write what to look for in the picture.")
        with frozen(), without_autocast(self.device.type):
            features = self._features([piece for group in pieces for piece in group], apart(len(texts)))
            parts = features.split([len(group) for group in pieces])
            return torch.stack([part[0] if len(part) == 1 else merge(part) for part in parts])

    def encode_fixed(self, texts: tuple[str, ...]) -> Tensor:
        """The same of a list of short texts that is asked for again and again: encoded once.

        They are encoded by themselves, so that other texts get the same features to the last bit with or without them.
        """
        key = texts, self.dtype
        if key not in self._fixed:
            with frozen(), without_autocast(self.device.type):
                self._fixed[key] = torch.stack(self._encode_ids(self.reader.ids([*map(self.reader.clean, texts)])))
        return self._fixed[key]

    def split_text(self, text: str) -> list[str]:
        """The pieces that a text is encoded in; one when it fits."""
        return self.reader.split(text)

    def _features(self, texts: Sequence[str], on_progress: Progress) -> Tensor:
        """[T, e] of texts that are clean; what does not fit is cut. The latest are remembered."""
        dtype = self.dtype
        found = {text: self._texts[text, dtype] for text in texts if (text, dtype) in self._texts}
        missing = sorted(set(texts) - found.keys(), key=lambda text: (len(text), text))
        for start in range(0, len(missing), TEXT_BATCH):
            on_progress(start, len(missing))
            batch = missing[start : start + TEXT_BATCH]
            found.update(zip(batch, self._encode_ids(self.reader.ids(batch)), strict=True))
        for text, feature in found.items():
            self._texts[text, dtype] = feature
            self._texts.move_to_end((text, dtype))
        while len(self._texts) > REMEMBERED_TEXTS:
            self._texts.popitem(last=False)
        return torch.stack([found[text] for text in texts])

    def _encode_ids(self, ids: Tensor) -> list[Tensor]:
        if self.text_tower.croppable:
            ids = self.reader.crop(ids)
        features = self.text_tower.encode(ids.to(self.device)).float()
        return list((features / features.norm(dim=-1, keepdim=True)).cpu().unbind())

    def _check(self, pixels: Tensor, valid: Tensor | None) -> None:
        side = self.side
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not self.tower.takes(*pixels.shape[2:]):
            raise InvalidInput(
                f"{self.name} takes pictures as [N, 3, {side}, {side}], not {list(pixels.shape)}. Resize them first."
            )
        expected = [pixels.shape[0], *self.tower.grid(pixels.shape[2], pixels.shape[3])]
        if valid is not None and list(valid.shape) != expected:
            raise InvalidInput(f"Valid cells must be {expected} for these pictures, not {list(valid.shape)}.")


def build_clip(
    module: nn.Module,
    *,
    library: Library,
    name: str,
    preprocess: PictureSpec,
    tokenize: Any,
    default_layer: int = SECOND_TO_LAST,
) -> ClipModel:
    """Make a ClipModel of a loaded open_clip or transformers model.

    tokenize: the model's tokenizer, of open_clip or of transformers. Raises UnsupportedModel for a tower that cannot be
    read, and names what to use instead.
    """
    known: Any = open_clip if library == "open_clip" else transformers
    module.eval()
    tower = known.picture_tower(module, name)
    text_tower = known.text_tower(module)
    reader = TextTokenizer.of(tokenize, text_tower.context_length)
    return ClipModel(name, module, preprocess, tower, text_tower, reader, default_layer)
