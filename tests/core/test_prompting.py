"""Pictures prompted as a whole: the functions of the published package, and `prompt_picture`."""

import gc
import inspect
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pack.api_core.errors import InvalidInput
from pack.api_core.masks import tune
from pack.api_core.models.clip.load import load_clip
from pack.api_core.overlay import BlurStyle, DesaturateStyle, FadeStyle, HeatStyle, OutlineStyle, Style
from pack.api_core.pictures import to_picture
from pack.api_core.prompting import clip_api, llava_api, model_cache, names_lvlm, prompt_picture, release
from pack.tests import zoo
from pack.tests.tiny import tiny_clip_folder
from PIL import Image

pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip_folder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.folder("llava-1.5", tmp_path_factory.mktemp("zoo"))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    release()
    yield
    release()


def image(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize("function", [clip_api, llava_api])
def test_the_published_signature_still_fits(function: object) -> None:
    names = list(inspect.signature(function).parameters)[:9]
    assert names == [
        "images",
        "queries",
        "model_name",
        "batch_size",
        "layer_index",
        "enhance_coe",
        "kernel_size",
        "interpolate_method_name",
        "grayscale",
    ]


@pytest.mark.parametrize("reading", ["precise", "upstream"])
def test_pictures_come_back_as_rgb_of_their_sizes(folder: Path, tmp_path: Path, reading: str) -> None:
    image(50, 30).save(tmp_path / "one.png")
    sources = [
        tmp_path / "one.png",
        str(tmp_path / "one.png"),
        image(20, 70, "L"),
        image(33, 33, "RGBA"),
        image(9, 9, "P"),
    ]
    prompted = clip_api(sources, "the red circle", folder, 8, 2, 5, 3, "BICUBIC", 200, reading=reading)
    assert [one.size for one in prompted] == [(50, 30), (50, 30), (20, 70), (33, 33), (9, 9)]
    assert {one.mode for one in prompted} == {"RGB"}
    assert prompted[0].tobytes() == prompted[1].tobytes()


def test_one_picture_may_come_without_a_list(folder: Path) -> None:
    single = clip_api(image(20, 20), "red", folder)
    assert single[0].tobytes() == clip_api([image(20, 20)], ["red"], folder)[0].tobytes()
    assert clip_api([], "red", folder) == []


def test_upstream_is_the_official_blend_of_the_official_mask(folder: Path) -> None:
    from pack.api_core.attribution import clip_heatmap

    source = image(60, 40)
    heatmap = clip_heatmap(load_clip(folder), [source], "red", reading="upstream", words=False)
    mask = (
        tune(heatmap, contrast=5, smoothing=3, interpolation="LANCZOS").masks[0].numpy().astype(np.float64)[..., None]
    )
    expected = np.trunc(np.asarray(source) * mask + (1 - mask) * 100)
    prompted = clip_api(source, "red", folder, enhance_coe=5, kernel_size=3, grayscale=100, reading="upstream")
    assert np.abs(np.asarray(prompted[0], dtype=np.float64) - expected).max() <= 1


def test_upstream_ignores_the_camera_s_rotation_and_precise_does_not(folder: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image(50, 30).save(tmp_path / "turned.jpg", exif=exif)
    assert clip_api(tmp_path / "turned.jpg", "red", folder, reading="upstream")[0].size == (50, 30)
    assert clip_api(tmp_path / "turned.jpg", "red", folder)[0].size == (30, 50)


def test_batches_do_not_change_the_result(folder: Path) -> None:
    sources = [image(30, 40, seed=seed) for seed in range(5)]
    one_by_one = [clip_api(source, "red", folder)[0] for source in sources]
    release()
    together = clip_api(sources, "red", folder, batch_size=2)
    for one, other in zip(one_by_one, together, strict=True):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_the_model_is_kept_until_released(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[object] = []

    def load(*arguments: object, **options: object) -> object:
        loads.append(arguments)
        return load_clip(*arguments, **options)

    monkeypatch.setattr(model_cache, "load_clip", load)
    clip_api(image(20, 20), "red", folder)
    clip_api(image(20, 20), "blue", folder)
    prompt_picture(image(20, 20), "blue", model=folder)
    assert len(loads) == 1
    gone = weakref.ref(model_cache._cached[1].module)
    release()
    gc.collect()
    assert gone() is None
    clip_api(image(20, 20), "red", folder)
    clip_api(image(20, 20), "red", folder, precision="bf16")
    assert len(loads) == 3


def test_prompt_picture_gives_the_picture_and_how_it_came_about(folder: Path) -> None:
    source = to_picture(image(60, 40))
    result = prompt_picture(source, "the red circle", model=load_clip(folder), contrast=2, smoothing=1)
    assert result.picture.shape == (40, 60, 3)
    assert result.mask.shape == (40, 60)
    assert torch.allclose(result.picture, source * result.mask.unsqueeze(-1), atol=1e-6)
    assert result.to_pil().size == (60, 40)
    assert result.heatmap.pictures[0].labels[0].text == "the red circle"
    word = prompt_picture(source, "the red circle", model=load_clip(folder), words=["red"])
    assert not torch.equal(word.mask, result.mask)
    heat = prompt_picture(source, "the red circle", model=load_clip(folder), style=HeatStyle())
    assert not torch.equal(heat.picture, result.picture)


@pytest.mark.parametrize("reading", ["precise", "upstream"])
@pytest.mark.parametrize("size", [(1, 1), (1, 16384), (16384, 1)])
def test_pictures_of_extreme_sizes_become_prompted_ones(folder: Path, size: tuple[int, int], reading: str) -> None:
    for colors in (torch.zeros(*size, 3), torch.rand(*size, 3)):
        result = prompt_picture(colors, "red", model=folder, reading=reading)
        assert result.picture.shape == (*size, 3)
        assert bool(torch.isfinite(result.picture).all())
        assert 0 <= float(result.mask.min()) <= float(result.mask.max()) <= 1
        assert result.warnings == ()


def test_a_map_that_says_nothing_leaves_the_picture_and_says_so(folder: Path) -> None:
    model = load_clip(folder)
    with torch.no_grad():  # a tower that puts the same of everything everywhere
        for weight in model.module.visual.parameters():
            weight.zero_()
        model.module.visual.ln_post.bias.fill_(1)
        model.module.visual.proj.fill_(0.1)
    source = to_picture(image(40, 40))
    result = prompt_picture(source, "red", model=model)
    assert torch.equal(result.picture, source)
    assert "same everywhere" in result.warnings[0]


@pytest.mark.parametrize("reading", ["precise", "upstream"])
@pytest.mark.parametrize("style", [FadeStyle(), BlurStyle(2.0), DesaturateStyle(), HeatStyle(), OutlineStyle()])
def test_what_a_caller_has_switched_on_changes_nothing(folder: Path, style: Style, reading: str) -> None:
    """Autocast, inference mode and a seed belong to the caller: they neither reach the result nor are touched by it."""
    source = to_picture(image(64, 40))

    def prompt() -> torch.Tensor:
        return prompt_picture(source, "the red circle", model=load_clip(folder), style=style, reading=reading).picture

    torch.manual_seed(5)
    before = torch.get_rng_state()
    wanted = prompt()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(prompt(), wanted)
    with torch.inference_mode():
        assert torch.equal(prompt(), wanted)
    torch.manual_seed(6)
    assert torch.equal(prompt(), wanted)


def test_a_second_time_gives_the_same_whatever_came_between(folder: Path) -> None:
    model = load_clip(folder)
    source = to_picture(image(64, 40))
    first = prompt_picture(source, "the red circle", model=model)
    prompt_picture(source, "a blue square", model=model)
    prompt_picture(to_picture(image(40, 64, seed=1)), "the red circle", model=model)
    assert torch.equal(prompt_picture(source, "the red circle", model=model).picture, first.picture)


def test_what_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:500])
    for reading in ("precise", "upstream"):
        with pytest.raises(InvalidInput, match="nowhere"):
            clip_api("nowhere.png", "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match=r"note\.txt"):
            clip_api(tmp_path / "note.txt", "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match=r"cut\.png.*cut short or damaged"):
            clip_api(tmp_path / "cut.png", "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match="cut short, damaged"):
            clip_api(Image.open(tmp_path / "cut.png"), "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match="is a folder"):
            clip_api(tmp_path, "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match="is an address"):
            clip_api("https://example.org/a.png", "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match="no path of a file"):
            clip_api("x" * 5000, "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match="no pixels"):
            clip_api(Image.new("RGB", (0, 4)), "red", folder, reading=reading)
        with pytest.raises(InvalidInput, match="empty"):
            clip_api(image(9, 9), " ", folder, reading=reading)
    with pytest.raises(InvalidInput, match="256"):
        clip_api(image(9, 9), "red", folder, grayscale=256)


@pytest.mark.parametrize("reading", ["precise", "upstream"])
def test_pictures_are_prompted_by_an_lvlm_too(llava: Path, tmp_path: Path, reading: str) -> None:
    image(50, 30).save(tmp_path / "one.png")
    sources = [tmp_path / "one.png", image(20, 70, "L"), image(33, 33, "RGBA")]
    settings = {"grayscale": 200, "reading": reading, "max_new_tokens": 3}
    prompted = llava_api(sources, "where is the red circle?", llava, 2, 1, 5, 3, "BICUBIC", **settings)
    assert [one.size for one in prompted] == [(50, 30), (20, 70), (33, 33)]
    assert {one.mode for one in prompted} == {"RGB"}
    alone = llava_api(sources[0], ["where is the red circle?"], llava, 1, 1, 5, 3, "BICUBIC", **settings)
    assert np.abs(np.asarray(alone[0]).astype(int) - np.asarray(prompted[0])).max() <= 1
    other = llava_api(sources[0], "where is the red circle?", llava, 1, 1, 5, 3, "BICUBIC", answers="blue", **settings)
    assert other[0].tobytes() != alone[0].tobytes()
    assert llava_api([], "red", llava) == []
    with pytest.raises(InvalidInput, match="256"):
        llava_api(image(9, 9), "red", llava, grayscale=256)


def test_prompt_picture_takes_either_kind_of_model_by_its_folder(folder: Path, llava: Path) -> None:
    assert names_lvlm(llava)
    assert names_lvlm("tiny-lvlm")
    assert not names_lvlm(folder)
    assert not names_lvlm("tiny-clip")
    source = to_picture(image(60, 40))
    result = prompt_picture(source, "where is it?", model=llava, answer="a red star", layer=[1, 2], contrast=2)
    assert result.answer == "a red star"
    assert [label.text for label in result.heatmap.pictures[0].labels[-3:]] == ["a", "red", "star"]
    assert torch.allclose(result.picture, source * result.mask.unsqueeze(-1), atol=1e-6)
    word = prompt_picture(source, "where is it?", model=llava, answer="a red star", layer=[1, 2], hint_words=["star"])
    again = prompt_picture(source, "where is it?", model=llava, answer="a red star", layer=[1, 2], words=["star"])
    assert torch.equal(word.mask, again.mask)
    assert not torch.equal(word.mask, result.mask)
    said = prompt_picture(source, "where is it?", model=llava, max_new_tokens=2)
    assert said.answer is not None
    assert prompt_picture(source, "red", model=folder, layer=[1]).answer is None


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("lvlm", {"fit": "crops"}, "fit is for a CLIP"),
        ("lvlm", {"neutral_text": "a photo"}, "neutral_text is for a CLIP"),
        ("lvlm", {"method": "decomposition"}, "no LVLM method 'decomposition'"),
        ("clip", {"answer": "red"}, "answer is for a vision-language model"),
        ("clip", {"hint_words": ["red"]}, "hint_words is for a vision-language model"),
        ("clip", {"layer": [1, 2]}, "read at one layer"),
        ("clip", {"method": "gradient"}, "no method 'gradient'"),
    ],
)
def test_what_belongs_to_the_other_kind_is_refused(
    kind: str, options: dict[str, object], said: str, folder: Path, llava: Path
) -> None:
    with pytest.raises(InvalidInput, match=said):
        prompt_picture(image(20, 20), "red", model=llava if kind == "lvlm" else folder, **options)


def test_one_model_is_kept_whatever_its_kind(folder: Path, llava: Path) -> None:
    prompt_picture(image(20, 20), "red", model=llava, answer="red")
    first = weakref.ref(model_cache._cached[1].module)
    prompt_picture(image(20, 20), "blue", model=llava, answer="red")
    assert model_cache._cached[1].module is first()
    prompt_picture(image(20, 20), "red", model=folder)
    gc.collect()
    assert first() is None
