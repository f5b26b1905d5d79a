"""What the nodes do with what they are given, model and all, without a server."""

import gc
import importlib
import json
import random
import shutil
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pack.api_core.errors import DownloadFailed, InvalidInput, ModelNotFound
from pack.api_core.models.catalog import TRANSFORMERS_CLASSES
from pack.tests.nodes.conftest import HEATMAP, MASK, REGIONS
from pack.tests.on_host import TINY, Run
from pack.tests.promised import some_choices

Image = torch.Tensor


@pytest.mark.both_hosts
def test_a_batch_keeps_every_picture(run: Run, clip: Any, heatmap: Any, image: Image) -> None:
    assert len(heatmap) == 3
    assert {picture.size for picture in heatmap.pictures} == {(40, 56)}
    (mask,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK).args
    assert mask.shape == (3, 40, 56)
    assert mask.dtype == torch.float32
    assert 0 <= float(mask.min()) < float(mask.max()) <= 1
    drawn, _ = run("AttnPromptOverlay", image=image, mask=mask, strength=1.0, style={"style": "fade to grey"}).args
    assert drawn.shape == image.shape
    assert torch.allclose(drawn, image * mask[..., None], atol=1e-5)


def test_batch_of_three_is_three_single_runs(run: Run, clip: Any, heatmap: Any, image: Image) -> None:
    for number in range(3):
        single = run(
            "AttnPromptCLIPHeatmap", clip=clip, image=image[number : number + 1], query="red square", **HEATMAP
        )
        for name, views in single.args[0].pictures[0].parts.items():
            batched = heatmap.pictures[number].parts[name]
            for one, many in zip(views, batched, strict=True):
                assert torch.allclose(one.values, many.values, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2048), (2048, 1), (3, 500)])
def test_odd_sizes_go_all_the_way(run: Run, clip: Any, height: int, width: int) -> None:
    image = torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(2))
    heatmap, _ = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red", **HEATMAP).args
    (mask,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK).args
    assert mask.shape == (2, height, width)
    drawn, _ = run("AttnPromptOverlay", image=image, mask=mask, strength=1.0, style={"style": "fade to grey"}).args
    assert drawn.shape == image.shape
    assert torch.isfinite(drawn).all()
    assert len(run("AttnPromptFindRegions", mask=mask, image=image, **REGIONS).args[0]) == 2
    assert run("AttnPromptView", image=image, map=heatmap).args[0].shape[0] == 2


def test_own_values_are_the_catalogs(run: Run, heatmap: Any) -> None:
    (own,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK).args
    (given,) = run("AttnPromptTuneMask", heatmap=heatmap, **{**MASK, "contrast": 1.0, "smoothing": 3}).args
    assert torch.equal(own, given)
    # The model's own width counts patches, whatever unit is chosen for a width of one's own.
    (pixels,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK, smoothing_unit="pixels").args
    assert torch.equal(pixels, own)
    narrow = {**MASK, "smoothing": 3, "smoothing_unit": "pixels"}
    assert not torch.equal(run("AttnPromptTuneMask", heatmap=heatmap, **narrow).args[0], own)


def test_words_choose_maps(run: Run, heatmap: Any) -> None:
    whole, red, square = (
        run("AttnPromptTuneMask", heatmap=heatmap, **{**MASK, "words": words}).args[0]
        for words in ("", "red", " Square ")
    )
    assert not torch.equal(whole, red)
    assert not torch.equal(red, square)


@pytest.mark.both_hosts
def test_flat_map_warns(run: Run, clip: Any, image: Image, caplog: pytest.LogCaptureFixture) -> None:
    settings = {**HEATMAP, "method": "patch similarity"}
    heatmap, _ = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **settings).args
    result = run("AttnPromptTuneMask", heatmap=heatmap, **{**MASK, "contrast": 0.0})
    assert torch.equal(result.args[0], torch.ones(3, 40, 56))
    assert any("contrast 0" in text for text in result.ui["text"])
    assert "contrast 0" in caplog.text


STYLES = some_choices("AttnPromptOverlay", "style", random.Random(1))


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style["style"])
def test_every_style_changes_the_picture(run: Run, image: Image, style: dict[str, Any]) -> None:
    mask = torch.zeros(1, 40, 56)
    mask[:, 10:20, 10:20] = 1
    drawn, _ = run("AttnPromptOverlay", image=image, mask=mask, strength=1.0, style=style).args
    assert drawn.shape == image.shape
    assert not torch.allclose(drawn, image)
    same, _ = run("AttnPromptOverlay", image=image, mask=mask, strength=0.0, style=style).args
    assert torch.equal(same, image)


@pytest.mark.parametrize("style", [None, {}, {"style": "glitter"}])
def test_unknown_style_is_named(run: Run, image: Image, style: Any) -> None:
    with pytest.raises(InvalidInput, match="outline"):
        run("AttnPromptOverlay", image=image, mask=torch.ones(1, 40, 56), strength=1.0, style=style)


def test_combining_needs_heatmaps(run: Run, heatmap: Any) -> None:
    sources = {"heatmap0": heatmap, "heatmap1": heatmap}
    (combined,) = run("AttnPromptCombineHeatmaps", mode="mean", scale="z-score", heatmaps=sources).args
    assert len(combined) == 3
    with pytest.raises(InvalidInput, match="nothing to combine"):
        run("AttnPromptCombineHeatmaps", mode="mean", scale="z-score", heatmaps={})


def two_squares() -> torch.Tensor:
    mask = torch.zeros(2, 40, 56)
    mask[0, 5:10, 5:10] = 0.9
    mask[0, 20:35, 30:50] = 0.8
    return mask


def test_regions_of_a_batch(run: Run) -> None:
    image = torch.rand(2, 40, 56, 3)
    bboxes, points, crops, crop_masks = run("AttnPromptFindRegions", mask=two_squares(), image=image, **REGIONS).args
    assert [len(found) for found in bboxes] == [2, 0]
    first = bboxes[0][0]
    assert (first["x"], first["y"], first["width"], first["height"]) == (30, 20, 20, 15)
    assert all(isinstance(first[name], int) for name in ("x", "y", "width", "height"))
    assert [len(json.loads(text)) for text in points] == [2, 0]
    assert set(json.loads(points[0])[0]) == {"x", "y"}
    assert [tuple(crop.shape) for crop in crops] == [(1, 15, 20, 3), (1, 5, 5, 3)]
    assert torch.equal(crops[0], image[:1, 20:35, 30:50])
    assert [tuple(mask.shape) for mask in crop_masks] == [(1, 15, 20), (1, 5, 5)]


@pytest.mark.both_hosts
def test_regions_without_a_picture_block_the_crop_only(run: Run) -> None:
    bboxes, points, crop, crop_mask = run("AttnPromptFindRegions", mask=two_squares(), **REGIONS).args
    assert [len(found) for found in bboxes] == [2, 0]
    assert len(points) == 2
    assert "image" in crop.message
    assert [tuple(mask.shape) for mask in crop_mask] == [(1, 15, 20), (1, 5, 5)]


def test_one_mask_serves_all_pictures(run: Run) -> None:
    image = torch.rand(3, 40, 56, 3)
    bboxes, points, crops, _ = run("AttnPromptFindRegions", mask=two_squares()[:1], image=image, **REGIONS).args
    assert [len(found) for found in bboxes] == [2, 2, 2]
    assert len(points) == 3
    assert torch.equal(crops[2], image[1:2, 20:35, 30:50])
    with pytest.raises(InvalidInput, match="2 of 56 x 40"):
        run("AttnPromptFindRegions", mask=two_squares(), image=image, **REGIONS)


@pytest.mark.both_hosts
def test_nothing_found_blocks_both_crops(run: Run) -> None:
    image, mask = torch.rand(2, 40, 56, 3), torch.zeros(2, 40, 56)
    bboxes, points, crop, crop_mask = run("AttnPromptFindRegions", mask=mask, image=image, **REGIONS).args
    assert bboxes == [[], []]
    assert [json.loads(text) for text in points] == [[], []]
    assert "threshold" in crop.message
    assert "threshold" in crop_mask.message


@pytest.mark.both_hosts
def test_a_window_replaces_the_regions_of_each_picture(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    image = torch.rand(2, 40, 56, 3)
    bboxes, points, crops, crop_masks = run(
        "AttnPromptFindRegions", mask=two_squares(), image=image, window=12, **REGIONS | {"threshold": 1.0}
    ).args
    box = bboxes[0][0]
    assert [len(found) for found in bboxes] == [1, 1]
    assert (box["x"], box["y"], box["width"], box["height"]) == (30, 20, 12, 12)
    assert torch.equal(crops[0], image[:1, 20:32, 30:42])
    assert torch.equal(crop_masks[0], two_squares()[:1, 20:32, 30:42])
    assert json.loads(points[0]) == [{"x": 30, "y": 20}]
    assert torch.equal(crops[1], image[1:])  # of a mask that favours no place
    assert "same everywhere" in caplog.text


def test_a_window_of_one_mask_serves_all_pictures_and_may_hold_them_whole(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    image = torch.rand(3, 40, 56, 3)
    bboxes, _, crops, _ = run("AttnPromptFindRegions", mask=two_squares()[:1], image=image, window=100, **REGIONS).args
    assert [(found[0]["width"], found[0]["height"]) for found in bboxes] == [(56, 40)] * 3
    assert torch.equal(torch.cat(crops), image)
    assert caplog.text.count("holds the whole picture of 56 x 40") == 1


@pytest.mark.both_hosts
def test_a_window_of_none_finds_the_regions(run: Run) -> None:
    given = {"mask": two_squares(), "image": torch.rand(2, 40, 56, 3), **REGIONS}
    regions, without = (run("AttnPromptFindRegions", **given, **more).args for more in ({"window": 0}, {}))
    assert regions[:2] == without[:2]
    assert all(torch.equal(one, other) for one, other in zip(regions[2], without[2], strict=True))


@pytest.mark.both_hosts
@pytest.mark.parametrize("kind", ["heatmap", "mask"])
def test_view_shows_every_picture(run: Run, heatmap: Any, image: Image, kind: str) -> None:
    shown = heatmap if kind == "heatmap" else torch.rand(3, 40, 56)
    result = run("AttnPromptView", image=image, map=shown)
    (panel,) = result.args
    assert panel.shape[0] == 3
    assert panel.shape[2] >= 2 * 56
    ui = result.ui if isinstance(result.ui, dict) else result.ui.as_dict()
    assert len(ui["images"]) == 3


@pytest.mark.both_hosts
def test_presence_goes_from_node_to_node(run: Run, clip: Any, image: Image) -> None:
    heatmap, found = run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red square", **HEATMAP).args
    assert len(found) == 3
    assert all(type(one) is float for one in found)
    result = run("AttnPromptView", image=image, map=heatmap)
    ui = result.ui if isinstance(result.ui, dict) else result.ui.as_dict()
    assert list(ui["text"])[:3] == [f"red square: presence {one:.1f}" for one in found]
    (usual,) = run("AttnPromptTuneMask", heatmap=heatmap, **MASK).args
    least = sorted(found)[2]
    result = run("AttnPromptTuneMask", heatmap=heatmap, **{**MASK, "least_presence": max(least, 0.0)})
    for mask, plain, one in zip(result.args[0], usual, found, strict=True):
        expected = plain if one >= max(least, 0.0) else torch.ones_like(plain)
        assert torch.equal(mask, expected)


def test_a_map_that_does_not_say_it_is_left_alone_or_refused_in_words(run: Run, heatmap: Any, image: Image) -> None:
    (combined,) = run("AttnPromptCombineHeatmaps", mode="mean", scale="z-score", heatmaps={"heatmap0": heatmap}).args
    result = run("AttnPromptView", image=image, map=combined)
    assert not any("presence" in text for text in result.ui.get("text", ()))
    with pytest.raises(InvalidInput, match="does not say whether the thing is there"):
        run("AttnPromptTuneMask", heatmap=combined, **{**MASK, "least_presence": 1.0})


def test_view_refuses_another_batch(run: Run, heatmap: Any, image: Image) -> None:
    with pytest.raises(InvalidInput, match="2"):
        run("AttnPromptView", image=image[:2], map=heatmap)


@pytest.mark.both_hosts
class TestLoading:
    def test_two_loaders_share_a_model(self, run: Run, clip: Any) -> None:
        (again,) = run("AttnPromptLoadCLIP", model=TINY, precision="fp32", allow_download=True).args
        assert again is clip
        (other,) = run("AttnPromptLoadCLIP", model=TINY, precision="bf16", allow_download=False).args
        assert other.model.module is not clip.model.module

    def test_model_dies_with_its_socket(self, run: Run) -> None:
        (loaded,) = run("AttnPromptLoadCLIP", model=TINY, precision="fp16", allow_download=False).args
        module = weakref.ref(loaded.model.module)
        del loaded
        gc.collect()
        assert module() is None

    @pytest.mark.parametrize("name", ["someone/else", "clip_vision/../tiny", "/etc", "", "https://example.org/x"])
    def test_other_names_are_refused(self, run: Run, name: str) -> None:
        with pytest.raises(InvalidInput, match="Load CLIP"):
            run("AttnPromptLoadCLIP", model=name, precision="fp32", allow_download=True)

    @pytest.mark.parametrize("kind", [*TRANSFORMERS_CLASSES, "bert"])
    def test_folders_of_every_kind_that_can_be_loaded_are_offered(self, classes: Any, models: Any, kind: str) -> None:
        folder = models / "clip_vision" / f"of-{kind}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": kind}))
        (offered,) = [
            given.options for given in classes["AttnPromptLoadCLIP"].define_schema().inputs if given.id == "model"
        ]
        shutil.rmtree(folder)
        assert (f"clip_vision/of-{kind}" in offered) is (kind != "bert")

    def test_downloads_are_off_unless_asked_for(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(ModelNotFound, match="allow_download"):
            run("AttnPromptLoadCLIP", model="ViT-B-32/openai", precision="fp32", allow_download=False)

    def test_downloads_can_be_ruled_out(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ATTENTION_PROMPTING_NO_DOWNLOADS", "1")
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        with pytest.raises(DownloadFailed, match="ATTENTION_PROMPTING_NO_DOWNLOADS"):
            run("AttnPromptLoadCLIP", model="ViT-B-32/openai", precision="fp32", allow_download=True)

    def test_replaced_files_are_another_model(self, classes: Any, models: Any) -> None:
        node = classes["AttnPromptLoadCLIP"]
        before = node.fingerprint_inputs(model=TINY)
        weights = models / "clip_vision" / "tiny" / "open_clip_model.safetensors"
        weights.touch()
        assert node.fingerprint_inputs(model=TINY) != before
        assert node.fingerprint_inputs(model="tiny-clip") == node.fingerprint_inputs(model="tiny-clip")


@pytest.mark.both_hosts
class TestOnDevice:
    def test_weights_moved_inside_inference_mode_are_made_ordinary(self, run: Run, clip: Any, nodes: Any) -> None:
        from pack.nodes import host

        with torch.inference_mode():
            clip.model.module.to(torch.float64)
            assert all(weight.is_inference() for weight in clip.model.module.parameters())
            host.on_device(clip, 0)
        pixels = torch.rand(1, 3, clip.model.side, clip.model.side, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(clip.model.module.encode_image(pixels).sum(), pixels)
        assert gradient.abs().sum() > 0
        clip.model.module.to(torch.float32)

    def test_tied_weights_stay_tied(self, nodes: Any) -> None:
        from pack.nodes import host

        first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        second.weight = first.weight
        both = torch.nn.Sequential(first, second)
        with torch.inference_mode():
            both.to(torch.float64)
        host._make_ordinary(both)
        assert first.weight is second.weight
        assert not first.weight.is_inference()

    def test_stop_ends_a_heatmap(self, run: Run, clip: Any, image: Image) -> None:
        management = importlib.import_module("comfy.model_management")
        management.interrupt_current_processing(True)
        fresh = image.flip(1) * 0.5  # not encoded before
        with pytest.raises(management.InterruptProcessingException):
            run("AttnPromptCLIPHeatmap", clip=clip, image=fresh, query="red square", **HEATMAP)
        run("AttnPromptCLIPHeatmap", clip=clip, image=fresh, query="red square", **HEATMAP)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"query": " "}, "query"), ({"layer": "99"}, "99"), ({"layer": "x"}, "whole number"), ({"fit": "wide"}, "wide")],
)
def test_mistakes_on_the_heatmap_node(run: Run, clip: Any, image: Image, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run("AttnPromptCLIPHeatmap", **{"clip": clip, "image": image, "query": "red", **HEATMAP, **changes})


def test_picture_with_nan_is_refused(run: Run, clip: Any, image: Image) -> None:
    image[1, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        run("AttnPromptCLIPHeatmap", clip=clip, image=image, query="red", **HEATMAP)


def letters(texts: list[str], context_length: int) -> torch.Tensor:
    """A toy tokenizer: a letter, a token; 1 pads and ends."""
    rows = [[2 + ord(letter) % 50 for letter in text][: context_length - 1] for text in texts]
    return torch.tensor([row + [1] * (context_length - len(row)) for row in rows])


@pytest.mark.both_hosts
def test_towers_that_need_gradients_work_inside_inference_mode(run: Run, nodes: Any, image: Image) -> None:
    """SigLIP's heads are read through a Jacobian, while nodes execute where autograd is off."""
    transformers = pytest.importorskip("transformers")
    from pack.api_core.models.clip import PictureSpec, build_clip
    from pack.nodes import host, sockets
    from pack.tests.tiny import randomise

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.SiglipConfig(
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        text_config={**sizes, "vocab_size": 64, "max_position_embeddings": 16, "projection_size": 32},
    )
    module = randomise(transformers.SiglipModel(config), seed=3).requires_grad_(False)
    model = build_clip(module, library="transformers", name="tiny siglip", preprocess=PictureSpec(32), tokenize=letters)
    loaded = host.hold(lambda: model, sockets.LoadedClip)
    with torch.inference_mode():
        module.to(torch.float64)  # as another node's request for memory would
        module.to(torch.float32)
    heatmap, _ = run("AttnPromptCLIPHeatmap", clip=loaded, image=image, query="red square", **HEATMAP).args
    assert len(heatmap) == 3
    assert all(view.values.std() > 0 for parts in heatmap.pictures[0].parts.values() for view in parts)


def test_a_node_without_inputs_elsewhere_in_a_prompt_is_no_obstacle(nodes: Any) -> None:
    """ComfyUI looks only at nodes that lead to an output; a prompt that is made by hand may hold others."""
    from pack.nodes import host

    prompt = {"1": {"class_type": "Other"}, "2": {"class_type": "Other", "inputs": {"text": ["3", 1]}}}
    graph = SimpleNamespace(get_node=prompt.__getitem__, all_node_ids=lambda: prompt.keys())
    hidden = SimpleNamespace(unique_id="3", dynprompt=graph)
    assert host.is_connected(hidden, 1)
    assert not host.is_connected(hidden, 2)
