"""The machine, its speed in a matrix product, and the number of operations of the search."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from phasekit.acom import build_templates
from phasekit.acom.matching import polar as _polar

from ..harness import describe_machine, write_json
from .structures import bench_phases

PACKAGES = ("numpy", "scipy", "numba", "xarray", "dask", "phasekit")


def measure_matrix_product(size: int = 2048, repeats: int = 5) -> float:
    """Return the speed of a float32 matrix product of NumPy on one thread [GFLOP/s]: the best of ``repeats``."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(size, size)).astype(np.float32) for _ in range(2))
    best = np.inf
    with threadpool_limits(1, "blas"):
        for _ in range(repeats):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def count_grid_operations(bank: Any) -> float:
    """Return the floating-point operations per pattern of the full grid: one real matrix product per frequency.

    A pattern gives two rows (real, imaginary), n templates give 2 n columns; the sum runs over the shells. That makes
    2 * 2 * shells * 2 n operations per frequency. The product gives templates and mirrored templates. Transforms are
    not counted.
    """
    shells = int(np.ceil(float(bank.attrs["g_max"]) / float(getattr(_polar, "SHELL", 0.04)))) + 2
    frequencies = int(getattr(_polar, "FREQUENCIES", 48))
    return 2.0 * 2 * shells * 2 * bank.sizes["template"] * frequencies


def main() -> None:
    """Write machine, GEMM speed and the arithmetic of the 2-degree grid as JSON to a file."""
    banks = {n: build_templates(bench_phases()[:n], resolution_deg=2, precession_deg=1) for n in (2, 3)}
    out = {"machine": describe_machine(PACKAGES), "gemm_gflops_per_core": measure_matrix_product()}
    out["full_grid_flops"] = {str(n): count_grid_operations(bank) for n, bank in banks.items()}
    write_json(Path(sys.argv[1]), out)


if __name__ == "__main__":
    main()
