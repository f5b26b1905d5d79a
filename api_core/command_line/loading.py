"""Models for commands: loaded with a progress bar, errors in words of options."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..choices import RESIZES
from ..errors import InvalidInput, ModelNotFound
from ..models.clip import ClipModel
from ..models.clip.load import load_clip
from ..models.lvlm.load import load_lvlm
from ..models.lvlm.model import LvlmModel
from ..models.server import ServerModel, connect
from .run_options import NO_MODEL
from .terminal import ProgressBar

Model = TypeVar("Model")


def load_clip_model(options: argparse.Namespace, name: str) -> ClipModel:
    """The CLIP `name` as the options say."""
    return _load(load_clip, name, options)


def load_answering_model(
    options: argparse.Namespace, name: str, folder: Path | None = None
) -> LvlmModel | ServerModel | None:
    """What answers: the model of a server, where one is named, or the LVLM `name`. folder: of the servers' profiles."""
    require_server_named(options)
    if options.server:
        return connect(options.server, options.server_model, folder=folder, at_once=options.at_once)
    return load_lvlm_model(options, name)


def require_server_named(options: argparse.Namespace) -> None:
    """Raise InvalidInput for what is said of a server that is not named."""
    if options.server:
        return
    if options.server_model:
        raise InvalidInput("--server-model names a model of a server; name the server's profile too, with --server.")
    if options.at_once is not None:
        raise InvalidInput("--at-once is of a server, which answers many questions together; name it with --server.")


def load_lvlm_model(options: argparse.Namespace, name: str) -> LvlmModel | None:
    """The LVLM `name` as the options say; None for the name that means no model."""
    if name == NO_MODEL:
        return None
    return _load(load_lvlm, name, options, max_pixels=options.max_pixels, resize=options.resize or RESIZES[0])


def _load(load: Callable[..., Model], name: str, options: argparse.Namespace, **more: Any) -> Model:
    shared = {"precision": options.precision, "device": options.device, "allow_download": options.allow_download}
    with downloading() as bar:
        return load(name, **shared, **more, on_progress=bar)


@contextmanager
def downloading() -> Iterator[ProgressBar]:
    """A bar for what is downloaded while models load inside, and their errors in words of options."""
    try:
        with ProgressBar("downloading") as bar:
            yield bar
    except ModelNotFound as error:  # the library speaks of its argument, this user of an option
        raise ModelNotFound(str(error).replace("Turn on allow_download", "Add --allow-download")) from error
