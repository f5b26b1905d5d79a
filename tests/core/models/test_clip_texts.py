"""Texts: nothing is cut or misread silently, and a short context gives the same features."""

from pathlib import Path

import pytest
import torch
from pack.api_core.errors import Cancelled, InvalidInput
from pack.api_core.models.clip import ClipModel, PictureSpec, build_clip
from pack.api_core.models.clip import model as clip_model
from pack.tests.tiny import tiny_clip_module, tiny_tokenizer

pytest.importorskip("open_clip")

LONG = "The red circle. The blue one is left of it! Is the red one right of the blue one? " * 2


@pytest.fixture
def model(tmp_path: Path) -> ClipModel:
    return build_clip(
        tiny_clip_module(),
        library="open_clip",
        name="tiny",
        preprocess=PictureSpec(48),
        tokenize=tiny_tokenizer(tmp_path),
    )


def plain(model: ClipModel, texts: list[str]) -> torch.Tensor:
    with torch.no_grad():
        ids = model.reader.tokenize(texts, model.text_tower.context_length)
        return model.module.encode_text(ids, normalize=True)


def test_a_cropped_context_gives_the_same(model: ClipModel) -> None:
    texts = ["red", "the blue circle", "a", "red " * 22, "the red circle above the blue"]
    torch.testing.assert_close(model.encode_texts(texts), plain(model, texts), rtol=0, atol=1e-6)


def test_a_cropped_context_is_really_cropped(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    inner = model.text_tower.encode
    object.__setattr__(model.text_tower, "encode", lambda ids: lengths.append(ids.shape[1]) or inner(ids))
    model.encode_texts(["red", "blue"])
    assert lengths == [4]


def test_the_order_of_texts_does_not_matter(model: ClipModel) -> None:
    texts = ["red", "the blue circle and the red one", "blue"]
    forth = model.encode_texts(texts)
    model._texts.clear()
    back = model.encode_texts(texts[::-1])
    torch.testing.assert_close(forth, back.flip(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(forth.norm(dim=1), torch.ones(3))


def test_a_long_text_is_split_at_sentences_and_nothing_is_lost(model: ClipModel) -> None:
    pieces = model.split_text(LONG)
    assert len(pieces) > 2
    assert " ".join(pieces) == model.reader.clean(LONG)
    assert all(piece[-1] in ".!?" for piece in pieces)
    assert all(model.reader.fits(piece) for piece in pieces)
    merged = plain(model, pieces).mean(dim=0)
    torch.testing.assert_close(model.encode_texts([LONG])[0], merged / merged.norm(), rtol=0, atol=1e-6)


def test_a_long_sentence_is_split_between_words_and_a_long_word_inside(model: ClipModel) -> None:
    words = model.split_text("red " * 50)
    assert [len(piece.split()) for piece in words] == [22, 22, 6]
    letters = model.split_text("z" * 60)
    assert "".join(letters) == "z" * 60
    assert all(model.reader.fits(piece) for piece in letters)


def test_cut_keeps_the_beginning_as_the_official_code_does(model: ClipModel) -> None:
    torch.testing.assert_close(model.encode_texts([LONG], cut=True), plain(model, [LONG]), rtol=0, atol=1e-6)
    assert (model.encode_texts([LONG], cut=True) - model.encode_texts([LONG])).abs().max() > 1e-3


@pytest.mark.parametrize(
    "literal", ["<end_of_text>", "<END_OF_TEXT>", "&lt;end_of_text&gt;", "&amp;amp;lt;end_of_text>"]
)
def test_a_literal_special_token_is_only_text(literal: str, model: ClipModel) -> None:
    reader = model.reader
    ids = reader.ids([reader.clean(f"red {literal} blue")])[0].tolist()
    assert ids.count(523) == 1
    assert 516 in ids, "the word after the literal is still read"
    with_it = model.encode_texts([f"red {literal} blue"])
    assert (with_it - model.encode_texts(["red"])).abs().max() > 1e-3


@pytest.mark.parametrize("blank", ["", "  \n", "&nbsp;"])
def test_an_empty_text_is_an_error(blank: str, model: ClipModel) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        model.encode_texts(["red", blank])


def test_no_texts_are_an_error(model: ClipModel) -> None:
    with pytest.raises(InvalidInput, match="no text"):
        model.encode_texts([])


def test_features_are_remembered_within_bounds(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    inner = model.text_tower.encode
    object.__setattr__(model.text_tower, "encode", lambda ids: calls.append(len(ids)) or inner(ids))
    first = model.encode_texts(["red", "blue", "red"])
    assert torch.equal(first, model.encode_texts(["red", "blue", "red"]))
    assert calls == [2]
    monkeypatch.setattr(clip_model, "REMEMBERED_TEXTS", 3)
    model.encode_texts(["a", "an", "the", "circle"])
    assert len(model._texts) == 3
    model.module.to(torch.float64)
    model.encode_texts(["circle"])
    assert len(calls) == 3, "weights of another precision are another model"


def test_context_that_follows_the_text_is_not_cropped_where_it_counts(tmp_path: Path) -> None:
    """SigLIP's kind: no causal mask, read at the last place."""
    from open_clip.model import CustomTextCLIP
    from pack.tests.tiny import TINY_CLIP, randomise

    text = {**TINY_CLIP["text_cfg"], "no_causal_mask": True, "pool_type": "last"}
    module = randomise(CustomTextCLIP(32, dict(TINY_CLIP["vision_cfg"]), text))
    other = build_clip(
        module, library="open_clip", name="last", preprocess=PictureSpec(48), tokenize=tiny_tokenizer(tmp_path)
    )
    assert not other.text_tower.croppable
    torch.testing.assert_close(other.encode_texts(["red"]), plain(other, ["red"]), rtol=0, atol=1e-6)
    causal = randomise(CustomTextCLIP(32, dict(TINY_CLIP["vision_cfg"]), dict(TINY_CLIP["text_cfg"])))
    other = build_clip(
        causal, library="open_clip", name="causal", preprocess=PictureSpec(48), tokenize=tiny_tokenizer(tmp_path)
    )
    assert other.text_tower.croppable
    torch.testing.assert_close(other.encode_texts(["red"]), plain(other, ["red"]), rtol=0, atol=1e-6)


def test_preprocessing_facts_are_read_from_open_clip() -> None:
    spec = PictureSpec.from_open_clip(
        {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash", "fill_color": 255}, side=64
    )
    assert spec == PictureSpec(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", "squash", 1.0)
    torch.testing.assert_close(
        spec.normalise(torch.tensor([0.0, 1.0]).repeat(1, 3, 1, 1)).unique(), torch.tensor([-1.0, 1.0])
    )
    with pytest.raises(InvalidInput, match="stretchy"):
        PictureSpec(64, resize_mode="stretchy")  # type: ignore[arg-type]


def test_a_long_text_is_tokenised_in_parts_and_one_beyond_the_limit_is_refused(model: ClipModel) -> None:
    read = 0
    own = model.reader.tokenize

    def counted(texts: list[str], context_length: int) -> torch.Tensor:
        nonlocal read
        read += sum(map(len, texts))
        return own(texts, context_length)

    for text in ("the red star beside it. " * 600, "z" * 10_000):
        read = 0
        model.reader.tokenize = counted
        try:
            pieces = model.split_text(text)
        finally:
            model.reader.tokenize = own
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(model.reader.fits(piece) for piece in pieces)
        assert read < 400 * len(text), "what is left is read again for every piece"
    with pytest.raises(
        InvalidInput, match=r"24,000 characters.*at most 20,000.*'red star red .*…'.*Write what"
    ) as told:
        model.split_text("red star " * 2666 + "red st")
    assert len(str(told.value)) < 400


def test_a_long_text_is_stopped_between_its_pieces_and_split_once(model: ClipModel) -> None:
    reader = model.reader
    text = "the red star is near the blue square, " * 200
    seen: list[tuple[int, int]] = []
    pieces = reader.split(text, lambda *step: seen.append(step))
    assert len(pieces) == len(seen) > 50
    assert seen == sorted(seen)
    again = reader.split(text, lambda *_: pytest.fail("split once more"))
    assert again == pieces

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        reader.split(text + "!", stop)
