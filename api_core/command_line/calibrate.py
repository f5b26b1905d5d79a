"""Find the heads and the layer of a model that see best, and keep them for it."""

import argparse

from ..attribution.lvlm.calibrate import CalibrationReport, Measured, calibrate
from ..errors import InvalidInput
from ..models.lvlm.calibration import forget_calibration, require_writable, save_calibration
from .loading import load_lvlm_model
from .terminal import ProgressBar, say


def run(options: argparse.Namespace) -> int:
    """Calibrate one model, or forget what was kept of it; nothing can fail and be counted, so the result is 0."""
    require_writable()
    model = load_lvlm_model(options, options.model)
    if model is None:
        raise InvalidInput("A calibration needs a model. Name one of the `models` command, or a folder.")
    if options.forget:
        kept = forget_calibration(model)
        say(f"{model.name}: forgotten" if kept else f"{model.name}: nothing was kept")
        return 0
    with ProgressBar(f"calibrating {model.name}") as bar:
        report = calibrate(model, scenes=options.scenes, on_progress=bar)
    for line in table(report):
        say(line)
    say(f"kept in {save_calibration(report.chosen)}")
    return 0


def table(report: CalibrationReport) -> list[str]:
    """The figures in lines: layers, then heads, the chosen marked."""
    chosen = report.chosen
    lines = [f"{chosen.model}, {chosen.scenes} drawn scenes (chance: {100 * report.chance:.0f} %)"]
    lines.append(f"{'':<12}{'pointing':>10}{'in the box':>12}")
    lines += [_line(f"layer {n}", found, n == chosen.layer) for n, found in report.layers]
    lines += [_line(f"head {layer}.{head}", found, True) for (layer, head), found in report.heads]
    return lines


def _line(name: str, found: Measured, chosen: bool) -> str:
    mark = "  chosen" if chosen else ""
    return f"{name:<12}{100 * found.pointing:>8.0f} %{100 * found.inside:>10.0f} %{mark}"
