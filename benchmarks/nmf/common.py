"""What the scripts share: the simulated scan on disk, measuring, the exact error, results that are never half-written.

Runs in the peers' environments too: NumPy and the standard library at the top, anything else where it is needed.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

N_COMPONENTS = 8  # grains; the background is one more
DOSE, SEED = 2000.0, 0
WARM_UP = (16, 16)  # side and detector of the scan that is fitted before the clock starts


class Data(NamedTuple):
    """Poisson-scaled features (scan point, feature) float32, and where the rest of the FEATURES lies."""

    values: NDArray[np.float32]
    rest: Path
    side: int
    detector: int

    def features(self) -> Any:
        """The FEATURES dataset; its values are ``values`` themselves, not a copy."""
        import xarray as xr

        rest = xr.load_dataset(self.rest)
        shape = (self.side, self.side, self.values.shape[1])
        return rest.assign(feature_value=(("scan_y", "scan_x", "feature"), self.values.reshape(shape)))


def load_data(folder: Path, side: int, detector: int) -> Data:
    """Read what ``data.py`` wrote."""
    stem = f"features_{side}_{detector}"
    return Data(np.load(folder / f"{stem}.npy"), folder / f"{stem}.nc", side, detector)


def pin() -> None:
    """Keep this process on one core, so that nothing a package starts beside it is had for free."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """CPU seconds (children included), wall seconds, and peak memory [MB] above what was held before."""
    found: dict[str, float] = {}
    with suppress(OSError):  # else the peak of loading the data, or of the process that started this one, stands
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before, cpu, wall = _peak_mb(), _cpu_seconds(), time.perf_counter()
    yield found
    found |= {"cpu_s": _cpu_seconds() - cpu, "wall_s": time.perf_counter() - wall, "peak_mb": _peak_mb() - before}


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _peak_mb() -> float:
    """Largest resident memory so far. ``ru_maxrss`` of a child starts at its parent's, VmHWM does not."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    for line in lines:
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def relative_error(values: NDArray[Any], loading: NDArray[Any], factor: NDArray[Any]) -> float:
    """|V - L F|^2 / |V|^2 in double precision, 256 rows at a time; ``loading`` (n, k), ``factor`` (k, m)."""
    left, right = np.asarray(loading, dtype=np.float64), np.asarray(factor, dtype=np.float64)
    residual = total = 0.0
    for start in range(0, len(values), 256):
        block = values[start : start + 256].astype(np.float64)
        total += float(np.sum(block * block))
        residual += float(np.sum((block - left[start : start + 256] @ right) ** 2))
    return residual / total


def read_json(path: Path) -> Any:
    """The result, or an empty dictionary where there is none yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_json(path: Path, found: Any) -> None:
    """Under another name first, so that an interrupted run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")
    partial.replace(path)
