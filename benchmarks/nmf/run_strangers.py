"""How many components does the package find in a scan by an author who had not seen its rule?

python -m benchmarks.nmf.run_strangers OUT_DIR [--part N --parts N]

Every case of ``benchmarks/nmf/strangers`` is simulated and scanned from k = 1 to 22 as the functions come. Votes,
probability, interval and truth go into one file for each case; a case whose file is there is not repeated.
"""

import argparse
import time
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk

from ..harness import write_json
from .common import find_code_state
from .run_recovery import ask_phasekit

AUTHORS = ("kinematic_grains", "bent_and_twinned", "texture_and_amorphous", "real_detectors")
HIGHEST = 22
JUDGED_DRAW = 4  # the stored page: specimens that no state of the rule had seen
_EVIDENCE = ("log_evidence", "unseen", "electron_excess", "neighbour_excess", "gain")


def list_cases() -> list[tuple[str, str]]:
    """Author and name of every case, the authors in turn."""
    names = {author: list(load_author(author).CASES) for author in AUTHORS}
    longest = max(map(len, names.values()))
    return [(author, names[author][i]) for i in range(longest) for author in AUTHORS if i < len(names[author])]


def load_author(author: str) -> Any:
    return import_module(f"benchmarks.nmf.strangers.{author}")


def main() -> None:
    """Judge the cases of one part."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--draw", type=int, default=0, help="other specimens: this many times 10000 on every seed")
    parser.add_argument("--runs", type=int, default=5, help="runs of scan_ranks")
    chosen = parser.parse_args()
    for author, name in list_cases()[chosen.part :: chosen.parts]:
        out = chosen.out / f"{author}-{name}.json"
        if not out.exists():
            write_json(out, judge_case(author, name, chosen.runs, chosen.draw))


def judge_case(author: str, name: str, n_runs: int, draw: int) -> dict[str, Any]:
    """Truth of one case, and what the package says.

    Bad pixels are masked as they come. The direct beam is not: the truth counts it as a pattern where it is one.
    """
    module = load_author(author)
    case, patterns = simulate_draw(module, module.CASES[name], draw)
    features = make_features(patterns)
    highest = min(HIGHEST, min(features.sizes["scan_y"] * features.sizes["scan_x"], features.sizes["feature"]) // 2)
    started = time.process_time()
    ranks = pk.nmf.scan_ranks(features, range(1, highest + 1), n_runs=n_runs, progress=False)
    seconds = time.process_time() - started
    evidence = [
        key for key in ("log_evidence", "unseen", "electron_excess", "neighbour_excess", "gain") if key in ranks
    ]
    return {
        "case": {**asdict(case), "author": author},
        "truth": int(patterns.attrs["truth_n_components"]),
        "crystals": int(patterns.attrs["truth_n_crystals"]),
        "exactly_linear": int(patterns.attrs["exactly_linear"]),
        "counts_are_electrons": int(patterns.attrs.get("counts_are_electrons", 1)),
        "extra_constant_pattern": int(patterns.attrs.get("extra_constant_pattern", 0)),
        "ranks": ranks["rank"].to_numpy().tolist(),
        "phasekit": ask_phasekit(ranks) | {"cpu_s": seconds},
        "evidence": {key: np.round(ranks[key].to_numpy(), 3).tolist() for key in evidence},
        "code": find_code_state("run_strangers.py"),
    }


def make_features(patterns: xr.Dataset) -> xr.Dataset:
    """FEATURES of a scan, its bad pixels masked."""
    good = pk.detector.find_mask(patterns)["kind"] == 0
    return pk.nmf.to_features(patterns[["intensity"]], mask=good)


def simulate_specimen(case: dict[str, Any]) -> xr.Dataset:
    """PATTERNS of the ``case`` of a result: the specimen with its seed."""
    module = load_author(case["author"])
    with np.errstate(all="ignore"):
        patterns: xr.Dataset = module.simulate(replace(module.CASES[case["name"]], seed=case["seed"]))
    return patterns


def simulate_draw(module: Any, case: Any, draw: int) -> tuple[Any, xr.Dataset]:
    """The case with its own seed, or one of other seeds: the first that its author's generator can make."""
    for attempt in range(20):
        one = replace(case, seed=case.seed + 10000 * draw + 1000 * attempt)
        try:
            with np.errstate(all="ignore"):
                return one, module.simulate(one)
        except (ValueError, RuntimeError):
            if not draw:
                raise
    raise RuntimeError(f"{case.name}: no specimen from 20 seeds.")


if __name__ == "__main__":
    main()
