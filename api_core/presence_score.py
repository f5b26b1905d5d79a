"""Whether what a heatmap was asked for is in the picture at all, as far as its model says."""

from .errors import InvalidInput
from .results import Heatmap, PictureMap
from .scales import whole_or_words
from .settings import require_number


def presence(heatmap: Heatmap) -> list[float]:
    """How far what was asked for stands out among things that nobody asked for, one number for each picture.

    About 0 or below: no more than any other thing; the higher, the more likely it is there. A guide, not a probability:
    what separates there from not there depends on the model (docs/results-presence.md). Of a heatmap that holds chosen
    words only, the least of theirs. Raises InvalidInput for maps that say nothing of it: those of a vision-language
    model, and combined ones.
    """
    return [presence_of(picture) for picture in heatmap.pictures]


def presence_of(picture: PictureMap) -> float:
    """The same of one picture."""
    if not picture.presence:
        raise InvalidInput(
            f"The map by {picture.method!r} of {picture.model} does not say whether the thing is there. Maps of a CLIP "
            "do, before they are combined."
        )
    found = [picture.presence[index] for index in whole_or_words(picture)]
    for value in found:
        require_number(value, "A map's presence")
    return min(found)
