"""What is said of a tower whose maps are not defined."""

from collections.abc import Collection

from ....errors import UnsupportedModel


def unsupported(name: str, what: str) -> UnsupportedModel:
    """The error that names the tower and what to use instead."""
    return UnsupportedModel(
        f"{name} has a picture tower that cannot be read for a heatmap: {what}. Use a model with a class-token ViT, "
        "such as ViT-L-14-336/openai or ViT-B-16/openai."
    )


def require_seen(seen: Collection[str], *names: str) -> None:
    """Raise UnsupportedModel unless the tower showed everything its readout needs while it ran."""
    if missing := set(names) - set(seen):
        raise UnsupportedModel(
            f"The picture tower ran without showing its {', '.join(sorted(missing))}: it is built differently from its "
            "kind, or runs attention in a way of its own. Use an unmodified model, such as ViT-L-14-336/openai."
        )
