"""Runs VCD and M3ID of AvisC's repository on given pictures with a LLaVA. Started by `decodings_upstream.py` in another
Python.

They are called by the names that `dir()` and `inspect.signature` show. No word is drawn: the likeliest is taken.
"""

import argparse
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from official_model import OnCpu, Tokenizer, build
from PIL import Image


def run(checkout: Path, job: dict, out: Path) -> None:
    """Write to `out` as .npz, by case: the prompt's tokens, and by decoding its words and the scores of each step."""
    torch.set_num_threads(1)
    sys.path[:0] = [str(checkout / "experiments"), str(checkout)]
    import transformers
    from avisc_utils import avisc_sample, vcd_add_noise
    from llava.conversation import conv_templates
    from llava.mm_utils import tokenizer_image_token
    from llava.model.language_model import llava_llama

    folder = Path(job["model"])
    tokenizer = Tokenizer(folder)
    model, images = build(folder, llava_llama, transformers)
    avisc_sample.evolve_avisc_sampling()
    results: dict[str, np.ndarray] = {}
    for index, (picture, question) in enumerate(zip(job["pictures"], job["questions"], strict=True)):
        talk = conv_templates["llava_v1"].copy()
        talk.append_message(talk.roles[0], f"<image>\n{question}")
        talk.append_message(talk.roles[1], None)
        ids = tokenizer_image_token(talk.get_prompt(), tokenizer, -200, return_tensors="pt")[None]
        with Image.open(picture) as image:
            pixels = images.preprocess(image.convert("RGB"), return_tensors="pt")["pixel_values"]
        results[f"prompt_{index}"] = ids[0].numpy().astype(np.int16)
        for name, how in job["decodings"].items():
            given = {key: value for key, value in how.items() if key not in ("noise_step", "seed")}
            torch.manual_seed(how.get("seed", 0))
            if "noise_step" in how:
                given["images_cd"] = vcd_add_noise.add_diffusion_noise(pixels, how["noise_step"])
            steps: list[torch.Tensor] = []

            def noting(_: torch.Tensor, scores: torch.Tensor, steps: list[torch.Tensor] = steps) -> torch.Tensor:
                steps.append(scores[0].clone())
                return scores

            likeliest = mock.patch.object(torch, "multinomial", lambda shares, **_: shares.argmax(-1, keepdim=True))
            with torch.inference_mode(), OnCpu(), likeliest:
                found = model.generate(
                    ids, images=pixels, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, use_cache=True,
                    max_new_tokens=job["steps"], logits_processor=transformers.LogitsProcessorList([noting]), **given,
                )  # fmt: skip
            results[f"answer_{name}_{index}"] = found[0, ids.shape[1] :].numpy().astype(np.int16)
            results[f"scores_{name}_{index}"] = torch.stack(steps).numpy()
    np.savez_compressed(out, **results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("job", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    run(arguments.checkout.resolve(), json.loads(arguments.job.read_text()), arguments.out.resolve())
