"""The page on scans by strangers: how often k is right, how sure the package says it is, and the edge of noise.

python -m benchmarks.nmf.report_strangers RUNS_DIR REPORT.md
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..harness import markdown_table, read_json, read_json_files
from .pages import parse_arguments, write_numbers_and_page
from .report_other_rules import collect_other_rules, describe_other_rules
from .run_strangers import JUDGED_DRAW
from .scan_groups import Rows, format_rate, group_by_condition, group_by_dose, is_linear, keep_case

_BINS = np.array([0.0, 0.5, 0.7, 0.85, 0.95, 1.0001])  # of the stated probability
_TITLE = "# The number of components of scans by strangers"
_HOW = (
    "The rule (ADR 32) was committed first. Then four authors, who had not read it, wrote a generator each; they share "
    "no code. Every author knew the subject line of the commit, which says what kind of evidence it is. "
    "The rule was changed four times after results on some specimens had been seen (ADR 32 says what and why). This "
    "page is of specimens from seeds that had not been used before, and the rule was not changed after it. "
    f"`python -m benchmarks.nmf.run_strangers benchmarks/.runs/nmf/strangers --draw {JUDGED_DRAW}`, then this page by "
    "`benchmarks.nmf.report_strangers`. Ranks 1 to 22 (fewer where a scan has fewer points). The direct beam is not "
    "masked here, because the truth counts it as a pattern where it is one. How many crystals are among the patterns: "
    "[crystals.md](crystals.md)."
)
_EXPLAINED = (
    "*Exact*: the vote is the number of patterns that were mixed, backgrounds included. *Linear*: the expected counts "
    "are exactly that number of patterns; the others change within a grain (bend, strain, drift, thickness), or a "
    "detector adds a pattern of its own, so that more patterns than the nominal number may be real."
)


def main() -> None:
    """Write the page."""
    runs, page = parse_arguments(main.__doc__)
    write_page(runs, page)


def write_page(runs: Path, page: Path) -> None:
    """Write the page from the results in ``runs``, and its numbers beside it."""
    write_numbers_and_page(collect_strangers(runs), compose_page, page)


def collect_strangers(runs: Path) -> dict[str, Any]:
    """What the page says."""
    judged = read_json_files(runs / "strangers", "*.json")
    names = list(dict.fromkeys(name for row in judged for name in row["phasekit"]["votes"]))
    limits = read_json(runs / "limit.json") if (runs / "limit.json").exists() else {}
    return {
        "rules": names,
        "rows": [_keep_row(row, names, limits) for row in judged],
        "edge": _summarise_edge(read_json(runs / "noise_edge.json")),
        "others": collect_other_rules(read_json_files(runs / "stranger_rules", "*.json")),
    }


def _keep_row(row: dict[str, Any], names: list[str], limits: dict[str, Any]) -> dict[str, Any]:
    """Truth, votes in the order of ``names``, interval, stated probability, and what can be seen in one scan."""
    own = row["phasekit"]
    return {
        "case": keep_case(row["case"]),
        "truth": row["truth"],
        "exactly_linear": row["exactly_linear"],
        "votes": [own["votes"].get(name) for name in names],
        "interval": [own["k_low"], own["k_high"]],
        "stated": max(own["probability"]),
        "limit": limits.get(f"{row['case']['author']}-{row['case']['name']}", {}),
    }


def compose_page(results: dict[str, Any]) -> list[str]:
    """Return the lines of the page."""
    names = results["rules"]
    rows = [row | {"votes": dict(zip(names, row["votes"], strict=True))} for row in results["rows"]]
    parts = [
        _TITLE,
        _HOW,
        _EXPLAINED,
        *_describe_rules(rows, names),
        *describe_other_rules(results["others"]),
        *_describe_conditions(rows),
        *_describe_calibration(rows),
        *_describe_limit(rows),
        *_describe_edge(results["edge"]),
        *_describe_misses(rows),
    ]
    return "\n\n".join(parts).splitlines()


def _miss(row: dict[str, Any], rule: str = "combined") -> float:
    """Vote minus truth; NaN without a vote."""
    vote = row["votes"].get(rule)
    return np.nan if vote is None else float(vote) - row["truth"]


def _describe_rules(rows: Rows, names: list[str]) -> list[str]:
    """Every rule of the package."""
    linear = [row for row in rows if is_linear(row)]
    table = []
    for name in names:
        misses = [_miss(row, name) for row in rows]
        some = [_miss(row, name) for row in linear]
        mean = f"{np.nanmean(misses):+.1f}"
        table.append([name, *(format_rate(part, within) for part in (misses, some) for within in (0, 1)), mean])
    head = ["rule", "exact", "within one", f"exact, linear ({len(linear)})", "within one, linear", "mean error"]
    return [f"## Every rule\n\n{len(rows)} scans.", "\n".join(markdown_table(head, table))]


def _describe_conditions(rows: Rows) -> list[str]:
    """By author and condition, and by dose."""
    parts = []
    head = ["scans of", "number", "linear", "exact", "within one", "held-out error, exact", "interval holds", "width"]
    by_condition, by_dose = group_by_condition(rows), group_by_dose(rows)
    for title, groups in (("By condition", by_condition), ("By dose", by_dose)):
        table = [
            [
                name,
                str(len(some)),
                str(sum(map(is_linear, some))),
                format_rate(map(_miss, some), 0),
                format_rate(map(_miss, some), 1),
                format_rate((_miss(row, "held_out") for row in some), 0),
                f"{np.mean([_holds(row) for row in some]):.0%}",
                f"{np.mean([_width(row) for row in some]):.1f}",
            ]
            for name, some in groups.items()
        ]
        parts += [f"## {title}", "\n".join(markdown_table(head, table))]
    return parts


def _holds(row: dict[str, Any]) -> bool:
    low, high = row["interval"]
    return bool(low <= row["truth"] <= high)


def _width(row: dict[str, Any]) -> int:
    return int(row["interval"][1] - row["interval"][0] + 1)


def _describe_calibration(rows: Rows) -> list[str]:
    """Stated probability against how often k is right."""
    parts = ["## How sure"]
    head = ["scans", "stated", "right", "expected calibration error", "90 % interval holds", "mean width"]
    table = []
    for name, some in (("all", rows), ("linear", [row for row in rows if is_linear(row)])):
        stated = np.array([row["stated"] for row in some])
        right = np.array([_miss(row) == 0 for row in some], dtype=float)
        holds, width = np.mean([_holds(row) for row in some]), np.mean([_width(row) for row in some])
        error = f"{compute_calibration_error(stated, right):.3f}"
        table.append([name, f"{stated.mean():.0%}", f"{right.mean():.0%}", error, f"{holds:.0%}", f"{width:.2f}"])
    parts.append("\n".join(markdown_table(head, table)))
    stated = np.array([row["stated"] for row in rows])
    right = np.array([_miss(row) == 0 for row in rows], dtype=float)
    bins = np.digitize(stated, _BINS) - 1
    table = [
        [
            f"{_BINS[b]:.2f} to {min(_BINS[b + 1], 1):.2f}",
            str((bins == b).sum()),
            f"{stated[bins == b].mean():.0%}",
            f"{right[bins == b].mean():.0%}",
        ]
        for b in range(len(_BINS) - 1)
        if (bins == b).any()
    ]
    return [*parts, "\n".join(markdown_table(["stated probability", "scans", "mean stated", "right"], table))]


def compute_calibration_error(stated: np.ndarray, right: np.ndarray) -> float:
    """Mean of |stated - right| over bins of the stated probability, weighted by their scans."""
    bins = np.digitize(stated, _BINS) - 1
    return float(sum(abs((stated - right)[bins == b].sum()) for b in np.unique(bins)) / max(len(stated), 1))


def _describe_limit(rows: Rows) -> list[str]:
    """How many directions could be seen, and how often k is right where all could."""
    known = [row for row in rows if row["limit"]]
    if not known:
        return []
    table = []
    for size in known[0]["limit"]:
        misses = [row["limit"][size] - row["truth"] for row in known]
        shown = [_miss(row) for row in known if row["limit"][size] >= row["truth"]]
        hidden = [_miss(row) for row in known if row["limit"][size] < row["truth"]]
        rates = [format_rate(some, 0) for some in (shown, hidden)]
        table.append([size, format_rate(misses, 0), format_rate(misses, 1), str(len(shown)), *rates])
    head = ["sums of points x pixels", "directions above the limit: exact", "within one"]
    head += ["scans that show all", "k exact there", "k exact elsewhere"]
    text = (
        "The exactly linear scans were simulated again with 3e7 electrons a pattern (`python -m "
        "benchmarks.nmf.run_limit OUT.json`), so that the strength of every direction is known. One below the fourth "
        "root of patterns times pixels cannot be seen among singular values. *Above the limit: exact* is what a count "
        "of directions that misses none and adds none would reach at this size of sums. Detectors whose noise is not "
        "that of the counts (gain, shared charge, correlated noise) have another limit."
    )
    return ["## What can be seen at all", text, "\n".join(markdown_table(head, table))]


def _summarise_edge(found: dict[str, Any]) -> dict[str, Any]:
    """Mean and scatter of the second direction of pure noise over the edge, by noise and dose."""
    rows = []
    for row in found.get("rows", []):
        edge = np.array([run["edge"] for run in row["runs"]])
        rows.append(
            {
                "condition": row["condition"],
                "electrons": row["electrons"],
                "edge": float(edge.mean()),
                "scatter": float(edge.std(ddof=1)),
                "once": float(np.mean([run["chosen"] == 1 for run in row["runs"]])),
                "chance": float(np.mean([run["probability_of_one"] for run in row["runs"]])),
            }
        )
    return {"seeds": found["seeds"], "rows": rows} if rows else {}


def _describe_edge(found: dict[str, Any]) -> list[str]:
    """The second direction of pure noise over the edge."""
    if not found:
        return []
    table = [
        [
            row["condition"],
            f"{row['electrons']:g}",
            f"{row['edge']:.3f}",
            f"{row['scatter']:.3f}",
            f"{row['once']:.0%}",
            f"{row['chance']:.2f}",
        ]
        for row in found["rows"]
    ]
    head = ["noise", "electrons", "second direction / edge", "scatter", "k = 1 chosen", "probability of k = 1"]
    text = (
        f"One pattern and nothing else, {found['seeds']} scans of 32 x 32 points each "
        "(`python -m benchmarks.nmf.run_noise_edge OUT.json`). The edge is the mean of the law of noise, so that 1 is "
        "right on average and single scans scatter around it. Levels of detector rows and read noise clipped at zero "
        "add a constant to the mean counts, and the Anscombe root is no mixture of the same patterns: with enough "
        "electrons the second direction is real there."
    )
    return ["## The edge of noise", text, "\n".join(markdown_table(head, table))]


def _describe_misses(rows: Rows) -> list[str]:
    """Every scan whose k is wrong."""
    wrong = [row for row in rows if _miss(row) != 0]
    table = [
        [
            f"{row['case']['author']}: {row['case']['condition']}",
            "yes" if is_linear(row) else "no",
            f"{row['case']['electrons']:g}",
            " x ".join(map(str, row["case"]["shape"])),
            str(row["truth"]),
            f"{row['votes']['combined']:g} ({row['interval'][0]} to {row['interval'][1]})",
            str(int(row["votes"]["held_out"])),
        ]
        for row in sorted(wrong, key=lambda row: row["case"]["electrons"])
    ]
    head = ["scan", "linear", "electrons", "points", "patterns mixed", "k (interval)", "held-out error says"]
    return ["## Where k is not the number that was mixed", "\n".join(markdown_table(head, table))]


if __name__ == "__main__":
    main()
