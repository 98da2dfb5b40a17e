"""Every k from 2 to 20, five starts each: the cost of a choice of k, and the errors of the fits.

    python -m benchmarks.nmf.run_sweep OUT.json --package phasekit|scikit-learn --data FOLDER --features 4096|16384

scikit-learn: coordinate descent, its default 200 iterations and tolerance 1e-4. Per k one start from the singular
vectors (nndsvda), the others random; the best error per k is its answer. With ``--iterations N`` each of its fits ends
after N. Then it is not charged for what it does beyond the error that is compared.

phasekit: ``factorise_ranks`` (the fits alone) and ``scan_ranks`` (all that a choice is made from), each timed as a
whole.

The file grows with every fit and has ``complete`` at the end; started again, the script goes on.
"""

import argparse
import math
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..harness import measure_cost, pin_to_one_core, read_json, write_json
from .common import DATA_PARTS, OWN_PARTS, SEED, WARM_UP, Data, compute_relative_error, find_code_state, load_data
from .packages import in_feature_scale

SCRIPTS = ("run_sweep.py", "packages.py", "data.py")


def main() -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--package", choices=["phasekit", "scikit-learn"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--features", type=int, default=4096, help="detector pixels, a square number")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--ranks", type=int, nargs=2, default=(2, 20), metavar=("LOW", "HIGH"))
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--iterations", type=int, help="of scikit-learn's fits, instead of its own test of convergence")
    chosen = parser.parse_args()
    pin_to_one_core()
    ranks = range(chosen.ranks[0], chosen.ranks[1] + 1)
    results = read_json(chosen.out) or {
        "package": chosen.package,
        "features": chosen.features,
        "side": chosen.side,
        "starts": chosen.starts,
        "iterations": chosen.iterations,
        "version": version(chosen.package),
        "code": find_code_state(*SCRIPTS, parts=OWN_PARTS if chosen.package == "phasekit" else DATA_PARTS),
    }
    sweep = _phasekit if chosen.package == "phasekit" else _sklearn
    sweep({"iterations": chosen.iterations, "starts": 2}, None, load_data(chosen.data, *WARM_UP), range(2, 5))
    sweep(results, chosen.out, load_data(chosen.data, chosen.side, math.isqrt(chosen.features)), ranks)
    write_json(chosen.out, {**results, "complete": True})


def _sklearn(results: dict[str, Any], out: Path | None, data: Data, ranks: range) -> None:
    """A row per k and start."""
    from sklearn.decomposition import NMF

    rows, fixed = results.setdefault("rows", []), results["iterations"]
    how = {"max_iter": fixed, "tol": 0.0} if fixed else {"max_iter": 200, "tol": 1e-4}
    done = {(row["k"], row["start"]) for row in rows}
    for k, start in ((k, start) for k in ranks for start in range(results["starts"])):
        if (k, start) in done:
            continue
        init = "random" if start else "nndsvda"
        model = NMF(n_components=k, init=init, random_state=SEED + start, **how)
        with measure_cost() as row, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that 200 iterations were not enough: they are its default
            loading = model.fit_transform(data.values)
        error = compute_relative_error(data.values, loading, model.components_)
        rows.append({"k": k, "start": start, "init": init, **row, "error": error, "iterations": int(model.n_iter_)})
        if out is not None:
            write_json(out, results)


def _phasekit(results: dict[str, Any], out: Path | None, data: Data, ranks: range) -> None:
    """The fits alone, then the whole evidence."""
    import phasekit as pk

    features = data.features()
    if "fits" not in results:
        with measure_cost() as cost:
            answer = pk.nmf.factorise_ranks(features, ranks, n_starts=results["starts"], seed=SEED, progress=False)
        scaled = {k: in_feature_scale(answer[k], features) for k in ranks}
        errors = {k: compute_relative_error(data.values, one.loading, one.factor) for k, one in scaled.items()}
        results["fits"] = {**cost, "errors": errors}
        if out is not None:
            write_json(out, results)
    if "scan" not in results:
        with measure_cost() as cost:
            evidence = pk.nmf.scan_ranks(features, ranks, n_runs=results["starts"], seed=SEED, progress=False)
        results["scan"] = {**cost, "chosen": int(pk.nmf.choose_rank(evidence))}
        if out is not None:
            write_json(out, results)


if __name__ == "__main__":
    main()
