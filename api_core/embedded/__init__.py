"""Models that come with the package, so that all runs without a network. Demo and test models: see their cards."""

from pathlib import Path

from ..errors import ModelNotFound

EMBEDDED_MODELS = ("tiny-clip",)


def embedded_folder(name: str) -> Path:
    """The folder of an embedded model, an ordinary local model folder with its card beside the weights."""
    if name not in EMBEDDED_MODELS:
        raise ModelNotFound(f"No embedded model is called {name!r}; there is {', '.join(EMBEDDED_MODELS)}.")
    folder = Path(__file__).resolve().parent / name.replace("-", "_")
    if not (folder / "open_clip_model.safetensors").is_file():
        raise ModelNotFound(f"{folder} lacks open_clip_model.safetensors. Install the package again.")
    return folder
