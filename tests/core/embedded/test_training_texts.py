"""The texts that the embedded models are taught with name what they should, in words their tokenizers hold whole."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
from pack.api_core.embedded import embedded_folder
from pack.tests.conftest import ROOT


@pytest.fixture(scope="module")
def texts():
    script = Path(__file__).with_name("say_everything.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return json.loads(subprocess.run([sys.executable, script], env=environment, capture_output=True, check=True).stdout)


def test_every_text_is_made_of_the_vocabulary(texts):
    words = set(texts["vocabulary"])
    for text in (*(text for _, _, text in texts["said"]), *texts["pairs"]):
        assert set(re.findall(r"[a-z]+", text)) <= words, text


def test_a_text_names_its_concept(texts):
    for colour, shape, text in texts["said"]:
        assert colour not in ("yellow", "red", "blue") or colour in text
        assert shape not in ("triangle", "star", "heart") or shape in text


def test_the_tokenizer_keeps_the_vocabulary_whole(texts):
    tokenizer = open_clip.SimpleTokenizer(str(embedded_folder("tiny-clip") / "merges.txt.gz"))
    assert [word for word in texts["vocabulary"] if len(tokenizer.encode(word)) != 1] == []
