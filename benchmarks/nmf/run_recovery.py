"""How many components does each rule find in one simulated scan?

python -m benchmarks.nmf.run_recovery OUT.json --case NAME --who phasekit|rules [--ranks 2 20] [--step N]

Every rule sees the same features (``to_features`` as it comes) and chooses from the same ranks. The votes, the curves
they were read from and the seconds they took go into the file; truth and settings of the case beside them.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import write_json
from .common import find_code_state
from .families import CASES, TUNING, simulate_case
from .rules import RULES, Problem

SCRIPTS = ("run_recovery.py", "families.py", "generators.py", "rules.py", "fits.py", "stability.py", "ard.py")
WHO = ("phasekit", "rules")
LOW, HIGH = 2, 20


def main() -> None:
    """Apply the rules to one case, and write their votes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--case", choices=list(CASES), required=True, metavar="NAME")
    parser.add_argument("--who", choices=WHO, required=True, help="phasekit's rules, or the others, which take longer")
    parser.add_argument("--ranks", type=int, nargs=2, default=(LOW, HIGH), metavar=("LOW", "HIGH"))
    parser.add_argument("--runs", type=int, default=5, help="runs of scan_ranks")
    parser.add_argument("--step", type=int, default=1, help="only every so-many-th scan point (a check)")
    chosen = parser.parse_args()
    case = CASES[chosen.case]
    patterns = simulate_case(case)
    truth = int(patterns.attrs["truth_n_components"])
    every = slice(None, None, chosen.step)
    features = pk.nmf.to_features(patterns[["intensity"]].isel(scan_y=every, scan_x=every))
    ranks = list(range(chosen.ranks[0], chosen.ranks[1] + 1))
    results: dict[str, Any] = {
        "case": {**asdict(case), "family": "tuning" if chosen.case in TUNING else "held back"},
        "truth": truth,
        "ranks": ranks,
        "code": find_code_state(*SCRIPTS),
    }
    if chosen.who == "phasekit":
        evidence, seconds = time_rank_scan(features, ranks, chosen.runs)
        evidence.assign_attrs(truth=truth).to_netcdf(chosen.out.with_suffix(".nc"))
        results["phasekit"] = ask_phasekit(evidence) | {"cpu_s": seconds}
    else:
        results["rules"] = ask_rules(features, ranks)
    write_json(chosen.out, results)


def time_rank_scan(features: xr.Dataset, ranks: list[int], n_runs: int) -> tuple[xr.Dataset, float]:
    """RANKS, and the seconds they took."""
    started = time.process_time()
    return pk.nmf.scan_ranks(features, ranks, n_runs=n_runs, progress=False), time.process_time() - started


def ask_phasekit(evidence: xr.Dataset) -> dict[str, Any]:
    """Its choice, the vote of each of its rules, the probability of every k and the interval it states."""
    votes = pk.nmf.rank_votes(evidence)
    names = votes["rule"].to_numpy().tolist()
    return {
        "chosen": int(pk.nmf.choose_rank(evidence)),
        "votes": {name: float(vote) for name, vote in zip(names, votes["vote"].to_numpy(), strict=True)},
        "probability": votes["probability"].to_numpy().tolist(),
        "k_low": int(votes.attrs["k_low"]),
        "k_high": int(votes.attrs["k_high"]),
        "held_out": str(evidence.attrs.get("held_out", "")),
    }


def ask_rules(features: xr.Dataset, ranks: list[int], *, left_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """Vote (null: none), curve and CPU seconds of each of the other rules that is not ``left_out``."""
    problem = make_problem(features, ranks)
    votes: dict[str, Any] = {}
    for name, rule in RULES.items():
        if name in left_out:
            continue
        started = time.process_time()
        vote = rule(problem)
        votes[name] = {
            "k": None if vote is None else vote.k,
            "curve": [] if vote is None else vote.curve,
            "cpu_s": time.process_time() - started,
        }
    return votes


def make_problem(features: xr.Dataset, ranks: list[int]) -> Problem:
    """The features as a matrix, with what was divided out where the counts are whole."""
    n = features.sizes["feature"]
    values = features["feature_value"].transpose("scan_y", "scan_x", "feature").to_numpy()
    data = np.ascontiguousarray(values.reshape(-1, n), dtype=np.float32)
    if not features.attrs.get("counts", 0):
        return Problem(data, ranks)
    weight = features["scan_weight"].to_numpy().reshape(-1, 1) * features["feature_weight"].to_numpy()
    return Problem(data, ranks, weight=np.asarray(weight, dtype=np.float32))


if __name__ == "__main__":
    main()
