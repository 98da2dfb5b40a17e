"""The rules of others on the strangers' scans, beside those of the package on the same scans."""

from typing import Any

import numpy as np

from ..harness import markdown_table
from .run_stranger_rules import LARGEST, LEFT_OUT, SLOW, STEP
from .run_strangers import JUDGED_DRAW
from .scan_groups import Rows, format_rate, group_by_dose, is_linear, keep_case

_OWN = "phasekit, combined"
_HEAD = ("rule", "exact", "within one", "exact, linear", "within one, linear", "mean error", "no vote", "CPU seconds")
_ABOUT = (
    f"Every {STEP}rd by name of the scans whose sides have at most {LARGEST} points, chosen before any result was seen "
    "(`python -m benchmarks.nmf.run_stranger_rules benchmarks/.runs/nmf/stranger_rules --judged "
    "benchmarks/.runs/nmf/strangers`). Every rule sees the same features and the same ranks; none was adapted. They "
    "are written in `benchmarks/nmf/rules.py` from their sources. Seconds: the median scan; phasekit's votes come from "
    f"one computation. For their time, {', '.join(SLOW)} were asked about every second of these scans only, and "
    f"{', '.join(LEFT_OUT)} not at all."
)


def collect_other_rules(judged: Rows) -> dict[str, Any]:
    """Votes on the scans that the rules of others were asked about, and the median of their seconds."""
    if not judged:
        return {}
    own = [name for name in judged[0]["phasekit"]["votes"] if name != "combined"]
    others = list(dict.fromkeys(name for row in judged for name in row["rules"]))
    rows = [
        {
            "case": keep_case(row["case"]),
            "truth": row["truth"],
            "exactly_linear": row["exactly_linear"],
            "votes": {
                _OWN: row["phasekit"]["chosen"],
                **{f"phasekit, {name}": row["phasekit"]["votes"].get(name) for name in own},
                **{name: rule["k"] for name, rule in row["rules"].items()},
            },
        }
        for row in judged
    ]
    costs = {name: [row["rules"][name]["cpu_s"] for row in judged if name in row["rules"]] for name in others}
    costs[_OWN] = [row["phasekit"]["cpu_s"] for row in judged]
    return {"rows": rows, "seconds": {name: float(np.median(values)) for name, values in costs.items()}}


def describe_other_rules(found: dict[str, Any]) -> list[str]:
    """Every rule on the same scans: those asked about all of them, then all rules on the scans of the slow ones."""
    if not found:
        return []
    rows = found["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["votes"]))
    parts = ["## The rules of others", _ABOUT]
    if found.get("draw", JUDGED_DRAW) != JUDGED_DRAW:
        parts.append(f"These are the specimens of draw {found['draw']}, and phasekit's rule as it was then (ADR 32).")
    asked_all = [row for row in rows if set(names) <= set(row["votes"])]
    quick = [name for name in names if all(name in row["votes"] for row in rows)]
    parts += _describe_set("Rules asked about all of them", rows, quick, found["seconds"])
    if len(quick) < len(names) and asked_all:
        parts += _describe_set("Every rule, on the scans that all were asked about", asked_all, names, found["seconds"])
    return parts


def _describe_set(title: str, rows: Rows, names: list[str], seconds: dict[str, float]) -> list[str]:
    """The rules on some scans, most exact first, and the rules of others by dose."""
    misses = {name: [_miss(row, name) for row in rows] for name in names}
    ranked = sorted(names, key=lambda name: -float(np.mean(np.nan_to_num(misses[name], nan=99) == 0)))
    table = [_describe_rule(name, misses[name], rows, seconds) for name in ranked]
    shown = [name for name in ranked if name == _OWN or not name.startswith("phasekit")]
    by_dose = [
        [name, str(len(some)), *(format_rate((_miss(row, rule) for row in some), 0) for rule in shown)]
        for name, some in group_by_dose(rows).items()
    ]
    return [
        f"### {title}\n\n{len(rows)} scans, {sum(map(is_linear, rows))} of them linear. A share of so few scans has a "
        f"standard error of up to {0.5 / np.sqrt(len(rows)):.0%}.",
        "\n".join(markdown_table(_HEAD, table)),
        "Exact, by dose:",
        "\n".join(markdown_table(["scans of", "number", *shown], by_dose)),
    ]


def _miss(row: dict[str, Any], name: str) -> float:
    """Vote minus truth; NaN without a vote."""
    vote = row["votes"][name]
    return np.nan if vote is None else float(vote) - row["truth"]


def _describe_rule(name: str, misses: list[float], rows: Rows, seconds: dict[str, float]) -> list[str]:
    some = [miss for miss, row in zip(misses, rows, strict=True) if is_linear(row)]
    voted = [miss for miss in misses if np.isfinite(miss)]
    return [
        f"**{name}**" if name == _OWN else name,
        *(format_rate(part, within) for part in (misses, some) for within in (0, 1)),
        f"{np.mean(voted):+.1f}" if voted else "",
        str(len(misses) - len(voted)),
        f"{seconds[name]:.1f}" if name in seconds else "",
    ]
