"""Decodings on the command line."""

import argparse
import json
import math
from pathlib import Path

import pytest
from pack.api_core.answering import M3ID, VCD, AvisC, Decoding, Greedy, Sample
from pack.api_core.command_line import main
from pack.api_core.command_line.decoding_options import add_decoding_options, chosen_decoding
from pack.api_core.errors import InvalidInput

SCENE = Path(__file__).resolve().parents[3] / "assets" / "scene.png"


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_decoding_options(parser.add_argument_group("answer"))
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "decoding"),
    [
        ((), Greedy()),
        (("--temperature", "0"), Greedy()),
        (("--top-p", "0.5"), Greedy()),
        (("--temperature", "0.8", "--seed", "5"), Sample(temperature=0.8, seed=5)),
        (("--decoding", "sample", "--top-k", "3"), Sample(top_k=3)),
        (("--decoding", "avisc"), AvisC()),
        (
            ("--decoding", "AvisC", "--alpha", "3", "--gamma", "1", "--blind-threshold=-2", "--scheme", "ones"),
            AvisC(alpha=3.0, gamma=1.0, threshold=-2.0, scheme="ones"),
        ),
        (("--decoding", "AvisC", "--blind-threshold=-inf"), AvisC(threshold=-math.inf)),
        (("--decoding", "VCD", "--noise-step", "300", "--temperature", "1"), VCD(noise_step=300, temperature=1.0)),
        (("--decoding", "m3id", "--forgetting", "0.1", "--beta", "0.2"), M3ID(forgetting=0.1, beta=0.2)),
    ],
)
def test_a_decoding_takes_the_values_given_for_it(arguments: tuple[str, ...], decoding: Decoding) -> None:
    assert chosen_decoding(parse(*arguments)) == decoding


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--gamma", "0.5"), "--gamma belongs to --decoding AvisC, not to --decoding greedy"),
        (("--decoding", "VCD", "--blind-threshold", "1"), "--blind-threshold belongs to --decoding AvisC"),
        (("--decoding", "M3ID", "--alpha", "0"), "--alpha belongs to --decoding AvisC or VCD, not to --decoding M3ID"),
        (("--decoding", "greedy", "--temperature", "1"), "--temperature belongs to --decoding sample or AvisC"),
        (("--decoding", "sample", "--temperature", "0"), "For 0 decode greedily"),
    ],
)
def test_a_value_of_another_decoding_is_refused(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        chosen_decoding(parse(*arguments))


def test_asking_with_it_tells_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--decoding", "AvisC", "--json", "--max-new-tokens", "4", "--device", "cpu")
    assert main(["ask", str(SCENE), "-q", "what shape is the red one?", *given]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["decoding"]["name"] == "AvisC"
    assert line["decoding"]["threshold"] == 1.0
    assert 0 < line["blind_tokens"]["count"] < line["blind_tokens"]["of"]


def test_many_cases_are_asked_with_it(tmp_path: Path) -> None:
    cases, out = tmp_path / "cases.jsonl", tmp_path / "results.jsonl"
    cases.write_text(json.dumps({"id": "a", "picture": str(SCENE), "question": "is there a red star?"}) + "\n")
    options = ("--map", "none", "--device", "cpu", "--max-new-tokens", "3", "--decoding", "VCD", "--noise-step", "100")
    assert main(["run", str(cases), "--out", str(out), *options]) == 0
    (line,) = [json.loads(text) for text in out.read_text().splitlines()]
    assert "noise_step=100" in line["settings"]["decoding"]
    assert line["plain"]["answer"]
