"""The `decoding` input: what can be chosen, and what was."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfy_api.latest import io

from ..api_core.answering import M3ID, VCD, AvisC, Decoding, Greedy, Sample
from ..api_core.answering.calibrated.vcd import NOISE_STEPS
from ..api_core.choices import SCHEMES
from ..api_core.errors import InvalidInput
from . import convert

OWN_ALPHA = -1.0
"""Any number below 0 stands for the model's own."""


def to_decoding(chosen: Mapping[str, Sequence[Any]] | None, seed: int) -> Decoding:
    """The decoding that the `decoding` input describes: its own name under "decoding", and that one's settings."""
    settings = convert.only_each(chosen)
    name = settings.pop("decoding", None)
    if name == Greedy.name:
        return Greedy()
    if name == Sample.name:
        return Sample(seed=seed, **settings)
    if name == AvisC.name:
        alpha = settings.pop("alpha", OWN_ALPHA)
        return AvisC(seed=seed, alpha=None if alpha < 0 else alpha, **settings)
    if name == VCD.name:
        return VCD(seed=seed, **settings)
    if name == M3ID.name:
        return M3ID(seed=seed, **settings)
    # ComfyUI leaves the whole input away when it does not know the name, so the name cannot be repeated here.
    raise InvalidInput(f"Ask LVLM does not know this decoding. Choose one of: {', '.join(OPTIONS)}.")


def decoding_input() -> io.Input:
    """The input itself; further kinds are appended.

    The page saves values by place, and `previous_answer`, which is optional, after those of the chosen kind: a kind
    that was released gets no further setting, but a new name.
    """
    return io.DynamicCombo.Input(
        "decoding",
        options=[io.DynamicCombo.Option(name, make()) for name, make in OPTIONS.items()],
        tooltip=(
            "How words are chosen. greedy: always the likeliest. sample: by chance, as the seed wills. AvisC, VCD, "
            "M3ID: against a second reading, which sees only blind tokens, a noisy picture, or none; they take about "
            "twice as long and need a model that is loaded here."
        ),
    )


def _sample() -> list[io.Input]:
    return [_temperature(0.7, least=0.01), _top_p(0.95), _top_k()]


def _avisc() -> list[io.Input]:
    return [
        _alpha(OWN_ALPHA, least=OWN_ALPHA),
        io.Float.Input(
            "threshold",
            default=1.0,
            min=-10.0,
            max=10.0,
            step=0.1,
            tooltip="A token is blind from so many standard deviations above the mean attention. Lower: more are.",
        ),
        io.Float.Input(
            "gamma",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            advanced=True,
            tooltip="Blind tokens are sought in the layers that look most, which together have this share of it all.",
        ),
        io.Combo.Input(
            "scheme",
            options=list(SCHEMES),
            default=SCHEMES[0],
            advanced=True,
            tooltip=(
                "What the second reading gets in the place of other tokens: zeros, ones, noise, or nothing at all "
                "(attention mask)."
            ),
        ),
        *_picking(),
    ]


def _vcd() -> list[io.Input]:
    return [
        _alpha(1.0, least=0.0),
        io.Int.Input(
            "noise_step",
            default=500,
            min=0,
            max=NOISE_STEPS,
            tooltip="How noisy the second reading's picture is; 0: not at all.",
        ),
        *_picking(),
    ]


def _m3id() -> list[io.Input]:
    return [
        io.Float.Input(
            "forgetting",
            default=0.02,
            min=0.0,
            max=2.0,
            step=0.01,
            tooltip="How much more each further word is weighed against the reading without a picture; 0: not at all.",
        ),
        *_picking(),
    ]


def _picking() -> list[io.Input]:
    """What all that read twice have in common."""
    return [
        io.Float.Input(
            "beta",
            default=0.1,
            min=0.0,
            max=1.0,
            step=0.05,
            advanced=True,
            tooltip="Words that are not this likely, measured by the likeliest, are never taken. 1: as greedy.",
        ),
        _temperature(0.0, least=0.0, advanced=True),
        _top_p(1.0, advanced=True),
        _top_k(advanced=True),
    ]


def _alpha(default: float, least: float) -> io.Input:
    return io.Float.Input(
        "alpha",
        default=default,
        min=least,
        max=20.0,
        step=0.1,
        tooltip="How much the second reading counts against the answer; 0: not at all. Below 0: the model's own value.",
    )


def _temperature(default: float, least: float, advanced: bool = False) -> io.Input:
    return io.Float.Input(
        "temperature",
        default=default,
        min=least,
        max=5.0,
        step=0.05,
        advanced=advanced,
        tooltip="Below 1 likely words become likelier; above 1 chance counts more. 0: no chance, the best word.",
    )


def _top_p(default: float, advanced: bool = False) -> io.Input:
    return io.Float.Input(
        "top_p",
        default=default,
        min=0.01,
        max=1.0,
        step=0.01,
        advanced=advanced,
        tooltip="Words are chosen among the likeliest that together reach this share; 1: among all.",
    )


def _top_k(advanced: bool = False) -> io.Input:
    return io.Int.Input(
        "top_k",
        default=0,
        min=0,
        max=1000,
        advanced=advanced,
        tooltip="Words are chosen among so many of the likeliest; 0: among all.",
    )


OPTIONS: Mapping[str, Callable[[], list[io.Input]]] = {
    Greedy.name: list,
    Sample.name: _sample,
    AvisC.name: _avisc,
    VCD.name: _vcd,
    M3ID.name: _m3id,
}
