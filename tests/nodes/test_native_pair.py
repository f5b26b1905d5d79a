"""A CLIP_VISION and a CLIP of ComfyUI's own classes as one CLIP: exact, refused where it must be, nothing left."""

import copy
import gc
import json
import re
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.tests import tiny_pairs
from pack.tests.nodes.conftest import HEATMAP
from pack.tests.on_host import ON_REAL_HOST

pytestmark = [
    pytest.mark.both_hosts,
    pytest.mark.skipif(not ON_REAL_HOST, reason="only a real ComfyUI has these models"),
]
NODE = "AttnPromptPairCLIP"
Run = Callable[..., Any]
FIELDS = ("contributions", "rest", "patches", "feature", "contribution_offset", "patch_offset", "neighbours")


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    """As ComfyUI executes nodes."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def tiny() -> Any:
    """The embedded tiny-clip as the library loads it."""
    from pack.api_core.models.clip.load import load_clip

    return load_clip("tiny-clip", precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def halves(nodes: Any, tiny: Any) -> tuple[Any, Any]:
    """The same weights as a CLIP_VISION and a CLIP."""
    return tiny_pairs.tiny_clip_vision(tiny), tiny_pairs.tiny_clip_text(tiny)


def pair(vision: Any, clip: Any) -> Any:
    """The pair, whatever the squares say: drawn weights know no colours."""
    from pack.nodes.native.clip_halves import PictureHalf, text_halves
    from pack.nodes.native.clip_pair import paired

    return paired(PictureHalf(vision), text_halves(clip)[0])


def pictures(side: int, count: int = 2) -> torch.Tensor:
    """[N, 3, side, side] in the 256 levels that ComfyUI rounds to."""
    drawn = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(7))
    return drawn.mul(255).round().div(255)


def nothing_left(vision: Any, clip: Any) -> None:
    for root in (vision.model, clip.cond_stage_model):
        for name, module in root.named_modules():
            assert not module._forward_pre_hooks, name
            assert not module._forward_hooks, name
            assert "forward" not in vars(module), name


class TestATruePair:
    def test_is_the_model_that_the_library_loads(self, halves: Any, tiny: Any, run: Run) -> None:
        (loaded,) = run(NODE, clip_vision=halves[0], clip=halves[1]).args
        texts = ["a red square", "Where is the big blue star, and what is beside it?", "yellow"]
        torch.testing.assert_close(loaded.model.encode_texts(texts), tiny.encode_texts(texts), rtol=0, atol=1e-6)
        seen = pictures(tiny.side)
        for layer in range(tiny.depth):
            own, library = (model.encode_pictures(seen, layer, neighbours=True) for model in (loaded.model, tiny))
            for one, other in zip(own, library, strict=True):
                for name in FIELDS:
                    torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-6)
                    assert not getattr(one, name).is_inference()

    @pytest.mark.parametrize("method", ["decomposition", "patch similarity", "neighbours"])
    @pytest.mark.parametrize("reading", ["precise", "upstream"])
    def test_clip_heatmap_makes_the_same_maps_of_it(
        self, halves: Any, tiny: Any, run: Run, method: str, reading: str
    ) -> None:
        (loaded,) = run(NODE, clip_vision=halves[0], clip=halves[1]).args
        (library,) = run("AttnPromptLoadCLIP", model="tiny-clip", precision="fp32", allow_download=False).args
        image = pictures(tiny.side).movedim(1, -1)
        given = {**HEATMAP, "query": "the red square", "method": method, "reading": reading}
        own, other = (run("AttnPromptCLIPHeatmap", clip=clip, image=image, **given).args for clip in (loaded, library))
        for one, two in zip(own[0].pictures, other[0].pictures, strict=True):
            assert one.parts.keys() == two.parts.keys()
            for name, views in one.parts.items():
                for view, same in zip(views, two.parts[name], strict=True):
                    assert float(same.values.std()) > 1e-5
                    torch.testing.assert_close(view.values, same.values, rtol=0, atol=1e-6)

    def test_a_wide_picture_is_seen_in_squares(self, halves: Any, tiny: Any, run: Run) -> None:
        (loaded,) = run(NODE, clip_vision=halves[0], clip=halves[1]).args
        wide = torch.full((1, 112, 260, 3), 0.5)
        wide[:, 40:72, 200:232] = torch.tensor(tiny_pairs.RED)
        heatmap, presence = run("AttnPromptCLIPHeatmap", clip=loaded, image=wide, query="red square", **HEATMAP).args
        (views,) = (picture.parts["class_token"] for picture in heatmap.pictures)
        best = max(views, key=lambda view: float(view.values[0].max()))
        assert best.box.left + best.box.width > 200
        assert len(views) > 1
        assert presence[0] > 0

    def test_more_squares_than_chance_finds(self, halves: Any) -> None:
        """Turned at random, the space of texts hardly ever passes; as it is, every colour finds its own."""
        from pack.nodes.native import clip_pair

        model = pair(*halves)
        seen = torch.stack([one.feature for one in model.encode_pictures(clip_pair.coloured_squares(model.side))])
        captions = model.encode_texts([clip_pair.CAPTION.format(colour) for colour in clip_pair.COLOURS])
        own = torch.arange(5)
        assert torch.equal((seen @ captions.T).argmax(1), own)
        draw = torch.Generator().manual_seed(0)
        turned = [torch.linalg.qr(torch.randn(128, 128, generator=draw))[0] for _ in range(1000)]
        passed = [int(((seen @ (captions @ turn).T).argmax(1) == own).sum()) for turn in turned]
        assert sum(count >= clip_pair.LEAST_RECOGNISED for count in passed) < 10


class TestAgainstTransformersInFloat64:
    @pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
    def test_maps_of_every_layer_and_what_they_add_up_to(self, nodes: Any, activation: str) -> None:
        vision = tiny_pairs.random_vision(hidden_act=activation)
        model, seen = pair(vision, tiny_pairs.random_text()), pictures(48)
        for layer in range(model.depth):
            exact = tiny_pairs.exact_maps(vision, seen, layer)
            for number, encoding in enumerate(model.encode_pictures(seen, layer)):
                for name in ("contributions", "patches", "feature"):
                    wanted = exact[name][number]
                    assert float(wanted.std()) > 1e-4
                    assert float((getattr(encoding, name) - wanted).abs().max()) < 1e-6, (layer, name)
                assert float((encoding.completes - exact["whole"][number]).abs().max()) < 1e-6, layer

    @pytest.mark.parametrize("name", ["clip_l", "clip_h", "clip_g"])
    def test_texts(self, nodes: Any, name: str) -> None:
        from pack.nodes.native.clip_halves import PictureHalf, text_halves
        from pack.nodes.native.clip_pair import paired

        clip = tiny_pairs.random_text(name)
        (text,) = (found for found in text_halves(clip) if found.name == name)
        model = paired(PictureHalf(tiny_pairs.random_vision()), text)
        texts = ["a red star", "wow! (weights:1.5) and embedding:nothing mean no more than letters", "!!!"]
        part = getattr(clip.cond_stage_model, name)
        wanted = tiny_pairs.exact_texts(name, part, [model.reader.ids([each])[0].tolist() for each in texts])
        assert float((model.encode_texts(texts) - wanted).abs().max()) < 1e-6
        plain = ["a red star", "wow!!!"]
        tokens = [[token for token, _ in clip.tokenize(one)[name[-1]][0]] for one in plain]
        assert model.reader.ids(plain).tolist() == tokens
        (ids,) = model.reader.ids(texts[1:2]).tolist()
        words = getattr(clip.tokenizer, name).tokenizer.decode(ids[1 : ids.index(tiny_pairs.END)])
        assert words.replace(" ", "") == texts[1].replace(" ", "")


class TestTexts:
    def test_long_ones_are_read_in_pieces_and_marks_are_letters(self, nodes: Any) -> None:
        model = pair(tiny_pairs.random_vision(), tiny_pairs.random_text())
        pieces = model.split_text("a red star beside a blue circle, " * 20)
        assert len(pieces) > 1
        assert all(model.reader.fits(piece) for piece in pieces)
        ids = model.reader.ids([model.reader.clean("a <|endoftext|> star")])[0].tolist()
        assert ids.count(tiny_pairs.END) == ids[::-1].index(next(t for t in ids[::-1] if t != tiny_pairs.END))

    def test_neither_clip_skip_nor_options_matter_and_both_stay(self, halves: Any) -> None:
        model, part = pair(*halves), halves[1].cond_stage_model.clip_l
        plain = model.encode_texts(["a red star"])
        part.set_clip_options({"layer": -2, "projected_pooled": False, "execution_device": "meta"})
        options = {name: value for name, value in vars(part).items() if not name.startswith("_")}
        try:
            assert torch.equal(pair(*halves).encode_texts(["a red star"]), plain)
            assert {name: value for name, value in vars(part).items() if not name.startswith("_")} == options
        finally:
            part.reset_clip_options()


class TestWeightsHeldInOtherWays:
    def test_half_precision(self, nodes: Any) -> None:
        vision = tiny_pairs.random_vision()
        vision.model.half()
        self.compare(vision)

    def test_bytes_that_become_numbers_on_the_way(self, nodes: Any) -> None:
        vision = tiny_pairs.random_vision()
        whole = copy.deepcopy(vision.model)
        for number, layer in enumerate(vision.model.vision_model.encoder.layers):
            exact = whole.vision_model.encoder.layers[number].self_attn.out_proj
            layer.self_attn.out_proj = tiny_pairs.in_bytes(exact)
        vision.model.visual_projection = tiny_pairs.in_bytes(whole.visual_projection)
        self.compare(vision, whole)

    def compare(self, vision: Any, whole: Any = None) -> None:
        (encoding,) = pair(vision, tiny_pairs.random_text()).encode_pictures(pictures(48, 1))
        exact = tiny_pairs.exact_maps(vision, pictures(48, 1), 2, whole)
        for name in ("contributions", "patches"):
            assert float((getattr(encoding, name) - exact[name][0]).abs().max()) < 1e-6

    def test_a_patch_shows_and_goes(self, nodes: Any) -> None:
        vision, clip = tiny_pairs.random_vision(), tiny_pairs.random_text()
        patched, patched_clip = copy.copy(vision), clip.clone()
        patched.patcher = vision.patcher.clone()
        names = ("vision_model.encoder.layers.2.self_attn.out_proj.weight", "vision_model.post_layernorm.weight")
        changes = {name: (torch.full_like(vision.model.state_dict()[name], 0.05),) for name in names}
        assert patched.patcher.add_patches(changes, 1.0)
        name = "clip_l.transformer.text_projection.weight"
        assert patched_clip.add_patches({name: (torch.eye(32),)}, 1.0)
        maps, texts = [], []
        for halves in ((vision, clip), (patched, patched_clip), (vision, clip)):
            model = pair(*halves)
            (encoding,) = model.encode_pictures(pictures(48, 1))
            exact = tiny_pairs.exact_maps(vision, pictures(48, 1), 2)  # of the weights as they are now
            assert float((encoding.contributions - exact["contributions"][0]).abs().max()) < 1e-6
            maps.append(encoding.contributions)
            texts.append(model.encode_texts(["a star"]))
        for before, between, after in (maps, texts):
            assert float((between - before).abs().max()) > 1e-4
            assert torch.equal(before, after)


class TestNothingStays:
    def test_features_are_those_of_comfyui(self, halves: Any) -> None:
        vision, clip = halves
        seen = pictures(112)
        before = vision.encode_image(seen.movedim(1, -1))
        conditioning = clip.encode_from_tokens(clip.tokenize("a red star"), return_pooled=True)
        model = pair(vision, clip)
        found = model.encode_pictures(seen, neighbours=True)
        model.encode_texts(["a red star"])
        wanted = before["image_embeds"] / before["image_embeds"].norm(dim=-1, keepdim=True)
        assert torch.equal(torch.stack([encoding.feature for encoding in found]), wanted)
        for name in ("last_hidden_state", "penultimate_hidden_states", "image_embeds"):
            assert torch.equal(vision.encode_image(seen.movedim(1, -1))[name], before[name])
        again = clip.encode_from_tokens(clip.tokenize("a red star"), return_pooled=True)
        assert all(torch.equal(one, other) for one, other in zip(conditioning, again, strict=True))
        nothing_left(vision, clip)

    def test_after_stop_or_an_error(self, halves: Any) -> None:
        class Stop(BaseException):
            pass

        model = pair(*halves)
        (before,) = model.encode_pictures(pictures(112, 1))
        for error in (Stop, RuntimeError):

            def stop(done: int, total: int, error: Any = error) -> None:
                if done >= 2:
                    raise error

            with pytest.raises(error):
                model.encode_pictures(pictures(112, 1), on_progress=stop)
            nothing_left(*halves)
        (after,) = model.encode_pictures(pictures(112, 1))
        assert torch.equal(before.contributions, after.contributions)

    def test_models_and_verdicts_go(self, tiny: Any, run: Run) -> None:
        import comfy.model_management
        from pack.nodes.native import clip_pair

        gc.collect()
        before = len(clip_pair._verdicts)
        halves = tiny_pairs.tiny_clip_vision(tiny), tiny_pairs.tiny_clip_text(tiny)
        loaded = run(NODE, clip_vision=halves[0], clip=halves[1]).args[0]
        loaded.model.encode_pictures(pictures(112, 1))
        assert len(clip_pair._verdicts) == before + 1
        alive = [weakref.ref(halves[0].model), weakref.ref(halves[1].cond_stage_model)]
        comfy.model_management.unload_all_models()
        del halves, loaded
        gc.collect()
        assert [one() for one in alive] == [None, None]
        assert len(clip_pair._verdicts) == before


@pytest.mark.parametrize(
    ("file", "name", "contrast"),
    [
        ("clip_vision_config_vitl.json", "ViT-L-14", 10.0),
        ("clip_vision_config_vitl_336.json", "ViT-L-14-336", 10.0),
        ("clip_vision_config_h.json", "ViT-H-14", 1.0),
        ("clip_vision_config_g.json", "ViT-bigG-14", 1.0),
    ],
)
def test_a_picture_tower_is_called_as_the_catalog_calls_it(nodes: Any, file: str, name: str, contrast: float) -> None:
    """By the sizes in ComfyUI's own table; the masks of OpenAI's get the contrast that suits them."""
    import comfy.clip_vision
    from pack.api_core.models.catalog import mask_defaults
    from pack.nodes.native.clip_halves import PictureHalf

    sizes = json.loads(Path(comfy.clip_vision.__file__).with_name(file).read_text(encoding="utf-8"))
    vision = tiny_pairs.random_vision(num_hidden_layers=sizes["num_hidden_layers"], hidden_size=16)
    vision.config, vision.image_size = sizes, sizes["image_size"]
    half = PictureHalf(vision)
    assert half.name == name
    assert half.tower().grid(half.spec.side, half.spec.side) == (sizes["image_size"] // 14,) * 2
    assert mask_defaults(half.name).contrast == contrast


class TestTheSelfTest:
    def test_its_verdict_is_remembered_for_these_weights(self, tiny: Any, run: Run) -> None:
        vision, clip = tiny_pairs.tiny_clip_vision(tiny), tiny_pairs.tiny_clip_text(tiny)
        looks = []
        vision.model.register_forward_hook(lambda *_: looks.append(1))
        for _ in range(2):
            run(NODE, clip_vision=vision, clip=clip)
            run(NODE, clip_vision=vision, clip=clip.clone())
        once = len(looks)
        assert once == 2  # of five squares four go at once on a CPU
        patched = clip.clone()
        name = "clip_l.transformer.text_projection.weight"
        weight = clip.cond_stage_model.state_dict()[name]
        patched.add_patches({name: (weight.roll(1, 0) - weight,)}, 1.0)
        refused("of 5 coloured pictures recognised", lambda: run(NODE, clip_vision=vision, clip=patched))
        assert len(looks) == 2 * once
        run(NODE, clip_vision=vision, clip=clip)
        refused("of 5 coloured pictures recognised", lambda: run(NODE, clip_vision=vision, clip=patched))
        assert len(looks) == 2 * once

    def test_other_pairs_are_refused(self, halves: Any, tiny: Any, run: Run) -> None:
        vision, clip = halves
        for seed in range(3):
            mixed = tiny_pairs.tiny_clip_text(tiny)
            weight = mixed.cond_stage_model.clip_l.transformer.text_projection.weight
            weight.copy_(weight[torch.randperm(128, generator=torch.Generator().manual_seed(seed))])
            refused(
                r"ViT-8-112 and clip_l do not share a space \([0-3] of 5 coloured pictures recognised\)\. CLIP Vision",
                lambda mixed=mixed: run(NODE, clip_vision=vision, clip=mixed),
            )
        without = tiny_pairs.tiny_clip_text(tiny, projection=False)
        refused("clip_l has no text projection", lambda: run(NODE, clip_vision=vision, clip=without))
        without.cond_stage_model.clip_l.transformer.text_projection.weight.fill_(float("nan"))
        without.patcher.patches_uuid = None  # as another file's
        refused("clip_l has no text projection", lambda: run(NODE, clip_vision=vision, clip=without))
        blind = tiny_pairs.tiny_clip_vision(tiny)
        blind.model.visual_projection.weight.zero_()
        refused("ViT-8-112 has no projection into", lambda: run(NODE, clip_vision=blind, clip=clip))

    def test_widths_and_encoders_that_do_not_fit(self, halves: Any, encoders: Any, run: Run) -> None:
        vision = halves[0]
        says = r"ViT-8-112 and clip_g and clip_l do not share a space \(of 128 numbers\)|clip_l and clip_g do not share"
        refused(says, lambda: run(NODE, clip_vision=vision, clip=tiny_pairs.random_text("clip_g")))
        says = r"This CLIP has no text tower of a CLIP \(Gemma2_2B\)\. CLIP Vision G goes with SDXL's CLIP"
        refused(says, lambda: run(NODE, clip_vision=vision, clip=encoders("gemma2")))

    def test_of_several_text_towers_the_one_that_fits_is_tried(self, nodes: Any, run: Run) -> None:
        says = r"ViT-8-48 and clip_g do not share a space \(\d of 5"
        random = tiny_pairs.random_vision(seed=3), tiny_pairs.random_text("clip_g", seed=4)
        refused(says, lambda: run(NODE, clip_vision=random[0], clip=random[1]))

    @pytest.mark.parametrize(
        ("sizes", "says"),
        [
            ({"model_type": "siglip_vision_model"}, "SigLIP has no text tower in ComfyUI; use Load CLIP"),
            ({"model_type": "siglip2_vision_model", "num_patches": 36}, "SigLIP 2 has no text tower in ComfyUI"),
            (
                {"model_type": "dinov2", "layer_norm_eps": 1e-6, "use_swiglu_ffn": False},
                "DINOv2 has no text tower in ComfyUI",
            ),
        ],
    )
    def test_what_has_no_text_tower(self, halves: Any, run: Run, sizes: Any, says: str) -> None:
        vision = tiny_pairs.random_vision(**sizes)
        refused(says, lambda: run(NODE, clip_vision=vision, clip=halves[1]))

    def test_attention_out_of_sight(self, halves: Any, tiny: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        from comfy.ldm.modules.attention import attention_pytorch

        vision = tiny_pairs.tiny_clip_vision(tiny)
        attention = vision.model.vision_model.encoder.layers[-2].self_attn
        original = attention.forward
        monkeypatch.setattr(attention, "forward", lambda x, mask, function: original(x, mask, attention_pytorch))
        says = r"The attention of ViT-8-112 could not be seen \(compiled, or patched by another pack\?\)"
        refused(says, lambda: run(NODE, clip_vision=vision, clip=halves[1]))


def refused(says: str, work: Callable[[], Any]) -> None:
    from pack.api_core.errors import UnsupportedModel

    with pytest.raises(UnsupportedModel) as caught:
        work()
    assert re.search(says, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
