import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.errors import SchemaError
from tests.stxm.field import field


def _flat(photons, shape=(5, 60, 70), gain=1.0, seed=0):
    rng = np.random.default_rng(seed)
    energy = ("energy", 510.0 + np.arange(shape[0]), {"units": "eV"})
    counts = gain * rng.poisson(photons / gain, shape).astype(float)
    return xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), counts)}, coords={"energy": energy})


@pytest.mark.parametrize(("photons", "gain"), [(30, 1.0), (500, 1.0), (500, 0.13), (5000, 7.0)])
def test_noise_is_the_spread_of_repeated_counts(photons, gain):
    od = pk.stxm.optical_density(_flat(photons, gain=gain), i0=3.0 * photons)
    spread = od["optical_density"].std(("scan_y", "scan_x")).mean()
    assert float(od["noise"].mean()) == pytest.approx(float(spread), rel=0.06)
    assert float(od["gain"].mean()) == pytest.approx(gain, rel=0.08)


def test_noise_of_an_interpolated_stack_is_still_the_spread():
    clean = field(photons=1e9, seed=1)
    rng = np.random.default_rng(0)
    densities, noises = [], []
    for _ in range(12):
        noisy = clean.copy(deep=True)
        noisy["intensity"].data = rng.poisson(clean["intensity"].values * 1e-6)
        steady = pk.stxm.align(noisy, progress=False)
        od = pk.stxm.optical_density(steady, i0=clean["truth_i0"] * 1e-6)
        densities.append(od["optical_density"].values)
        noises.append(od["noise"].values)
    inside = np.s_[:, 14:34, 16:44]
    spread = np.std(densities, axis=0, ddof=1)[inside]
    assert np.median(spread) == pytest.approx(np.median(np.mean(noises, axis=0)[inside]), rel=0.12)


def test_texture_does_not_raise_the_measured_gain():
    od = pk.stxm.optical_density(field(photons=5000, seed=2))
    assert float(od["gain"].mean()) == pytest.approx(1.0, abs=0.06)


def test_i0_is_found_in_the_empty_region(stack, od):
    np.testing.assert_allclose(od["i0"], stack["truth_i0"], rtol=0.01)
    empty = stack["truth_phase"] < 0
    assert float(empty.where(od["i0_region"]).mean()) > 0.99
    assert "pixels" in od.attrs["provenance"]


def test_no_empty_region_is_an_error_with_a_cure():
    y, x = np.mgrid[:40, :40]
    counts = 1000 * np.exp(-((y + x) / 20))[None] * np.ones((3, 1, 1))
    energy = ("energy", [510.0, 515, 520], {"units": "eV"})
    stack = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), counts)}, coords={"energy": energy})
    with pytest.raises(SchemaError, match="Give i0="):
        pk.stxm.optical_density(stack)


def test_i0_as_spectrum_mask_number_and_in_the_stack_agree(stack):
    i0 = stack["truth_i0"]
    wide = xr.DataArray(
        np.interp(np.arange(500.0, 540.0), i0["energy"], i0), dims="energy", coords={"energy": np.arange(500.0, 540.0)}
    )
    by_spectrum = pk.stxm.optical_density(stack, i0=i0)
    in_stack = pk.stxm.optical_density(stack.assign(i0=i0.assign_attrs(units="counts")))
    xr.testing.assert_equal(by_spectrum["optical_density"], in_stack["optical_density"])
    assert pk.stxm.optical_density(stack, i0=wide)["i0"].sizes == {"energy": 12}
    far = ndimage.binary_dilation(stack["truth_phase"] >= 0, iterations=4)
    mask = xr.zeros_like(stack["truth_phase"], dtype=bool).copy(data=~far)
    by_mask = pk.stxm.optical_density(stack, i0=mask)
    np.testing.assert_allclose(by_mask["i0"], i0, rtol=0.01)
    assert float(pk.stxm.optical_density(stack, i0=1000.0)["i0"][3]) == 1000.0


def test_i0_that_does_not_fit_is_refused(stack):
    short = stack["truth_i0"].isel(energy=slice(3, 8))
    with pytest.raises(SchemaError, match=r"covers 515.5..520 eV, the stack needs 509..528"):
        pk.stxm.optical_density(stack, i0=short)
    with pytest.raises(SchemaError, match="NaN or not above"):
        pk.stxm.optical_density(stack, i0=stack["truth_i0"] * np.nan)
    with pytest.raises(SchemaError, match="no pixel that is seen"):
        pk.stxm.optical_density(stack, i0=stack["truth_phase"] > 99)
    with pytest.raises(SchemaError, match="needs \\('energy',\\)"):
        pk.stxm.optical_density(stack, i0=stack["truth_i0"].rename(energy="e"))
    with pytest.raises(SchemaError, match="stray_light"):
        pk.stxm.optical_density(stack, stray_light=1.2)


def test_gain_and_offset_of_i0_and_stray_light_are_undone():
    stack = field(photons=1e6, seed=0)
    clean = pk.stxm.optical_density(stack, i0=stack["truth_i0"], gain=1.0)
    dirty = stack.assign(intensity=stack["intensity"] * 0.95 + 0.05 * stack["truth_i0"] + 300)
    mended = pk.stxm.optical_density(
        dirty.assign_coords(stack.coords), i0=stack["truth_i0"] + 300, dark=300, stray_light=0.05, gain=1.0
    )
    np.testing.assert_allclose(mended["optical_density"], clean["optical_density"], atol=0.01)


def test_empty_pixels_have_no_edge_and_material_has(stack, od):
    truth = stack["truth_phase"] >= 0
    thick = stack["truth_thickness"] > 0.05
    material = od["valid"] & ~od["empty"]
    assert float(material.where(thick & od["valid"]).mean()) > 0.98
    far = truth.copy(data=ndimage.binary_dilation(truth, iterations=2))
    assert float(material.where(~far & od["valid"]).mean()) < 0.02


def test_zero_counts_and_too_thick_pixels_are_marked_not_invented():
    stack = _flat(400)
    stack["intensity"][2, 10:13, 20:23] = 0.0
    stack["intensity"][:, 30:34, 30:34] = 2.0
    od = pk.stxm.optical_density(stack, i0=400.0, despike_sigma=None)
    assert np.isnan(od["optical_density"].values[2, 11, 21])
    assert od["too_thick"].values[31, 31]
    assert not od["valid"].values[31, 31]
    assert not od["valid"].values[11, 21]
    assert od["valid"].values[50, 50]


def test_lazy_and_any_chunking(aligned, od):
    lazy = pk.stxm.optical_density(aligned.chunk({"energy": 5, "scan_y": 13}))
    assert all(isinstance(lazy[name].data, da.Array) for name in ("optical_density", "noise", "valid", "empty"))
    for name in ("optical_density", "noise", "valid", "empty"):
        np.testing.assert_allclose(lazy[name], od[name], rtol=2e-4, atol=2e-5)


def test_input_untouched_and_round_trip(aligned, od, tmp_path):
    before = aligned.copy(deep=True)
    pk.stxm.optical_density(aligned)
    xr.testing.assert_identical(aligned, before)
    pk.io.save(od, tmp_path / "od.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "od.nc").compute(), od)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 2)])
def test_frames_too_small_to_measure_a_gain_name_the_argument(shape):
    counts = np.full((3, *shape), 900.0)
    stack = xr.Dataset(
        {"intensity": (("energy", "scan_y", "scan_x"), counts)},
        coords={"energy": ("energy", [700.0, 708.0, 712.0], {"units": "eV"})},
    )
    with pytest.raises(SchemaError, match="Give gain="):
        pk.stxm.optical_density(stack, i0=1200.0)
    od = pk.stxm.optical_density(stack, i0=1200.0, gain=1.0)
    np.testing.assert_allclose(od["optical_density"], np.log(1200 / 900.5), atol=1e-3)


def test_a_large_field_finds_the_same_material_as_its_parts():
    """Bins and blocks are used in large fields only; a spike in a bin and a lost frame do not matter."""
    stack = pk.synthetic.stxm_stack(shape=(300, 290), energies=np.linspace(509, 529, 8), n_particles=20, seed=4)
    stack["intensity"].values[:, 40, 50] = 60_000
    i0 = stack["truth_i0"]
    whole = pk.stxm.optical_density(stack, i0=i0)
    lazy = pk.stxm.optical_density(stack.chunk({"scan_y": 97, "scan_x": 64}), i0=i0)
    for name in ("optical_density", "noise", "empty", "valid", "n_replaced"):
        np.testing.assert_array_equal(lazy[name].values, whole[name].values, err_msg=name)
    part = pk.stxm.optical_density(stack.isel(scan_y=slice(0, 250), scan_x=slice(0, 250)), i0=i0)
    assert (whole["empty"][:250, :250] != part["empty"]).mean() < 0.002
