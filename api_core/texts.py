"""The door for texts: what comes in, from a person, a page or a server, can be tokenised, sent and saved."""

import re

# What ComfyUI's page makes links of, and what it puts in their place meanwhile.
_LINK = re.compile(r"\[\[[^|\]]+\|[^\]]+\]\]")
_BRACKETS = re.compile(r"\[(?=\[)")
_PLACE = re.compile(r"__LNK(?=\d+__)")


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
    if _LINK.search(text):
        text = _BRACKETS.sub("[ ", text)
    return _PLACE.sub("__LNK ", text)
