from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


@pytest.fixture(scope="module")
def scene():
    """A scan of four LiFePO4 grains, its factors, and the solutions of their patterns."""
    lfp = pk.io.open_phase(Path(__file__).parents[2] / "data-samples" / "LiFePO4.cif")
    scan = pk.synthetic.orientation_scan(
        [lfp],
        shape=(16, 18),
        detector=(96, 96),
        electrons=20000,
        specimen=pk.synthetic.Specimen(n_grains=4, vacuum_fraction=0.15),
        microscope=pk.synthetic.Microscope(drift_px=0, jitter_px=0, pixel_size=0.03),
        seed=5,
    )
    features = pk.nmf.to_features(scan)
    factors = pk.nmf.separate_background(pk.nmf.factorise(features, 5))
    bank = pk.acom.build_templates([lfp], voltage_kv=200, resolution_deg=2.0, precession_deg=1.0)
    patterns = pk.nmf.component_patterns(factors)
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(patterns), origin=None)
    found = pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))
    return scan, factors, found


def test_patterns_of_components_are_patterns(scene):
    _, factors, _ = scene
    patterns = pk.nmf.component_patterns(factors)
    assert dict(patterns.sizes) == {"scan_y": 1, "scan_x": 5, "qy": 96, "qx": 96}
    assert bool(np.isfinite(patterns.intensity).all())
    total = patterns.intensity.sum(("qy", "qx"))[0]
    np.testing.assert_allclose(total, factors.loading.max(("scan_y", "scan_x")), rtol=1e-3)


def test_map_from_components_is_right(scene):
    scan, factors, found = scene
    by_components = pk.nmf.map_component_orientations(factors, found)
    accuracy = pk.acom.compare_with_truth(by_components, scan)
    assert float(accuracy.phase_accuracy) > 0.95
    assert float(accuracy["median"].sel(counting="folded")) < 0.5
    assert float(accuracy.within_2.sel(counting="folded")) > 0.97
    grains = pk.acom.label_grains(by_components, max_disorientation_deg=5)
    assert len(np.unique(by_components.component)) - 1 == 5  # a grain of some mosaic spread is told by two components,
    assert grains.sizes["grain_number"] == 4  # which are one crystal again


def test_component_table(scene):
    _, factors, found = scene
    table = pk.nmf.component_orientations(factors, found)
    assert table.phase.dims == ("component",)
    assert set(np.unique(table.phase)) <= {-1, 0}
    assert int((table.phase == 0).sum()) >= 4


def test_map_agrees_with_itself_and_with_itself_only(scene):
    _, factors, found = scene
    first = pk.nmf.map_component_orientations(factors, found)
    same = pk.acom.compare_maps(first, first)
    assert float(same.phase_accuracy) == 1
    assert float(same["median"].max()) < 0.05  # rounding of the quaternions
    with pytest.raises(SchemaError, match="different phases"):
        pk.acom.compare_maps(first, first.assign_attrs(phases="[]"))


def test_background_points_are_vacuum_and_input_untouched(scene):
    _, factors, found = scene
    before = found.copy(deep=True)
    haze = int(np.argmax(factors.loading.sum(("scan_y", "scan_x")).to_numpy()))
    out = pk.nmf.map_component_orientations(factors, found, background=haze)
    there = pk.nmf.find_overlap(factors, background=haze).label == haze
    assert (out.phase.where(there, -1) == -1).all()
    everywhere = pk.nmf.map_component_orientations(factors, found, background=-1, min_weight=0.0)
    assert int((everywhere.phase >= 0).sum()) >= int((out.phase >= 0).sum())
    xr.testing.assert_identical(found, before)


def test_refusals(scene):
    scan, factors, found = scene
    with pytest.raises(SchemaError, match="one for each"):
        pk.nmf.map_component_orientations(factors, found.isel(scan_x=slice(3)))
    with pytest.raises(SchemaError, match="component_patterns"):
        pk.nmf.component_patterns(scan)


def test_round_trip(scene, tmp_path):
    _, factors, found = scene
    out = pk.nmf.map_component_orientations(factors, found)
    pk.io.save(out, tmp_path / "map.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "map.nc").compute(), out)
