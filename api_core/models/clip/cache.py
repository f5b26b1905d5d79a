"""What is kept of pictures a model has already looked at, so that a further query costs no further forward pass."""

import hashlib
import weakref
from collections import OrderedDict

from torch import Tensor

from .encoding import Encoding

MOST_PICTURES = 64
MOST_BYTES = 256 * 1024 * 1024


def encoding_key(pixels: Tensor, *settings: object) -> str:
    """The identity of a prepared picture under `settings` (model, layer, dtype, fit …): its content, not its object.

    pixels: [3, h, w] on the CPU. One pixel changed in place gives another key.
    """
    digest = hashlib.blake2b(repr((tuple(pixels.shape), str(pixels.dtype), settings)).encode(), digest_size=20)
    digest.update(pixels.contiguous().numpy().data)
    return digest.hexdigest()


class EncodingCache:
    """Encodings by key, least recently used dropped first. It belongs to one model object and dies with it."""

    def __init__(self, most_pictures: int = MOST_PICTURES, most_bytes: int = MOST_BYTES) -> None:
        self.most_pictures = most_pictures
        self.most_bytes = most_bytes
        self._kept: OrderedDict[str, Encoding] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory held by the encodings that are kept."""
        return sum(encoding.nbytes for encoding in self._kept.values())

    def get(self, key: str) -> Encoding | None:
        """The encoding of that key, which is now the most recently used; None when it is not kept."""
        encoding = self._kept.get(key)
        if encoding is not None:
            self._kept.move_to_end(key)
        return encoding

    def put(self, key: str, encoding: Encoding) -> None:
        """Keep an encoding, and drop the least recently used ones beyond the limits."""
        if encoding.nbytes > self.most_bytes:
            return
        self._kept[key] = encoding
        self._kept.move_to_end(key)
        while len(self._kept) > self.most_pictures or self.nbytes > self.most_bytes:
            self._kept.popitem(last=False)


_of_models: "weakref.WeakKeyDictionary[object, EncodingCache]" = weakref.WeakKeyDictionary()


def encodings_of(model: object) -> EncodingCache:
    """The cache of that model object; it goes when the model goes."""
    return _of_models.setdefault(model, EncodingCache())
