"""The options of the commands `prompt` and `models`, and groups of options that several commands share."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..answering import Decoding
from ..answering.keeping import SKIP_ABOVE, SKIP_ABOVE_SETTING, require_comparable
from ..choices import (
    BATCH_SCALES,
    CALIBRATION_SCENES,
    CLIP_METHODS,
    FITS,
    LVLM_METHODS,
    PRECISIONS,
    READINGS,
    RESIZES,
    SYSTEM_PROMPTS,
)
from ..errors import InvalidInput
from ..masks import CLIP_SETTINGS, MASK_SETTINGS, MaskSettings
from ..models.catalog import EMBEDDED_CLIP
from ..overlay import STYLES, Style
from ..settings import EVERY, read_words, settings_of
from .flags import (
    add_flag,
    add_flags_of_choices,
    flag_of,
    given,
    in_help_order,
    number,
    values_of_choice,
    whole_numbers,
)

_OF_CLIP = {setting.name: (setting, setting.default) for setting in (*CLIP_SETTINGS, EVERY)}
_OF_CLIP["scale"] = (_OF_CLIP["scale"][0], BATCH_SCALES[1])
"""What is set of a clip: settings by flag, and what is read where they are not given."""
SURER = "surer"
_STYLES = {style.name: style for style in STYLES}
_STYLE_SETTINGS = {name: settings_of(style) for name, style in _STYLES.items()}


def add_models_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the models known by name, what each weighs, and whether it is here."
    parser.add_argument("--notes", action="store_true", help="also say what each model is good for")


def add_doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say what this machine is and whether the pack works on it: a report to paste into an issue, without keys and "
        "names, and a check of the embedded models in every precision of the device. --full is the acceptance run: "
        "equality, memory and cost on your own models, or on random ones of the usual sizes; at most 8 minutes."
    )
    parser.usage = "%(prog)s [MODEL ...] [options]"
    parser.add_argument("models", metavar="MODEL", nargs="*", help="for --full: names or folders of weights here")
    parser.add_argument("--full", action="store_true", help="the acceptance run")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found to FILE")


def add_calibrate_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Find the attention heads of a vision-language model, and the layer, that look at what is asked for, on drawn "
        "scenes whose boxes are known. They are kept in your configuration folder for the model with these weights: "
        "the method `few heads` then reads these heads, and a model that `models` does not list is read in this layer. "
        "Stopped, it keeps nothing."
    )
    parser.usage = "%(prog)s MODEL [options]"
    parser.add_argument("model", metavar="MODEL", help="a name from the `models` command, or a folder")
    parser.add_argument(
        "--scenes", type=number(2, kind=int), default=CALIBRATION_SCENES, help="how many; more tell heads apart better"
    )
    parser.add_argument("--forget", action="store_true", help="remove what is kept for this model instead")
    add_loading_options(parser.add_argument_group("machine"), pixels="that the model sees, 0: its own")


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Prompt pictures with a question: what does not matter to it fades. Writes PNG (or what -o ends with) under "
        "the picture's own stem. One bad picture in a folder does not stop the others."
    )
    parser.usage = "%(prog)s PICTURE QUERY -o OUT [options]"
    further = {
        "--save-mask": "also write <stem>.mask.png, white = relevant",
        "--save-heatmap": "also write <stem>.heatmap.npz: the raw values",
        "--panel": "also write <stem>.panel.png: before and after",
    }
    add_file_options(parser, further)
    parser.add_argument("query", metavar="QUERY", help="what to look for: a question or a description")

    model = parser.add_argument_group("model")
    model.add_argument("--model", default=EMBEDDED_CLIP, help="a name from the `models` command, or a folder")
    add_loading_options(model)

    add_heatmap_options(parser)
    answer = parser.add_argument_group("of an LVLM, whose attention is read while it answers the query")
    answer.add_argument("--answer", metavar="TEXT", help="read how it would give this answer (default: its own)")
    answer.add_argument(
        "--hint-words", type=read_words, default=(), metavar="A,B", help="the answer's words that count"
    )
    answer.add_argument("--max-new-tokens", type=number(1, kind=int), help="limit of its answer (default: 20)")
    answer.add_argument("--max-pixels", type=number(0, kind=int), default=0, help="shrink pictures to so many")
    add_resize(answer)
    add_system_prompt(answer)

    mask = add_mask_options(parser)
    mask.add_argument("--words", type=read_words, default=(), metavar="A,B", help="only these words of the query")
    add_overlay_options(parser)
    clip = parser.add_argument_group("clip")
    clip.add_argument(
        "--clip",
        action="store_true",
        help="the folder's pictures are the frames of a clip, in the order of the numbers in their names",
    )
    for setting, default in _OF_CLIP.values():
        add_flag(clip, setting, default)


def chosen_clip(options: argparse.Namespace) -> dict[str, Any] | None:
    """What a clip is read and measured with, by the settings' names; None where the pictures are no clip.

    Raises InvalidInput for what is for a clip only, and for what no clip is read with.
    """
    said = {name: given(options, name) for name in _OF_CLIP}
    if not options.clip:
        for name, (_, default) in _OF_CLIP.items():
            if said[name] != default:
                raise InvalidInput(f"--{name} is for the frames of a clip. Add --clip, or leave it out.")
        return None
    if not options.picture.is_dir():
        raise InvalidInput(f"--clip is for a folder of frames, and {options.picture} is none.")
    if options.reading == "upstream":
        raise InvalidInput("The upstream reading knows no clips. Leave --clip or --reading out.")
    return said


def add_heatmap_options(parser: argparse.ArgumentParser) -> None:
    """How a map is made."""
    heatmap = parser.add_argument_group("heatmap")
    heatmap.add_argument(
        "--method",
        choices=(*CLIP_METHODS, *LVLM_METHODS),
        help=f"how relevance is found, by a CLIP: {', '.join(CLIP_METHODS)}; by an LVLM: {', '.join(LVLM_METHODS)} "
        "(default: the model's)",
    )
    heatmap.add_argument(
        "--layer",
        "--layers",
        dest="layers",
        type=whole_numbers,
        metavar="N",
        help="layer that is read, negative from the end; of an LVLM also several: 12,14 (default: the model's)",
    )
    heatmap.add_argument("--reading", choices=READINGS, default=READINGS[0], help="upstream: as the paper's code")
    heatmap.add_argument("--fit", choices=FITS, help="how a picture that is not square is shown (default: the model's)")
    heatmap.add_argument("--neutral", metavar="TEXT", help="subtract the map of this text, such as 'a photo'")


def add_file_options(parser: argparse.ArgumentParser, further: Mapping[str, str]) -> None:
    """The pictures, and what is written of each. further: flags of what else can be, with their help."""
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a picture file, or a folder of them")
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--out", type=Path, required=True, help="a folder, or one file (.png, .jpg, .webp)")
    for flag, says in further.items():
        files.add_argument(flag, action="store_true", help=says)
    files.add_argument("--overwrite", action="store_true", help="replace results that exist (never an input)")


def add_loading_options(
    group: argparse._ArgumentGroup, weights: str = "of the model's weights", pixels: str | None = None
) -> None:
    """How a model is loaded. pixels: what the help says of the most pixels; without it there is no such option."""
    group.add_argument("--precision", choices=PRECISIONS, default="auto", help=weights)
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps …")
    if pixels:
        group.add_argument("--max-pixels", type=number(0, kind=int), default=0, help=pixels)
        add_resize(group)
    group.add_argument("--allow-download", action="store_true", help="fetch weights that are not on this machine")


def add_resize(group: argparse._ArgumentGroup) -> None:
    """How an LVLM's pictures are resized."""
    group.add_argument(
        "--resize", choices=RESIZES, help="how an LVLM's pictures are resized; pil: as published code does"
    )


def add_system_prompt(group: argparse._ArgumentGroup) -> None:
    """What an LVLM is told first: a text, or the name of one."""
    named = ", ".join(SYSTEM_PROMPTS)
    group.add_argument(
        "--system-prompt",
        type=lambda text: SYSTEM_PROMPTS.get(text, text),
        default="",
        metavar="TEXT",
        help=f"said to the model first; {named}: what the paper's models were trained with",
    )


def add_mask_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """From a map to a mask, which `chosen_mask` reads; the group, for what a command adds."""
    mask = parser.add_argument_group("mask")
    for setting in in_help_order(MASK_SETTINGS):
        add_flag(mask, setting, setting.default)
    return mask


def chosen_mask(options: argparse.Namespace, words: tuple[str, ...] = (), **more: Any) -> MaskSettings:
    """What a mask is made with. more: settings that have no flag of their own."""
    said = {setting.name: given(options, flag_of(setting)) for setting in in_help_order(MASK_SETTINGS)}
    return MaskSettings(**said, words=words, **more)


def add_overlay_options(parser: argparse.ArgumentParser) -> None:
    """How a mask is drawn; `chosen_style` reads what is given."""
    overlay = parser.add_argument_group("overlay")
    overlay.add_argument(
        "--style", choices=tuple(_STYLES), default=STYLES[0].name, help="what happens to what does not matter"
    )
    overlay.add_argument("--strength", type=number(0, 1), default=1.0, help="0 leaves the picture as it is")
    add_flags_of_choices(overlay, _STYLE_SETTINGS)


def chosen_style(options: argparse.Namespace) -> Style:
    """The style with the values given for it. Raises InvalidInput for a value that belongs to another style."""
    return _STYLES[options.style](**values_of_choice(options, "style", options.style, _STYLE_SETTINGS))


def given_overlay_flags(options: argparse.Namespace) -> list[str]:
    """What was given of the overlay's options, without the dashes."""
    own = {flag_of(setting) for settings in _STYLE_SETTINGS.values() for setting in settings}
    usual: dict[str, object] = {"style": STYLES[0].name, "strength": 1.0}
    return [flag for flag in [*usual, *sorted(own)] if given(options, flag) != usual.get(flag)]


def given_prompting_flags(options: argparse.Namespace) -> list[str]:
    """The same of the options for a map and its mask."""
    usual = {flag_of(setting): setting.default for setting in in_help_order(MASK_SETTINGS)}
    usual |= {"method": None, "layers": None, "reading": READINGS[0], "fit": None, "neutral": None}
    return [flag for flag, value in usual.items() if given(options, flag) != value]


def add_keep_options(group: argparse._ArgumentGroup, usual: str, says: str) -> None:
    """Which answers are kept, which `surer_above` reads. usual: the choice unless told otherwise, and what it keeps."""
    group.add_argument(
        "--keep",
        choices=(usual, SURER),
        default=usual,
        help=f"{usual}: {says}; {SURER}: of the plain and the prompted picture the answer that the model is surer of",
    )
    add_flag(group, SKIP_ABOVE_SETTING, None)


def surer_above(options: argparse.Namespace, decoding: Decoding) -> float | None:
    """With --keep surer, how sure a plain answer is kept without asking again; else None.

    Raises InvalidInput for a decoding whose answers cannot be compared.
    """
    if options.keep != SURER:
        if options.skip_above is not None:
            raise InvalidInput(f"--skip-above belongs to --keep {SURER}, not to --keep {options.keep}.")
        return None
    skip_above = SKIP_ABOVE if options.skip_above is None else options.skip_above
    require_comparable(decoding, skip_above)
    return skip_above
