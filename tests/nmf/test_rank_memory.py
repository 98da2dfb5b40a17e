"""Memory that the scan of ranks and the fits of many ranks take beyond the features."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

import phasekit as pk

SHARE = 0.3  # of the features: what both may take
SHAPE, DETECTOR = (60, 60), (60, 60)  # 52 MB: what has the size of one pattern or one map is small beside it


def features_of(shape, detector, electrons, rng):
    """Five patterns of disks over smooth maps, as counts."""
    n, m = (int(np.prod(sides)) for sides in (shape, detector))
    maps = rng.random((n, 5)) ** 4 + 0.1
    patterns = rng.random((5, m)) ** 8 + 0.05
    mean = maps @ patterns
    counts = rng.poisson(mean * electrons * n / mean.sum()).reshape(*shape, *detector)
    units = {"scan_y": "nm", "scan_x": "nm", "qy": "px", "qx": "px"}
    coords = {d: (d, np.arange(float(s)), {"units": units[d]}) for d, s in zip(units, counts.shape, strict=True)}
    scan = xr.Dataset({"intensity": (tuple(units), counts.astype(np.float32), {"units": "counts"})}, coords=coords)
    return pk.nmf.to_features(scan, mask=None)


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    small = features_of((16, 16), (16, 16), 200, rng)
    pk.nmf.scan_ranks(small, range(2, 6), n_runs=2, progress=False)  # compiles, which takes memory of its own
    pk.nmf.factorise_ranks(small, [2, 3], progress=False)
    return features_of(SHAPE, DETECTOR, 1500, rng)


@pytest.mark.parametrize("find", [pk.nmf.scan_ranks, pk.nmf.factorise_ranks])
def test_the_memory_beyond_the_features(features, find):
    """Arrays of NumPy are counted: about the same on every machine."""
    tracemalloc.start()
    try:
        held = tracemalloc.get_traced_memory()[0]
        find(features, range(1, 16), progress=False)
        peak = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()
    assert peak < SHARE * features["feature_value"].nbytes
