"""Simulated scans as features, made once for all packages.

    python -m benchmarks.nmf.data FOLDER SIDE DETECTOR

writes FOLDER/features_SIDE_DETECTOR.npy (values) and .nc (all the rest).
"""

import sys
from pathlib import Path

import numpy as np

import phasekit as pk

from .common import DOSE, N_COMPONENTS, SEED, WARM_UP


def main(folder: Path, side: int, detector: int) -> None:
    """Write the features of one scan of ``side`` x ``side`` points with a ``detector`` x ``detector`` detector."""
    folder.mkdir(parents=True, exist_ok=True)
    patterns = pk.synthetic.overlapping_grains(
        n_components=N_COMPONENTS, shape=(side, side), detector=(detector, detector), dose=DOSE, seed=SEED
    )
    features = pk.nmf.to_features(patterns, mask=None).compute()  # every pixel, so that the size is what it says
    stem = folder / f"features_{side}_{detector}"
    features.drop_vars("feature_value").to_netcdf(stem.with_suffix(".nc"), engine="h5netcdf")
    values = features["feature_value"].to_numpy().reshape(side * side, -1)
    partial = stem.with_suffix(".part.npy")
    np.save(partial, np.ascontiguousarray(values, dtype=np.float32))
    partial.rename(stem.with_suffix(".npy"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *WARM_UP)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
