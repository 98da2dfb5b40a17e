"""Results of the scripts -> the numbers of the report: ratios, excess of error, rates of recovery. Nothing is drawn."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..harness import read_json, read_json_files
from .packages import PACKAGES, REFERENCE

Rows = list[dict[str, Any]]
OWN = "phasekit, combined"
_WITHIN = 1  # what still counts as nearly right
_HELD_BACK = "held back"


def collect_results(runs: Path) -> dict[str, Any]:
    """Everything the report says."""
    own, others = (read_json_files(runs, f"recovery_{who}_*.json") for who in ("phasekit", "rules"))
    return {
        "machine": read_json(runs / "machine.json"),
        "fits": compare_fits(read_json_files(runs, "fit_*.json")),
        "sweeps": compare_sweeps(runs),
        "scaling": read_json(runs / "scaling.json").get("rows", []),
        "streaming": read_json(runs / "streaming.json"),
        "recovery": score_recovery(_join_rules(own, others)),
        "codes": _count_code_states(runs),
    }


def _join_rules(own: Rows, others: Rows) -> Rows:
    """Every scan that phasekit was asked about, with what the other rules said where they were asked, too."""
    rules = {one["case"]["name"]: one["rules"] for one in others}
    return [one | {"rules": rules.get(one["case"]["name"], {})} for one in own]


def _count_code_states(runs: Path) -> dict[str, dict[str, int]]:
    """For each kind of result, how many were made by which state of the code (``find_code_state``)."""
    kinds = {f"{name} fits": f"fit_*_{name}.json" for name in PACKAGES}
    kinds |= {f"{name} sweeps": f"sweep_{name}_*.json" for name in ("phasekit", "scikit-learn", "scikit-learn-short")}
    kinds |= {"scaling": "scaling.json", "streaming": "streaming.json", "recovery": "recovery_phasekit_*.json"}
    kinds |= {"other rules": "recovery_rules_*.json"}
    counts = {kind: dict(Counter(one["code"] for one in read_json_files(runs, mask))) for kind, mask in kinds.items()}
    return {kind: states for kind, states in counts.items() if states}


def compare_fits(results: Rows) -> Rows:
    """A row per size and package: as it comes, and the first rung of its ladder that reaches the target."""
    by_size: dict[tuple[int, int, int], dict[str, Any]] = defaultdict(dict)
    for one in results:
        by_size[(one["side"], one["detector"], one["k"])][one["package"]] = one
    return [
        _compare_fit(packages[name], packages.get("phasekit"))
        for _, packages in sorted(by_size.items())
        for name in PACKAGES
        if name in packages
    ]


def _compare_fit(one: dict[str, Any], own: dict[str, Any] | None) -> dict[str, Any]:
    """Seconds and error of one package, and the ratios to phasekit's ``own`` fit of the same size."""
    default, reached = one["default"], _find_reached(one)
    own_reached = _find_reached(own) if own else None
    return {
        **{name: one[name] for name in ("side", "detector", "k", "package", "version", "default", "target", "slack")},
        "reached": reached,
        "closest": min((rung["error"] for rung in one["ladder"]), default=np.nan),
        "tried": one["ladder"][-1] if one["ladder"] else None,
        "ratio": reached["cpu_s"] / own_reached["cpu_s"] if reached and own_reached else None,
        "ratio_default": default["cpu_s"] / own["default"]["cpu_s"] if own else None,
        "excess": default["error"] / one["target"] - 1,
    }


def _find_reached(one: dict[str, Any]) -> dict[str, Any] | None:
    bound = one["target"] * (1 + one["slack"])
    return next((rung for rung in one["ladder"] if rung["error"] <= bound), None)


def compare_sweeps(runs: Path) -> Rows:
    """For each size, phasekit beside every complete sweep of scikit-learn: as it comes, and stopped early."""
    rows: Rows = []
    for path in sorted(runs.glob("sweep_phasekit_*.json")):
        own = read_json(path)
        for name in ("scikit-learn", "scikit-learn-short"):
            peer = read_json(path.with_name(path.name.replace("phasekit", name)))
            if own.get("complete") and peer.get("complete"):
                rows.append(_compare_sweep(own, peer))
    return sorted(rows, key=lambda row: int(row["features"]))


def _compare_sweep(own: dict[str, Any], peer: dict[str, Any]) -> dict[str, Any]:
    """Seconds, ratios, and the excess of phasekit's error over the best of scikit-learn's starts by k."""
    best: dict[int, float] = defaultdict(lambda: np.inf)
    for row in peer["rows"]:
        best[row["k"]] = min(best[row["k"]], row["error"])
    mine = {int(k): error for k, error in own["fits"]["errors"].items()}
    seconds = float(sum(row["cpu_s"] for row in peer["rows"]))
    return {
        **{name: own[name] for name in ("features", "side", "starts")},
        "peer_version": peer["version"],
        "peer_iterations": peer["iterations"],
        "peer_cpu_s": seconds,
        "fits": {name: own["fits"][name] for name in ("cpu_s", "peak_mb")},
        "scan": own["scan"],
        "peer_peak_mb": max(row["peak_mb"] for row in peer["rows"]),
        "ratio_fits": seconds / own["fits"]["cpu_s"],
        "ratio_scan": seconds / own["scan"]["cpu_s"],
        "excess": {k: mine[k] / best[k] - 1 for k in sorted(best) if k in mine},
        "unfinished": float(np.mean([row["iterations"] >= 200 for row in peer["rows"]])),
    }


def score_recovery(cases: Rows) -> dict[str, Any]:
    """Rates by rule, overall and by condition; how often the stated interval holds the truth, and what it stated.

    On the scans that nothing was tuned on, where there are any; the table by family alone has them all.
    """
    if not cases:
        return {}
    names = list(dict.fromkeys(name for one in cases for name in _list_votes(one)))
    groups = {"family": _score_groups("family", cases, names)}
    tuned_on = [one for one in cases if one["case"]["family"] != _HELD_BACK]
    cases = [one for one in cases if one["case"]["family"] == _HELD_BACK] or cases
    groups |= {name: _score_groups(name, cases, names) for name in ("generator", "condition")}
    return {
        "cases": len(cases),
        "held_back": all(one["case"]["family"] == _HELD_BACK for one in cases),
        "tuned_on": len(tuned_on),
        "ranks": [min(min(one["ranks"]) for one in cases), max(max(one["ranks"]) for one in cases)],
        "beyond": sum(one["truth"] not in one["ranks"] for one in cases),
        "overall": _score_rules(cases, names),
        "groups": groups,
        "interval": _score_interval(cases),
        "seconds": {name: _median_seconds(cases, name) for name in (OWN, *_list_other_rules(cases))},
        "beside": _score_rules([one for one in cases if one["rules"]], [OWN]).get(OWN),
    }


def _list_other_rules(cases: Rows) -> list[str]:
    return list(dict.fromkeys(name for one in cases for name in one["rules"]))


def _list_votes(one: dict[str, Any]) -> dict[str, float | None]:
    """The choice of phasekit, the votes of its single rules, those of the other rules."""
    own = {f"phasekit, {name}": vote for name, vote in one["phasekit"]["votes"].items() if name != "combined"}
    return {OWN: one["phasekit"]["chosen"], **{name: rule["k"] for name, rule in one["rules"].items()}, **own}


def _score_groups(field: str, cases: Rows, names: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """The scores of the scans of each value of a field."""
    values = dict.fromkeys(one["case"][field] for one in cases)
    return {value: _score_rules([one for one in cases if one["case"][field] == value], names) for value in values}


def _score_rules(cases: Rows, names: list[str]) -> dict[str, dict[str, float]]:
    """Exact, within one and mean error of the votes of each rule, on the scans it was asked about."""
    scores = {}
    for name in names:
        votes = [(_list_votes(one)[name], one["truth"]) for one in cases if name in _list_votes(one)]
        if not votes:
            continue
        wrong = np.array([vote - true for vote, true in votes if vote is not None], dtype=float)
        scores[name] = {
            "n": len(votes),
            "exact": int((wrong == 0).sum()) / len(votes),  # a rule without a vote has not found k
            "within_one": int((np.abs(wrong) <= _WITHIN).sum()) / len(votes),
            "bias": float(wrong.mean()) if wrong.size else float("nan"),
            "abstained": len(votes) - len(wrong),
        }
    return scores


def _score_interval(cases: Rows) -> dict[str, float]:
    """Coverage of k_low to k_high beside the probability that phasekit gave it, and how wide it is."""
    inside, stated, width, at_choice = [], [], [], []
    for one in cases:
        own, ranks = one["phasekit"], np.array(one["ranks"])
        inside.append(own["k_low"] <= one["truth"] <= own["k_high"])
        within = (ranks >= own["k_low"]) & (ranks <= own["k_high"])
        stated.append(float(np.array(own["probability"])[within].sum()))
        width.append(own["k_high"] - own["k_low"] + 1)
        at_choice.append(max(own["probability"]))
    rate, n = float(np.mean(inside)), len(inside)
    low, high = _wilson_interval(rate, n)
    return {
        "coverage": rate,
        "coverage_low": low,
        "coverage_high": high,
        "stated": float(np.mean(stated)),
        "width": float(np.mean(width)),
        "stated_choice": float(np.mean(at_choice)),
    }


def _wilson_interval(rate: float, n: int) -> tuple[float, float]:
    """95 % interval of a rate measured on ``n`` cases (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    z = 1.96
    centre, half = rate + z * z / (2 * n), z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return float((centre - half) / (1 + z * z / n)), float((centre + half) / (1 + z * z / n))


def _median_seconds(cases: Rows, name: str) -> float:
    """CPU seconds of a rule on the scans it was asked about."""
    if name == OWN:
        return float(np.median([one["phasekit"]["cpu_s"] for one in cases]))
    return float(np.median([one["rules"][name]["cpu_s"] for one in cases if name in one["rules"]]))


def find_reference_title() -> str:
    """The package that sets the error to reach."""
    return PACKAGES[REFERENCE].title
