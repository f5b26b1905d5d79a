"""Encoders of ComfyUI's own: what reading leaves behind (nothing), weights held in other ways, and what is refused."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pack.tests import tiny_encoders
from pack.tests.nodes.conftest import ASK, EXPLAIN, LVLM_HEATMAP
from pack.tests.nodes.test_native_encoders import (
    QUESTION,
    a_case,
    a_picture,
    compare_with_float64,
    nothing_left,
    probabilities,
    rows_of,
    wrapped,
)
from pack.tests.on_host import ON_REAL_HOST

pytestmark = [
    pytest.mark.both_hosts,
    pytest.mark.skipif(not ON_REAL_HOST, reason="only a real ComfyUI has these encoders"),
]
KINDS = ("qwen3vl", "gemma3_4b", "gemma4_e2b")  # that hand the function over, with windows, that look it up
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


class TestWeightsHeldInOtherWays:
    @pytest.mark.parametrize("make", [tiny_encoders.in_fp8, tiny_encoders.in_bytes])
    def test_quantised_ones_are_read_like_others(self, nodes: Any, make: Any) -> None:
        clip = make("qwen3vl")
        compare_with_float64("qwen3vl", clip)
        model = wrapped(clip)
        prepared = model.prepare([a_case()])
        generating = rows_of(model, prepared)
        again = rows_of(model, prepared, generating.reply)
        for layer, kept in generating.answer.items():
            assert torch.allclose(probabilities(kept), probabilities(again.answer[layer]), atol=1e-6)

    def test_a_patch_shows_and_goes(self, encoders: Any) -> None:
        clip = encoders("qwen3vl")
        patched = clip.clone()
        name = "qwen3vl_4b.transformer.model.layers.2.self_attn.q_proj.weight"
        weight = clip.cond_stage_model.state_dict()[name]
        change = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)) * 0.3
        assert patched.add_patches({name: (change,)}, 1.0)
        reply = wrapped(clip).reply_of_text("a red star")
        found = []
        for one in (clip, patched, clip):
            model = wrapped(one)
            found.append(probabilities(rows_of(model, model.prepare([a_case()]), reply, [2]).answer[2]))
            compare_with_float64("qwen3vl", one)
        before, with_patch, after = found
        assert (with_patch - before).abs().max() > 1e-3
        assert torch.allclose(before, after, atol=1e-6)


class TestNothingStays:
    @pytest.mark.parametrize("kind", KINDS)
    def test_after_stop_or_an_error_in_the_midst_of_an_answer(self, kind: str, encoders: Any) -> None:
        class Stop(BaseException):
            pass

        clip = encoders(kind)
        model = wrapped(clip)
        prepared = model.prepare([a_case()])
        before = rows_of(model, prepared)
        for error in (Stop, RuntimeError):

            def stop(done: int, total: int, error: Any = error) -> None:
                if done >= 2:
                    raise error

            with pytest.raises(error), model.reading((1,), lambda layer, call, proceed: proceed()):
                model.generate(prepared, max_new_tokens=6, on_progress=stop)
            nothing_left(clip)
            with pytest.raises(error), model.reading((1,), failing(error)):
                model.read_once(prepared, [before.reply])
            nothing_left(clip)
        after = rows_of(model, prepared)
        assert after.reply == before.reply
        assert torch.equal(after.answer[1][0], before.answer[1][0])

    def test_two_nodes_and_two_clones_share_a_module(self, encoders: Any, run: Run) -> None:
        clip = encoders("qwen3vl")
        image = a_picture()[None]
        one, two = (
            run("AttnPromptLVLMHeatmap", lvlm=own, image=image, question=QUESTION, **LVLM_HEATMAP).args
            for own in (clip, clip.clone())
        )
        assert one[1] == two[1]
        first, second = (made[0].pictures[0].parts["attention"][0].values for made in (one, two))
        assert torch.equal(first, second)
        nothing_left(clip)

    def test_core_encodes_as_before(self, encoders: Any, run: Run) -> None:
        clip = encoders("qwen25vl")
        tokens = clip.tokenize("a red star", images=[a_picture()[None]])
        before = clip.encode_from_tokens(tokens)
        run(
            "AttnPromptLVLMHeatmap",
            lvlm=clip,
            image=a_picture()[None],
            question=QUESTION,
            answer="a red star",
            **LVLM_HEATMAP,
        )
        assert torch.equal(clip.encode_from_tokens(tokens), before)


def failing(error: type[BaseException]) -> Any:
    def read(layer: int, call: Any, proceed: Any) -> Any:
        raise error

    return read


class TestAttentionThatCannotBeSeen:
    def bypass(self, clip: Any, monkeypatch: pytest.MonkeyPatch, only_steps: bool) -> None:
        """Have the second layer's attention call its kernel itself: in steps of decoding, or always."""
        from comfy.ldm.modules.attention import attention_pytorch

        attention = clip.cond_stage_model.qwen3vl_4b.transformer.model.layers[1].self_attn
        original = attention.forward

        def forward(hidden_states: torch.Tensor, optimized_attention: Any = None, **more: Any) -> Any:
            own = attention_pytorch if hidden_states.shape[1] == 1 or not only_steps else optimized_attention
            return original(hidden_states, optimized_attention=own, **more)

        monkeypatch.setattr(attention, "forward", forward)

    def test_steps_out_of_sight_are_read_in_a_second_pass(self, encoders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        model = wrapped(encoders("qwen3vl"))
        prepared = model.prepare([a_case()])
        wanted = rows_of(model, prepared)
        self.bypass(encoders("qwen3vl"), monkeypatch, only_steps=True)
        found = rows_of(model, prepared)
        assert found.reply == wanted.reply
        assert torch.allclose(probabilities(found.answer[1]), probabilities(wanted.answer[1]), atol=1e-6)

    def test_a_layer_that_is_never_seen_is_refused(self, encoders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from pack.api_core.errors import UnsupportedModel

        model = wrapped(encoders("qwen3vl"))
        prepared = model.prepare([a_case()])
        self.bypass(encoders("qwen3vl"), monkeypatch, only_steps=False)
        with pytest.raises(UnsupportedModel, match=r"could not be seen in layer 1 \(compiled, or patched"):
            rows_of(model, prepared)
        monkeypatch.undo()
        nothing_left(encoders("qwen3vl"))

    def test_tokens_picked_out_of_sight_are_scored_afterwards(
        self, encoders: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = wrapped(encoders("qwen3vl"))
        prepared = model.prepare([a_case()])
        (wanted,) = model.generate(prepared, max_new_tokens=4)
        monkeypatch.setattr("pack.nodes.native.passes.PICKING", "no_such_method")
        (found,) = model.generate(prepared, max_new_tokens=4)
        assert found == wanted
        assert found.confidence == pytest.approx(wanted.confidence, rel=1e-4)

    def test_another_number_of_tokens_is_refused(self, encoders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from pack.api_core.errors import UnsupportedModel

        model = wrapped(encoders("qwen3vl"))
        prepared = model.prepare([a_case()])
        transformer = model._encoder.transformer
        original = transformer.preprocess_embed

        def fewer(embed: Any, device: Any) -> Any:
            found, extra = original(embed, device)
            return found[:-1], extra

        monkeypatch.setattr(transformer, "preprocess_embed", fewer)
        with pytest.raises(UnsupportedModel, match=r"made \d+ tokens of a prompt for qwen3vl_4b that should have"):
            rows_of(model, prepared)


class TestRefusals:
    def heatmap(self, run: Run, clip: Any, **more: Any) -> Any:
        given = {**LVLM_HEATMAP, **more}
        return run("AttnPromptLVLMHeatmap", lvlm=clip, image=a_picture()[None], question=QUESTION, **given)

    def refused(self, says: str, work: Callable[[], Any]) -> None:
        from pack.api_core.errors import AttentionPromptingError

        with pytest.raises(AttentionPromptingError) as caught:
            work()
        assert re.search(says, str(caught.value)), str(caught.value)
        assert "\n" not in str(caught.value)

    def test_an_encoder_without_eyes(self, encoders: Any, run: Run) -> None:
        says = r"text encoder without eyes \(Gemma2_2B\)\. Connect a vision-language one"
        self.refused(says, lambda: self.heatmap(run, encoders("gemma2")))
        self.refused(
            says,
            lambda: run("AttnPromptAsk", model=encoders("gemma2"), image=a_picture()[None], question=QUESTION, **ASK),
        )

    @pytest.mark.parametrize(
        ("kind", "says"),
        [
            ("qwen25vl", "cannot let this Qwen2.5-VL answer: the file's output head is not loaded"),
            ("joyimage", r"Loaded as JoyImageClipModel this encoder answers without knowing where .*stable_diffusion"),
        ],
    )
    def test_encoders_that_cannot_answer_are_read_and_not_asked(
        self, kind: str, says: str, encoders: Any, run: Run
    ) -> None:
        clip, image = encoders(kind), a_picture()[None]
        self.refused(says, lambda: run("AttnPromptAsk", model=clip, image=image, question=QUESTION, **ASK))
        self.refused(
            says,
            lambda: run(
                "AttnPromptExplain",
                lvlm=clip,
                image=image,
                question=QUESTION,
                **{**EXPLAIN, "method": {"method": "rise"}},
            ),
        )
        (picture,) = self.heatmap(run, clip).args[0].pictures
        assert re.search(says, picture.warnings[0])
        assert [label.text for label in picture.labels] == [
            "Where is the red star",
            *("Where", "is", "the", "red", "star"),
        ]
        (few,) = self.heatmap(run, clip, method="few heads").args[0].pictures
        assert few.labels == picture.labels
        assert float(few.parts["attention"][0].values[1:].min(0).values.max()) > 0
        (given,) = self.heatmap(run, clip, answer="a star").args[0].pictures
        assert [label.text for label in given.labels if label.role == "answer word"] == ["a", "star"]
        assert not given.warnings

    def test_gradients_second_passes_and_the_upstream_reading(self, encoders: Any, run: Run) -> None:
        clip, image = encoders("qwen3vl"), a_picture()[None]
        for name in ("igos+", "igos++", "grad-cam", "gradient x input", "attention x gradient"):
            given = {**EXPLAIN, "method": {"method": name}}
            self.refused(
                re.escape(name) + ": it needs gradients, which weights loaded by ComfyUI do not give",
                lambda given=given: run("AttnPromptExplain", lvlm=clip, image=image, question=QUESTION, **given),
            )
        self.refused("method gradient: it needs gradients", lambda: self.heatmap(run, clip, method="gradient"))
        self.refused("Choose precise", lambda: self.heatmap(run, clip, reading="upstream"))
        for name in ("AvisC", "VCD", "M3ID"):
            given = {**ASK, "decoding": {"decoding": name}}
            self.refused(
                f"decoding {name}: it reads the prompt twice for every word",
                lambda given=given: run("AttnPromptAsk", model=clip, image=image, question=QUESTION, **given),
            )
        nothing_left(clip)

    def test_layers_without_attention(self, encoders: Any, run: Run) -> None:
        self.refused("Layer 0 of qwen35_2b has no attention", lambda: self.heatmap(run, encoders("qwen35"), layers="0"))
        self.refused("has no layer 9", lambda: self.heatmap(run, encoders("qwen35"), layers="9"))
