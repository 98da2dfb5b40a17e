"""The parts of the page about cost: one fit, every k, cost against size, a scan from a file."""

import math
from typing import Any

from ..harness import markdown_table
from .collect import find_reference_title
from .packages import PACKAGES

Rows = list[dict[str, Any]]
NOT_MEASURED = ("Not measured yet.", "")
FIT_HEAD = (
    "package",
    "same error / s",
    "iterations",
    "ratio",
    "as it comes / s",
    "ratio",
    "error",
    "above target",
    "memory / MB",
)
SWEEP_HEAD = (
    "features",
    "scikit-learn's end",
    "scikit-learn / s",
    "fits / s",
    "ratio",
    "whole / s",
    "ratio",
    "worst excess",
    "at k",
    "mean excess",
    "memory, scikit-learn / fits / whole / MB",
)


def describe_fits(rows: Rows) -> list[str]:
    if not rows:
        return [*NOT_MEASURED]
    about = (
        "As it comes: default iterations and test of convergence. Same error: the shortest run, from the beginning, "
        f"that comes within {rows[0]['slack']:.2%} of the error at which {find_reference_title()} stops by itself; "
        "number of iterations in steps of about 1.4; phasekit's include those on a compressed copy, whose "
        "seconds count too. Ratio: seconds over phasekit's. Error: |V - W H|^2 / |V|^2 in double "
        "precision, by the same code for all. Memory: peak above what was held before the fit."
    )
    lines = [about, ""]
    for size in dict.fromkeys((row["side"], row["detector"], row["k"]) for row in rows):
        lines += _fit_table(size, [row for row in rows if (row["side"], row["detector"], row["k"]) == size])
    return lines


def _fit_table(size: tuple[int, int, int], rows: Rows) -> list[str]:
    side, detector, k = size
    measured = {row["package"] for row in rows}
    missing = [package.title for name, package in PACKAGES.items() if name not in measured]
    return [
        f"### {side**2} patterns of {detector} x {detector} pixels, k = {k}",
        "",
        *markdown_table(FIT_HEAD, [_fit_row(row) for row in rows]),
        "",
        *([f"Not measured: {'; '.join(missing)}.", ""] if missing else []),
    ]


def _fit_row(row: dict[str, Any]) -> list[str]:
    default = row["default"]
    return [
        f"{PACKAGES[row['package']].title} {row['version']}",
        *_target_cells(row),
        _format_seconds(default["cpu_s"]),
        _format_ratio(row["ratio_default"]),
        f"{default['error']:.6f}",
        f"{row['excess']:+.4%}",
        f"{default['peak_mb']:.0f}",
    ]


def _target_cells(row: dict[str, Any]) -> list[str]:
    """Seconds, iterations and ratio of the shortest run that reaches the target, or how near the longest one came."""
    reached, tried = row["reached"], row["tried"]
    if reached:
        return [_format_seconds(reached["cpu_s"]), str(reached["iterations"]), _format_ratio(row["ratio"])]
    above = row["closest"] / row["target"] - 1
    return [f"not reached (best {above:+.3%})", f"up to {tried['iterations']}" if tried else "", ""]


def describe_sweeps(rows: Rows) -> list[str]:
    if not rows:
        return [*NOT_MEASURED]
    ks = sorted(int(k) for k in rows[0]["excess"])
    plain = [row for row in rows if not row["peer_iterations"]]
    unfinished = ", ".join(f"{row['unfinished']:.0%} ({row['features']} features)" for row in plain)
    return [
        f"k = {ks[0]} to {ks[-1]}, {rows[0]['starts']} starts each. scikit-learn {rows[0]['peer_version']}: coordinate "
        "descent, one start from the singular vectors (nndsvda), the others random, the best start per k kept; once as "
        "it comes, once stopped after as many iterations as it needed for the target above, so that what it does "
        "beyond that error is not charged. Fits: `factorise_ranks`; whole: `scan_ranks`, which also fits held-out "
        "data and compares runs. Excess: phasekit's error over scikit-learn's best at the same k, less one.",
        "",
        *markdown_table(SWEEP_HEAD, [_sweep_row(row) for row in rows]),
        "",
        f"scikit-learn's fits as they come that ended at its limit of 200 iterations: {unfinished}.",
        "",
        "![Excess of phasekit's error over scikit-learn's best, by k](excess.png)",
        "",
    ]


def _sweep_row(row: dict[str, Any]) -> list[str]:
    worst = max(row["excess"], key=lambda k: float(row["excess"][k]))
    mean = sum(row["excess"].values()) / len(row["excess"])
    peaks = (row["peer_peak_mb"], row["fits"]["peak_mb"], row["scan"]["peak_mb"])
    return [
        str(row["features"]),
        f"{row['peer_iterations']} iterations" if row["peer_iterations"] else "as it comes",
        _format_seconds(row["peer_cpu_s"]),
        _format_seconds(row["fits"]["cpu_s"]),
        _format_ratio(row["ratio_fits"]),
        _format_seconds(row["scan"]["cpu_s"]),
        _format_ratio(row["ratio_scan"]),
        f"{row['excess'][worst]:+.4%}",
        str(worst),
        f"{mean:+.4%}",
        " / ".join(f"{value:.0f}" for value in peaks),
    ]


def describe_scaling(rows: Rows) -> list[str]:
    """One fit of each package against patterns, pixels and k, as it comes."""
    if not rows:
        return [*NOT_MEASURED]
    packages = list(dict.fromkeys(row["package"] for row in rows))
    cases: dict[tuple[str, int, int, int], dict[str, dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault((row["axis"], row["side"], row["detector"], row["k"]), {})[row["package"]] = row
    about = (
        "`python -m benchmarks.nmf.run_scaling`. CPU seconds of one fit as it comes, with default iterations and test "
        "of convergence. In brackets: the ratio to phasekit's seconds, the error above phasekit's, and the peak memory "
        "/ MB. Every fit is a process of its own, one after another. phasekit starts five times, the "
        "others once. The others end after 200 iterations at the latest, their default."
    )
    head = ["varied", "patterns", "pixels", "k", *(PACKAGES[name].title for name in packages)]
    table = [_scaling_row(*case, mine, packages) for case, mine in cases.items()]
    figure = "![CPU time of one fit against patterns, pixels and k](scaling.png)"
    lines = [about, "", *markdown_table(head, table), "", *_describe_worst(cases), *_growth_lines(rows, packages)]
    return [*lines, figure, ""]


def _describe_worst(cases: dict[tuple[str, int, int, int], dict[str, dict[str, Any]]]) -> list[str]:
    """Where phasekit is least ahead in time, and where its error is farthest above another package's."""
    pairs = [
        (case, mine["phasekit"], one)
        for case, mine in cases.items()
        for name, one in mine.items()
        if name != "phasekit" and "phasekit" in mine
    ]
    if not pairs:
        return []
    (_, own, peer), (_, far, best) = (
        min(pairs, key=lambda pair: pair[2]["cpu_s"] / pair[1]["cpu_s"]),
        max(pairs, key=lambda pair: pair[1]["error"] / pair[2]["error"]),
    )
    return [
        f"phasekit is least ahead at {own['side'] ** 2} patterns of {own['detector'] ** 2} pixels and k = {own['k']}: "
        f"{peer['cpu_s'] / own['cpu_s']:.1f} times ({PACKAGES[peer['package']].title}). Its error is farthest above "
        f"another's at {far['side'] ** 2} patterns of {far['detector'] ** 2} pixels and k = {far['k']}: "
        f"{far['error'] / best['error'] - 1:+.3%} ({PACKAGES[best['package']].title}).",
        "",
    ]


def _scaling_row(
    axis: str, side: int, detector: int, k: int, costs: dict[str, dict[str, Any]], packages: list[str]
) -> list[str]:
    cells = [_scaling_cell(costs[name], costs.get("phasekit")) if name in costs else "" for name in packages]
    return [axis, str(side**2), str(detector**2), str(k), *cells]


def _scaling_cell(one: dict[str, Any], own: dict[str, Any] | None) -> str:
    seconds, memory = _format_seconds(one["cpu_s"]), f"{one['peak_mb']:.0f}"
    if own is None or one is own:
        return f"{seconds} ({memory})"
    return f"{seconds} ({one['cpu_s'] / own['cpu_s']:.1f}; {one['error'] / own['error'] - 1:+.3%}; {memory})"


def _growth_lines(rows: Rows, packages: list[str]) -> list[str]:
    """Exponent of the growth between the smallest and the largest size of each axis, by package."""
    sizes = {"patterns": ("side", 2), "pixels": ("detector", 2), "k": ("k", 1)}
    table = []
    for axis, (name, power) in sizes.items():
        cells = []
        for package in packages:
            mine = sorted(
                (row[name] ** power, row["cpu_s"]) for row in rows if (row["axis"], row["package"]) == (axis, package)
            )
            (low, before), (high, after) = (mine[0], mine[-1]) if mine else ((1, 1.0), (1, 1.0))
            cells.append(f"{math.log(after / before) / math.log(high / low):.2f}" if high > low else "")
        table.append([axis, *cells])
    head = [
        "seconds grow, from the smallest size measured to the largest, as the power of",
        *(PACKAGES[name].title for name in packages),
    ]
    return [*markdown_table(head, table), ""]


def describe_streaming(one: dict[str, Any]) -> list[str]:
    """A scan that is read from a file on every pass."""
    if not one:
        return [*NOT_MEASURED]
    side, detector, share = one["side"], one["detector"], one["peak_mb"] / one["features_mb"]
    return [
        f"{side**2} patterns of {detector} x {detector} pixels ({one['file_mb']:.0f} MB on disk, "
        f"{one['features_mb']:.0f} MB as features), k = {one['k']}, lazily from a zarr file: "
        f"{_format_seconds(one['cpu_s'])} s of CPU, {_format_seconds(one['wall_s'])} s by the clock, peak memory "
        f"{one['peak_mb']:.0f} MB above the start ({share:.2f} of the features), {one['iterations']} iterations"
        f"{_describe_end(one)}.",
        "",
    ]


def _describe_end(one: dict[str, Any]) -> str:
    """Whether the fit converged, and its error; earlier results do not say it."""
    if "converged" not in one:
        return ""
    reached = "converged" if one["converged"] else "not converged"
    return (
        f". The fit has {reached} by the default test, a relative change of the error below 1e-5 per iteration; "
        f"relative squared error {one['error']:.6f}. "
        "`python -m benchmarks.nmf.run_streaming OUT.json`; writing of the file is not counted"
    )


def _format_seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _format_ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}"
