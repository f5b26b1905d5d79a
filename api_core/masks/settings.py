"""What a mask is made with. A new knob is a field here, and what it does in `tuning`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..choices import BATCH_SCALES, INTERPOLATIONS, SMOOTHING_UNITS
from ..errors import InvalidInput, require_one_of
from ..settings import MaskDefaults, require_in_range, setting, settings_of


@dataclass(frozen=True)
class MaskSettings:
    """How a heatmap becomes a mask: contrast, smoothing, interpolation, threshold, grow, feather and invert in turn.

    contrast: gain of the sigmoid, 0 or more; None is the heatmap's own. smoothing: the box's width from 1 (none) on, in
    cells of the grid (smoothing_unit `patches`) or of the mask (`pixels`, precise only); the upstream reading takes odd
    whole widths; None is the heatmap's own, which counts patches. words: labels of the map (any case), of which the
    mean is taken; without words the whole text's map (of a heatmap that holds chosen words only, all of them).
    threshold: 0 keeps the mask soft, else 1 where the mask reaches it and 0 elsewhere. grow: pixels, negative shrinks;
    grow_shape: round or square. feather: width in pixels of a soft edge laid over all of that, 0 for none; grown by
    half of it first, a hard mask keeps its bright part lit in full. least_presence: of maps whose presence (see
    `presence`) lies below it, the mask is 1 everywhere, inverted or not; 0 is off.

    The order of the fields is that of the node's widgets, which is a promise: what is new comes after them.
    """

    contrast: float | None = setting(
        None,
        0.0,
        describes="How sharply relevant and irrelevant part. Below 0: the model's own value; 1 is soft, "
        "10 nearly black and white. 0: a flat map; of the decomposition, its second part alone.",
        short="gain of the sigmoid (default: the model's)",
        reach=(0.0, 50.0),
        step=0.5,
        own=-1.0,
    )
    smoothing: float | None = setting(
        None,
        1.0,
        describes="Side of the averaging window. 0: the model's own value; 1: none; larger is smoother.",
        short="width of the box filter in patches (default: the model's)",
        reach=(1, 99),
        own=0,
    )
    interpolation: str = setting(
        "lanczos",
        describes="How the patches are brought to the picture's size. nearest shows the patches themselves.",
        short="from patches to pixels",
        options=INTERPOLATIONS,
        advanced=True,
    )
    words: Sequence[str] = setting(
        (), describes="Words of the query or answer, with commas between, used together. Empty: the whole.", flag=None
    )
    threshold: float = setting(
        0.0,
        0.0,
        1.0,
        "0: a soft mask. Above: what reaches this value becomes white, the rest black.",
        short="0 keeps the mask soft",
        step=0.01,
        advanced=True,
    )
    grow: int = setting(
        0,
        describes="Widens the white parts by so many pixels; below 0 narrows them.",
        short="grow the mask; negative shrinks it",
        reach=(-512, 512),
        advanced=True,
        unit="pixels",
    )
    invert: bool = setting(
        False,
        describes="Swaps white and black: relevant becomes black.",
        short="what matters becomes what does not",
        advanced=True,
    )
    smoothing_unit: str = setting(
        "patches",
        describes="What smoothing counts: patches, as in the paper, or pixels. The model's own (0): patches.",
        options=SMOOTHING_UNITS,
        advanced=True,
        flag=None,
    )
    feather: float = setting(
        0.0,
        0.0,
        describes="Width in pixels of a soft edge, after threshold and grow. 0: none.",
        short="width of a soft edge, 0: none",
        reach=(0, 512),
        advanced=True,
        optional=True,  # prompts made before it was appended lack it
        unit="pixels",
    )
    grow_shape: str = "round"
    scale: str = setting(
        "each picture",
        describes=(
            "Whose least and greatest values become black and white: each picture's own, or those of the whole batch, "
            "for the frames of a video, where what is not there must not light up."
        ),
        short="whose brightest is white",
        options=BATCH_SCALES,
        advanced=True,
        optional=True,
        flag=None,
    )
    steady: int = setting(
        0,
        0,
        8,
        "For the frames of a video: the mean over so many frames before and after, nearer ones counting more. 0: none.",
        short="the mean over so many frames before and after",
        advanced=True,
        optional=True,
        flag=None,
    )
    least_presence: float = setting(
        0.0,
        0.0,
        describes=(
            "Of a CLIP's map. With less presence than this the thing is taken not to be there: the mask is white "
            "everywhere, so that nothing is hidden or magnified. CLIP Heatmap's presence shows what suits a model; for "
            "tiny-clip 3. 0: off."
        ),
        short="of a CLIP's map: with less presence than this the picture stays as it is (tiny-clip: 3), 0: off",
        reach=(0.0, 100.0),
        step=0.1,
        advanced=True,
        optional=True,
    )

    def __post_init__(self) -> None:
        if isinstance(self.contrast, int | float) and self.contrast < 0:
            raise InvalidInput(
                f"The contrast must be 0 or more, not {self.contrast}. To light up the rest instead, use invert."
            )
        require_in_range(self)
        require_one_of(self.scale, BATCH_SCALES, "scale")
        require_one_of(self.smoothing_unit, SMOOTHING_UNITS, "smoothing unit")

    @property
    def is_of_a_clip(self) -> bool:
        """Whether pictures are measured together, as the frames of a clip."""
        return self.scale != BATCH_SCALES[0] or self.steady > 0

    def with_defaults(self, defaults: MaskDefaults) -> "MaskSettings":
        """The same with a map's own contrast and smoothing for None."""
        made = self
        if made.contrast is None:
            made = replace(made, contrast=defaults.contrast)
        if made.smoothing is None:
            made = replace(made, smoothing=defaults.smoothing, smoothing_unit="patches")
        return made


MASK_SETTINGS = settings_of(MaskSettings)
CLIP_SETTINGS = settings_of(MaskSettings, ("scale", "steady"))
"""Those that measure pictures together."""
