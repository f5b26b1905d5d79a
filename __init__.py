"""Attention Prompting: show a vision-language model where to look, and see where it looked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    try:
        from .nodes import create_extension  # here, so that the library and its tests import without ComfyUI
    except Exception:
        # ComfyUI logs a failure inside this function without its traceback.
        logging.getLogger(__name__).exception("Attention Prompting could not load its nodes")
        raise
    return create_extension()
