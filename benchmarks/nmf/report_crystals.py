"""The page on crystals among the components of the strangers' scans.

python -m benchmarks.nmf.report_crystals RUNS_DIR REPORT.md
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..harness import format_code_states, markdown_table, read_json_files
from .pages import parse_arguments, write_numbers_and_page
from .scan_groups import (
    Rows,
    format_rate,
    group_by_author,
    group_by_condition,
    group_by_dose,
    is_linear,
    keep_case,
)

_COUNTS = ("n_crystals", "n_crystals_low", "n_crystals_high", "n_background")
_AT = {"chosen": "k of the rule", "truth": "k = patterns mixed", "interval": "interval of k"}
_LIMITS = (
    "Grains of a fibre texture (all of *texture and amorphous*) and *low angle* grains may differ by less than 5 "
    "degrees about the beam. `group_crystals` calls them one crystal then, by its definition, and the author several.",
    "The range is no interval of a stated probability. It holds the truth less often at the k of the rule than over "
    "all k that the rule leaves open.",
)
_REASONS = ("joined", "background, too many")
_TITLE = "# The number of crystals in scans by strangers"
_HOW = (
    "The scans of [strangers.md](strangers.md), each factorised again and its crystals counted by `group_crystals` "
    "(ADR 33). It was written beside the strangers' generators, by another author, and tried on other simulations. "
    "This is its first judgement on these scans, and it was not changed after it. Background is taken out, peaks are "
    "found in the component patterns, no orientations are used, every setting is as it comes. The direct beam is not "
    "masked, as for the k. All scans, none left out: `python -m benchmarks.nmf.run_crystals "
    "benchmarks/.runs/nmf/crystals --judged benchmarks/.runs/nmf/strangers`, then this page by "
    "`benchmarks.nmf.report_crystals`."
)
_EXPLAINED = (
    "*k of the rule*: at the k that the rule chose. *k = patterns mixed*: at the nominal number of patterns, "
    "backgrounds included, so that the choice of k plays no part. *Interval of k*: `count_crystals` over every k that "
    "the rule leaves open, with its probability. *Range*: `n_crystals_low` to `n_crystals_high`. *Components less "
    "one*: k - 1 in the place of the count, at the same k. The truth is the number of crystals that the author put "
    "into the specimen. A crystal too weak to be seen at the dose is in it, too. *Joined*: components that were put "
    "together with another one, the mean of the scans, at k = patterns mixed. *Background, too many*: components that "
    "count as no crystal, less the true number of backgrounds, there too."
)


def main() -> None:
    """Write the page."""
    runs, page = parse_arguments(main.__doc__)
    write_page(runs, page)


def write_page(runs: Path, page: Path) -> None:
    """Write the page from the results in ``runs``, and its numbers beside it."""
    write_numbers_and_page(collect_crystals(runs), compose_page, page)


def collect_crystals(runs: Path) -> dict[str, Any]:
    """What the page says."""
    counted = read_json_files(runs / "crystals", "*.json")
    states = [row["code"] for row in counted]
    return {
        "rows": [_keep_row(row) for row in counted],
        "codes": {state: states.count(state) for state in dict.fromkeys(states)},
        "group_cpu_s": float(np.median([row["group_cpu_s"] for row in counted])),
    }


def _keep_row(row: dict[str, Any]) -> dict[str, Any]:
    """Truth, k and the counts (best, low, high, backgrounds) of one scan."""
    at = {name: [row["ranks"][str(row[name])][count] for count in _COUNTS] for name in ("chosen", "truth")}
    return {
        "case": keep_case(row["case"]),
        "exactly_linear": row["exactly_linear"],
        "crystals": row["crystals"],
        "k": {"chosen": row["chosen"], "truth": row["truth"], "interval": row["chosen"]},
        "counts": {**at, "interval": row["interval"]},
    }


def compose_page(results: dict[str, Any]) -> list[str]:
    """Return the lines of the page."""
    rows = results["rows"]
    parts = [_TITLE, _HOW, *_describe_code(results), _EXPLAINED, *_describe_all(rows), *_describe_shortfalls(rows)]
    head = ("scans of", "number", "linear", "crystals", *_list_columns("chosen"), *_list_columns("truth"), *_REASONS)
    groups = (
        ("## By author", group_by_author(rows)),
        ("## By condition", group_by_condition(rows)),
        ("## By dose", group_by_dose(rows)),
        ("## By whether k was right", _group_by_choice(rows)),
    )
    for title, named in groups:
        table = [_describe_group(name, some) for name, some in named.items() if some]
        parts += [title, "\n".join(markdown_table(head, table))]
    parts += _describe_misses(rows)
    return "\n\n".join(parts).splitlines()


def _describe_code(results: dict[str, Any]) -> list[str]:
    """How long one count takes; a warning where results of different states of the code stand together."""
    seconds = f"One count takes {results['group_cpu_s']:.1f} CPU seconds (median), without the factorisation."
    if len(results["codes"]) < 2:
        return [seconds]
    counted = format_code_states(results["codes"])
    return [seconds, f"**Results of different states of the code stand together: {counted}.**"]


def _list_columns(name: str) -> tuple[str, ...]:
    return (f"{_AT[name]}: exact", "within one", "range holds", "width", "mean error")


def _describe_reasons(rows: Rows) -> list[str]:
    """At the true number of patterns: components joined, and those called background less the true backgrounds."""
    counts = np.array([row["counts"]["truth"] for row in rows])
    k, crystals = np.array([[row["k"]["truth"], row["crystals"]] for row in rows]).T
    joined = k - counts[:, 0] - counts[:, 3]
    surplus = counts[:, 3] - (k - crystals)
    return [f"{joined.mean():.1f}", f"{surplus.mean():+.1f}"]


def _misses(rows: Rows, name: str) -> list[float]:
    """Counted minus true crystals."""
    return [row["counts"][name][0] - row["crystals"] for row in rows]


def _describe_all(rows: Rows) -> list[str]:
    """Every way of choosing k, over all scans, the linear ones and those where crystals change inside."""
    head = ["scans", "number", "counted at", "exact", "within one", "range holds", "width", "mean error"]
    head += ["components less one, exact", "within one"]
    table = []
    linear, others = ([row for row in rows if is_linear(row) == flag] for flag in (True, False))
    for kind, some in (("all", rows), ("linear", linear), ("not linear", others)):
        for name, title in _AT.items() if some else ():
            plain = [row["k"][name] - 1 - row["crystals"] for row in some]
            cells = _describe_counts(some, name)
            table.append([kind, str(len(some)), title, *cells, format_rate(plain, 0), format_rate(plain, 1)])
    return [f"{len(rows)} scans.", "\n".join(markdown_table(head, table))]


def _describe_shortfalls(rows: Rows) -> list[str]:
    """What is wrong with the counts, in words."""
    misses = _misses(rows, "truth")
    few, many = sum(miss < 0 for miss in misses), sum(miss > 0 for miss in misses)
    lines = [f"At k = patterns mixed the count is too low in {few} scans and too high in {many}."]
    for name, is_one in (("Below", True), ("From", False)):
        some = [row for row in rows if (row["case"]["electrons"] < 1000) == is_one]
        if some:
            reason = f"components that count as background are {_describe_reasons(some)[1]} too many on average"
            exact = format_rate(_misses(some, "truth"), 0)
            lines.append(f"{name} 1000 electrons ({len(some)} scans) it is exact in {exact}; {reason}.")
    twins = [row for row in rows if row["case"]["condition"] == "twins"]
    if twins:
        exact, joined = format_rate(_misses(twins, "truth"), 0), _describe_reasons(twins)[0]
        how = f"exact in {exact} of {len(twins)} scans, {joined} components joined per scan"
        lines.append(f"Twins, turned by 180 degrees about a row of spots that they share, are joined: {how}.")
    return ["## What falls short", "\n".join(f"- {line}" for line in (*lines, *_LIMITS))]


def _describe_counts(rows: Rows, name: str) -> list[str]:
    """Exact, within one, range holds, its width, mean error."""
    misses = _misses(rows, name)
    ranges = np.array([row["counts"][name][1:3] for row in rows])
    true = np.array([row["crystals"] for row in rows])
    holds = np.mean((ranges[:, 0] <= true) & (true <= ranges[:, 1]))
    width = np.mean(ranges[:, 1] - ranges[:, 0] + 1)
    return [format_rate(misses, 0), format_rate(misses, 1), f"{holds:.0%}", f"{width:.1f}", f"{np.mean(misses):+.1f}"]


def _describe_group(name: str, rows: Rows) -> list[str]:
    crystals = [row["crystals"] for row in rows]
    spread = f"{min(crystals)} to {max(crystals)}" if len(set(crystals)) > 1 else str(crystals[0])
    linear = str(sum(map(is_linear, rows)))
    counts = [cell for at in ("chosen", "truth") for cell in _describe_counts(rows, at)]
    return [name, str(len(rows)), linear, spread, *counts, *_describe_reasons(rows)]


def _group_by_choice(rows: Rows) -> dict[str, Rows]:
    """The scans by k of the rule minus the patterns mixed."""
    groups: dict[str, Rows] = {"k too small": [], "k as mixed": [], "k too large": []}
    for row in rows:
        difference = int(np.sign(row["k"]["chosen"] - row["k"]["truth"]))
        groups[list(groups)[difference + 1]].append(row)
    return groups


def _describe_misses(rows: Rows) -> list[str]:
    """Every scan whose range does not hold the truth, at the k of the rule or at the true one."""
    table = []
    for row in sorted(rows, key=lambda row: row["case"]["electrons"]):
        counts, true = row["counts"], row["crystals"]
        if all(counts[name][1] <= true <= counts[name][2] for name in ("chosen", "truth")):
            continue
        table.append(
            [
                f"{row['case']['author']}: {row['case']['condition']}",
                "yes" if is_linear(row) else "no",
                f"{row['case']['electrons']:g}",
                str(true),
                *(f"{counts[name][0]} ({counts[name][1]} to {counts[name][2]})" for name in ("chosen", "truth")),
                f"{row['k']['chosen']} / {row['k']['truth']}",
            ]
        )
    head = ["scan", "linear", "electrons", "crystals", "at the k of the rule", "at k = patterns mixed", "k / patterns"]
    return ["## Where the range does not hold the number of crystals", "\n".join(markdown_table(head, table))]


if __name__ == "__main__":
    main()
