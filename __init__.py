"""Attention Prompting: show a vision-language model where to look, and see where it looked."""

import logging

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    try:
        from .nodes import create_extension  # here, so that the library and its tests import without ComfyUI
    except Exception:
        # ComfyUI logs a failure inside this function without its traceback.
        logging.getLogger(__name__).exception("Attention Prompting could not load its nodes")
        raise
    return create_extension()
