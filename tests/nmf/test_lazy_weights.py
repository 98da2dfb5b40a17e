"""Lazy features: a block of values reads its own part of the file, not the whole scan."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.nmf.fitting.level import bring_to_unit_level

SHAPE, LINES = (12, 10, 16, 16), 3
CHUNKS = SHAPE[0] // LINES


@pytest.fixture
def counted():
    """PATTERNS in chunks of three scan lines, the list that every read of a chunk goes to, and the same in memory."""
    reads = []

    def read(block, block_info=None):
        if block_info:
            reads.append(block_info[0]["chunk-location"][0])
        return block

    scan = pk.synthetic.overlapping_grains(n_components=3, shape=SHAPE[:2], detector=SHAPE[2:], seed=2)[["intensity"]]
    counts = da.from_array(scan["intensity"].to_numpy(), chunks=(LINES, *SHAPE[1:]))
    lazy = counts.map_blocks(read, dtype=counts.dtype, meta=counts._meta)
    return scan.assign(intensity=scan["intensity"].copy(data=lazy)), reads, scan


@pytest.mark.parametrize("how", [{}, {"gain": 2.0}, {"bin": 2}, {"missing": "keep"}, {"scale": None}])
def test_one_block_of_values_reads_one_chunk(counted, how):
    scan, reads, loaded = counted
    features = bring_to_unit_level(pk.nmf.to_features(scan, **how))
    assert features["feature_value"].chunks is not None
    reads.clear()
    block = features["feature_value"].isel(scan_y=slice(LINES)).to_numpy()
    assert reads == [0]
    whole = pk.nmf.to_features(loaded, **how)["feature_value"].isel(scan_y=slice(LINES)).to_numpy()
    np.testing.assert_allclose(block, whole, rtol=4 * np.finfo(np.float32).eps)


def test_values_read_block_by_block_read_every_chunk_once(counted):
    scan, reads, loaded = counted
    values = bring_to_unit_level(pk.nmf.to_features(scan))["feature_value"]
    reads.clear()
    parts = [values.isel(scan_y=slice(start, start + LINES)).to_numpy() for start in range(0, SHAPE[0], LINES)]
    assert np.bincount(reads).tolist() == [1] * CHUNKS
    whole = pk.nmf.to_features(loaded)["feature_value"].to_numpy()
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=4 * np.finfo(np.float32).eps)


def test_a_fit_block_by_block_is_that_of_the_loaded_features(counted):
    scan, _, loaded = counted
    # Both stop where a pass gains less than 1e-5 of the error: ten passes of that size may lie between them.
    streamed = pk.nmf.factorise(pk.nmf.to_features(scan), 4, in_memory=False)
    fitted = pk.nmf.factorise(pk.nmf.to_features(loaded), 4)
    assert streamed.attrs["relative_error"] == pytest.approx(fitted.attrs["relative_error"], rel=1e-4)


def test_values_that_were_not_divided_by_the_weights_stay_as_they_are(counted):
    scan, _, _ = counted
    features = pk.nmf.to_features(scan)
    doubled = features.assign(feature_weight=xr.full_like(features["feature_weight"], 2.0))
    xr.testing.assert_equal(bring_to_unit_level(doubled).compute(), doubled.compute())
