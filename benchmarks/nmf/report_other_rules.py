"""The rules of others on the strangers' scans, beside those of the package on the same scans."""

from typing import Any

import numpy as np

from ..harness import markdown_table
from .run_stranger_rules import LARGEST, LEFT_OUT, STEP
from .scan_groups import Rows, format_rate, group_by_dose, is_linear, keep_case

_OWN = "phasekit, combined"
_HEAD = ("rule", "exact", "within one", "exact, linear", "within one, linear", "mean error", "no vote", "CPU seconds")


def collect_other_rules(judged: Rows) -> dict[str, Any]:
    """Votes on the scans that the rules of others were asked about, and the median of their seconds."""
    if not judged:
        return {}
    own = [name for name in judged[0]["phasekit"]["votes"] if name != "combined"]
    others = list(judged[0]["rules"])
    rows = [
        {
            "case": keep_case(row["case"]),
            "truth": row["truth"],
            "exactly_linear": row["exactly_linear"],
            "votes": [
                row["phasekit"]["chosen"],
                *(row["phasekit"]["votes"].get(name) for name in own),
                *(row["rules"][name]["k"] for name in others),
            ],
        }
        for row in judged
    ]
    seconds = {_OWN: float(np.median([row["phasekit"]["cpu_s"] for row in judged]))}
    seconds |= {name: float(np.median([row["rules"][name]["cpu_s"] for row in judged])) for name in others}
    return {"rules": [_OWN, *(f"phasekit, {name}" for name in own), *others], "rows": rows, "seconds": seconds}


def describe_other_rules(found: dict[str, Any]) -> list[str]:
    """Every rule on the same scans, and the rules of others by dose."""
    if not found:
        return []
    rows, names = found["rows"], found["rules"]
    misses = {name: [_miss(row, i) for row in rows] for i, name in enumerate(names)}
    ranked = sorted(names, key=lambda name: -float(np.mean(np.nan_to_num(misses[name], nan=99) == 0)))
    table = [_describe_rule(name, misses[name], rows, found["seconds"]) for name in ranked]
    linear = sum(map(is_linear, rows))
    text = (
        f"## The rules of others\n\n{len(rows)} scans, {linear} of them linear: every {STEP}rd by name of the scans "
        f"whose sides have at most {LARGEST} points, chosen before any result was seen "
        "(`python -m benchmarks.nmf.run_stranger_rules benchmarks/.runs/nmf/stranger_rules --judged "
        "benchmarks/.runs/nmf/strangers`). Every rule sees the same features and the same ranks; none was adapted. "
        "They are written in `benchmarks/nmf/rules.py` from their sources. Seconds: the median scan; phasekit's votes "
        f"come from one computation. Left out for its time: {', '.join(LEFT_OUT)}."
    )
    shown = [name for name in ranked if name == _OWN or not name.startswith("phasekit")]
    by_dose = [
        [name, str(len(some)), *(format_rate((_miss(row, names.index(rule)) for row in some), 0) for rule in shown)]
        for name, some in group_by_dose(rows).items()
    ]
    return [
        text,
        "\n".join(markdown_table(_HEAD, table)),
        "Exact, by dose:",
        "\n".join(markdown_table(["scans of", "number", *shown], by_dose)),
    ]


def _miss(row: dict[str, Any], index: int) -> float:
    """Vote minus truth; NaN without a vote."""
    vote = row["votes"][index]
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
