"""Scenes are repeatable, their truth fits their pixels, and test scenes share nothing with training scenes."""

from dataclasses import replace

import numpy as np
import pytest
from pack.api_core.errors import InvalidInput
from pack.api_core.scenes import COLOURS, SHAPES, SceneOptions, draw_scene, make_scene
from pack.api_core.scenes.draw import boxes_of, shape_distance
from pack.api_core.scenes.world import TEST_GROUNDS, TRAINING_GROUNDS


def test_a_number_names_one_scene_and_one_picture():
    first, again = (draw_scene(make_scene(7, "test"), 80, 96) for _ in range(2))
    assert first.scene == again.scene
    assert np.array_equal(first.picture, again.picture)
    assert not np.array_equal(first.picture, draw_scene(make_scene(8, "test"), 80, 96).picture)


def test_streams_do_not_meet_and_test_scenes_have_grounds_of_their_own():
    train, test = ([make_scene(n, stream) for n in range(200)] for stream in ("train", "test"))
    assert not {s.ground_seed for s in train} & {s.ground_seed for s in test}
    assert {s.ground for s in train} == set(TRAINING_GROUNDS)
    assert {s.ground for s in test} == set(TEST_GROUNDS)


def test_unknown_streams_and_negative_numbers_are_refused():
    with pytest.raises(InvalidInput, match="stream"):
        make_scene(0, "validation")
    with pytest.raises(InvalidInput, match="-1"):
        make_scene(-1)


def test_every_colour_and_shape_occurs_and_objects_stay_inside():
    scenes = [make_scene(n) for n in range(300)]
    objects = [(scene, item) for scene in scenes for item in scene.objects]
    assert {item.colour for _, item in objects} == set(COLOURS)
    assert {item.shape for _, item in objects} == set(SHAPES)
    assert {len(scene.objects) for scene in scenes} == set(range(1, 7))
    for scene, item in objects:
        assert item.radius <= item.x <= scene.width - item.radius
        assert item.radius <= item.y <= scene.height - item.radius


def test_options_narrow_the_world():
    options = SceneOptions(objects=(3, 3), colours=("red",), shapes=("star", "heart"), square_share=1.0, overlap=0.0)
    for number in range(20):
        scene = make_scene(number, "development", options)
        assert scene.aspect == 1
        assert len(scene.objects) == 3
        assert {item.colour for item in scene.objects} == {"red"}
        assert {item.shape for item in scene.objects} <= {"star", "heart"}


@pytest.mark.parametrize(("height", "width"), [(112, 112), (100, 173), (300, 200)])
def test_pictures_masks_and_boxes_belong_together(height, width):
    for number in range(12):
        drawn = draw_scene(make_scene(number), height, width)
        assert drawn.picture.shape == (height, width, 3)
        assert drawn.picture.dtype == np.float32
        assert 0 <= drawn.picture.min() <= drawn.picture.max() <= 1
        assert drawn.masks.shape == (len(drawn.scene.objects), height, width)
        assert drawn.masks.min() >= 0
        assert drawn.masks.sum(0).max() <= 1 + 1e-5
        for item, mask, (left, top, right, bottom) in zip(drawn.scene.objects, drawn.masks, drawn.boxes, strict=True):
            if not mask.max() > 0.5:
                continue
            inside = mask[int(top) : int(bottom), int(left) : int(right)]
            assert (inside > 0.5).sum() == (mask > 0.5).sum()
            assert left <= item.x / drawn.scene.width * width + item.radius * width
            assert right - left <= 2.7 * item.radius * width / drawn.scene.width + 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", [(0.0, 0.1), (0.5, 0.5), (1.0, 0.9), (0.3, 0.25), (0.7, 0.83)])
def test_each_shape_is_one_filled_figure_of_unit_size(shape, form):
    axis = np.linspace(-1.6, 1.6, 161, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    inside = shape_distance(shape, u, v, form) < 0
    assert inside[round(float(np.nonzero(inside)[0].mean())), round(float(np.nonzero(inside)[1].mean()))]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    extent = max(axis[rows[-1]] - axis[rows[0]], axis[columns[-1]] - axis[columns[0]])
    assert 1.4 < extent < 2.4
    assert 0.1 < inside.mean() * 3.2**2 / 4 < 0.95


@pytest.mark.parametrize("size", [(64, 64), (64, 4096), (4096, 64), (64, 768), (128, 512)])
@pytest.mark.parametrize("wanted", [1, 9])
def test_pictures_as_narrow_as_can_be_asked_for_hold_what_was_asked_for(size, wanted):
    height, width = size
    options = SceneOptions((wanted, wanted), aspects=(width / height,), square_share=0, overlap=0, clutter=0, spoil=0)
    for number in range(4):
        scene = make_scene(number, "development", options)
        assert len(scene.objects) == wanted
        boxes = draw_scene(scene, height, width).boxes
        assert ((boxes[:, :2] >= 0) & (boxes[:, :2] < boxes[:, 2:]) & (boxes[:, 2:] <= (width, height))).all()


def test_the_object_has_its_colour_where_its_mask_says_so():
    scene = make_scene(3, options=SceneOptions(objects=(2, 2), colours=("red", "blue"), overlap=0, clutter=0, spoil=0))
    scene = replace(scene, shadow=0, objects=tuple(replace(o, finish="flat", outline=0.0) for o in scene.objects))
    drawn = draw_scene(scene, 200, 200)
    for item, mask in zip(scene.objects, drawn.masks, strict=True):
        assert np.abs(drawn.picture[mask > 0.999] - np.array(item.rgb)).max() < 1e-3


def test_a_scene_looks_alike_at_every_size():
    options = SceneOptions(spoil=0, grounds=("plain",), clutter=0, square_share=1.0)
    for number in range(6):
        scene = make_scene(number, options=options)
        scene = replace(scene, objects=tuple(replace(o, finish="flat", outline=0.0) for o in scene.objects))
        small = draw_scene(scene, 100, 100).masks
        large = draw_scene(scene, 400, 400).masks.reshape(len(small), 100, 4, 100, 4).mean((2, 4))
        assert np.abs(small - large).mean() < 0.002


def test_what_lies_in_front_hides_what_lies_behind():
    scene = make_scene(1, options=SceneOptions(objects=(2, 2)))
    back, front = scene.objects[0], replace(scene.objects[1], x=scene.objects[0].x, y=scene.objects[0].y)
    alone = draw_scene(replace(scene, objects=(back,)), 120, 120).masks[0]
    both = draw_scene(replace(scene, objects=(back, front)), 120, 120).masks
    assert both[0].sum() < alone.sum()
    assert np.allclose(both[0], alone * (1 - both[1]), atol=1e-5)


def test_a_mask_with_nothing_seen_has_an_empty_box():
    assert boxes_of(np.zeros((1, 5, 5), np.float32)).tolist() == [[0, 0, 0, 0]]
