"""Models that come with the package, so that all runs without a network. Demo and test models: see their cards."""

from pathlib import Path

from ..errors import ModelNotFound, quoted

_WEIGHTS = {"tiny-clip": "open_clip_model.safetensors", "tiny-lvlm": "model.safetensors"}
EMBEDDED_MODELS = tuple(_WEIGHTS)


def embedded_folder(name: str) -> Path:
    """The folder of an embedded model, an ordinary local model folder with its card beside the weights."""
    if name not in EMBEDDED_MODELS:
        raise ModelNotFound(f"No embedded model is called {quoted(name)}; there is {', '.join(EMBEDDED_MODELS)}.")
    folder = Path(__file__).resolve().parent / name.replace("-", "_")
    if not (folder / _WEIGHTS[name]).is_file():
        raise ModelNotFound(f"{folder} lacks {_WEIGHTS[name]}. Install the package again.")
    return folder
