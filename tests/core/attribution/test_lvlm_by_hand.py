"""What methods make of the rows of one layer, on a case that can be worked out by hand.

A new method's values have their test here: `rows` gives it two heads that look at a picture of three tokens.
"""

import pytest
import torch
from pack.api_core.attribution.lvlm import attention, image_mass, value_norm
from pack.api_core.models.conversation.case import PictureLayout, PromptRow, TokenGrid
from pack.api_core.models.lvlm.attention.layer_recorder import LayerRows
from pack.api_core.results import Box
from torch import Tensor


def rows_of(probabilities: Tensor, value_norms: Tensor, counted: Tensor) -> LayerRows:
    """Rows with these attention weights [H, R, n] to the picture's tokens; what is left of 1 lies on text. counted:
    bool [n], the tokens that saw the picture."""
    count = probabilities.shape[-1]
    grid = TokenGrid(torch.arange(count)[None], counted[None], Box(0, 0, count, 1))
    row = PromptRow(count + 2, 0, (), (PictureLayout((1, count), (grid,)),))
    return LayerRows(row, 0, probabilities.log(), torch.zeros(probabilities.shape[:2]), value_norms)


@pytest.fixture
def rows() -> LayerRows:
    """One row. The first head looks at the picture with half of its attention, the second with a tenth; the third token
    is padding."""
    weights = torch.tensor([[[0.3, 0.1, 0.1]], [[0.02, 0.06, 0.02]]])
    return rows_of(weights, torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 5.0]]), torch.tensor([True, True, False]))


def test_attention_lets_every_head_count_alike(rows: LayerRows) -> None:
    found = attention.mean_of_heads(rows, "precise")
    torch.testing.assert_close(found, torch.tensor([[(0.75 + 0.25) / 2, (0.25 + 0.75) / 2, 0]]))
    upstream = attention.mean_of_heads(rows, "upstream")
    torch.testing.assert_close(upstream, torch.tensor([[(0.6 + 0.2) / 2, (0.2 + 0.6) / 2, (0.2 + 0.2) / 2]]))


def test_image_mass_lets_heads_count_by_how_much_they_look(rows: LayerRows) -> None:
    found = image_mass.mean_probability(rows, "precise")
    torch.testing.assert_close(found, torch.tensor([[(0.3 + 0.02) / 2, (0.1 + 0.06) / 2, 0]]))


def test_value_norm_weighs_attention_by_what_it_passes_on(rows: LayerRows) -> None:
    found = value_norm.weighted_by_values(rows, "precise")
    torch.testing.assert_close(found, torch.tensor([[(0.3 * 1 + 0.02 * 3) / 2, (0.1 * 2 + 0.06 * 1) / 2, 0]]))
