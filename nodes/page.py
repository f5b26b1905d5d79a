"""What a node tells the page while it runs: its bar, the picture and the text so far, warnings."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from ..api_core.errors import reason
from ..api_core.pictures import to_pil
from ..api_core.texts import clean, without_links
from . import host

logger = logging.getLogger(__name__)

WARNING_EVENT = "attention_prompting.warning"  # what `web/modules/warnings.mjs` listens to
LIVE_SECONDS = 0.15  # between two texts on a node that grows
LIVE_LETTERS = 1500
PREVIEW_SECONDS = 0.5  # between two pictures on a node that works
PREVIEW_SIDE = 512


class NodeProgress:
    """A progress callback that moves the bar of the node with that id and stops the work when the user pressed Stop;
    `show` puts a picture of the work so far on the node."""

    def __init__(self, node_id: str | None) -> None:
        self._bar = host.progress_bar(node_id)
        self._shown_at = -PREVIEW_SECONDS

    def __call__(self, done: int, total: int) -> None:
        host.stop_when_asked()
        self._bar.update_absolute(done, max(total, 1))

    def show(self, draw: Callable[[], Tensor]) -> None:
        """Show the picture [H, W, 3] that `draw` makes; it is not asked for one when the last was shown just now."""
        host.stop_when_asked()
        if time.monotonic() - self._shown_at < PREVIEW_SECONDS:
            return
        with comfort("the picture so far"):
            shown = ("JPEG", to_pil(draw()), PREVIEW_SIDE)
            self._bar.update_absolute(self._bar.current, self._bar.total, shown)
        self._shown_at = time.monotonic()


@contextlib.contextmanager
def comfort(what: str) -> Iterator[None]:
    """Where a page is shown something that the node's results do not need: it may fail, which only the log says."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is
        logger.warning("The page cannot show %s: %s", what, reason(error))


def warn(node_id: str | None, warnings: Sequence[str]) -> None:
    """Log what a reader of a result should know, and show it on the node in both of ComfyUI's renderers.

    The page takes the text away when the run ends; `web/modules/warnings.mjs` repeats it as a message that stays.
    """
    for warning in warnings:
        logger.warning(clean(warning))
    server = host.server()
    if warnings and server is not None and node_id is not None:
        text = for_page("\n".join(warnings))
        with comfort("a warning"):
            server.send_progress_text(text, node_id)
            server.send_sync(WARNING_EVENT, {"node": node_id, "text": text}, getattr(server, "client_id", None))


def live_text(node_id: str | None, count: int) -> Callable[[int, str], None]:
    """A callback that shows the texts of `count` cases on the node while they grow, and stops when the user did."""
    server = host.server()
    texts: dict[int, str] = {}
    shown_at = 0.0

    def show(case: int, text: str) -> None:
        nonlocal shown_at
        host.stop_when_asked()
        texts[case] = text
        if server is None or node_id is None or time.monotonic() - shown_at < LIVE_SECONDS:
            return
        shown_at = time.monotonic()
        lines = [f"{case + 1}: {text}" if count > 1 else text for case, text in sorted(texts.items())]
        with comfort("the text so far"):
            server.send_progress_text(for_page("\n".join(lines)[-LIVE_LETTERS:]), node_id)

    return show


def for_page(text: str) -> str:
    """A text as the page may get it: what no socket takes, and what it would make a link of, is made harmless."""
    return without_links(clean(text))
