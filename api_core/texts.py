"""The door for texts: what comes in, from a person, a page or a server, can be tokenised, sent and saved."""

import re
from itertools import pairwise

_BRACKETS = re.compile(r"\[(?=\[)")
_PLACE = re.compile(r"__LNK(?=\d+__)")  # what ComfyUI's page puts in the place of a link meanwhile


def clean(text: str) -> str:
    """The text without halves of characters: two that belong together become one, others U+FFFD.

    Such a half (a lone surrogate) comes of a page or a server that cut a text in the middle of an emoji; no tokeniser,
    socket or file takes it.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def without_links(text: str) -> str:
    """The text as a page may show it: of `[[label|https://…]]`, which ComfyUI's makes a link of, the letters remain.

    A model's words, or a server's, must not become something to click that does not say where it leads.
    """
    if _may_hold_a_link(text):
        text = _BRACKETS.sub("[ ", text)
    return _PLACE.sub("__LNK ", text)


def _may_hold_a_link(text: str) -> bool:
    """Whether `[[`, something, `|` and `]]` follow each other with no `]` between: at least where the page's own
    pattern fits, which takes quadratic time."""
    parts = text.split("]")
    ended = (part for part, after in pairwise(parts) if not after)
    return any("|" in part.partition("[[")[2][1:] for part in ended)
