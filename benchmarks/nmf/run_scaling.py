"""Cost of one fit against patterns, detector pixels and k, phasekit beside others, each in a process of its own.

    python -m benchmarks.nmf.run_scaling OUT.json --data FOLDER [--sides 32 64 128] [--detectors 32 64 128]
        [--ranks 4 8 12 16 20]

Each axis goes through the middle, which is measured once: 64 x 64 patterns of 64 x 64 pixels, k = 8. All packages as
they come. A package whose environment cannot be made is left out.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from ..harness import read_json, run_module, write_json
from .common import N_COMPONENTS, find_code_state
from .packages import PACKAGES
from .peers import find_python

_CASE = ("side", "detector", "k")
MIDDLE = (64, 64, N_COMPONENTS)


def main() -> None:
    """Run the cases that are missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--middle", type=int, nargs=3, default=MIDDLE, metavar=("SIDE", "DETECTOR", "K"))
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--detectors", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--ranks", type=int, nargs="+", default=[4, 8, 12, 16, 20])
    parser.add_argument("--packages", nargs="+", default=["phasekit", "sklearn-cd", "hyperspy", "torchnmf"])
    chosen = parser.parse_args()
    side, detector, k = chosen.middle
    cases = [("patterns", (value, detector, k)) for value in chosen.sides]
    cases += [("pixels", (side, value, k)) for value in chosen.detectors]
    cases += [("k", (side, detector, value)) for value in chosen.ranks]
    results: dict[str, Any] = read_json(chosen.out) or {
        "rows": [],
        "code": find_code_state("run_fit.py", "packages.py"),
    }
    done = {(row["axis"], row["side"], row["detector"], row["k"], row["package"]) for row in results["rows"]}
    pythons = {package: find_python(PACKAGES[package].environment) for package in chosen.packages}
    measured = {(*(row[name] for name in _CASE), row["package"]): row for row in results["rows"]}
    for axis, case in cases:
        for package, python in pythons.items():
            if python is None or (axis, *case, package) in done:
                continue
            if (*case, package) not in measured:
                measured[(*case, package)] = _measure(chosen.data, package, python, *case)
            results["rows"].append({**measured[(*case, package)], "axis": axis})
            write_json(chosen.out, results)
    write_json(chosen.out, {**results, "complete": True})


def _measure(data: Path, package: str, python: Path, side: int, detector: int, k: int) -> dict[str, Any]:
    """One ``run_fit.py``, its data made where they are missing."""
    if not (data / f"features_{side}_{detector}.npy").exists():
        run_module("benchmarks.nmf.data", data, side, detector)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "fit.json"
        size = ["--side", side, "--detector", detector, "--k", k]
        run_module("benchmarks.nmf.run_fit", out, "--package", package, "--data", data, *size, python=python)
        fit = read_json(out)
    return {name: fit[name] for name in ("package", "version", *_CASE)} | fit["default"]


if __name__ == "__main__":
    main()
