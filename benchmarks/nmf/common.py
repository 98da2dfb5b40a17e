"""What the scripts share: the simulated scan on disk, the exact error, and the code behind a result.

Runs in the peers' environments too: NumPy and the standard library at the top, anything else where it is needed.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..harness import compute_code_state

N_COMPONENTS = 8  # grains; the background is one more
DOSE, SEED = 2000.0, 0
#: Parts of phasekit that a result of its own depends on, and a result of another package on the same data.
OWN_PARTS = ("nmf", "synthetic", "schema")
DATA_PARTS = ("synthetic", "nmf/features")
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


def find_code_state(*scripts: str, parts: tuple[str, ...] = OWN_PARTS) -> str:
    """Return eight letters that change with the ``scripts`` of this folder or with the ``parts`` of phasekit."""
    return compute_code_state("nmf", ("common.py", *scripts), parts)


def compute_relative_error(values: NDArray[Any], loading: NDArray[Any], factor: NDArray[Any]) -> float:
    """Return |V - L F|^2 / |V|^2 in double precision, 256 rows at a time; ``loading`` (n, k), ``factor`` (k, m)."""
    left, right = np.asarray(loading, dtype=np.float64), np.asarray(factor, dtype=np.float64)
    residual = total = 0.0
    for start in range(0, len(values), 256):
        block = values[start : start + 256].astype(np.float64)
        total += float(np.sum(block * block))
        residual += float(np.sum((block - left[start : start + 256] @ right) ** 2))
    return residual / total
