"""The node that draws a mask over a picture."""

from collections.abc import Callable, Mapping
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..api_core.colormaps import COLORMAPS
from ..api_core.errors import InvalidInput
from ..api_core.overlay import (
    ROUNDINGS,
    BlurStyle,
    DesaturateStyle,
    FadeStyle,
    HeatStyle,
    OutlineStyle,
    Rounding,
    Style,
    apply,
)
from . import convert, faces, host, sockets


def _fade_to_grey(level: int = 0, rounding: Rounding = "none") -> Style:
    return FadeStyle(color=(level / 255,) * 3, rounding=rounding)


def _fade_to_colour(colour: str = "#808080") -> Style:
    return FadeStyle(color=convert.to_color(colour))


def _blur(radius: float = 12.0) -> Style:
    return BlurStyle(radius=radius)


def _desaturate() -> Style:
    return DesaturateStyle()


def _heat_colours(colormap: str = "turbo", opacity: float = 0.5, weighted: bool = False) -> Style:
    return HeatStyle(colormap=colormap, opacity=opacity, weighted=weighted)


def _outline(colour: str = "#ff3030", width: int = 3, threshold: float = 0.5) -> Style:
    return OutlineStyle(color=convert.to_color(colour), width=width, threshold=threshold)


STYLES: Mapping[str, Callable[..., Style]] = {
    "fade to grey": _fade_to_grey,
    "fade to colour": _fade_to_colour,
    "blur": _blur,
    "desaturate": _desaturate,
    "heat colours": _heat_colours,
    "outline": _outline,
}


def to_style(chosen: Mapping[str, Any] | None) -> Style:
    """The style that the `style` input describes: its own name under "style", and that style's settings."""
    settings = dict(chosen or {})
    name = settings.pop("style", None)
    if name not in STYLES:
        # ComfyUI leaves the whole input away when it does not know the name, so the name cannot be repeated here.
        raise InvalidInput(f"Overlay Attention does not know this style. Choose one of: {', '.join(STYLES)}.")
    return STYLES[name](**settings)


def to_settings(chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same by the names of the widgets, as the page has them: "style", "style.level" and so on."""
    return {name if name == "style" else f"style.{name}": value for name, value in (chosen or {}).items()}


class Overlay(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttnPromptOverlay",
            display_name="Overlay Attention",
            category=sockets.CATEGORY,
            description=(
                "Draws a mask over a picture: what is irrelevant fades, blurs or loses its colour, or what is relevant "
                "is coloured or outlined. Fading to black is the prompt of the paper."
            ),
            search_aliases=[
                "attention prompting",
                "apply mask",
                "darken background",
                "blur background",
                "heatmap overlay",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The pictures to draw on. Alpha is kept."),
                io.Mask.Input(
                    "mask",
                    tooltip="White stays as it is. As many masks as pictures, or one of either for all.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much of the effect: 0 leaves the picture as it is, 1 is all of it.",
                ),
                io.DynamicCombo.Input(
                    "style",
                    options=[
                        io.DynamicCombo.Option("fade to grey", _grey_inputs()),
                        io.DynamicCombo.Option(
                            "fade to colour",
                            [io.Color.Input("colour", default="#808080", tooltip="What irrelevant parts fade to.")],
                        ),
                        io.DynamicCombo.Option(
                            "blur",
                            [
                                io.Float.Input(
                                    "radius",
                                    default=12.0,
                                    min=0.5,
                                    max=256.0,
                                    step=0.5,
                                    tooltip="How far irrelevant parts are blurred, in pixels.",
                                )
                            ],
                        ),
                        io.DynamicCombo.Option("desaturate", []),
                        io.DynamicCombo.Option("heat colours", _heat_inputs()),
                        io.DynamicCombo.Option("outline", _outline_inputs()),
                    ],
                    tooltip="What is done to the picture. For a language model: fade to grey, level 0.",
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image", tooltip="The prompted pictures, of the same size.")
            ],
        )

    @classmethod
    def execute(
        cls, image: Tensor, mask: Tensor, strength: float, style: Mapping[str, Any] | None = None
    ) -> io.NodeOutput:
        pictures, masks = convert.to_picture_batch(image), convert.to_mask_batch(mask)
        drawn = apply(pictures, masks, to_style(style), strength)
        return io.NodeOutput(
            host.to_intermediate(drawn),
            ui=faces.entry(
                masks=list(masks),
                pictures=list(pictures),
                settings={"strength": strength, **to_settings(style)},
                size=list(pictures.shape[1:3]),
            ),
        )


def _grey_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "level", default=0, min=0, max=255, tooltip="What irrelevant parts fade to: 0 is black, 255 is white."
        ),
        io.Combo.Input(
            "rounding",
            options=list(ROUNDINGS),
            default="none",
            advanced=True,
            tooltip="none keeps all precision; truncate gives the grey values of the paper's published code.",
        ),
    ]


def _heat_inputs() -> list[io.Input]:
    return [
        io.Combo.Input("colormap", options=list(COLORMAPS), default="turbo", tooltip="Colours from low to high."),
        io.Float.Input(
            "opacity",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How much the colours cover the picture.",
        ),
        io.Boolean.Input(
            "weighted",
            default=False,
            advanced=True,
            tooltip="On: colours cover the picture where the mask is strong only.",
        ),
    ]


def _outline_inputs() -> list[io.Input]:
    return [
        io.Color.Input("colour", default="#ff3030", tooltip="The line's colour."),
        io.Int.Input("width", default=3, min=1, max=64, tooltip="The line's width in pixels."),
        io.Float.Input(
            "threshold", default=0.5, min=0.0, max=1.0, step=0.01, tooltip="The mask's value that the line follows."
        ),
    ]


NODES: list[type[io.ComfyNode]] = [Overlay]
