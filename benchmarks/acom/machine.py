"""What the machine can do: cores, versions, and the speed of a matrix product; and what the search must compute."""

import json
import platform
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from phasekit.acom import build_templates
from phasekit.acom.matching import polar as _polar


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and versions; no names of hosts or paths."""
    names = ("numpy", "scipy", "numba", "xarray", "dask", "phasekit")
    return {
        "processor": _processor(),
        "cores": len(_cores()),
        "memory_gb": round(_memory_gb(), 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
    }


def _cores() -> set[int]:
    import os

    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8")) if info.exists() else None
    return found[1].strip() if found else platform.machine()


def _memory_gb() -> float:
    info = Path("/proc/meminfo")
    found = re.search(r"MemTotal:\s*(\d+) kB", info.read_text(encoding="utf-8")) if info.exists() else None
    return int(found[1]) / 1024**2 if found else float("nan")


def gemm_gflops(size: int = 2048, repeats: int = 5) -> float:
    """float32 matrix product of NumPy on one thread [GFLOP/s], the best of some."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(size, size)).astype(np.float32) for _ in range(2))
    best = np.inf
    with threadpool_limits(1, "blas"):
        for _ in range(repeats):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def full_grid_flops(bank: Any) -> float:
    """Floating-point operations per pattern of the full grid as one real matrix product per azimuthal frequency.

    [real; imaginary] of a pattern (2 rows) times [real | imaginary] of n templates (2 n columns), summed over the
    shells: 2 * 2 * shells * 2 n per frequency. It gives templates and mirrored templates; transforms are not counted.
    """
    shells = int(np.ceil(float(bank.attrs["g_max"]) / float(getattr(_polar, "SHELL", 0.04)))) + 2
    frequencies = int(getattr(_polar, "FREQUENCIES", 48))
    return 2.0 * 2 * shells * 2 * bank.sizes["template"] * frequencies


def main() -> None:
    """Write machine, GEMM speed and the arithmetic of the 2-degree grid as JSON to a file."""
    from structures import bench_phases

    banks = {n: build_templates(bench_phases()[:n], resolution_deg=2, precession_deg=1) for n in (2, 3)}
    out = {"machine": describe_machine(), "gemm_gflops_per_core": gemm_gflops()}
    out["full_grid_flops"] = {str(n): full_grid_flops(bank) for n, bank in banks.items()}
    Path(sys.argv[1]).write_text(json.dumps(out), encoding="utf-8")


if __name__ == "__main__":
    main()
