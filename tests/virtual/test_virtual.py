"""Virtual imaging: what rings add up to, what turning does, and what the house asks of every step."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError

DIMS = ("scan_y", "scan_x", "qy", "qx")
STEPS = {
    "images": lambda scan, **more: pk.virtual.apply_detectors(scan, {"bf": (0, 3.2), "adf": (3.2, 9)}, **more),
    "profiles": pk.virtual.compute_radial_profiles,
    "deflection": pk.virtual.compute_centre_of_mass,
}


def patterns(counts: np.ndarray, step: float = 1.0, unit: str = "px") -> xr.Dataset:
    axes = {
        dim: (dim, step * np.arange(counts.shape[i], dtype=float), {"units": unit}) for i, dim in ((2, "qy"), (3, "qx"))
    }
    scan = {dim: (dim, 2.0 * np.arange(counts.shape[i]), {"units": "nm"}) for i, dim in ((0, "scan_y"), (1, "scan_x"))}
    return xr.Dataset({"intensity": (DIMS, counts, {"units": "counts"})}, axes | scan)


@pytest.fixture
def scan():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:15, :17]
    beam = 200 * np.exp(-((y - 7.0) ** 2 + (x - 8.0) ** 2) / 6)
    return patterns(rng.poisson(beam + 2, (4, 5, 15, 17)).astype(np.float32))


def test_the_centre_is_the_direct_beam_and_not_a_hot_pixel(scan):
    spoilt = scan.copy(deep=True)
    spoilt["intensity"][..., 1, 15] = 60_000
    assert pk.virtual.find_direct_beam(spoilt).centre == pytest.approx((7, 8), abs=0.1)


def test_rings_that_share_a_radius_add_up(scan):
    parts = {"inner": (0, 2.3), "middle": (2.3, 5.1), "outer": (5.1, 30)}
    images = pk.virtual.apply_detectors(scan, parts, centre=(7, 8)).virtual_image.sum("detector")
    xr.testing.assert_allclose(images, scan.intensity.astype(float).sum(("qy", "qx")), rtol=1e-12)


def test_a_detector_has_the_area_of_its_ring():
    flat = patterns(np.ones((1, 1, 101, 101)))
    images = pk.virtual.apply_detectors(flat, {"ring": (20.4, 35.7)}, centre=(50, 50))
    assert images.virtual_image.item() == pytest.approx(np.pi * (35.7**2 - 20.4**2), rel=2e-3)


def test_turning_a_pattern_by_a_quarter_changes_no_ring_and_turns_the_deflection(scan):
    square = scan.isel(qx=slice(1, 16)).assign_coords(qx=("qx", np.arange(15.0), {"units": "px"}))
    turned = square.copy(data={"intensity": np.rot90(square.intensity.values, axes=(2, 3))})
    kwargs = {"centre": (7.0, 7.0)}
    for name in ("radial_mean", "radial_variance"):
        first, second = (pk.virtual.compute_radial_profiles(s, **kwargs)[name] for s in (square, turned))
        np.testing.assert_allclose(first, second, rtol=1e-12)
    first, second = (pk.virtual.compute_centre_of_mass(s, **kwargs) for s in (square, turned))
    np.testing.assert_allclose(second.centre_of_mass_y, -first.centre_of_mass_x, atol=1e-12)
    np.testing.assert_allclose(second.centre_of_mass_x, first.centre_of_mass_y, atol=1e-12)


def test_counting_noise_alone_has_a_variance_of_its_mean():
    flat = patterns(np.random.default_rng(0).poisson(40.0, (6, 6, 65, 65)).astype(float))
    profiles = pk.virtual.compute_radial_profiles(flat, centre=(32, 32)).isel(radius=slice(5, 30))
    ratio = float((profiles.radial_variance / profiles.radial_mean).mean())
    # 36 patterns of some 2800 pixels: the variance of a sample is known to sqrt(2 / n), and lacks one degree of freedom
    # for every one of the 25 rings.
    n = 36 * float(profiles.n_pixels.sum())
    assert ratio == pytest.approx(1 - 25 * 36 / n, abs=5 * np.sqrt(2 / n) + 0.01)


def test_the_unit_of_the_detector_is_that_of_the_radii(scan):
    scaled = patterns(scan.intensity.values, step=0.02, unit="1/angstrom")
    first = pk.virtual.apply_detectors(scan, {"bf": (0, 3.2)}, centre=(7, 8)).virtual_image
    second = pk.virtual.apply_detectors(scaled, {"bf": (0, 0.064)}, centre=(0.14, 0.16)).virtual_image
    np.testing.assert_allclose(first, second, rtol=1e-12)
    assert pk.virtual.compute_radial_profiles(scaled).radius.attrs["units"] == "1/angstrom"
    assert pk.virtual.compute_centre_of_mass(scaled).centre_of_mass_y.attrs["units"] == "1/angstrom"


def test_a_masked_pixel_says_nothing(scan):
    bad = xr.DataArray(np.zeros((15, 17), dtype=np.int8), dims=("qy", "qx"))
    bad[6, 9] = 2
    spoilt = scan.copy(deep=True)
    spoilt["intensity"][:, :, 6, 9] = np.nan
    for step in STEPS.values():
        masked, same = step(spoilt, centre=(7, 8), mask=bad), step(scan, centre=(7, 8), mask=bad == 0)
        for name in masked:
            np.testing.assert_array_equal(masked[name], same[name])
            assert np.isfinite(masked[name]).all()


def test_a_missing_value_is_not_a_number_there_and_nowhere_else(scan):
    holed = scan.copy(deep=True)
    holed["intensity"][1, 2, 6, 9] = np.nan
    images = pk.virtual.apply_detectors(holed, {"bf": (0, 3.2)}, centre=(7, 8)).virtual_image[0]
    assert np.argwhere(np.isnan(images.values)).tolist() == [[1, 2]]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("chunks", [{"scan_y": 1, "scan_x": 2}, {"scan_y": 4, "qy": 4, "qx": 5}])
def test_any_chunks_give_the_same_numbers_and_stay_lazy(scan, step, chunks):
    eager = step(scan, centre=(7, 8))
    lazy = step(scan.chunk(chunks), centre=(7, 8))
    assert all(isinstance(lazy[name].data, da.Array) for name in lazy if "scan_y" in lazy[name].dims)
    xr.testing.assert_identical(lazy.compute(), eager)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_input_stays_and_a_result_survives_its_file(scan, step, tmp_path):
    before = scan.copy(deep=True)
    made = step(scan)
    xr.testing.assert_identical(scan, before)
    for name in ("a.nc", "a.zarr"):
        xr.testing.assert_identical(pk.io.load(pk.io.save(made, tmp_path / name)), made)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: pk.virtual.apply_detectors(s, {}), "no detector, needs at least one"),
        (lambda s: pk.virtual.apply_detectors(s, {"bf": (3, 2)}), "'bf'.*0 <= inner < outer"),
        (lambda s: pk.virtual.apply_detectors(s, {"far": (40, 50)}, centre=(7, 8)), "holds no pixel"),
        (lambda s: pk.virtual.apply_detectors(s.drop_vars("intensity"), {"bf": (0, 2)}), "'patterns' has no variable"),
        (lambda s: pk.virtual.apply_detectors(s, {"bf": (0, 2)}, mask=s.intensity[0, 0, 1:]), "mask has .*needs"),
        (lambda s: pk.virtual.compute_radial_profiles(s, width=0.1), "at least 0.5"),
        (lambda s: pk.virtual.compute_radial_profiles(s, mask=s.intensity[0, 0] < 0), "leaves no pixel"),
        (lambda s: pk.virtual.compute_centre_of_mass(s, radius=0), "needs a positive number"),
        (lambda s: pk.virtual.find_direct_beam(s * 0), "holds no counts"),
    ],
)
def test_bad_input_is_refused_with_a_cure(scan, call, message):
    with pytest.raises(SchemaError, match=message):
        call(scan)


def test_grains_show_in_the_dark_field_of_the_sample():
    sample = pk.io.open_4dstem(pk.samples.path("nmf_grains"))
    mask = pk.nmf.find_detector_mask(sample)
    centre = pk.virtual.find_direct_beam(sample).centre
    ring = {"adf": (float(abs(sample.qx).max()) * 0.3, float(abs(sample.qx).max()))}
    image = pk.virtual.apply_detectors(sample, ring, centre=centre, mask=mask).virtual_image[0]
    assert float(image.std() / image.mean()) > 3 / np.sqrt(float(image.mean()))
