"""Results of the scripts -> Markdown and figures. Every number in the text is read from the results."""

import json
import sys
from pathlib import Path
from typing import Any

from collect import OWN, collect, reference_title
from packages import PACKAGES

Rows = list[dict[str, Any]]


def write_report(runs: Path, target: Path) -> None:
    """``README.md``, ``report.json`` and the figures in ``target``, from the results in ``runs``."""
    target.mkdir(parents=True, exist_ok=True)
    found = collect(runs)
    (target / "report.json").write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")
    (target / "README.md").write_text("\n".join(text(found)) + "\n", encoding="utf-8")
    draw(found, target)


def text(found: dict[str, Any]) -> list[str]:
    """The report as lines of Markdown."""
    return [
        "# Factorisation of diffraction patterns, and the number of components: measured",
        "",
        "`make bench-nmf` makes this page. Part one compares cost and error of the fit with other packages on the same "
        "simulated scan, one process at a time on one core with one BLAS thread; seconds are CPU seconds, imports, "
        "compilation and reading of the data not counted. Part two asks every rule for the number of components of "
        "simulated scans whose truth is known.",
        "",
        *_origin_lines(found),
        *_fit_lines(found["fits"]),
        *_sweep_lines(found["sweeps"]),
        *_scaling_lines(found["scaling"]),
        *_streaming_lines(found["streaming"]),
        *_recovery_lines(found["recovery"]),
    ]


def _origin_lines(found: dict[str, Any]) -> list[str]:
    """Machine, and a warning where results of several states of the code stand together."""
    lines, machine = [], found["machine"]
    if machine:
        versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
        lines += [
            f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
            f"Python {machine['python']}, {versions}.",
            "",
        ]
    for kind, states in found["codes"].items():
        if len(states) > 1:
            counted = ", ".join(f"{name} ({count})" for name, count in states.items())
            lines += [f"**{kind}: results of different states of the code stand together: {counted}.**", ""]
    return lines


def _fit_lines(rows: Rows) -> list[str]:
    lines = ["## One fit", ""]
    if not rows:
        return [*lines, "Not measured yet.", ""]
    lines += [
        "As it comes: default iterations and test of convergence. Same error: the shortest run, from the beginning, "
        f"that comes within {rows[0]['slack']:.2%} of the error at which {reference_title()} stops by itself; number "
        "of iterations in steps of about 1.4; phasekit's include those on a compressed copy, whose "
        "seconds count too. Ratio: seconds over phasekit's. Error: |V - W H|^2 / |V|^2 in double "
        "precision, by the same code for all. Memory: peak above what was held before the fit.",
        "",
    ]
    for size in dict.fromkeys((row["side"], row["detector"], row["k"]) for row in rows):
        mine = [row for row in rows if (row["side"], row["detector"], row["k"]) == size]
        side, detector, k = size
        lines += [f"### {side**2} patterns of {detector} x {detector} pixels, k = {k}", ""]
        head = ["package", "same error / s", "iterations", "ratio", "as it comes / s", "ratio", "error", "above target"]
        lines += [f"| {' | '.join([*head, 'memory / MB'])} |", f"|{'---|' * (len(head) + 1)}"]
        lines += [f"| {' | '.join(_fit_row(row))} |" for row in mine]
        missing = [PACKAGES[name].title for name in PACKAGES if name not in {row["package"] for row in mine}]
        lines += ["", *([f"Not measured: {'; '.join(missing)}.", ""] if missing else [])]
    return lines


def _fit_row(row: dict[str, Any]) -> list[str]:
    reached, default, tried = row["reached"], row["default"], row["tried"]
    if reached:
        same = [_seconds(reached["cpu_s"]), str(reached["iterations"]), _times(row["ratio"])]
    else:
        above = row["closest"] / row["target"] - 1
        same = [f"not reached (best {above:+.3%})", f"up to {tried['iterations']}" if tried else "", ""]
    return [
        f"{PACKAGES[row['package']].title} {row['version']}",
        *same,
        _seconds(default["cpu_s"]),
        _times(row["ratio_default"]),
        f"{default['error']:.6f}",
        f"{row['excess']:+.4%}",
        f"{default['peak_mb']:.0f}",
    ]


def _sweep_lines(rows: Rows) -> list[str]:
    lines = ["## Every k", ""]
    if not rows:
        return [*lines, "Not measured yet.", ""]
    ks = sorted(int(k) for k in rows[0]["excess"])
    lines += [
        f"k = {ks[0]} to {ks[-1]}, {rows[0]['starts']} starts each. scikit-learn {rows[0]['peer_version']}: coordinate "
        "descent, one start from the singular vectors (nndsvda), the others random, the best start per k kept; once as "
        "it comes, once stopped after as many iterations as it needed for the target above, so that what it does "
        "beyond that error is not charged. Fits: `factorise_ranks`; whole: `scan_ranks`, which also fits held-out "
        "data and compares runs. Excess: phasekit's error over scikit-learn's best at the same k, less one.",
        "",
    ]
    head = ["features", "scikit-learn's end", "scikit-learn / s", "fits / s", "ratio", "whole / s", "ratio"]
    head += ["worst excess", "at k", "mean excess", "memory, scikit-learn / fits / whole / MB"]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_sweep_row(row))} |" for row in rows]
    plain = [row for row in rows if not row["peer_iterations"]]
    unfinished = ", ".join(f"{row['unfinished']:.0%} ({row['features']} features)" for row in plain)
    lines += ["", f"scikit-learn's fits as they come that ended at its limit of 200 iterations: {unfinished}.", ""]
    return [*lines, "![Excess of phasekit's error over scikit-learn's best, by k](excess.png)", ""]


def _sweep_row(row: dict[str, Any]) -> list[str]:
    worst = max(row["excess"], key=lambda k: float(row["excess"][k]))
    mean = sum(row["excess"].values()) / len(row["excess"])
    peaks = (row["peer_peak_mb"], row["fits"]["peak_mb"], row["scan"]["peak_mb"])
    return [
        str(row["features"]),
        f"{row['peer_iterations']} iterations" if row["peer_iterations"] else "as it comes",
        _seconds(row["peer_cpu_s"]),
        _seconds(row["fits"]["cpu_s"]),
        _times(row["ratio_fits"]),
        _seconds(row["scan"]["cpu_s"]),
        _times(row["ratio_scan"]),
        f"{row['excess'][worst]:+.4%}",
        str(worst),
        f"{mean:+.4%}",
        " / ".join(f"{value:.0f}" for value in peaks),
    ]


def _scaling_lines(rows: Rows) -> list[str]:
    lines = ["## Cost against size", ""]
    if not rows:
        return [*lines, "Not measured yet.", ""]
    packages = list(dict.fromkeys(row["package"] for row in rows))
    lines += ["Seconds of one fit as it comes (and its peak memory / MB).", ""]
    head = ["varied", "patterns", "pixels", "k", *(PACKAGES[name].title for name in packages)]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for case in dict.fromkeys((row["axis"], row["side"], row["detector"], row["k"]) for row in rows):
        axis, side, detector, k = case
        cells = [axis, str(side**2), str(detector**2), str(k)]
        for name in packages:
            mine = [r for r in rows if (r["axis"], r["side"], r["detector"], r["k"], r["package"]) == (*case, name)]
            cells.append(f"{_seconds(mine[0]['cpu_s'])} ({mine[0]['peak_mb']:.0f})" if mine else "")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", "![CPU time of one fit against patterns, pixels and k](scaling.png)", ""]


def _streaming_lines(one: dict[str, Any]) -> list[str]:
    lines = ["## From a file", ""]
    if not one:
        return [*lines, "Not measured yet.", ""]
    side, detector, share = one["side"], one["detector"], one["peak_mb"] / one["features_mb"]
    return [
        *lines,
        f"{side**2} patterns of {detector} x {detector} pixels ({one['file_mb']:.0f} MB on disk, "
        f"{one['features_mb']:.0f} MB as features), k = {one['k']}, lazily from a zarr file: "
        f"{_seconds(one['cpu_s'])} s of CPU, {_seconds(one['wall_s'])} s by the clock, peak memory "
        f"{one['peak_mb']:.0f} MB above the start ({share:.2f} of the features), {one['iterations']} iterations.",
        "",
    ]


def _recovery_lines(found: dict[str, Any]) -> list[str]:
    lines = ["## The number of components", ""]
    if not found:
        return [*lines, "Not measured yet.", ""]
    overall, low, high = found["overall"], *found["ranks"]
    others = f" ({found['tuned_on']} others: by family, below)" if found["tuned_on"] else ""
    kind = f" that nothing was tuned on{others}" if found["held_back"] else ""
    names = sorted(overall, key=lambda name: (-overall[name]["exact"], -overall[name]["within_one"]))
    lines += [
        f"{found['cases']} simulated scans{kind}, k chosen from {low} to {high}; truth outside of that: "
        f"{found['beyond']}. "
        "Background counts as a component. Every rule sees the same features. A rule without a vote counts as wrong.",
        "",
        "| rule | scans | exact | within one | mean error | no vote | CPU seconds, median |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        one, title = overall[name], f"**{name}**" if name == OWN else name
        took = f"{found['seconds'][name]:.1f}" if name in found["seconds"] else ""
        cells = [
            title,
            str(one["n"]),
            f"{one['exact']:.0%}",
            f"{one['within_one']:.0%}",
            f"{one['bias']:+.1f}",
            str(one["abstained"]),
        ]
        lines.append(f"| {' | '.join([*cells, took])} |")
    beside = found["beside"]
    if beside and beside["n"] < found["cases"]:
        lines += [
            "",
            f"The other packages' rules were asked about {beside['n']} of the scans only; on those phasekit is exact "
            f"in {beside['exact']:.0%} and within one in {beside['within_one']:.0%}.",
        ]
    lines += ["", *_interval_lines(found["interval"], found["cases"])]
    shown = [name for name in names if name == OWN or not name.startswith("phasekit")]
    for field, groups in found["groups"].items():
        lines += _group_table(field, groups, shown)
    return [*lines, "![Share of scans whose number of components each rule finds](recovery.png)"]


def _interval_lines(one: dict[str, float], n_cases: int) -> list[str]:
    return [
        f"phasekit states an interval (`k_low` to `k_high`, {one['width']:.1f} ranks wide on average): it holds the "
        f"truth in {one['coverage']:.0%} of {n_cases} scans (95 % interval of that rate: {one['coverage_low']:.0%} to "
        f"{one['coverage_high']:.0%}) and claims {one['stated']:.0%}. The chosen k itself is given a probability of "
        f"{one['stated_choice']:.0%} on average.",
        "",
    ]


def _group_table(field: str, groups: dict[str, Any], names: list[str]) -> list[str]:
    """Exact (within one) by rule, a row per value of the field."""
    lines = [f"### By {field}: exact (within one)", "", f"| {' | '.join([field, 'scans', *names])} |"]
    lines.append(f"|{'---|' * (len(names) + 2)}")
    for value, scores in groups.items():
        cells = [
            f"{scores[name]['exact']:.0%} ({scores[name]['within_one']:.0%})" if name in scores else ""
            for name in names
        ]
        lines.append(f"| {' | '.join([value, str(scores[names[0]]['n']), *cells])} |")
    return [*lines, ""]


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}"


def draw(found: dict[str, Any], target: Path) -> None:
    """``scaling.png``, ``excess.png`` and ``recovery.png``, of what was measured."""
    from figures import draw_excess, draw_recovery, draw_scaling

    if found["scaling"]:
        draw_scaling(found["scaling"], target / "scaling.png")
    if found["sweeps"]:
        draw_excess(found["sweeps"], target / "excess.png")
    if found["recovery"]:
        draw_recovery(found["recovery"]["overall"], found["recovery"]["cases"], target / "recovery.png")


if __name__ == "__main__":
    write_report(Path(sys.argv[1]), Path(sys.argv[2]))
