"""Models for commands: loaded with a progress bar, errors in words of options."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from ..errors import ModelNotFound
from ..models.clip import ClipModel
from ..models.clip.load import load_clip
from ..models.lvlm.load import load_lvlm
from ..models.lvlm.model import LvlmModel
from .run_options import NO_MODEL
from .terminal import ProgressBar

Model = TypeVar("Model")


def load_clip_model(options: argparse.Namespace, name: str) -> ClipModel:
    """The CLIP `name` as the options say."""
    shared = {"precision": options.precision, "device": options.device, "allow_download": options.allow_download}
    return _load(lambda bar: load_clip(name, **shared, on_progress=bar))


def load_lvlm_model(options: argparse.Namespace, name: str) -> LvlmModel | None:
    """The LVLM `name` as the options say; None for the name that means no model."""
    if name == NO_MODEL:
        return None
    shared = {"precision": options.precision, "device": options.device, "allow_download": options.allow_download}
    return _load(lambda bar: load_lvlm(name, **shared, max_pixels=options.max_pixels, on_progress=bar))


def _load(load: Callable[[ProgressBar], Model]) -> Model:
    try:
        with ProgressBar("downloading") as bar:
            return load(bar)
    except ModelNotFound as error:  # the library speaks of its argument, this user of an option
        raise ModelNotFound(str(error).replace("Turn on allow_download", "Add --allow-download")) from error
