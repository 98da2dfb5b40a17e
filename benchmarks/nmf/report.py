"""Numbers of the benchmark -> a page of Markdown and figures. Every number in the text is read from the results."""

from pathlib import Path
from typing import Any

from ..harness import format_code_states, format_machine, markdown_table, save_report
from .collect import OWN, collect_results, find_reference_title
from .packages import PACKAGES

Rows = list[dict[str, Any]]
NOT_MEASURED = ("Not measured yet.", "")
INTRODUCTION = (
    "`make bench-nmf` makes this page. Part one compares cost and error of the fit with other packages on the same "
    "simulated scan, one process at a time on one core with one BLAS thread; seconds are CPU seconds, imports, "
    "compilation and reading of the data not counted. Part two asks every rule for the number of components of "
    "simulated scans whose truth is known."
)
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
RULE_HEAD = ("rule", "scans", "exact", "within one", "mean error", "no vote", "CPU seconds, median")


def write_report(runs: Path, target: Path) -> None:
    """Write ``README.md``, ``report.json`` and the figures into ``target``, from the results in ``runs``."""
    from .figures import draw_report

    results = collect_results(runs)
    save_report(results, compose_report(results), target, page="README.md")
    draw_report(results, target)


def compose_report(results: dict[str, Any]) -> list[str]:
    """Return the lines of the page."""
    return [
        "# Factorisation of diffraction patterns, and the number of components: measured",
        "",
        INTRODUCTION,
        "",
        *format_machine(results["machine"]),
        *_code_lines(results["codes"]),
        *("## One fit", "", *_fit_lines(results["fits"])),
        *("## Every k", "", *_sweep_lines(results["sweeps"])),
        *("## Cost against size", "", *_scaling_lines(results["scaling"])),
        *("## From a file", "", *_streaming_lines(results["streaming"])),
        *("## The number of components", "", *_recovery_lines(results["recovery"])),
    ]


def _code_lines(kinds: dict[str, dict[str, int]]) -> list[str]:
    """Warn where results of several states of the code stand together."""
    lines = []
    for kind, states in kinds.items():
        if len(states) > 1:
            counted = format_code_states(states)
            lines += [f"**{kind}: results of different states of the code stand together: {counted}.**", ""]
    return lines


def _fit_lines(rows: Rows) -> list[str]:
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


def _sweep_lines(rows: Rows) -> list[str]:
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


def _scaling_lines(rows: Rows) -> list[str]:
    if not rows:
        return [*NOT_MEASURED]
    packages = list(dict.fromkeys(row["package"] for row in rows))
    cases: dict[tuple[str, int, int, int], Rows] = {}
    for row in rows:
        cases.setdefault((row["axis"], row["side"], row["detector"], row["k"]), []).append(row)
    head = ["varied", "patterns", "pixels", "k", *(PACKAGES[name].title for name in packages)]
    return [
        "Seconds of one fit as it comes (and its peak memory / MB).",
        "",
        *markdown_table(head, [_scaling_row(*case, mine, packages) for case, mine in cases.items()]),
        "",
        "![CPU time of one fit against patterns, pixels and k](scaling.png)",
        "",
    ]


def _scaling_row(axis: str, side: int, detector: int, k: int, rows: Rows, packages: list[str]) -> list[str]:
    costs = {row["package"]: f"{_format_seconds(row['cpu_s'])} ({row['peak_mb']:.0f})" for row in reversed(rows)}
    return [axis, str(side**2), str(detector**2), str(k), *(costs.get(name, "") for name in packages)]


def _streaming_lines(one: dict[str, Any]) -> list[str]:
    if not one:
        return [*NOT_MEASURED]
    side, detector, share = one["side"], one["detector"], one["peak_mb"] / one["features_mb"]
    return [
        f"{side**2} patterns of {detector} x {detector} pixels ({one['file_mb']:.0f} MB on disk, "
        f"{one['features_mb']:.0f} MB as features), k = {one['k']}, lazily from a zarr file: "
        f"{_format_seconds(one['cpu_s'])} s of CPU, {_format_seconds(one['wall_s'])} s by the clock, peak memory "
        f"{one['peak_mb']:.0f} MB above the start ({share:.2f} of the features), {one['iterations']} iterations.",
        "",
    ]


def _recovery_lines(recovery: dict[str, Any]) -> list[str]:
    if not recovery:
        return [*NOT_MEASURED]
    overall = recovery["overall"]
    names = sorted(overall, key=lambda name: (-overall[name]["exact"], -overall[name]["within_one"]))
    rules = [name for name in names if name == OWN or not name.startswith("phasekit")]
    return [
        *_name_rule(recovery),
        _describe_scans(recovery),
        "",
        *markdown_table(RULE_HEAD, [_rule_row(name, overall[name], recovery["seconds"]) for name in names]),
        *_shared_scan_lines(recovery["beside"], recovery["cases"]),
        "",
        _describe_interval(recovery["interval"], recovery["cases"]),
        "",
        *(line for field, groups in recovery["groups"].items() for line in _group_table(field, groups, rules)),
        "![Share of scans whose number of components each rule finds](recovery.png)",
    ]


def _name_rule(recovery: dict[str, Any]) -> list[str]:
    """Where the rule is judged; what rule these votes are of, where the file says so."""
    judged = "Scans by authors who had not seen the rule: [strangers.md](strangers.md)."
    older = f"**These votes are of the rule {recovery['rule']}.** " if "rule" in recovery else ""
    return [older + judged, ""]


def _describe_scans(recovery: dict[str, Any]) -> str:
    low, high = recovery["ranks"]
    others = f" ({recovery['tuned_on']} others: by family, below)" if recovery["tuned_on"] else ""
    kind = f" that nothing was tuned on{others}" if recovery["held_back"] else ""
    return (
        f"{recovery['cases']} simulated scans{kind}, k chosen from {low} to {high}; truth outside of that: "
        f"{recovery['beyond']}. "
        "Background counts as a component. Every rule sees the same features. A rule without a vote counts as wrong."
    )


def _rule_row(name: str, one: dict[str, Any], seconds: dict[str, float]) -> list[str]:
    return [
        f"**{name}**" if name == OWN else name,
        str(one["n"]),
        f"{one['exact']:.0%}",
        f"{one['within_one']:.0%}",
        f"{one['bias']:+.1f}",
        str(one["abstained"]),
        f"{seconds[name]:.1f}" if name in seconds else "",
    ]


def _shared_scan_lines(beside: dict[str, Any] | None, n_cases: int) -> list[str]:
    """State how phasekit does on the scans that the other rules were asked about, where those are fewer."""
    if not beside or beside["n"] >= n_cases:
        return []
    return [
        "",
        f"The other packages' rules were asked about {beside['n']} of the scans only; on those phasekit is exact "
        f"in {beside['exact']:.0%} and within one in {beside['within_one']:.0%}.",
    ]


def _describe_interval(one: dict[str, float], n_cases: int) -> str:
    return (
        f"phasekit states an interval (`k_low` to `k_high`, {one['width']:.1f} ranks wide on average): it holds the "
        f"truth in {one['coverage']:.0%} of {n_cases} scans (95 % interval of that rate: {one['coverage_low']:.0%} to "
        f"{one['coverage_high']:.0%}) and claims {one['stated']:.0%}. The chosen k itself is given a probability of "
        f"{one['stated_choice']:.0%} on average."
    )


def _group_table(field: str, groups: dict[str, Any], rules: list[str]) -> list[str]:
    """Exact (within one) by rule, a row per value of the field."""
    rows = [
        [value, str(scores[rules[0]]["n"]), *(_format_rates(scores.get(name)) for name in rules)]
        for value, scores in groups.items()
    ]
    return [f"### By {field}: exact (within one)", "", *markdown_table([field, "scans", *rules], rows), ""]


def _format_rates(one: dict[str, float] | None) -> str:
    return f"{one['exact']:.0%} ({one['within_one']:.0%})" if one else ""


def _format_seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _format_ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}"
