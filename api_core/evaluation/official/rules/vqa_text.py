"""How short answers are compared with those of ten people: the rules of TextVQA, VQAv2 and VizWiz, each as it is.

All three bring a text to a plain form and count the people who said the same: with three of them an answer is wholly
right. An answer is compared with each nine of the ten, and the mean of the ten shares is its accuracy, so 1, 2, 3 and 4
of 10 give .3, .6, .9 and 1 (Antol et al., arXiv 1505.00468). They differ in what is brought to the plain form:

- `m4c_accuracy` (Hu et al., arXiv 1911.06258; TextVQA): answer and truth, after a step of its own.
- `vqa_v2_accuracy`: answer and truth, but neither where all ten said the same.
- `vizwiz_accuracy` (Gurari et al., arXiv 1802.08218): the answer, never the truth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....errors import InvalidInput, shortened

PEOPLE = 10

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_NUMBER_WITH_COMMA = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_MOST_FULL_STOPS = 32
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}

_ENDINGS = {
    "n't": "ai are ca could did does do had has have is might must need ought sha should was were wo would",
    "'ve": "could might must not should they we what where who would you",
    "n't've": "could had might should would",
    "'d": "he how it someone something there they where who you",
    "'d've": "he it she somebody someone something there they we who y'all you",
    "'ll": "how it somebody someone something they what who why y'all you",
    "'s": "he how somebody someone that there what when where who why",
    "'re": "there they what why you",
    "": "ma'am o'clock 'ow's'at 'twas y'all",
}
"""Ending -> what it is put to, of the contractions that are known. Not among them, because without its apostrophe it is
another word, is what else one would expect: she'd, we'd, I'll, it's."""


def _without_one_apostrophe() -> dict[str, str]:
    """What a contraction is written as with one apostrophe forgotten -> the contraction."""
    found = {"somebody'd": "somebodyd"}  # the one that all these rules have the wrong way round
    for ending, stems in _ENDINGS.items():
        for word in (stem + ending for stem in stems.split()):
            found |= {word[:at] + word[at + 1 :]: word for at, sign in enumerate(word) if sign == "'"}
    return found


_CONTRACTIONS = _without_one_apostrophe()


def plain_form(text: str) -> str:
    """Lower case, no marks, no articles, none to ten in digits, apostrophes of contractions put back.

    A mark goes without a trace when it touches a blank anywhere in the text, or when there is a number like 1,000;
    else it becomes a blank. Apostrophes, colons, $ and % stay; a full stop stays before a digit (and from the 33rd on).
    """
    text = text.replace("\n", " ").replace("\t", " ").strip()
    all_go = _NUMBER_WITH_COMMA.search(text) is not None
    bare = text
    for mark in _MARKS:
        goes = all_go or mark + " " in text or " " + mark in text
        bare = bare.replace(mark, "" if goes else " ")
    bare = _FULL_STOP.sub("", bare, count=_MOST_FULL_STOPS)
    words = (_DIGITS.get(word, word) for word in bare.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def m4c_form(text: str) -> str:
    """The plain form of TextVQA's rule, which first drops , and ? and takes 's off: "John's" is "john 's"."""
    return plain_form(text.lower().replace(",", "").replace("?", "").replace("'s", " 's"))


def m4c_accuracy(answer: str, truths: Sequence[str]) -> float:
    """0..1, answer and truth in TextVQA's form."""
    _require_ten(truths)
    return _share(m4c_form(answer), [m4c_form(truth) for truth in truths])


def vqa_v2_accuracy(answer: str, truths: Sequence[str]) -> float:
    """0..1, answer and truth in the plain form, or both as they are where all ten said the same."""
    _require_ten(truths)
    given, *said = (text.replace("\n", " ").replace("\t", " ").strip() for text in (answer, *truths))
    if len(set(said)) > 1:
        given, said = plain_form(given), [plain_form(truth) for truth in said]
    return _share(given, said)


def vizwiz_accuracy(answer: str, truths: Sequence[str]) -> float:
    """0..1, the answer in the plain form, the truth as it is."""
    _require_ten(truths)
    return _share(plain_form(answer), truths)


def _share(given: str, truths: Sequence[str]) -> float:
    """The mean over the people of min(1, a third of the others who said `given`)."""
    matches = sum(truth == given for truth in truths)
    return sum(min(1.0, (matches - (truth == given)) / 3) for truth in truths) / len(truths)


def _require_ten(truths: Sequence[str]) -> None:
    if len(truths) != PEOPLE:
        raise InvalidInput(
            f"This rule compares with the answers of {PEOPLE} people, and there are {len(truths)}: "
            f"{shortened(', '.join(truths)) or 'none'}. Read the cases with `data read`."
        )
