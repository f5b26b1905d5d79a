"""The whole job in one call: from a picture and a question to the prompted picture.

`prompt_picture` is this library's own; `clip_api` and `llava_api` take what the paper's published package takes.
"""

from .clip_frames import read_clip
from .model_cache import names_lvlm, release
from .one_picture import PromptedPicture, prompt_picture
from .published import clip_api, llava_api

__all__ = ["PromptedPicture", "clip_api", "llava_api", "names_lvlm", "prompt_picture", "read_clip", "release"]
