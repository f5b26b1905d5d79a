"""A thing crosses a scene, and nothing else moves."""

import numpy as np
import pytest
from pack.api_core.scenes import SceneOptions, draw_scene, make_scene
from pack.api_core.scenes.crossing import crossing, in_front

SCENE = make_scene(3, "development", SceneOptions(objects=(4, 4), square_share=0, aspects=(1.5,), overlap=0, spoil=0))
SIZE = (96, 144)


def test_it_comes_in_at_the_left_and_is_gone_at_the_right():
    drawn = [draw_scene(scene, *SIZE) for scene in crossing(SCENE, 9)]
    seen = [float(one.masks[-1].sum()) for one in drawn]
    assert seen[0] == seen[-1] == 0
    assert min(seen[3:6]) > 0.9 * max(seen)
    lefts = [one.boxes[-1][0] for one in drawn[2:7]]
    assert lefts == sorted(lefts)


def test_nothing_else_moves():
    drawn = [draw_scene(scene, *SIZE) for scene in crossing(SCENE, 5)]
    touched = sum(one.masks[-1] for one in drawn) > 0
    reach = np.ones_like(touched)
    rows = np.flatnonzero(touched.any(1))
    reach[: max(0, rows[0] - 12)] = reach[rows[-1] + 12 :] = False  # its shadow falls beside it
    assert (drawn[0].picture[~reach] == drawn[2].picture[~reach]).all()
    assert not np.array_equal(drawn[0].picture, drawn[2].picture)


def test_a_step_is_a_share_of_the_width_and_the_middle_frame_is_in_the_middle():
    places = [scene.objects[-1].x / scene.width for scene in crossing(SCENE, 5, 0.1)]
    assert places == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])


def test_one_frame_is_the_scene_itself():
    assert list(crossing(SCENE, 1)) == [SCENE]


def test_any_object_can_come_to_the_front():
    moved = in_front(SCENE, 1)
    assert [item.name for item in moved.objects] == [SCENE.objects[i].name for i in (0, 2, 3, 1)]
