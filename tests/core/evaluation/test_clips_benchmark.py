"""The clips that are judged, the judging by hand, and the table of a small run."""

from itertools import islice

import numpy as np
import pytest
import torch
from pack.api_core.evaluation.benchmark.clips import (
    FRAMES,
    ROWS,
    Clip,
    clips,
    crossed_cases,
    draw_clip,
    judge,
)
from pack.api_core.models.clip.load import load_clip

(CASE,) = islice(crossed_cases("development"), 1)


def test_the_thing_that_is_asked_for_crosses_and_every_frame_has_noise_of_its_own():
    clip = draw_clip(CASE)
    assert clip.frames.shape[0] == len(clip.boxes) == FRAMES
    there = np.flatnonzero(clip.boxes[:, 2] > clip.boxes[:, 0])
    assert 0 < there[0] < there[-1] < FRAMES - 1
    assert (np.diff(clip.boxes[there, 2]) >= 0).all()
    assert clip.whole.any()
    assert not clip.whole[there[0]]
    assert torch.equal(draw_clip(CASE).frames, clip.frames)
    assert not torch.equal(draw_clip(CASE, seed=1).frames, clip.frames)
    assert (clip.frames[0] - clip.frames[1]).abs().mean() > 0.02


def small_clip() -> Clip:
    """Three frames of 20 x 40: the thing is out of sight, then at the left, then in the middle."""
    boxes = np.array([[0, 0, 0, 0], [0, 8, 4, 12], [18, 8, 22, 12]], np.float32)
    return Clip(torch.zeros(3, 20, 40, 3), boxes, np.array([False, True, True]))


def test_what_happens_on_the_thing_does_not_flicker_and_what_happens_off_it_does():
    masks = np.zeros((3, 20, 40), np.float32)
    masks[1, 8:12, 0:4] = masks[2, 8:12, 18:22] = 1
    assert judge(masks, small_clip()) == (0, 1, 1, 0)
    masks[0] = 0.25
    flicker, inside, pointing, empty = judge(masks, small_clip())
    assert (flicker, inside, pointing, empty) == (pytest.approx(0.125), 1, 1, 0.25)
    masks[2, 0, 39] = 2
    assert judge(masks, small_clip())[2] == 0.5


@pytest.mark.slow
def test_the_table_says_that_one_scale_flickers_less(tmp_path):
    (table,) = clips(load_clip("tiny-clip"), scenes=3, stream="development", folder=tmp_path)
    assert [row[0] for row in table.rows] == [row.name for row in ROWS]
    ratio = {row[0]: float(row[2].split(" ")[0]) for row in table.rows[1:]}
    assert ratio["one scale, steady 1"] < 0.7
    assert "3 clips of 24 frames" in table.notes[0]
    assert (tmp_path / "clips-development.jsonl").exists()
