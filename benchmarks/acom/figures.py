"""Figure of the report."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from .collect import DOSES

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker

COLOURS = {"phasekit": "#0072B2", "pyxem": "#D55E00", "py4DSTEM": "#009E73"}


def draw_report(results: dict[str, Any], path: Path) -> None:
    """Draw accuracy by dose, and the cost of matching against templates and patterns."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    _draw_accuracy(axes[0], results["accuracy"])
    for axis, (name, scaling) in zip(axes[1:], results["scaling"].items(), strict=True):
        _draw_scaling(axis, name, scaling)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_accuracy(axis: Any, accuracy: dict[str, Any]) -> None:
    for name, by_dose in accuracy.items():
        if name in COLOURS:
            shares = [by_dose[str(dose)]["folded"]["within_5"] for dose in DOSES]
            axis.semilogx(DOSES, shares, "o-", color=COLOURS[name], label=name)
    axis.set(xlabel="electrons per pattern", ylabel="within 5 degrees (folded)", ylim=(0, 1.02))
    axis.legend(loc="lower right")


def _draw_scaling(axis: Any, name: str, scaling: dict[str, Any]) -> None:
    size, seconds = np.array(scaling["pairs"]).T
    axis.loglog(size, seconds, "o-", color=COLOURS["phasekit"])
    axis.set(xlabel=name, ylabel="matching [CPU s]", title=f"slope {scaling['slope']:.2f}")
    for line in (axis.xaxis, axis.yaxis):
        line.set_minor_formatter(ticker.NullFormatter())
        line.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        line.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
