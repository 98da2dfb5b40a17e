"""The simple methods against fits written out, their invariances, and the table that compares them."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import BASELINE, COMPARISON, require
from tests.stxm.field import field, references

CLUSTERINGS = [pk.stxm.cluster_kmeans, pk.stxm.cluster_gaussian_mixture]


@pytest.fixture(scope="module")
def stack():
    return field(photons=4000, seed=5)


@pytest.fixture(scope="module")
def od(stack):
    return pk.stxm.optical_density(stack).compute()


def _accuracy(found, stack):
    both = ((stack["truth_phase"] >= 0) & (found >= 0)).values
    return float((found == stack["truth_phase"]).values[both].mean())


def test_one_phase_fit_equals_a_fit_pixel_by_pixel(od):
    found = pk.stxm.match_single_phase(od, references(), energy_offset=0.0)
    require(found, BASELINE, step="test")
    y, x = np.argwhere((found["phase"] >= 0).values)[::211].T
    spectra = references()["reference_spectrum"].interp(energy=od["energy"].values).values
    for row, column in zip(y, x, strict=True):
        pixel, sigma = (od[name].values[:, row, column].astype(float) for name in ("optical_density", "noise"))
        for index, spectrum in enumerate(spectra):
            design = np.stack([spectrum, np.ones_like(spectrum)], axis=1) / sigma[:, None]
            amount, least = (part[0] for part in np.linalg.lstsq(design, pixel / sigma, rcond=None)[:2])
            assert amount > 0
            assert float(found["chi_square"][row, column, index]) == pytest.approx(least, rel=1e-2)
            assert float(found["amount_alone"][row, column, index]) == pytest.approx(amount, rel=1e-3)
    named = (found["phase"] >= 0).values
    two = np.sort(found["chi_square"].values[named], axis=1)[:, :2]
    np.testing.assert_allclose(found["margin"].values[named], two[:, 1] - two[:, 0], rtol=1e-4, atol=1e-4)
    assert np.isnan(found["margin"].values[~named]).all()
    assert (found["runner_up"] != found["phase"]).values[named].all()
    assert (found["phase"] == found["chi_square"].fillna(0).argmin("reference")).values[named].all()
    assert (found["pearson_phase"] == found["pearson"].fillna(-2).argmax("reference")).values[named].all()


def test_a_slope_is_fitted_with_each_reference(od):
    ramp = 0.02 * (od["energy"] - 509.0)
    bent = od.assign(optical_density=od["optical_density"] + ramp)
    plain, bare = (pk.stxm.match_single_phase(data, references(), energy_offset=0.0) for data in (bent, od))
    found, again = (
        pk.stxm.match_single_phase(data, references(), slope=True, energy_offset=0.0) for data in (bent, od)
    )
    known = (found["phase"] >= 0).values
    np.testing.assert_allclose(
        found["chi_square"].values[known], again["chi_square"].values[known], rtol=0.02, atol=0.05
    )
    np.testing.assert_allclose(found["amount_alone"].values[known], again["amount_alone"].values[known], atol=1e-3)
    assert (found["chi_square"] <= bare["chi_square"] * 1.001).values[known].all()
    assert float(plain["chi_square"].min("reference").mean()) > 3 * float(found["chi_square"].min("reference").mean())
    row, column = np.argwhere(known)[137]
    pixel, sigma = (bent[name].values[:, row, column].astype(float) for name in ("optical_density", "noise"))
    spectrum = references()["reference_spectrum"].interp(energy=od["energy"].values).values[2]
    design = np.stack([spectrum, np.ones_like(spectrum), od["energy"].values - 518.0], axis=1) / sigma[:, None]
    amount, least = (part[0] for part in np.linalg.lstsq(design, pixel / sigma, rcond=None)[:2])
    assert float(found["chi_square"][row, column, 2]) == pytest.approx(least, rel=1e-2)
    assert float(found["amount_alone"][row, column, 2]) == pytest.approx(amount, rel=1e-3)
    few = od.isel(energy=[0, 4, 7])
    with pytest.raises(SchemaError, match="needs 4"):
        pk.stxm.match_single_phase(few, references().isel(reference=[0, 3]), slope=True, energy_offset=0.0)


def test_a_lone_reference_has_no_second_best(od):
    found = pk.stxm.match_single_phase(od, references().isel(reference=[1]), energy_offset=0.0)
    assert set(np.unique(found["phase"])) == {-1, 0}
    assert (found["runner_up"] == -1).all()
    assert found["margin"].isnull().all()


def test_one_phase_fit_is_lazy_and_any_chunking_is_the_same(od):
    whole = pk.stxm.match_single_phase(od, references(), energy_offset=0.1)
    lazy = pk.stxm.match_single_phase(od.chunk({"energy": 5, "scan_y": 17}), references(), energy_offset=0.1)
    assert isinstance(lazy["chi_square"].data, da.Array)
    np.testing.assert_array_equal(lazy["phase"], whole["phase"])
    np.testing.assert_allclose(lazy["chi_square"], whole["chi_square"], rtol=1e-4)


@pytest.mark.parametrize("method", CLUSTERINGS)
def test_clusters_are_shapes_and_carry_names(method, od, stack):
    found = method(od, references(), n_clusters=6, energy_offset=0.0)
    require(found, BASELINE, step="test")
    assert _accuracy(found["phase"], stack) > 0.85
    label, named = found["label"].values, (found["label"] >= 0).values
    np.testing.assert_array_equal(found["phase"].values[named], found["cluster_phase"].values[label[named]])
    np.testing.assert_allclose(
        found["spectrum"][0], od["optical_density"].values[:, label == 0].mean(axis=1), rtol=1e-4
    )
    assert (np.diff(found["explained"].values) <= 0).all()
    assert 0 < float(found["explained"].sum()) <= 1 + 1e-9
    again = method(od, references(), n_clusters=6, energy_offset=0.0)
    xr.testing.assert_identical(found, again)
    scaled = od.assign(optical_density=2.5 * od["optical_density"] + 0.4, noise=2.5 * od["noise"])
    other = method(scaled, references(), n_clusters=6, energy_offset=0.0)
    assert float((other["phase"] == found["phase"]).mean()) > 0.97


def test_curve_resolution_finds_spectra_and_amounts(od, stack):
    found = pk.stxm.fit_mcr_als(od, references(), energy_offset=0.0)
    require(found, BASELINE, step="test")
    assert found.sizes["component"] == 5
    named = (found["phase"] >= 0).values
    assert (found["spectrum"] >= 0).all()
    assert (found["amount"].values[named] >= 0).all()
    assert np.isnan(found["amount"].values[~named]).all()
    model = (found["amount"] * found["spectrum"]).sum("component").transpose("energy", "scan_y", "scan_x").values
    misfit = (model - od["optical_density"].values)[:, named]
    assert np.sqrt((misfit**2).mean()) < 2.5 * float(od["noise"].values[:, named].mean())
    assert _accuracy(found["phase"], stack) > 0.4


def test_a_missing_package_is_named_with_its_cure(od, monkeypatch):
    import sys

    for name in ("pymcr", "pymcr.mcr", "pymcr.constraints"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SchemaError, match="pip install pymcr"):
        pk.stxm.fit_mcr_als(od, references(), energy_offset=0.0)


def test_smoothing_keeps_means_and_says_what_noise_is_left():
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.05, 0.15, (3, 60, 60))
    material = np.zeros((60, 60), bool)
    material[5:55, 8:50] = True
    cube = np.where(material, 1.0 + noise * rng.normal(size=noise.shape), 9.0)
    od = xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), cube),
            "noise": (("energy", "scan_y", "scan_x"), noise),
            "valid": (("scan_y", "scan_x"), material),
        },
        coords={"energy": ("energy", [510.0, 515.0, 520.0], {"units": "eV"})},
    )
    before = od.copy(deep=True)
    smooth = pk.stxm.smooth_od(od, 1.2)
    xr.testing.assert_identical(od, before)
    inside = (smooth["optical_density"] - 1.0).values[:, material]
    assert abs(inside.mean()) < 0.005  # nothing of the 9 outside has come in
    claimed = smooth["noise"].values[:, material]
    assert inside.std() == pytest.approx(np.sqrt((claimed**2).mean()), rel=0.1)
    np.testing.assert_array_equal(smooth["optical_density"].values[:, ~material], np.float32(9.0))
    lazy = pk.stxm.smooth_od(od.chunk({"energy": 1, "scan_y": 20}), 1.2)
    np.testing.assert_allclose(lazy["optical_density"], smooth["optical_density"], rtol=1e-5)
    assert pk.stxm.smooth_od(od, 0.0) is od
    with pytest.raises(SchemaError, match="needs 0 or more"):
        pk.stxm.smooth_od(od, -1.0)


def test_the_table_holds_every_method_and_counts_right(od, stack):
    table = pk.stxm.compare_methods(od, references(), stack["truth_phase"], energy_offset=0.0)
    require(table, COMPARISON, step="test")
    assert table["approach"].values.tolist() == [
        "k-means + Pearson",
        "PCA + GMM",
        "NNLS arg-max",
        "MCR-ALS",
        "Pearson per pixel",
        "chi-square per pixel",
        "chi-square with slope",
    ]
    for row in table["approach"].values:
        one = table.sel(approach=row)
        assert float(one["accuracy"]) == pytest.approx(_accuracy(one["phase"], stack))
        assert float(one["seconds"]) > 0
    smooth = pk.stxm.compare_methods(
        od, references(), stack["truth_phase"], energy_offset=0.0, smoothing_px=0.8, methods=["chi-square per pixel"]
    )
    assert smooth["approach"].values.tolist() == ["chi-square per pixel"]
    assert float(smooth["accuracy"][0]) != float(table["accuracy"].sel(approach="chi-square per pixel"))
    with pytest.raises(SchemaError, match="unknown methods"):
        pk.stxm.compare_methods(od, references(), methods=["SVD"], energy_offset=0.0)


@pytest.mark.parametrize("method", [*CLUSTERINGS, pk.stxm.fit_mcr_als])
def test_nothing_to_do_and_wrong_settings_are_said(method, od):
    empty = od.assign(empty=xr.ones_like(od["valid"]))
    with pytest.raises(SchemaError, match="no pixel holds material"):
        method(empty, references(), energy_offset=0.0)
    wrong = {"max_iter": 0} if method is pk.stxm.fit_mcr_als else {"n_clusters": 0}
    with pytest.raises(SchemaError, match="at least 1"):
        method(od, references(), energy_offset=0.0, **wrong)


def test_round_trip(od, tmp_path):
    found = pk.stxm.cluster_kmeans(od, references(), n_clusters=4, energy_offset=0.0)
    pk.io.save(found, tmp_path / "found.nc")
    xr.testing.assert_equal(pk.io.load(tmp_path / "found.nc").compute(), found)


@pytest.mark.parametrize("method", [*CLUSTERINGS, pk.stxm.fit_mcr_als])
def test_some_pixels_stand_for_all_in_a_large_stack(method, od, stack, monkeypatch):
    whole = method(od, references(), energy_offset=0.0)
    for module in ("kmeans_gmm", "mcr"):
        monkeypatch.setattr(f"phasekit.stxm.comparison.{module}._MAX_PIXELS", 600)
    found = method(od, references(), energy_offset=0.0)
    np.testing.assert_array_equal(found["phase"] >= 0, whole["phase"] >= 0)
    assert int((found["phase"] >= 0).sum()) > 1000
    assert not found.equals(whole)  # fewer were looked at
    assert _accuracy(found["phase"], stack) > _accuracy(whole["phase"], stack) - 0.05
