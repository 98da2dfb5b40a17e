"""Large maps in tiles: seams do not show, whatever the chunks."""

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.stxm.phase_map import tiles
from tests.stxm.field import field, references


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "_SIDE", 24)


def _blurred(channels):
    return np.stack([ndimage.uniform_filter(channels[..., 0], 5), channels[..., 1]], axis=-1).astype(np.float32)


@pytest.mark.parametrize("chunks", [None, {"scan_y": 7, "scan_x": 30}, {"channel": 1}])
def test_a_filter_over_tiles_is_the_filter_over_the_map(small_tiles, chunks):
    values = np.random.default_rng(0).normal(size=(61, 50, 2)).astype(np.float32)
    coords = {"scan_y": np.arange(61.0), "scan_x": np.arange(50.0)}
    channels = xr.DataArray(values, dims=("scan_y", "scan_x", "channel"), coords=coords)
    data = channels if chunks is None else channels.chunk(chunks)
    found = tiles.apply_over_tiles(data, _blurred, 2)
    assert (found.chunks is None) == (chunks is None)
    np.testing.assert_allclose(found, _blurred(values), atol=1e-5)
    np.testing.assert_array_equal(found["scan_y"], coords["scan_y"])


def test_tiles_are_as_equal_as_can_be_and_cover_the_map():
    assert tiles._split_axis(512) == (512,)
    assert tiles._split_axis(513) in ((256, 257), (257, 256))
    assert sum(tiles._split_axis(2048 + 7)) == 2055
    assert max(tiles._split_axis(2055)) <= 512


def test_a_map_in_tiles_agrees_with_the_map_in_one(small_tiles, monkeypatch):
    stack = field(photons=1500, seed=7)
    od = pk.stxm.optical_density(stack).compute()
    cut = pk.stxm.label_phases(od, None, references(), energy_offset=0.0)
    lazy = pk.stxm.label_phases(od.chunk({"scan_y": 20, "scan_x": 31}), None, references(), energy_offset=0.0)
    np.testing.assert_array_equal(cut["phase"], lazy["phase"])
    monkeypatch.setattr(tiles, "_SIDE", 512)
    whole = pk.stxm.label_phases(od, None, references(), energy_offset=0.0)
    sure = (whole["confidence"] > 0.9).values
    assert (cut["phase"] == whole["phase"]).values[sure].mean() > 0.995
    np.testing.assert_array_equal(cut["phase"] >= 0, whole["phase"] >= 0)
