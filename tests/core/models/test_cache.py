"""What is kept of pictures: its keys, its bounds, and that it dies with its model."""

import gc
import weakref
from dataclasses import dataclass

import torch
from pack.api_core.models.clip.cache import EncodingCache, encoding_key, encodings_of


@dataclass
class Kept:
    nbytes: int = 1


def test_a_pixel_changed_in_place_is_another_picture() -> None:
    pixels = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = encoding_key(pixels, "model", 2)
    assert encoding_key(pixels.clone(), "model", 2) == before
    pixels[0, 0, 0] += 1e-6
    assert encoding_key(pixels, "model", 2) != before


def test_settings_and_shape_are_part_of_the_key() -> None:
    pixels = torch.zeros(3, 4, 8)
    keys = {
        encoding_key(pixels, "model", 2),
        encoding_key(pixels, "model", 3),
        encoding_key(pixels, "other", 2),
        encoding_key(pixels.reshape(3, 8, 4), "model", 2),
    }
    assert len(keys) == 4


def test_the_least_recently_used_goes_first() -> None:
    cache = EncodingCache(most_pictures=2)
    first, second, third = Kept(), Kept(), Kept()
    cache.put("first", first)
    cache.put("second", second)
    assert cache.get("first") is first
    cache.put("third", third)
    assert cache.get("second") is None
    assert (cache.get("first"), cache.get("third")) == (first, third)


def test_memory_is_bounded() -> None:
    cache = EncodingCache(most_pictures=100, most_bytes=10)
    for index in range(5):
        cache.put(str(index), Kept(4))
    assert (len(cache), cache.nbytes) == (2, 8)
    cache.put("4", Kept(6))
    assert cache.nbytes == 10
    cache.put("huge", Kept(11))
    assert cache.get("huge") is None
    assert cache.nbytes == 10


def test_a_cache_dies_with_its_model() -> None:
    class Model:
        pass

    model, other = Model(), Model()
    cache = encodings_of(model)
    assert encodings_of(model) is cache
    assert encodings_of(other) is not cache
    gone = weakref.ref(cache)
    del model, cache
    gc.collect()
    assert gone() is None
