"""Figures of the benchmark."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from .cells import N_ENERGIES, NUISANCES

mpl.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {"phasekit": "#000000", "chi-square per pixel": "#0072B2", "PCA + GMM": "#D55E00"}
COLOURS |= {
    "chi-square with slope": "#56B4E9",
    "k-means + Pearson": "#E69F00",
    "NNLS arg-max": "#009E73",
    "MCR-ALS": "#CC79A7",
}
NOISE_SHOWN = 0.05


def draw_report(results: dict[str, Any], target: Path) -> None:
    """Draw ``accuracy.png`` and ``calibration.png``."""
    if results["cells"]:
        draw_accuracy(results["cells"], target / "accuracy.png")
        draw_calibration(results["reliability"], target / "calibration.png")


def draw_accuracy(cells: list[dict[str, Any]], path: Path) -> None:
    """Accuracy against the number of energies, a panel per nuisance, at the middle noise."""
    figure, axes = plt.subplots(2, 4, figsize=(13, 6), sharex=True, sharey=True, layout="constrained")
    for ax, nuisance in zip(axes.flat, NUISANCES, strict=False):
        mine = {cell["n"]: cell for cell in cells if cell["nuisance"] == nuisance and cell["noise"] == NOISE_SHOWN}
        numbers = [n for n in N_ENERGIES if n in mine]
        for name, colour in COLOURS.items():
            own = name == "phasekit"
            values = [mine[n]["own"]["accuracy"] if own else mine[n]["rivals"].get(name, np.nan) for n in numbers]
            ax.plot(numbers, values, marker="o", color=colour, linewidth=2.2 if own else 1.1, markersize=4, label=name)
        ax.set(title=nuisance, xscale="log", ylim=(0.2, 1.0))
        ax.set_xticks(N_ENERGIES, [str(n) for n in N_ENERGIES], minor=False)
        ax.set_xticks([], minor=True)
        ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("energies")
    for ax in axes[:, 0]:
        ax.set_ylabel("share of right names")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    axes[1, 3].axis("off")
    axes[1, 3].legend(handles, labels, loc="center", title=f"noise {NOISE_SHOWN}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_calibration(pooled: dict[str, list[float]], path: Path) -> None:
    """Rate of right names against stated confidence, with how many pixels each point holds."""
    pixels, stated, actual = (np.array(pooled[name]) for name in ("pixels", "stated", "actual"))
    some = pixels > 50
    figure, (curve, bars) = plt.subplots(2, 1, figsize=(5, 6), sharex=True, height_ratios=(3, 1), layout="constrained")
    curve.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="calibrated")
    curve.plot(stated[some] / pixels[some], actual[some] / pixels[some], marker="o", color="#0072B2", label="phasekit")
    curve.set(ylabel="rate of right names", title="All cells but those with an unknown phase", xlim=(0, 1), ylim=(0, 1))
    curve.legend()
    bars.bar(
        (np.arange(pixels.size) + 0.5) / pixels.size, pixels / pixels.sum(), width=0.9 / pixels.size, color="#0072B2"
    )
    bars.set(xlabel="stated confidence", ylabel="share of pixels")
    for ax in (curve, bars):
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
