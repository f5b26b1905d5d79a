"""Two passes in one call of the decoder: caches joined, arguments doubled, masks, and what closes up."""

from types import SimpleNamespace

import pytest
import torch
from pack.api_core.errors import UnsupportedModel
from pack.api_core.models.lvlm.contrastive import decoder_call
from pack.api_core.models.lvlm.contrastive.decoder_call import (
    all_seen,
    close_up,
    concat_masks,
    duplicate_rows,
    earlier_positions,
    mask_out,
)


def test_caches_that_are_not_known_are_left_apart() -> None:
    from transformers import DynamicCache

    def filled(rows: int, value: float) -> DynamicCache:
        cache = DynamicCache()
        cache.update(torch.full((rows, 1, 3, 2), value), torch.full((rows, 1, 3, 2), value), 0)
        return cache

    own, other = filled(2, 1.0), filled(2, 5.0)
    assert decoder_call.append_rows(own, other, 2)
    assert own.layers[0].keys[:, 0, 0, 0].tolist() == [1, 1, 5, 5]
    assert own.get_seq_length() == 3

    class Unknown(DynamicCache):
        pass

    assert not decoder_call.append_rows(Unknown(), DynamicCache(), 2)
    odd, even = filled(2, 1.0), filled(2, 1.0)
    odd.layers[0].extra = torch.zeros(7, 3)  # type: ignore[attr-defined]
    even.layers[0].extra = torch.zeros(7, 3)  # type: ignore[attr-defined]
    assert not decoder_call.append_rows(odd, even, 2)
    assert odd.layers[0].keys.shape[0] == 2


def test_arguments_are_doubled_where_the_rows_are() -> None:
    rows = torch.arange(3)[:, None]
    both = duplicate_rows(
        {
            "inputs_embeds": rows[..., None].float(),
            "position_ids": torch.arange(9).reshape(3, 3, 1),
            "cache_position": torch.arange(3),
            "attention_mask": {"a": None, "b": torch.ones(1, 1, 1, 4)},
            "further": [rows, "text"],
        }
    )
    assert both["inputs_embeds"].flatten().tolist() == [0, 1, 2, 0, 1, 2]
    assert both["position_ids"][1, :, 0].tolist() == [3, 4, 5, 3, 4, 5]
    assert both["cache_position"].tolist() == [0, 1, 2]
    assert both["attention_mask"]["b"].shape == (1, 1, 1, 4)
    assert both["further"][0].flatten().tolist() == [0, 1, 2, 0, 1, 2]


def test_hidden_tokens_in_every_form_of_mask() -> None:
    hidden = torch.tensor([[False, True, False], [True, False, False]])
    step = {"inputs_embeds": torch.zeros(2, 1, 4)}
    prompt = {"inputs_embeds": torch.zeros(2, 3, 4)}
    assert mask_out(None, hidden, step, 4, False).tolist() == [[1, 0, 1, 1], [0, 1, 1, 1]]
    given = torch.tensor([[0, 1, 1, 1], [1, 1, 1, 1]])
    assert mask_out(given, hidden, step, 4, False).tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    window = mask_out(torch.ones(1, 1, 1, 2, dtype=torch.bool), hidden, step, 4, False)
    assert window.tolist() == [[[[True, True]]], [[[True, True]]]]
    whole = mask_out({"full": None}, hidden, prompt, 3, False)["full"]
    assert whole[0, 0].tolist() == [[True, False, False], [True, True, False], [True, False, True]]
    assert whole[1, 0].tolist() == [[True, False, False], [False, True, False], [False, True, True]]
    added = mask_out(torch.zeros(2, 1, 3, 3), hidden, prompt, 3, False)
    assert added[0, 0, 2].tolist() == [0, torch.finfo(torch.float32).min, 0]
    assert mask_out({"full": None}, hidden, step, 4, True)["full"].tolist() == [[1, 0, 1, 1], [0, 1, 1, 1]]
    assert concat_masks({"a": whole}, {"a": whole})["a"].shape == (4, 1, 3, 3)
    with pytest.raises(UnsupportedModel, match="SimpleNamespace"):
        mask_out(SimpleNamespace(), hidden, step, 4, False)


def test_what_is_left_closes_up_in_every_form_of_mask() -> None:
    """Two prompts of five tokens, the second with one of padding; tokens 1 and 2, and 3, are taken out."""
    gone = torch.tensor([[False, True, True, False, False], [False, False, False, True, False]])
    causal = torch.ones(5, 5, dtype=torch.bool).tril().expand(2, 1, 5, 5).clone()
    causal[1, :, :, 0] = False
    window = causal & torch.ones(5, 5, dtype=torch.bool).triu(-1)  # a token and the one before it
    added = torch.zeros(2, 1, 5, 5).masked_fill(~window, torch.finfo(torch.float32).min)
    marks = torch.arange(10).reshape(2, 5)
    given = {
        "inputs_embeds": torch.arange(10.0).reshape(2, 5, 1),
        "marks": marks,
        "position_ids": torch.tensor([[0, 1, 1, 2, 3], [1, 0, 1, 2, 3]]).expand(3, 2, 5),
        "attention_mask": {"full": causal, "window": added},
        "cache": object(),
    }
    closed = close_up(given, gone, torch.tensor([0, 1]))
    assert closed.arguments["marks"].tolist() == [[1, 2, 0, 3, 4], [5, 8, 6, 7, 9]]
    assert closed.arguments["inputs_embeds"][..., 0].tolist() == closed.arguments["marks"].tolist()
    assert closed.hidden.tolist() == [[True, True, False, False, False]] * 2
    assert closed.arguments["position_ids"][0].tolist() == [[0, 0, 0, 1, 2]] * 2
    assert closed.earlier is not None
    assert closed.earlier.tolist() == [[1, 1]] * 3
    kept = torch.ones(3, 3, dtype=torch.bool).tril()
    masks = closed.arguments["attention_mask"]
    for row in range(2):
        assert torch.equal(masks["full"][row, 0, 2:, 2:], kept)
        assert torch.equal(masks["window"][row, 0, 2:, 2:] == 0, kept & kept.new_ones(3, 3).triu(-1))
    alone = close_up({**given, "attention_mask": {"full": None, "window": added}}, gone, torch.tensor([0, 1]))
    assert alone.arguments["attention_mask"]["full"] is None
    assert torch.equal(alone.arguments["attention_mask"]["window"][0], masks["window"][0])
    later = {"inputs_embeds": torch.zeros(2, 1, 1), "position_ids": torch.full((3, 1, 1), 4)}
    assert earlier_positions(later, closed.earlier, both=True)["position_ids"].tolist() == [[[4], [4], [3], [3]]] * 3
    assert earlier_positions(later, closed.earlier, both=False)["position_ids"].tolist() == [[[3], [3]]] * 3
    assert close_up({"inputs_embeds": given["inputs_embeds"]}, gone, torch.tensor([0, 1])).earlier is None
    assert earlier_positions(later, None, both=True) == {}
    seen = all_seen({"bool": torch.zeros(1, dtype=torch.bool), "added": torch.tensor([-9.0]), "none": None})
    assert (seen["bool"].tolist(), seen["added"].tolist(), seen["none"]) == ([True], [0.0], None)
