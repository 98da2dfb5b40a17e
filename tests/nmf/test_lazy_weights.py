"""Lazy features: a block of values reads its own part of the file, not the whole scan."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.nmf.fitting import blocks
from phasekit.nmf.fitting.level import bring_to_unit_level
from phasekit.nmf.fitting.multistart import make_feature_rows

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


def test_a_fit_reads_every_chunk_once_a_pass(counted, monkeypatch):
    scan, reads, loaded = counted
    monkeypatch.setattr(blocks, "_STREAM_BYTES", 1)  # a block is one scan line, of which a chunk has three
    features = bring_to_unit_level(pk.nmf.to_features(scan))
    source = make_feature_rows(features, "test", in_memory=False).source
    reads.clear()
    rows = np.concatenate([block for _, block in source.read_blocks()])
    assert np.bincount(reads).tolist() == [LINES] * CHUNKS
    whole = pk.nmf.to_features(loaded)["feature_value"].to_numpy().reshape(rows.shape)
    np.testing.assert_allclose(rows, whole, rtol=4 * np.finfo(np.float32).eps)


def test_values_that_were_not_divided_by_the_weights_stay_as_they_are(counted):
    scan, _, _ = counted
    features = pk.nmf.to_features(scan)
    doubled = features.assign(feature_weight=xr.full_like(features["feature_weight"], 2.0))
    xr.testing.assert_equal(bring_to_unit_level(doubled).compute(), doubled.compute())
