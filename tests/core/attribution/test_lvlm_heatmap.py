"""The driver on tiny random models: labels, words, places, batches, several pictures, refusals."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pack.api_core.attribution import LVLM_METHODS, list_lvlm_methods, lvlm_heatmap
from pack.api_core.attribution.lvlm import heatmap
from pack.api_core.attribution.lvlm.word_labels import find_words, whole_rows
from pack.api_core.errors import Cancelled, InvalidInput, UnsupportedModel
from pack.api_core.masks import tune
from pack.api_core.models.conversation.case import Reply, WordTokens
from torch import Tensor

Models = Callable[[str], Any]
ANSWER = "The red star, left of a Red circle."
QUESTION = "Where is the star?"


def picture(height: int, width: int) -> Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(height * width))


def values(found: Any, index: int = 0) -> Tensor:
    """All cells of all views of a picture's map: [M, n]."""
    return torch.cat([view.values.flatten(1) for view in found.heatmap.pictures[index].parts["attention"]], 1)


def test_the_whole_and_every_word_of_question_and_answer_are_labels_of_one_map(lvlm: Models) -> None:
    found = lvlm_heatmap(lvlm("llava-1.5"), [picture(40, 60)], QUESTION, answers=ANSWER)
    labels = found.heatmap.pictures[0].labels
    assert [label.text for label in labels] == [
        ANSWER,
        *("Where", "is", "the", "star"),
        *("The", "red", "star", "left", "of", "a", "Red", "circle"),
    ]
    assert [label.role for label in labels] == ["whole", *["question word"] * 4, *["answer word"] * 8]
    assert found.replies[0].text == ANSWER
    maps = values(found)
    rows = {label.text: (label.span, maps[i]) for i, label in enumerate(labels) if label.role == "answer word"}
    counts = torch.tensor([span[1] - span[0] for span, _ in rows.values()])
    mean = (torch.stack([row for _, row in rows.values()]) * counts[:, None]).sum(0) / counts.sum()
    torch.testing.assert_close(maps[0], mean)
    assert len({tuple(row.tolist()) for row in maps}) == len(labels)
    assert found.heatmap.pictures[0].layer == 2
    tuned = tune(found.heatmap, contrast=5, smoothing=3, words=["circle"])
    assert tuned.masks[0].shape == (40, 60)
    assert tuned.warnings == ()


def test_hint_words_choose_the_whole_whatever_their_case(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    plain = lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers=ANSWER)
    labels = [label.text for label in plain.heatmap.pictures[0].labels]
    hinted = lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers=ANSWER, hint_words=["CIRCLE"])
    torch.testing.assert_close(values(hinted)[0], values(plain)[labels.index("circle")])
    torch.testing.assert_close(values(hinted)[1:], values(plain)[1:])
    assert hinted.heatmap.pictures[0].labels[0].text == "CIRCLE"
    both = lvlm_heatmap(model, [picture(40, 60)] * 2, QUESTION, answers=ANSWER, hint_words=[["red star"], []])
    assert [one.labels[0].text for one in both.heatmap.pictures] == ["red star", ANSWER]
    with pytest.raises(InvalidInput, match=r"Picture 2: The answer has no 'square'.*'The', 'red', 'star'"):
        lvlm_heatmap(model, [picture(40, 60)] * 2, QUESTION, answers=ANSWER, hint_words=[["star"], ["square"]])


def test_a_hint_finds_whole_words_each_time_and_phrases_in_order() -> None:
    texts = ["The", "red", "star", "and", "a", "RED", "Starfish"]
    words = tuple(WordTokens(text, 2 * i, 2 * i + 2) for i, text in enumerate(texts))
    assert [word.first for word in find_words(words, "red")] == [2, 10]
    assert [word.first for word in find_words(words, "Red, star")] == [2, 4]
    for absent in ("star red", "fish", "?!", "star and the"):
        with pytest.raises(InvalidInput, match="'Starfish'"):
            find_words(words, absent)
    with pytest.raises(InvalidInput, match="has no words"):
        find_words((), "red")
    reply = Reply("", "", tuple(range(15)), words, True)
    assert whole_rows(reply, ["starfish", "the"], "precise") == [0, 1, 12, 13]
    assert whole_rows(reply, [], "precise") == list(range(14))  # not the end token
    assert whole_rows(reply, [], "upstream") == list(range(15))


@pytest.mark.parametrize("method", list_lvlm_methods())
def test_a_batch_is_its_cases(method: str, lvlm: Models) -> None:
    model = lvlm("qwen2.5-vl")
    pictures, questions = [picture(60, 80), picture(90, 50), picture(40, 40)], [QUESTION, "Red?", "How many circles?"]
    answers = [None, "two", None]
    together = lvlm_heatmap(model, pictures, questions, answers=answers, method=method, max_new_tokens=4, batch_size=2)
    for index in range(3):
        alone = lvlm_heatmap(
            model,
            pictures[index : index + 1],
            questions[index],
            answers=answers[index],
            method=method,
            max_new_tokens=4,
        )
        assert alone.replies[0] == together.replies[index]
        one, other = values(alone), values(together, index)
        torch.testing.assert_close(one, other, atol=1e-5 * max(1.0, float(one.abs().max())), rtol=1e-3)
        assert alone.heatmap.pictures[0].labels == together.heatmap.pictures[index].labels


def test_grids_tokens_without_a_place_and_padding_keep_their_places(lvlm: Models) -> None:
    found = lvlm_heatmap(lvlm("llava-next"), [picture(40, 100)], QUESTION, answers="red")
    views = found.heatmap.pictures[0].parts["attention"]
    assert len(views) == 2
    assert {view.grid for view in views} != {views[0].grid}
    assert all(bool((view.values[:, ~view.valid] == 0).all()) for view in views)
    shares = torch.stack([view.values[:, view.valid].sum(1) for view in views]).sum(0)
    torch.testing.assert_close(shares, torch.ones_like(shares))  # the ends of lines have no share
    with pytest.raises(InvalidInput, match="one grid of tokens per picture; this model looks at a picture in 2"):
        lvlm_heatmap(lvlm("llava-next"), [picture(40, 100)], QUESTION, answers="red", reading="upstream")


def test_a_reply_is_read_token_for_token(lvlm: Models) -> None:
    model = lvlm("qwen3.5")
    written = lvlm_heatmap(model, [picture(40, 60)], QUESTION, max_new_tokens=6)
    again = lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers=written.replies[0])
    assert again.replies == written.replies
    assert again.heatmap.pictures[0].labels == written.heatmap.pictures[0].labels
    torch.testing.assert_close(values(again), values(written), atol=1e-6, rtol=1e-4)
    thought = model.tokenizer("<think>\nIs it red?\n</think>\n\nIt is red.", add_special_tokens=False)["input_ids"]
    reply = model.reply_of([*thought, next(iter(model.ends))])
    labels = lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers=[reply]).heatmap.pictures[0].labels
    spans = [label.span for label in labels if label.role == "answer word"]
    assert spans == [(word.first, word.last) for word in reply.words]
    assert [label.text for label in labels if label.role == "answer word"] == ["It", "is", "red"]


def test_every_method_is_a_file_and_a_line() -> None:
    folder = Path(heatmap.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if re.search(r"^def compute\(", path.read_text(), re.MULTILINE)}
    assert files == {name.replace(" ", "_") for name in list_lvlm_methods()}
    assert all(callable(method.compute) and method.describes.endswith(".") for method in LVLM_METHODS.values())


def test_further_pictures_have_maps_that_share_the_attention(lvlm: Models) -> None:
    model = lvlm("qwen2-vl")
    first, second = [picture(60, 80), picture(90, 50)], [picture(48, 48)]
    found = lvlm_heatmap(model, first, QUESTION, answers="red", more_pictures=[second])
    assert len(found.further) == 1
    assert [one.size for one in found.further[0].pictures] == [(48, 48)] * 2
    for main, more in zip(found.heatmap.pictures, found.further[0].pictures, strict=True):
        assert main.labels == more.labels
        sums = [sum(view.values.sum((1, 2)) for view in one.parts["attention"]) for one in (main, more)]
        torch.testing.assert_close(sums[0] + sums[1], torch.ones(len(main.labels)))
        assert all(bool((part > 0).all()) for part in sums)


@pytest.mark.parametrize("method", list_lvlm_methods())
def test_every_method_works_in_a_host_s_inference_mode_and_touches_no_seed(method: str, lvlm: Models) -> None:
    model = lvlm("llava-1.5")

    def run() -> Tensor:
        return values(lvlm_heatmap(model, [picture(40, 60)], QUESTION, method=method, layers=[0, 1], max_new_tokens=4))

    before = torch.get_rng_state()
    wanted = run()
    assert wanted.shape[0] > 1
    assert bool((wanted >= 0).all())
    assert bool(torch.isfinite(wanted).all())
    with torch.inference_mode():
        assert torch.equal(run(), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(run(), wanted)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(weight.grad is not None for weight in model.module.parameters())


def test_several_layers_are_averaged(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    single = [values(lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers="red", layers=[n])) for n in (1, 3)]
    both = lvlm_heatmap(model, [picture(40, 60)], QUESTION, answers="red", layers=[1, -1])
    torch.testing.assert_close(values(both), (single[0] + single[1]) / 2)
    assert both.heatmap.pictures[0].layer is None


def test_progress_reaches_its_end_and_a_stop_stops(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    steps: list[tuple[int, int]] = []
    lvlm_heatmap(
        model, [picture(40, 60)] * 3, QUESTION, max_new_tokens=3, batch_size=2, on_progress=lambda *s: steps.append(s)
    )
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    for method in list_lvlm_methods():
        with pytest.raises(Cancelled):
            lvlm_heatmap(model, [picture(40, 60)], QUESTION, method=method, on_progress=stop)


def test_what_makes_no_sense_is_refused(lvlm: Models) -> None:
    model = lvlm("llava-1.5")
    shown = [picture(40, 60)] * 2
    for options, message in (
        ({"method": "decomposition"}, "no LVLM method 'decomposition'. Choose one of attention"),
        ({"reading": "downstream"}, "no reading 'downstream'"),
        ({"layers": [4]}, "no layer 4"),
        ({"answers": ["a", "b", "c"]}, "3 answers for 2 pictures"),
        ({"more_pictures": [shown * 2]}, "4 further pictures for 2 pictures"),
        ({"hint_words": [["a"], ["b"], ["c"]]}, "3 lists of hint words for 2 pictures"),
        ({"max_new_tokens": 0}, "max_new_tokens must be 1 or more"),
    ):
        with pytest.raises(InvalidInput, match=message):
            lvlm_heatmap(model, shown, QUESTION, **options)
    with pytest.raises(InvalidInput, match="2 questions for 1 pictures"):
        lvlm_heatmap(model, shown[:1], [QUESTION] * 2)
    with pytest.raises(InvalidInput, match="no picture"):
        lvlm_heatmap(model, [], QUESTION)
    with pytest.raises(InvalidInput, match="question is empty"):
        lvlm_heatmap(model, shown, "  ")


def test_a_model_whose_tokens_have_no_place_says_why(lvlm: Models) -> None:
    with pytest.raises(UnsupportedModel, match=r"InstructBLIP models give no heatmap: .*no place"):
        lvlm_heatmap(lvlm("instructblip"), [picture(40, 60)], QUESTION)


def test_a_layer_that_sees_nothing_of_the_picture_is_refused(lvlm: Models) -> None:
    model = lvlm("gemma3")
    blind = next(layer for layer in range(model.depth) if layer not in model.seeing_layers)
    with pytest.raises(InvalidInput, match=r"Nothing of the picture is attended to in layer .* Choose among"):
        lvlm_heatmap(model, [picture(40, 60)], QUESTION + " Or is it " + "the red circle " * 12 + "?", layers=[blind])
