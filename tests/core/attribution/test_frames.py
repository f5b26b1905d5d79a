"""Clips of which only some frames are read."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.api_core.attribution import clip_heatmap, lvlm_heatmap
from pack.api_core.attribution.frames import Frames, between
from pack.api_core.errors import Cancelled, InvalidInput
from pack.api_core.masks import tune
from pack.api_core.models.clip import ClipModel
from pack.api_core.models.clip.cache import MOST_PICTURES, encodings_of
from pack.api_core.models.clip.load import load_clip
from pack.api_core.results import Heatmap, PictureMap
from pack.tests.tiny import tiny_clip_folder
from torch import Tensor

pytest.importorskip("open_clip")

SIZE = (40, 60)
QUESTION = "Where is the star?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ClipModel:
    return load_clip(tiny_clip_folder(tmp_path_factory.mktemp("models") / "small"))


def clip(count: int, size: tuple[int, int] = SIZE) -> list[Tensor]:
    return [torch.rand(*size, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(count)]


def grids(picture: PictureMap) -> list[Tensor]:
    return [view.values for views in picture.parts.values() for view in views]


def assert_equal(one: PictureMap, other: PictureMap) -> None:
    assert [label.text for label in one.labels] == [label.text for label in other.labels]
    assert all(torch.equal(a, b) for a, b in zip(grids(one), grids(other), strict=True))


@pytest.mark.parametrize(
    ("questions", "every", "read"),
    [
        ("aaaaaaa", 1, [0, 1, 2, 3, 4, 5, 6]),
        ("aaaaaaa", 2, [0, 2, 4, 6]),
        ("aaaaaaaa", 3, [0, 3, 6, 7]),
        ("aaaa", 16, [0, 3]),
        ("a", 4, [0]),
        ("aaaabbbb", 3, [0, 3, 4, 7]),
        ("abab", 2, [0, 1, 2, 3]),
    ],
)
def test_every_nth_frame_of_each_question_and_its_last_are_read(questions: str, every: int, read: list[int]) -> None:
    frames = Frames.of([(SIZE,)] * len(questions), list(questions), every)
    assert list(frames.read) == read
    assert frames.held([questions[at] for at in read]) == tuple(questions)


def test_the_maps_of_frames_that_were_not_read_lie_on_the_line_between(model: ClipModel) -> None:
    pictures = clip(6)
    every_frame = clip_heatmap(model, pictures, "red star").pictures
    found = clip_heatmap(model, pictures, "red star", every=2).pictures
    assert len(found) == 6
    for frame in (0, 2, 4, 5):
        assert_equal(found[frame], every_frame[frame])
    for frame in (1, 3):
        for at, before, after in zip(*map(grids, (found[frame], *every_frame[frame - 1 : frame + 2 : 2])), strict=True):
            torch.testing.assert_close(at, (before + after) / 2)
        before, after = (every_frame[frame + step].presence for step in (-1, 1))
        assert found[frame].presence == pytest.approx([(a + b) / 2 for a, b in zip(before, after, strict=True)])
    assert_equal(clip_heatmap(model, pictures, "red star", every=1).pictures[3], every_frame[3])


def test_several_queries_are_several_clips_and_may_differ_in_size(model: ClipModel) -> None:
    pictures = [*clip(3), *clip(3, (48, 48))]
    queries = ["red"] * 3 + ["a blue square"] * 3
    found = clip_heatmap(model, pictures, queries, every=2).pictures
    assert [picture.labels[0].text for picture in found] == queries
    assert [picture.size for picture in found] == [SIZE] * 3 + [(48, 48)] * 3
    alone = clip_heatmap(model, pictures[3:], "a blue square", every=2).pictures
    assert_equal(found[4], alone[1])


def test_only_frames_that_are_read_count_for_progress_and_stop_ends_it(model: ClipModel) -> None:
    totals = []
    clip_heatmap(model, clip(9), "red", fit="stretch", every=4, on_progress=lambda _, total: totals.append(total))
    assert set(totals) == {3 * model.depth}

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        clip_heatmap(model, clip(9, (44, 60)), "red", every=4, on_progress=stop)


def test_a_warning_where_too_few_frames_are_read(model: ClipModel) -> None:
    assert clip_heatmap(model, clip(6), "red", every=2).warnings == ()
    (warning,) = clip_heatmap(model, clip(6), "red", every=3).warnings
    assert "one frame in 3" in warning
    assert clip_heatmap(model, clip(1), "red", every=3).warnings == ()


@pytest.mark.parametrize("every", [0, 17, 1.5, True])
def test_what_is_no_number_of_frames_is_refused(model: ClipModel, every: Any) -> None:
    with pytest.raises(InvalidInput, match="every"):
        clip_heatmap(model, clip(2), "red", every=every)


def test_a_frame_of_another_size_is_refused(model: ClipModel) -> None:
    pictures = [*clip(4), *clip(1, (48, 60))]
    with pytest.raises(InvalidInput, match=r"Frame 5 is 48 x 60.*frame 1 40 x 60"):
        clip_heatmap(model, pictures, "red", every=2)
    assert len(clip_heatmap(model, pictures, "red")) == 5


def test_a_clip_longer_than_what_is_kept_leaves_nothing_behind(model: ClipModel) -> None:
    kept = encodings_of(model)
    before = len(kept)
    clip_heatmap(model, clip(MOST_PICTURES + 1, (8, 8)), "red", fit="stretch")
    assert len(kept) == before


def test_frames_with_answers_of_their_own_share_the_question_and_the_words_they_have_in_common(
    lvlm: Callable[[str], Any],
) -> None:
    pictures, answers = clip(3), ["a red star", "a red star", "the star"]
    found = lvlm_heatmap(lvlm("llava-1.5"), pictures, QUESTION, answers=answers)
    first, _, last = found.heatmap.pictures
    middle = between(first, last, 0.25)
    assert [label.text for label in middle.labels] == ["a red star", "Where", "is", "the", "star", "star"]
    (own,), (start,), (end,) = map(grids, (middle, first, last))
    torch.testing.assert_close(own[0], 0.75 * start[0] + 0.25 * end[0])
    torch.testing.assert_close(own[-1], 0.75 * start[-1] + 0.25 * end[-1])
    masks = tune(Heatmap((first, middle, last)), scale="whole batch", steady=1).masks
    assert len(masks) == 3


@pytest.mark.parametrize("reading", ["precise", "upstream"])
def test_an_lvlm_answers_for_the_frames_that_are_read(lvlm: Callable[[str], Any], reading: Any) -> None:
    model, pictures = lvlm("llava-1.5"), clip(5)
    how = {"max_new_tokens": 3, "reading": reading}
    every_frame = lvlm_heatmap(model, pictures, QUESTION, **how)
    found = lvlm_heatmap(model, pictures, QUESTION, **how, every=2)
    said = [reply.text for reply in every_frame.replies]
    assert [reply.text for reply in found.replies] == [said[0], said[0], said[2], said[2], said[4]]
    for frame in (0, 2, 4):
        for one, other in zip(*(grids(each.heatmap.pictures[frame]) for each in (found, every_frame)), strict=True):
            torch.testing.assert_close(one, other)
    assert len(found.heatmap) == 5


def test_further_pictures_of_an_lvlm_are_clips_as_well(lvlm: Callable[[str], Any]) -> None:
    model, pictures = lvlm("llava-1.5"), clip(3)
    found = lvlm_heatmap(model, pictures, QUESTION, answers="a star", more_pictures=[[pictures[0]]], every=2)
    assert [len(one) for one in (found.heatmap, *found.further)] == [3, 3]
    uneven = [pictures[0], pictures[1], clip(1, (48, 48))[0]]
    with pytest.raises(InvalidInput, match="Frame 3"):
        lvlm_heatmap(model, pictures, QUESTION, answers="a star", more_pictures=[uneven], every=2)
