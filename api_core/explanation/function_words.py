"""Words that name nothing in a picture, however much likelier it makes them: articles, copulas, prepositions.

In languages that the pack's pages speak, and German. Left out is what is as often a thing, a number or an answer in
one of them (French *car*, Portuguese *dos*, German *die*, Spanish *sur* and *si*), and, but for the English article,
letters that may be read off a picture.
"""

from __future__ import annotations

_BY_LANGUAGE = {
    "en": "a an and are as at be by for from in is it its of on or that the there these this those to was were with",
    "de": "das dem der des ein eine einem einen einer es im ist mit sich sind und von zu zum zur",
    "es": "al de del el ella es está están la las los que se un una unas unos",
    "fr": "au aux avec ce ces cette dans de des du elle est et il ils la le les qui que se sont un une",
    "it": "che dei del della delle di gli il la le lo nel nella un una è",
    "ja": "が の を",
    "pt": "ao da das de do em está estão há na nas os que são um uma umas uns é",
    "ru": "для есть из на он она они от по что это",
    "tr": "bir bu da de için ile ve şu",
    "zh": "了 个 是 的 着",
}
_ALL = frozenset(word for words in _BY_LANGUAGE.values() for word in words.split())


def names_nothing(word: str) -> bool:
    """Whether a word, in any case, stands for nothing that could be seen."""
    return word.casefold() in _ALL
