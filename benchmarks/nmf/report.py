"""Numbers of the benchmark -> a page of Markdown and figures. Every number in the text is read from the results."""

from pathlib import Path
from typing import Any

from ..harness import format_code_states, format_machine, markdown_table, save_report
from .collect import OWN, collect_results
from .report_speed import NOT_MEASURED, describe_fits, describe_scaling, describe_streaming, describe_sweeps

Rows = list[dict[str, Any]]
INTRODUCTION = (
    "`make bench-nmf` makes this page. Part one compares cost and error of the fit with other packages on the same "
    "simulated scan, one process at a time on one core with one BLAS thread; seconds are CPU seconds, imports, "
    "compilation and reading of the data not counted. Part two asks every rule for the number of components of "
    "simulated scans whose truth is known."
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
        *("## One fit", "", *_note_lines(results, "fits"), *describe_fits(results["fits"])),
        *("## Every k", "", *_note_lines(results, "sweeps"), *describe_sweeps(results["sweeps"])),
        *("## Cost against size", "", *_note_lines(results, "scaling"), *describe_scaling(results["scaling"])),
        *("## From a file", "", *describe_streaming(results["streaming"])),
        *("## The number of components", "", *_note_lines(results, "recovery"), *_recovery_lines(results["recovery"])),
    ]


def _note_lines(results: dict[str, Any], part: str) -> list[str]:
    """What the file says of how a part came about, where it was not made in one go."""
    note = results.get("notes", {}).get(part)
    return [f"**{note}**", ""] if note else []


def _code_lines(kinds: dict[str, dict[str, int]]) -> list[str]:
    """Warn where results of several states of the code stand together."""
    lines = []
    for kind, states in kinds.items():
        if len(states) > 1:
            counted = format_code_states(states)
            lines += [f"**{kind}: results of different states of the code stand together: {counted}.**", ""]
    return lines


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
    judged = "Scans by authors who had not seen the rule: [strangers.md](strangers.md), with the rules of others."
    crystals = "The number of crystals among the components: [crystals.md](crystals.md)."
    older = f"**These votes are of the rule {recovery['rule']}.** " if "rule" in recovery else ""
    return [f"{older}{judged} {crystals}", ""]


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
