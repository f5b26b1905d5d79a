"""What is said of a tower whose maps are not defined."""

from ....errors import UnsupportedModel


def unsupported(name: str, what: str) -> UnsupportedModel:
    """The error that names the tower and what to use instead."""
    return UnsupportedModel(
        f"{name} has a picture tower that cannot be read for a heatmap: {what}. Use a model with a class-token ViT, "
        "such as ViT-L-14-336/openai or ViT-B-16/openai."
    )
