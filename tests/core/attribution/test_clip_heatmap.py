"""`clip_heatmap`: its parts and words, batches, what is kept of a picture, where the map lies, mistakes."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pack.api_core.attribution import METHODS, clip_heatmap, list_methods
from pack.api_core.errors import Cancelled, InvalidInput
from pack.api_core.geometry import windows
from pack.api_core.models.catalog import DEFAULT_FIT
from pack.api_core.models.clip import ClipModel
from pack.api_core.models.clip.cache import encodings_of
from pack.api_core.models.clip.load import load_clip
from pack.api_core.results import Box, Heatmap
from pack.tests.tiny import tiny_clip_folder
from torch import Tensor

pytest.importorskip("open_clip")

QUERY = "the red circle, and the blue"
SIZES = ((40, 60), (100, 30), (48, 48), (5, 7))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip_folder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def model(folder: Path) -> ClipModel:
    return load_clip(folder)


def picture(height: int, width: int, seed: int = 0, channels: int = 3) -> Tensor:
    return torch.rand(height, width, channels, generator=torch.Generator().manual_seed(seed))


PICTURES = [picture(*size, seed) for seed, size in enumerate(SIZES)]


def values(heatmap: Heatmap) -> list[Tensor]:
    return [view.values for one in heatmap.pictures for views in one.parts.values() for view in views]


def assert_same(first: Heatmap, second: Heatmap) -> None:
    for one, other in zip(values(first), values(second), strict=True):
        assert (one - other).abs().max() <= 1e-5


def test_the_paper_s_two_parts_for_the_whole_query_and_each_of_its_words(model: ClipModel) -> None:
    heatmap = clip_heatmap(model, PICTURES, QUERY)
    assert [one.size for one in heatmap.pictures] == list(SIZES)
    for one in heatmap.pictures:
        assert [label.text for label in one.labels] == [QUERY, "the", "red", "circle", "and", "blue"]
        assert [label.role for label in one.labels] == ["whole"] + ["query word"] * 5
        assert set(one.parts) == {"class_token", "patch"}
        assert (one.method, one.model, one.layer, one.reading, one.signed) == (
            "decomposition",
            "small",
            2,
            "precise",
            False,
        )
        assert all(view.values.shape == (6, 6, 6) for views in one.parts.values() for view in views)


def test_a_single_word_is_not_repeated(model: ClipModel) -> None:
    labels = clip_heatmap(model, PICTURES[:1], "red").pictures[0].labels
    assert [(label.text, label.role) for label in labels] == [("red", "whole")]
    assert len(clip_heatmap(model, PICTURES[:1], QUERY, words=False).pictures[0].labels) == 1


def test_a_word_s_map_is_the_map_of_that_query(model: ClipModel) -> None:
    of_word = clip_heatmap(model, PICTURES[:1], QUERY).select(["blue"])
    alone = clip_heatmap(model, PICTURES[:1], "blue")
    assert_same(of_word, alone)


@pytest.mark.parametrize("reading", ["precise", "upstream"])
@pytest.mark.parametrize("fit", [None, "letterbox", "crops"])
def test_a_batch_is_its_pictures_one_by_one(folder: Path, reading: str, fit: str | None) -> None:
    together = clip_heatmap(load_clip(folder), PICTURES, QUERY, reading=reading, fit=fit)
    model = load_clip(folder)
    single = [clip_heatmap(model, [one], QUERY, reading=reading, fit=fit).pictures[0] for one in PICTURES]
    assert_same(together, Heatmap(tuple(single)))
    in_pairs = clip_heatmap(load_clip(folder), PICTURES, QUERY, reading=reading, fit=fit, batch_size=2)
    assert_same(together, in_pairs)


def test_the_order_of_queries_and_of_calls_does_not_matter(model: ClipModel) -> None:
    first = clip_heatmap(model, PICTURES, "red")
    clip_heatmap(model, PICTURES, "blue")
    assert_same(clip_heatmap(model, PICTURES, "red"), first)
    both = clip_heatmap(model, PICTURES[:2], ["blue", "red"])
    assert_same(Heatmap(both.pictures[1:]), Heatmap(first.pictures[1:2]))


def test_one_query_serves_all_pictures_or_each_has_its_own(model: ClipModel) -> None:
    each = clip_heatmap(model, PICTURES, ["red", "blue", "the", "a can"])
    assert [one.labels[0].text for one in each.pictures] == ["red", "blue", "the", "a can"]
    assert_same(clip_heatmap(model, PICTURES, ["red"]), clip_heatmap(model, PICTURES, "red"))
    with pytest.raises(InvalidInput, match="2 queries for 4 pictures"):
        clip_heatmap(model, PICTURES, ["red", "blue"])


def counting(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the pictures that go through the model, one entry per call."""
    counts: list[int] = []
    original = model.encode_pictures

    def encode(pixels: Tensor, *rest: object, **more: object) -> object:
        counts.append(pixels.shape[0])
        return original(pixels, *rest, **more)

    monkeypatch.setattr(model, "encode_pictures", encode)
    return counts


def test_a_picture_is_encoded_once(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = counting(model, monkeypatch)
    clip_heatmap(model, [*PICTURES, PICTURES[0]], "red", fit="stretch")
    clip_heatmap(model, [one.clone() for one in PICTURES], "blue", fit="stretch")
    assert counts == [len(PICTURES)]
    clip_heatmap(model, PICTURES, "blue", fit="stretch", layer=0)
    assert counts == [len(PICTURES)] * 2


def test_a_pixel_changed_in_place_gives_a_new_map(model: ClipModel) -> None:
    changing = picture(48, 48)
    before = clip_heatmap(model, [changing], "red")
    changing[10, 10] = 1 - changing[10, 10]
    after = clip_heatmap(model, [changing], "red")
    assert max((a - b).abs().max() for a, b in zip(values(before), values(after), strict=True)) > 1e-6


def test_what_is_kept_stays_within_its_bounds(model: ClipModel) -> None:
    cache = encodings_of(model)
    cache.most_pictures = 3
    clip_heatmap(model, [picture(48, 48, seed) for seed in range(9)], "red")
    assert len(cache) == 3


@pytest.mark.parametrize(
    ("fit", "boxes"),
    [
        ("stretch", [Box(0, 0, 60, 40)]),
        ("letterbox", [Box(0, -10, 60, 50)]),
        ("crops", [Box(0, 0, 40, 40), Box(20, 0, 60, 40)]),
        ("center", [Box(10, 0, 50, 40)]),
    ],
)
def test_the_map_lies_where_the_model_looked(model: ClipModel, fit: str, boxes: list[Box]) -> None:
    views = clip_heatmap(model, PICTURES[:1], "red", fit=fit).pictures[0].parts["class_token"]
    assert [view.box for view in views] == boxes
    if fit == "letterbox":
        assert views[0].valid.any(1).tolist() == [False, True, True, True, True, False]
    else:
        assert all(bool(view.valid.all()) for view in views)


def test_upstream_lays_the_middle_over_the_whole_picture(model: ClipModel) -> None:
    one = clip_heatmap(model, PICTURES[:1], "red", reading="upstream").pictures[0]
    assert [view.box for view in one.parts["class_token"]] == [Box(0, 0, 60, 40)]
    assert (one.reading, one.warnings) == ("upstream", ())
    warned = clip_heatmap(model, PICTURES[:1], "red", reading="upstream", fit="crops")
    assert "is not used" in warned.warnings[0]
    assert_same(warned, clip_heatmap(model, PICTURES[:1], "red", reading="upstream"))


@pytest.mark.parametrize("reading", ["precise", "upstream"])
@pytest.mark.parametrize("size", [(1, 1), (1, 16384), (16384, 1), (3, 1)])
@pytest.mark.parametrize("fit", [None, "letterbox", "crops"])
def test_extreme_pictures(model: ClipModel, size: tuple[int, int], fit: str | None, reading: str) -> None:
    one = clip_heatmap(model, [picture(*size)], "red", fit=fit, reading=reading).pictures[0]
    assert one.size == size
    for views in one.parts.values():
        assert all(bool(torch.isfinite(view.values).all()) and bool(view.valid.any()) for view in views)


def test_any_floating_picture_will_do_and_no_graph_is_kept(model: ClipModel) -> None:
    source = picture(30, 40)
    wanted = clip_heatmap(model, [source], "red")
    for same in (source.double(), source.clone().requires_grad_(), source.mT.contiguous().mT):
        found = clip_heatmap(model, [same], "red")
        assert_same(found, wanted)
        assert not any(one.requires_grad for one in values(found))


def test_transparency_lies_on_white(model: ClipModel) -> None:
    clear = torch.cat([picture(48, 48), torch.zeros(48, 48, 1)], -1)
    assert_same(clip_heatmap(model, [clear], "red"), clip_heatmap(model, [torch.ones(48, 48, 3)], "red"))


def test_against_a_neutral_text(model: ClipModel) -> None:
    plain = clip_heatmap(model, PICTURES, "red")
    neutral = clip_heatmap(model, PICTURES, "the")
    against = clip_heatmap(model, PICTURES, "red", neutral_text="the")
    assert all(one.signed for one in against.pictures)
    for a, b, c in zip(values(plain), values(neutral), values(against), strict=True):
        assert (a - b - c).abs().max() < 1e-6
    itself = clip_heatmap(model, PICTURES, "red", neutral_text="red")
    assert all(bool((one == 0).all()) for one in values(itself))


def test_plain_similarity_is_one_part(model: ClipModel) -> None:
    assert list_methods() == list(METHODS) == ["decomposition", "patch similarity", "neighbours"]
    one = clip_heatmap(model, PICTURES[:1], "red", method="patch similarity").pictures[0]
    both = clip_heatmap(model, PICTURES[:1], "red").pictures[0]
    assert list(one.parts) == ["similarity"]
    assert torch.equal(one.parts["similarity"][0].values, both.parts["patch"][0].values)


def test_neighbours_are_read_in_the_last_block_unless_told_otherwise(model: ClipModel) -> None:
    found = clip_heatmap(model, PICTURES, "red circle", method="neighbours")
    assert [(one.layer, one.method, list(one.parts)) for one in found.pictures] == [
        (3, "neighbours", ["similarity"])
    ] * len(PICTURES)
    assert_same(found, clip_heatmap(model, PICTURES, "red circle", method="neighbours", layer=-1))
    assert max(cells.abs().max() for cells in values(found)) <= 1 + 1e-6, "cosines"
    assert all(len(one.presence) == 3 for one in found.pictures)
    earlier = clip_heatmap(model, PICTURES, "red circle", method="neighbours", layer=1)
    other = clip_heatmap(model, PICTURES, "red circle", method="patch similarity", layer=-1)
    for one, two, three in zip(values(found), values(earlier), values(other), strict=True):
        assert (one - two).abs().max() > 1e-3
        assert (one - three).abs().max() > 1e-3


def test_a_picture_known_without_its_neighbours_is_encoded_again(folder: Path) -> None:
    model = load_clip(folder, device="cpu")
    plain = clip_heatmap(model, PICTURES[:1], "red", layer=-1)
    dense = clip_heatmap(model, PICTURES[:1], "red", method="neighbours")
    assert_same(clip_heatmap(model, PICTURES[:1], "red", layer=-1), plain)
    assert_same(clip_heatmap(load_clip(folder, device="cpu"), PICTURES[:1], "red", method="neighbours"), dense)


def test_layers_count_from_the_end_too(model: ClipModel) -> None:
    assert_same(clip_heatmap(model, PICTURES, "red", layer=-1), clip_heatmap(model, PICTURES, "red", layer=3))
    assert_same(clip_heatmap(model, PICTURES, "red"), clip_heatmap(model, PICTURES, "red", layer=-2))


def test_a_long_query_is_not_cut_in_silence(model: ClipModel) -> None:
    long = "the red circle. " * 10
    precise = clip_heatmap(model, PICTURES[:1], long, words=False)
    assert "pieces are averaged" in precise.warnings[0]
    ending = clip_heatmap(model, PICTURES[:1], long + "blue blue blue blue.", words=False)
    assert max((a - b).abs().max() for a, b in zip(values(precise), values(ending), strict=True)) > 1e-6
    cut = clip_heatmap(model, PICTURES[:1], long, words=False, reading="upstream")
    assert "cut off" in cut.warnings[0]
    same = clip_heatmap(model, PICTURES[:1], long + "blue blue.", words=False, reading="upstream")
    assert_same(cut, same)


def test_a_tokenizer_s_own_marks_are_plain_text(model: ClipModel) -> None:
    first = clip_heatmap(model, PICTURES[:1], "red<end_of_text>blue", words=False)
    second = clip_heatmap(model, PICTURES[:1], "red<end_of_text>the", words=False)
    assert max((a - b).abs().max() for a, b in zip(values(first), values(second), strict=True)) > 1e-6


def test_progress_counts_to_the_end_and_stops_when_asked(model: ClipModel) -> None:
    seen: list[tuple[int, int]] = []
    clip_heatmap(model, PICTURES, "red", on_progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    looks = sum(len(windows(size, DEFAULT_FIT, model.side)) for size in SIZES)
    assert seen[-1] == (looks * model.depth,) * 2
    again: list[tuple[int, int]] = []
    clip_heatmap(model, PICTURES, "blue", on_progress=lambda done, total: again.append((done, total)))
    assert again[-1] == seen[-1]

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        clip_heatmap(model, [picture(9, 9, 99)], "red", on_progress=stop)
    assert len(values(clip_heatmap(model, [picture(9, 9, 99)], "red"))) == 2


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda model: clip_heatmap(model, [], "red"), "no picture"),
        (lambda model: clip_heatmap(model, PICTURES, ""), "empty"),
        (lambda model: clip_heatmap(model, PICTURES, "  \n"), "empty"),
        (lambda model: clip_heatmap(model, PICTURES, None), "None is empty or no text"),
        (lambda model: clip_heatmap(model, PICTURES, "red", layer=1.5), "no layer 1.5"),
        (lambda model: clip_heatmap(model, ["nowhere.png"], "red"), "There is no picture"),
        (lambda model: clip_heatmap(model, PICTURES, ["red", "blue", "", "the"]), "empty"),
        (lambda model: clip_heatmap(model, PICTURES, "red", neutral_text=" "), "neutral text is empty"),
        (lambda model: clip_heatmap(model, PICTURES, "red", method="guess"), "decomposition, patch similarity"),
        (lambda model: clip_heatmap(model, PICTURES, "red", reading="loose"), "precise or upstream"),
        (lambda model: clip_heatmap(model, PICTURES, "red", fit="squash"), "stretch, letterbox"),
        (lambda model: clip_heatmap(model, PICTURES, "red", layer=4), "0 to 3"),
        (lambda model: clip_heatmap(model, PICTURES, "red", batch_size=0), "1 or more"),
        (lambda model: clip_heatmap(model, [torch.zeros(4, 4)], "red"), r"\[H, W, 3 or 4\]"),
        (lambda model: clip_heatmap(model, [torch.full((4, 4, 3), math.nan)], "red"), "not finite"),
    ],
)
def test_a_mistake_is_one_readable_error(model: ClipModel, ask: Callable[[ClipModel], Heatmap], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ask(model)


def test_it_works_inside_inference_mode_and_keeps_no_graph(model: ClipModel) -> None:
    with torch.inference_mode():
        inside = clip_heatmap(model, PICTURES, "red")
    assert not any(one.is_inference() or one.requires_grad for one in values(inside))
    assert_same(inside, clip_heatmap(model, PICTURES, "red"))
