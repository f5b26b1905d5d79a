"""Gradients of attention weights against autograd through transformers' eager attention."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pack.api_core.errors import AttentionPromptingError
from pack.api_core.models.conversation.case import Case
from pack.api_core.models.lvlm.attention.gradients import attention_gradients
from pack.api_core.models.lvlm.attention.recorder import placed_image_positions
from pack.api_core.models.lvlm.generate.teacher_forcing import answered_inputs
from pack.api_core.models.lvlm.load import load_lvlm

Models = Callable[[str], Any]
CLOSE = {"gemma4": 1e-4}  # its fused and its eager attention differ by so much with a random model's large scores


@pytest.mark.parametrize("name", ["llava-1.5", "qwen2.5-vl", "gemma3", "gemma4"])
def test_weights_and_gradients_are_those_of_eager_attention(name: str, lvlm: Models, zoo_folder: Models) -> None:
    from transformers import AutoModelForImageTextToText

    model = lvlm(name)
    picture = torch.rand(60, 80, 3, generator=torch.Generator().manual_seed(1))
    prepared = model.prepare([Case((picture,), "Where is the star?")])
    row = prepared.rows[0]
    reply = model.reply_of_text("a red star")
    count = len(reply.token_ids)
    positions = [row.length - 3, *range(row.length - 1, row.length - 1 + count)]
    layers = [n for n in (0, 1, 2, 3) if n in model.seeing_layers][-2:]
    tokens = range(1, count)
    module = AutoModelForImageTextToText.from_pretrained(
        zoo_folder(name), dtype=torch.float32, attn_implementation="eager"
    ).eval()
    made = module(**answered_inputs(model, prepared, [reply]), output_attentions=True)
    scores = made.logits[0, row.length - 1 :].log_softmax(-1)
    total = sum(scores[i, reply.token_ids[i]] for i in tokens)
    attentions = [made.attentions[layer] for layer in layers]
    wanted = torch.autograd.grad(total, attentions)
    columns = placed_image_positions(model, row)
    found = attention_gradients(model, prepared, reply, layers=layers, positions=positions, tokens=list(tokens))
    for layer, weights, gradient in zip(found, attentions, wanted, strict=True):
        eagerly = weights[0, :, positions][..., columns].detach()
        torch.testing.assert_close(layer.weights, eagerly, atol=CLOSE.get(name, 1e-5), rtol=0)
        reference = gradient[0, :, positions][..., columns]
        scale = float(reference.abs().max())
        assert scale > 0
        torch.testing.assert_close(layer.gradients, reference, atol=1e-3 * scale, rtol=1e-3)
    assert not any(weight.requires_grad and weight.grad is not None for weight in model.module.parameters())


def test_a_model_moved_inside_inference_mode_is_refused_by_name(zoo_folder: Models) -> None:
    model = load_lvlm(zoo_folder("llava-1.5"), device="cpu")
    prepared = model.prepare([Case((torch.rand(60, 80, 3),), "Where is the star?")])
    reply = model.reply_of_text("red")
    with torch.inference_mode():
        model.module.to(torch.float64)
        model.module.to(torch.float32)
    with pytest.raises(AttentionPromptingError, match="was created or moved inside"):
        list(attention_gradients(model, prepared, reply, layers=[1], positions=[prepared.rows[0].length], tokens=[0]))
