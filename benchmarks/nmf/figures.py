"""Figures of the benchmark."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from .collect import OWN
from .packages import PACKAGES

mpl.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {"phasekit": "#000000", "sklearn-cd": "#D55E00", "hyperspy": "#0072B2", "torchnmf": "#009E73"}
Rows = list[dict[str, Any]]


def draw_report(results: dict[str, Any], target: Path) -> None:
    """Draw ``scaling.png``, ``excess.png`` and ``recovery.png``, of what was measured."""
    if results["scaling"]:
        draw_scaling(results["scaling"], target / "scaling.png")
    if results["sweeps"]:
        draw_excess(results["sweeps"], target / "excess.png")
    if results["recovery"]:
        draw_recovery(results["recovery"]["overall"], results["recovery"]["cases"], target / "recovery.png")


def draw_scaling(rows: Rows, path: Path) -> None:
    """CPU seconds of one fit against patterns, detector pixels and k."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), sharey=True, layout="constrained")
    kinds = (("patterns", "side", "scan points"), ("pixels", "detector", "detector pixels"), ("k", "k", "components k"))
    for ax, (axis, name, label) in zip(axes, kinds, strict=True):
        mine = [row for row in rows if row["axis"] == axis]
        power = 1 if name == "k" else 2
        for package in dict.fromkeys(row["package"] for row in mine):
            points = sorted((row[name] ** power, row["cpu_s"]) for row in mine if row["package"] == package)
            title, colour = PACKAGES[package].title, COLOURS.get(package)
            ax.plot(*zip(*points, strict=True), marker="o", color=colour, label=title)
        ax.set(xlabel=label, yscale="log", xscale="log")
        sizes = sorted({row[name] ** power for row in mine})
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.set_xticks([], minor=True)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("CPU time of one fit / s")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_excess(rows: Rows, path: Path) -> None:
    """How far phasekit's error lies above the best of scikit-learn's starts, by k."""
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for row, colour in zip(rows, ("#0072B2", "#56B4E9", "#D55E00", "#E69F00"), strict=False):  # two sizes, two ends
        ks, values = zip(*sorted((int(k), 100 * value) for k, value in row["excess"].items()), strict=True)
        ax.plot(ks, values, marker="o", color=colour, label=f"{row['features']} features, {_end(row)}")
    ax.axhline(0, color="0.5", linewidth=1)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="components k", ylabel="error above scikit-learn's best / %")
    ax.grid(alpha=0.3)
    ax.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _end(row: dict[str, Any]) -> str:
    return f"it stopped after {row['peer_iterations']}" if row["peer_iterations"] else "it as it comes"


def draw_recovery(overall: dict[str, dict[str, float]], n_cases: int, path: Path) -> None:
    """Share of scans whose k each rule finds, exactly and within one, best rule on top."""
    names = sorted(overall, key=lambda name: (overall[name]["exact"], overall[name]["within_one"]))
    figure, ax = plt.subplots(figsize=(7, 0.32 * len(names) + 1.2), layout="constrained")
    y = np.arange(len(names))
    ax.barh(y, [100 * overall[name]["within_one"] for name in names], color="#9ecae1", label="within one")
    ax.barh(y, [100 * overall[name]["exact"] for name in names], color="#0072B2", label="exact")
    ax.set_yticks(y, [f"{name} ({overall[name]['n']})" for name in names])
    for tick, name in zip(ax.get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if name == OWN else "normal")
    ax.set(xlabel=f"share of the simulated scans asked about (number), at most {n_cases} / %", xlim=(0, 100))
    ax.grid(alpha=0.3, axis="x")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
