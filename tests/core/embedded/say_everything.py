"""Run by test_training_texts.py in a process of its own, in which the repository's root is on the path.

Prints one JSON object: the vocabulary of the texts that the embedded models are taught with, and many of those texts.
"""

import json
import sys

import numpy as np

from api_core.scenes.captions import CONCEPTS
from tools.train.texts import say, say_pair, vocabulary

rng = np.random.default_rng(0)
said = [(concept.colour, concept.shape, say(concept, rng)) for _ in range(40) for concept in CONCEPTS]
pairs = [say_pair(CONCEPTS[int(rng.integers(60))], CONCEPTS[int(rng.integers(76))], rng) for _ in range(40)]
json.dump({"vocabulary": vocabulary(), "said": said, "pairs": pairs}, sys.stdout)
