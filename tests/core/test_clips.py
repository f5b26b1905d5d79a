"""Masks of the frames of a clip: one scale, and steady over time."""

from dataclasses import replace

import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import tune
from pack.api_core.results import Box, Heatmap, Label, PictureMap, View
from torch import Tensor

SIZE = (48, 64)
MOON = Label("moon", "whole")


def frame(values: Tensor, size: tuple[int, int] = SIZE, reading: str = "precise") -> PictureMap:
    """A map of the paper's two parts: `values` [6, 8] and their contrary."""
    box, valid = Box(0, 0, size[1], size[0]), torch.ones(6, 8, dtype=torch.bool)
    parts = {"class_token": (View(values[None], box, valid),), "patch": (View(-values[None], box, valid),)}
    return PictureMap(size, (Label("star", "whole"),), parts, "decomposition", "tiny-clip", 3, reading)


def spot(x: float, height: float = 1.0, noise: int = 0) -> Tensor:
    columns = torch.arange(8.0)[None]
    rows = torch.arange(6.0)[:, None]
    values = height * torch.exp(-((columns - x) ** 2 + (rows - 3) ** 2) / 2)
    return values + 0.05 * torch.randn(6, 8, generator=torch.Generator().manual_seed(noise))


def clip(*frames: Tensor) -> Heatmap:
    return Heatmap(tuple(frame(values) for values in frames))


MOVING = clip(*(spot(at, noise=at) for at in range(8)))


def test_one_frame_and_equal_frames_are_as_a_picture_by_itself() -> None:
    (alone,) = tune(clip(spot(3))).masks
    for frames in (clip(spot(3)), clip(spot(3), spot(3), spot(3))):
        for mask in tune(frames, scale="whole batch", steady=2).masks:
            assert (mask - alone).abs().max() < 1e-6


def test_frames_turned_round_give_the_masks_turned_round() -> None:
    there = tune(MOVING, scale="whole batch", steady=2).masks
    back = tune(Heatmap(MOVING.pictures[::-1]), scale="whole batch", steady=2).masks
    for one, other in zip(there, back[::-1], strict=True):
        assert (one - other).abs().max() < 1e-6


def test_a_frame_without_the_thing_stays_dark_on_one_scale() -> None:
    frames = clip(spot(2), spot(4), spot(4, height=0.0, noise=5))
    assert tune(frames).masks[2].max() == pytest.approx(1, abs=0.05)
    together = tune(frames, scale="whole batch").masks
    assert together[0].max() > 0.9
    assert together[2].max() < 0.75


def test_noise_flickers_less_when_frames_are_averaged() -> None:
    still = clip(*(spot(3, noise=number) for number in range(10)))

    def flicker(**settings: object) -> float:
        masks = torch.stack(tune(still, **settings).masks)
        return float((masks[1:] - masks[:-1]).abs().mean())

    assert flicker(scale="whole batch", steady=1) < 0.7 * flicker()
    assert flicker(steady=3) < flicker(steady=1) < flicker()


def test_the_mean_over_time_is_a_triangle_shortened_at_the_ends() -> None:
    values = [spot(at) for at in (1, 3, 6)]
    by_hand = [
        (2 * values[0] + values[1]) / 3,
        (values[0] + 2 * values[1] + values[2]) / 4,
        (values[1] + 2 * values[2]) / 3,
    ]
    for mask, expected in zip(tune(clip(*values), steady=1).masks, tune(clip(*by_hand)).masks, strict=True):
        assert (mask - expected).abs().max() < 1e-5


def test_masks_of_one_size_are_one_batch_in_memory() -> None:
    tuned = tune(MOVING, scale="whole batch")
    assert len({mask.untyped_storage().data_ptr() for mask in tuned.masks}) == 1


def test_a_clip_without_anything_in_it_is_left_as_it_is_with_one_warning() -> None:
    tuned = tune(clip(torch.ones(6, 8), torch.ones(6, 8)), scale="whole batch")
    assert all((mask == 1).all() for mask in tuned.masks)
    assert len(tuned.warnings) == 1


@pytest.mark.parametrize(
    ("frames", "settings", "problem"),
    [
        ([frame(spot(1)), frame(spot(2), (50, 64))], {"steady": 1}, "size"),
        ([frame(spot(1)), replace(frame(spot(2)), labels=(MOON,))], {"scale": "whole batch"}, "labels"),
        ([frame(spot(1), reading="upstream")] * 2, {"scale": "whole batch"}, "upstream"),
        ([frame(spot(1), reading="upstream")] * 2, {"steady": 1}, "upstream"),
        ([frame(spot(1))] * 2, {"steady": 9}, "steady"),
        ([frame(spot(1))] * 2, {"steady": 0.5}, "steady"),
        ([frame(spot(1))] * 2, {"scale": "the clip"}, "scale"),
    ],
)  # fmt: skip
def test_what_makes_no_clip_is_refused(frames: list[PictureMap], settings: dict, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        tune(Heatmap(tuple(frames)), **settings)


def test_presence_is_averaged_as_the_map_is() -> None:
    told = [replace(frame(spot(3)), presence=(value,)) for value in (9.0, 0.0, 9.0, 9.0)]
    tuned = tune(Heatmap(tuple(told)), steady=1, least_presence=4.0)
    assert tuned.warnings == ()
    assert all(mask.min() < 0.5 for mask in tuned.masks)
    (warning,) = tune(Heatmap(tuple(told)), scale="whole batch", least_presence=4.0).warnings
    assert warning.startswith("Picture 2: ")
    (warning,) = tune(Heatmap(tuple(told[:2])), steady=1, least_presence=4.0).warnings
    assert "Picture 2: the presence of 'star', 3.00" in warning
