"""find_mask: every kind of bad pixel in every type of data, and nothing where nothing is bad."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from tests.detector.spoil import CASES

TABLE = [(kind, name) for kind, cases in CASES.items() for name in cases]


def patterns(counts):
    return xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)})


@pytest.fixture(scope="module")
def counts():
    scan = pk.synthetic.overlapping_grains(n_components=4, shape=(16, 18), detector=(48, 48), dose=6000, seed=6)
    return scan.intensity.to_numpy()


@pytest.mark.parametrize(("kind", "name"), TABLE, ids=[f"{kind}: {name}" for kind, name in TABLE])
def test_every_kind_is_found_and_named(counts, kind, name):
    spoilt, true = CASES[kind][name](counts)
    mask = pk.detector.find_mask(patterns(spoilt))
    words = mask.kind.attrs["flag_meanings"].split()
    found = mask.kind.to_numpy()
    assert {words[i] for i in np.unique(found[true])} == {kind}
    if kind == "beam_stop":  # its rim may be dark as well
        assert (found[~true] > 0).sum() <= 0.02 * true.sum()
    else:  # in some patterns, pixels at the rim of a saturated disk are saturated too
        assert not ((found[~true] > 0) & (found[~true] != words.index("saturated"))).any()
        assert kind == "saturated" or not (found[~true] > 0).any()
    assert int(mask.pixel_count.sel(pixel_kind=kind)) == (found == words.index(kind)).sum() > 0


@pytest.mark.parametrize("electrons", [200, 2000, 100_000])
@pytest.mark.parametrize("radius", [1.0, 2.5, 5.0])
def test_nothing_is_flagged_in_clean_scans(electrons, radius):
    scan = pk.synthetic.orientation_scan(
        shape=(8, 9),
        detector=(64, 64),
        electrons=electrons,
        microscope=pk.synthetic.Microscope(disk_radius_px=radius, pixel_size=0.05),
        seed=3,
    )
    true, rng = scan.intensity.to_numpy().astype(float), np.random.default_rng(0)
    noise = rng.normal(0, 5, true.shape)
    for changed in (true, true / true.max(), 100 + 7 * true + noise, (7 * true + noise).round().astype(np.int32)):
        mask = pk.detector.find_mask(patterns(changed))
        assert not (mask.kind > 0).any()
        assert float(mask.bad_share.mean()) < 1e-5
    counted = pk.detector.find_mask(patterns((true > 0).astype(np.uint8)))  # a beam that always counts is at its limit
    assert not ((counted.kind > 0) & (counted.kind != 3)).any()


def test_bright_rings_that_stand_still_are_no_bad_pixels():
    y, x = np.indices((64, 64)) - 31.5
    ring = 20 * np.exp(-((np.hypot(y, x) - 18) ** 2)) + 200 * np.exp(-(y**2 + x**2) / 8) + 0.2
    mask = pk.detector.find_mask(patterns(np.random.default_rng(1).poisson(ring, (10, 10, 64, 64)).astype(np.uint16)))
    assert not (mask.kind > 0).any()


def test_cosmic_rays_mask_no_pixel_and_are_left_out_of_their_pattern(counts):
    rng, spoilt = np.random.default_rng(2), counts.astype(np.uint32)
    hits = np.array([[*index, *rng.integers(0, 48, 2)] for index in np.ndindex(counts.shape[:2])])
    spoilt[tuple(hits.T)] = rng.choice([65535, 2**32 - 1, 5000], len(hits))
    mask = pk.detector.find_mask(patterns(spoilt))
    assert not (mask.kind > 0).any()
    left = pk.detector.apply_mask(patterns(spoilt), mask).intensity.to_numpy()
    assert np.isnan(left[tuple(hits.T)]).mean() > 0.95
    assert np.isnan(left).sum() <= len(hits)


def test_any_chunking_gives_the_same_and_lazy_stays_lazy(counts):
    spoilt, _ = CASES["flickering"]["65535 in 4 %"](counts)
    scan = patterns(spoilt)
    before, expected = scan.copy(deep=True), pk.detector.find_mask(scan)
    for chunks in ({"scan_y": 5, "scan_x": 3}, {"scan_y": 1, "qy": 20, "qx": 7}):
        xr.testing.assert_equal(pk.detector.find_mask(scan.chunk(chunks)), expected)
        lazy = pk.detector.apply_mask(scan.chunk(chunks), expected)
        assert lazy.intensity.chunks is not None
        xr.testing.assert_equal(lazy.compute(), pk.detector.apply_mask(scan, expected))
    xr.testing.assert_identical(scan, before)


def test_turned_patterns_give_the_turned_mask(counts):
    spoilt, _ = CASES["gap"]["cross of -1"](counts)
    mask, turned = (pk.detector.find_mask(patterns(a)).kind.to_numpy() for a in (spoilt, spoilt[:, :, ::-1, ::-1]))
    np.testing.assert_array_equal(turned[::-1, ::-1], mask)


def test_a_sample_of_the_patterns_finds_what_is_always_bad(counts):
    spoilt, true = CASES["masked"]["uint32"](counts)
    mask = pk.detector.find_mask(patterns(spoilt), patterns_per_axis=6)
    np.testing.assert_array_equal(mask.kind.to_numpy() > 0, true)
    with pytest.raises(SchemaError, match="patterns_per_axis = 1"):
        pk.detector.find_mask(patterns(spoilt), patterns_per_axis=1)


def test_the_direct_beam_is_found_and_not_masked(counts):
    mask = pk.detector.find_mask(patterns(counts))
    assert abs(mask.attrs["beam_qy_px"] - 23.5) < 1
    assert mask.attrs["beam_radius_px"] > 0


def test_a_mask_survives_a_file_and_is_taken_from_it(counts, tmp_path):
    spoilt, true = CASES["masked"]["NaN"](counts)
    pk.detector.find_mask(patterns(spoilt)).to_netcdf(tmp_path / "mask.nc")
    with xr.open_dataset(tmp_path / "mask.nc") as mask:
        assert json.loads(mask.attrs["provenance"])[-1]["step"] == "find_mask"
        clean = pk.detector.apply_mask(patterns(spoilt), mask.load())
    np.testing.assert_array_equal(clean.intensity.isnull().all(("scan_y", "scan_x")), true)


def test_every_workflow_takes_the_mask(counts):
    spoilt, true = CASES["flickering"]["2^32-1 in 20 %"](counts)
    cosmic = spoilt.copy()
    cosmic[3, 4, 30, 12] = cosmic[5, 5, 9, 9] = 2**32 - 1
    scan = patterns(cosmic).assign_coords({d: (d, np.arange(48.0), {"units": "px"}) for d in ("qy", "qx")})
    clean = scan.assign(intensity=scan.intensity.copy(data=counts))
    mask = pk.detector.find_mask(scan)
    features = pk.nmf.to_features(scan, mask=mask)
    assert (features.feature_index.to_numpy()[true] == -1).all()
    assert float(features.feature_value.max()) < 10 * float(pk.nmf.to_features(clean).feature_value.max())
    kept = pk.nmf.to_features(scan, mask=mask, missing="keep")
    assert int(kept.feature_value.isnull().sum()) == 2
    beam = pk.virtual.find_direct_beam(scan, mask=mask)
    assert np.hypot(*(np.array(beam.centre) - 23.5)) < 1
    rings = {"ring": (5.0, 23.0)}
    image, right = (
        pk.virtual.apply_detectors(data, rings, centre=(23.5, 23.5), mask=mask).virtual_image for data in (scan, clean)
    )
    np.testing.assert_allclose(image, right, rtol=0.03)
    profile = pk.virtual.compute_radial_profiles(scan, centre=(23.5, 23.5), mask=mask).radial_mean
    assert float(profile.max()) < 10 * float(counts.mean(axis=(0, 1)).max())
    deflection = pk.virtual.compute_centre_of_mass(scan, centre=(23.5, 23.5), mask=mask).centre_of_mass_y
    assert float(np.abs(deflection).max()) < 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (np.zeros_like, "every pattern is zero"),
        (lambda c: np.full(c.shape, np.nan, np.float32), "no detector pixel holds counts"),
    ],
)
def test_a_scan_without_counts_is_refused(counts, change, message):
    with pytest.raises(SchemaError, match=message):
        pk.detector.find_mask(patterns(change(counts)))


def test_a_mask_of_another_detector_is_refused(counts):
    mask = pk.detector.find_mask(patterns(counts))
    with pytest.raises(SchemaError, match="find_mask"):
        pk.detector.apply_mask(patterns(counts[:, :, :40]), mask)
    with pytest.raises(SchemaError, match="find_mask"):
        pk.acom.find_peaks(patterns(counts[:, :, :40]), mask=mask)
