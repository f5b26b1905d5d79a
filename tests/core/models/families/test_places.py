"""Where image tokens lie: each family's own processor is asked, and held against geometry written down by hand."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pack.api_core.errors import InvalidInput, UnsupportedModel
from pack.api_core.models.conversation.case import PictureLayout
from pack.api_core.models.lvlm.families import FAMILIES, Family, family_of
from pack.api_core.models.lvlm.families import pixel_probe as probe
from pack.api_core.models.lvlm.families.grids import shapes, token_grid
from pack.api_core.models.lvlm.families.pixel_probe import ProbedView
from pack.tests import zoo
from pack.tests.core.models.families.geometry import LAYOUTS

SIZES = [(480, 640), (400, 1000), (640, 480), (911, 37), (21, 18), (1340, 2000)]
PLACED = [name for name in zoo.FAMILIES if name not in zoo.WITHOUT_PLACES]
QUESTION = "Where is the red ball?"


@pytest.fixture(scope="module")
def parts(zoo_folder: Callable[[str], Path]) -> Callable[[str], tuple[Any, Any]]:
    """Processor and configuration of a tiny model, loaded once; who changes them loads their own."""
    return cache(lambda name: fresh(zoo_folder(name)))


def fresh(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoProcessor

    return AutoProcessor.from_pretrained(folder, local_files_only=True), AutoConfig.from_pretrained(folder)


def prompted(processor: Any, config: Any, rows: Sequence[Sequence[tuple[int, int]]], **options: Any) -> Any:
    """What the processor makes of noise pictures of these sizes, a row each."""
    from PIL import Image

    generator = torch.Generator().manual_seed(5)
    images = [
        [Image.fromarray(torch.randint(0, 256, (*size, 3), generator=generator).byte().numpy()) for size in sizes]
        for sizes in rows
    ]
    texts = []
    for sizes in rows:
        content = [*({"type": "image"} for _ in sizes), {"type": "text", "text": QUESTION}]
        if processor.chat_template:
            texts.append(processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False))
        else:
            texts.append("<image>" * len(sizes) + QUESTION)
    padding = {"padding": True, "padding_side": "left"} if len(rows) > 1 else {}
    return processor(text=texts, images=images, return_tensors="pt", **padding, **options)


def places(
    processor: Any, config: Any, sizes: Sequence[tuple[int, int]], **options: Any
) -> tuple[tuple[PictureLayout, ...], torch.Tensor]:
    inputs = prompted(processor, config, [sizes], **options)
    ids = inputs["input_ids"][0]
    return family_of(config).layouts(processor, config, sizes, inputs, ids, options=options), ids


def assert_lies(found: PictureLayout, expected: Sequence[Any], unplaced: int) -> None:
    assert [tuple(grid.tokens.shape) for grid in found.grids] == [tuple(grid[:2]) for grid in expected]
    assert len(found.unplaced) == unplaced
    for grid, (rows, columns, left, top, right, bottom) in zip(found.grids, expected, strict=True):
        across, down = 0.3 + 0.05 * (right - left) / columns, 0.3 + 0.05 * (bottom - top) / rows
        assert (grid.box.left, grid.box.right) == pytest.approx((left, right), abs=across)
        assert (grid.box.top, grid.box.bottom) == pytest.approx((top, bottom), abs=down)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("name", PLACED)
def test_every_token_lies_where_the_picture_was_looked_at(
    name: str, size: tuple[int, int], parts: Callable[[str], tuple[Any, Any]]
) -> None:
    processor, config = parts(name)
    (found,), ids = places(processor, config, [size])
    assert_lies(found, *LAYOUTS[name](config, size, 1))
    assert found.positions.tolist() == (ids == config.image_token_id).nonzero().flatten().tolist()
    assert found.size == size


@pytest.mark.parametrize("name", PLACED)
def test_several_pictures_and_left_padding(name: str, parts: Callable[[str], tuple[Any, Any]]) -> None:
    processor, config = parts(name)
    rows = [[(480, 640), (400, 1000)], [(640, 480)]]
    inputs = prompted(processor, config, rows)
    for sizes, ids, mask in zip(rows, inputs["input_ids"], inputs["attention_mask"], strict=True):
        found = family_of(config).layouts(processor, config, sizes, inputs, ids)
        image_tokens = (ids == config.image_token_id).nonzero().flatten()
        assert torch.equal(torch.cat([picture.positions for picture in found]), image_tokens)
        assert bool((image_tokens >= (mask == 0).sum()).all())
        for picture, size in zip(found, sizes, strict=True):
            assert_lies(picture, *LAYOUTS[name](config, size, len(sizes)))


@pytest.mark.parametrize("name", ["deepseek-vl-hybrid", "llava-onevision"])
def test_cells_of_padding_are_not_valid(name: str, parts: Callable[[str], tuple[Any, Any]]) -> None:
    processor, config = parts(name)
    sizes = [(200, 600), (200, 600)]
    found, _ = places(processor, config, sizes)
    assert found[1].grids[0].valid.tolist() == [[1 < row < 4] * 6 for row in range(6)]
    # A picture thinner than a cell, in the middle between two: still some cell saw it.
    thin, _ = places(processor, config, [(600, 30), (600, 30)])
    assert thin[0].grids[0].valid.any(0).tolist() == [False, False, True, True, False, False]


def test_pan_and_scan_shows_the_whole_and_then_its_parts(parts: Callable[[str], tuple[Any, Any]]) -> None:
    processor, config = parts("gemma3")
    options = {
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 100,
        "pan_and_scan_max_num_crops": 4,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }
    (found,), _ = places(processor, config, [(400, 1000)], **options)
    thirds = [(4, 4, left, 0, min(left + 334, 1000), 400) for left in (0, 334, 668)]
    assert_lies(found, [(4, 4, 0, 0, 1000, 400), *thirds], 0)
    inputs = prompted(processor, config, [[(400, 1000)]], **options)
    with pytest.raises(UnsupportedModel, match="64 image tokens, but its pictures make 16"):
        family_of(config).layouts(processor, config, [(400, 1000)], inputs, inputs["input_ids"][0])


def test_a_wide_picture_is_placed_to_a_part_of_a_pixel(zoo_folder: Callable[[str], Path]) -> None:
    processor, config = fresh(zoo_folder("llava-1.5"))
    processor.image_processor.size = {"shortest_edge": 336}
    processor.image_processor.crop_size = {"height": 336, "width": 336}
    processor.patch_size, config.vision_config.patch_size = 14, 14
    for size in ((1333, 2000), (2000, 1333), (500, 2000)):
        (found,), _ = places(processor, config, [size])
        (grid,) = found.grids
        assert grid.tokens.shape == (24, 24)
        short, long = min(size), max(size)
        wide = int(336 * long / short)
        first, last = ((wide - 336) // 2 + offset for offset in (0, 336))
        edges = (grid.box.left, grid.box.right) if size[1] == long else (grid.box.top, grid.box.bottom)
        assert edges == pytest.approx((first * long / wide, last * long / wide), abs=0.25)


def test_patches_of_a_wide_picture_are_placed_to_a_part_of_a_pixel(zoo_folder: Callable[[str], Path]) -> None:
    processor, config = fresh(zoo_folder("qwen2.5-vl"))
    images = processor.image_processor
    images.size = {"shortest_edge": 64 * 64, "longest_edge": 1000 * 1500}
    if hasattr(images, "max_pixels"):
        images.min_pixels, images.max_pixels = 64 * 64, 1000 * 1500
    prompt = processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}], tokenize=False)
    (view,) = probe.probe_picture(processor, prompt, config.image_token_id, (1333, 2000)).views
    columns = 2 * 93  # 1500 pixels in cells of 16, two patches each
    pairs = view.x.reshape(-1, columns // 2, 2, 2)
    centers = (torch.arange(columns) + 0.5) * 2000 / columns
    assert float((pairs.mean((0, 2)).flatten() - centers).abs().max()) < 0.5


def test_a_side_that_is_no_whole_number_of_patches_is_not_seen_to_its_end(zoo_folder: Callable[[str], Path]) -> None:
    processor, config = fresh(zoo_folder("paligemma"))
    processor.image_processor.size = {"height": 52, "width": 52}
    (found,), _ = places(processor, config, [(520, 1040)])
    assert_lies(found, [(6, 6, 0, 0, 1040 * 48 / 52, 520 * 48 / 52)], 0)


def test_what_is_kept_follows_the_processor(zoo_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    processor, config = fresh(zoo_folder("qwen2-vl"))
    runs = 0
    call = type(processor).__call__

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal runs
        runs += 1
        return call(*args, **kwargs)

    monkeypatch.setattr(type(processor), "__call__", counted)
    (first,), _ = places(processor, config, [(300, 400)])
    once = runs
    (again,), _ = places(processor, config, [(300, 400)])
    assert once > 4
    assert runs == once + 1  # the second time only the prompt itself was made
    assert torch.equal(first.positions, again.positions)
    images = processor.image_processor
    images.size = {"shortest_edge": 6 * 256, "longest_edge": 12 * 256}
    if hasattr(images, "max_pixels"):
        images.max_pixels = 12 * 256
    (smaller,), _ = places(processor, config, [(300, 400)])
    assert smaller.grids[0].tokens.numel() <= 12 < first.grids[0].tokens.numel()


def test_a_picture_of_one_pixel_is_too_small_and_a_few_are_not(parts: Callable[[str], tuple[Any, Any]]) -> None:
    processor, config = parts("qwen2.5-vl")
    with pytest.raises(
        InvalidInput, match=r"1 x 1 pixels \(height x width\) is too small .* Enlarge it to at least 16"
    ):
        places(processor, config, [(1, 1)])
    (found,), _ = places(processor, config, [(3, 5)])
    assert_lies(found, [(2, 4, 0, 0, 5, 3)], 0)


@pytest.mark.parametrize("name", ["aya-vision", "glm4v"])
def test_models_that_no_line_names_are_placed_by_the_generic_family(
    name: str, parts: Callable[[str], tuple[Any, Any]]
) -> None:
    _, config = parts(name)
    assert all(config.model_type not in family.model_types for family in FAMILIES)
    assert type(family_of(config)) is Family


def test_every_listed_family_has_a_tiny_model(parts: Callable[[str], tuple[Any, Any]]) -> None:
    listed = {kind for family in FAMILIES for kind in family.model_types}
    assert len(listed) == sum(len(family.model_types) for family in FAMILIES)
    held = {parts(name)[1].model_type for name in zoo.FAMILIES if zoo.available(name) is None}
    missing = {family.title for family in FAMILIES if not held & set(family.model_types)}
    absent = [name for name in zoo.FAMILIES if zoo.available(name) is not None]
    assert len(missing) == len(absent), f"{missing} have none; this transformers lacks {absent}"


def test_tokens_that_gather_from_everywhere_are_refused(parts: Callable[[str], tuple[Any, Any]]) -> None:
    processor, config = parts("instructblip")
    with pytest.raises(UnsupportedModel, match=r"InstructBLIP.*no place.*still be asked"):
        family_of(config).layouts(processor, config, [(48, 48)], {}, torch.zeros(4, dtype=torch.long))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"is_encoder_decoder": True}, "encoder's memory"),
        ({"perceiver_config": {"latents": 64}}, "perceiver_config"),
        ({"text_config": SimpleNamespace(cross_attention_layers=[3])}, "cross_attention_layers"),
        ({}, "names no image token"),
    ],
)
def test_the_generic_family_refuses_what_it_cannot_place(settings: dict[str, Any], reason: str) -> None:
    config = SimpleNamespace(model_type="novel", **settings)
    with pytest.raises(UnsupportedModel, match=reason):
        family_of(config).layouts(None, config, [(48, 48)], {}, torch.zeros(4, dtype=torch.long))


def test_a_prompt_with_other_tokens_than_its_pictures_make_is_refused(
    parts: Callable[[str], tuple[Any, Any]],
) -> None:
    processor, config = parts("llava-1.5")
    inputs = prompted(processor, config, [[(90, 90)]])
    ids = inputs["input_ids"][0]
    shorter = ids[ids != config.image_token_id]
    with pytest.raises(UnsupportedModel, match="has 0 image tokens, but its pictures make 36"):
        family_of(config).layouts(processor, config, [(90, 90)], inputs, shorter)


def square(side: int) -> ProbedView:
    line = (torch.arange(side) + 0.5) * 10
    return ProbedView(line.repeat(side, 1), line.unsqueeze(1).repeat(1, side), torch.ones(side, side))


def test_tokens_that_make_no_grid_are_refused() -> None:
    with pytest.raises(UnsupportedModel, match="32 image tokens do not lie as a grid over 1 views of 48 x 48"):
        shapes([square(48)], 32, 8)
    flat = ProbedView(*(part.flatten() for part in (square(6).x, square(6).y, square(6).share)))
    with pytest.raises(UnsupportedModel, match="36 patches make 7 image tokens"):
        shapes([flat], 7, None)


def test_a_tile_that_sees_only_the_picture_s_end_is_not_taken_for_all_of_it() -> None:
    view = square(48)
    share = torch.zeros(48, 48)
    share[:9] = 1
    (shape,) = shapes([view], 36, 8)
    grid = token_grid(ProbedView(view.x, view.y + 1000, share), shape, torch.arange(36), (1090, 480))
    assert (grid.box.top, grid.box.bottom) == pytest.approx((1000, 1480), abs=0.5)
    assert grid.valid.any(1).tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize("change", ["flipped", "turned"])
def test_a_processor_that_turns_the_picture_is_refused(change: str) -> None:
    view = square(48)
    x, y = (view.x.flip(1), view.y) if change == "flipped" else (view.y, view.x)
    (shape,) = shapes([view], 36, 8)
    with pytest.raises(UnsupportedModel, match="turns, flips or bends"):
        token_grid(ProbedView(x, y, view.share), shape, torch.arange(36), (480, 480))
