"""How many crystals does the package find among the components of the strangers' scans?

python -m benchmarks.nmf.run_crystals OUT_DIR --judged DIR

DIR holds the results of ``run_strangers``: the specimen of each scan (its seed), the k that the rule chose, its
interval and its probability. Each of these scans is simulated again and factorised, in one call, at every k of the
interval and at the true number of patterns. ``group_crystals`` counts the crystals of each k, as its docstring says:
background taken out, peaks of the component patterns, no orientations. ``count_crystals`` counts them over the
interval. One file for each scan; a scan whose file is there is not repeated.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import log_progress, read_json, write_json
from .common import find_code_state
from .run_strangers import make_features, simulate_specimen

PARTS = ("nmf", "acom", "synthetic", "schema")


def main() -> None:
    """Count the crystals of every scan that was judged."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--judged", type=Path, required=True, help="results of run_strangers")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    chosen = parser.parse_args()
    for path in sorted(chosen.judged.glob("*.json"))[chosen.part :: chosen.parts]:
        if not (chosen.out / path.name).exists():
            log_progress(path.stem)
            write_json(chosen.out / path.name, judge_scan(read_json(path)))


def judge_scan(judged: dict[str, Any]) -> dict[str, Any]:
    """Truth of one scan, the count of crystals at each k, and the count over the interval of k."""
    own = judged["phasekit"]
    interval = range(own["k_low"], own["k_high"] + 1)
    features = make_features(simulate_specimen(judged["case"]))
    started = time.process_time()
    fits = pk.nmf.factorise_ranks(features, sorted({*interval, judged["truth"]}), progress=False)
    fitted = time.process_time()
    groups = {k: _group(factors) for k, factors in fits.items()}
    grouped = time.process_time()
    probability = xr.DataArray(own["probability"], dims="rank", coords={"rank": judged["ranks"]})
    counted = pk.nmf.count_crystals({k: groups[k] for k in interval}, probability)
    return {
        "case": judged["case"],
        **{name: judged[name] for name in ("truth", "crystals", "exactly_linear")},
        **{name: own[name] for name in ("chosen", "k_low", "k_high")},
        "ranks": {k: _read_counts(one) for k, one in groups.items()},
        "interval": [counted.attrs[name] for name in ("n_crystals", "n_crystals_low", "n_crystals_high")],
        "fit_cpu_s": fitted - started,
        "group_cpu_s": (grouped - fitted) / len(groups),
        "code": find_code_state("run_crystals.py", parts=PARTS),
    }


def _group(factors: xr.Dataset) -> xr.Dataset:
    """CRYSTAL_GROUPS of one factorisation, from spots alone."""
    cleaned = pk.nmf.separate_background(factors)
    return pk.nmf.group_crystals(cleaned, pk.acom.find_peaks(pk.nmf.component_patterns(cleaned)))


def _read_counts(groups: xr.Dataset) -> dict[str, Any]:
    """The counts of one k, the crystal of each component, and its evidence for being one."""
    names = ("n_crystals", "n_crystals_low", "n_crystals_high", "n_background")
    per_component = {"crystal": groups["crystal"].to_numpy(), "evidence": groups["evidence"].to_numpy()}
    shares = np.round(groups["spot_share"].to_numpy(), 3)
    return {
        **{name: int(groups.attrs[name]) for name in names},
        **{name: values.tolist() for name, values in per_component.items()},
        "spot_share": shares.tolist(),
    }


if __name__ == "__main__":
    main()
