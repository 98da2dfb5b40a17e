import dask.array as da
import numpy as np
import pytest
import xarray as xr
from field import ENERGIES, references
from scipy.optimize import nnls

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.stxm.reference_spectra.non_negative import solve_by_enumeration, solve_non_negative, solve_one_by_one


@pytest.mark.parametrize("n_bounded", [1, 3, 4])
def test_batched_fit_equals_scipy_and_the_slow_path(n_bounded):
    rng = np.random.default_rng(n_bounded)
    design = np.vstack([rng.normal(size=(n_bounded, 9)), np.ones((1, 9))])
    x, weights = rng.normal(size=(60, 9)), rng.uniform(0.5, 3.0, (60, 9))
    found = solve_non_negative(design, x, weights, n_bounded)
    for index in range(60):
        root = np.sqrt(weights[index])
        columns = (np.vstack([design, -design[-1:]]) * root).T
        expected, residual = nnls(columns, x[index] * root)
        np.testing.assert_allclose(found.coefficient[index, :n_bounded], expected[:n_bounded], atol=1e-7)
        assert found.chi_square[index] == pytest.approx(residual**2, rel=1e-7)
    normal = np.einsum("ne,ie,je->nij", weights, design, design)
    right = (weights * x) @ design.T
    np.testing.assert_allclose(
        solve_by_enumeration(normal, right, n_bounded), solve_one_by_one(normal, right, n_bounded), atol=1e-7
    )


def _mixtures(amounts, noise, seed=0, offset=0.0, baseline=0.8):
    rng = np.random.default_rng(seed)
    at = references()["reference_spectrum"].interp(energy=ENERGIES + offset).values
    cube = np.einsum("yxr,re->eyx", amounts, at) + baseline
    return xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), cube + rng.normal(0, noise, cube.shape)),
            "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, noise)),
            "valid": (("scan_y", "scan_x"), np.ones(cube.shape[1:], bool)),
        },
        coords={"energy": ("energy", ENERGIES, {"units": "eV"})},
    )


def test_amounts_baseline_offset_and_their_errors_are_right(refs):
    amounts = np.random.default_rng(1).uniform(0.2, 0.4, (30, 36, 4))
    data = _mixtures(amounts, 0.01, offset=-0.3)
    fit = pk.stxm.fit_references(data, refs, weighted=True)
    assert float(fit["energy_offset"]) == pytest.approx(-0.3, abs=0.03)
    exact = pk.stxm.fit_references(data, refs, energy_offset=-0.3, weighted=True)
    pull = ((exact["amount"] - amounts) / exact["amount_error"]).values
    free = (exact["amount"] > 0).all("reference").values  # where no bound was met the errors are exact
    assert free.mean() > 0.3
    assert abs(np.median(pull)) < 0.1
    assert 0.7 < pull[free].std() < 1.1
    assert float(exact["baseline"].mean()) == pytest.approx(0.8, abs=0.02)
    assert float(exact["chi_square"].mean()) == pytest.approx(1.0, abs=0.1)
    diagonal = np.einsum("yxii->yxi", exact["amount_covariance"].values)
    np.testing.assert_allclose(np.sqrt(diagonal), exact["amount_error"])


def test_amounts_scale_with_thickness_and_fractions_do_not(refs):
    amounts = np.random.default_rng(2).uniform(0.0, 0.4, (6, 7, 4))
    data = _mixtures(amounts, 1e-4)
    thick = data.assign(optical_density=2 * data["optical_density"])
    one, two = (pk.stxm.fit_references(part, refs, energy_offset=0.0) for part in (data, thick))
    np.testing.assert_allclose(two["amount"], 2 * one["amount"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(two["fraction"], one["fraction"], atol=1e-6)
    np.testing.assert_allclose(one["fraction"].sum("reference"), 1.0)


def test_invalid_pixels_are_nan_lazy_stays_lazy_and_input_is_untouched(od, refs, tmp_path):
    before = od.copy(deep=True)
    fit = pk.stxm.fit_references(od, refs, energy_offset=0.2, slope=True)
    xr.testing.assert_identical(od, before)
    assert fit["amount"].isnull().all("reference").values[~od["valid"].values].all()
    chunked = od.chunk({"energy": 3, "scan_x": 22})
    lazy = pk.stxm.fit_references(chunked, refs, energy_offset=0.2, slope=True)
    assert isinstance(lazy["amount"].data, da.Array)
    np.testing.assert_allclose(lazy["amount"], fit["amount"], rtol=1e-6, atol=1e-9)
    pk.io.save(fit, tmp_path / "fit.nc")
    xr.testing.assert_equal(pk.io.load(tmp_path / "fit.nc").compute(), fit)


def test_too_few_energies_are_refused(od, refs):
    with pytest.raises(SchemaError, match="Use fewer references"):
        pk.stxm.fit_references(od.isel(energy=slice(0, 5)), refs, slope=True)


def test_planned_energies_beat_even_ones_and_keep_their_distance(refs):
    for n in (6, 8, 10):
        chosen = pk.stxm.select_energies(refs, n, min_spacing_ev=0.8)
        assert chosen.sizes["energy"] == n
        assert float(chosen.diff("energy").min()) >= 0.8 - 1e-6
        assert chosen.attrs["amount_error"] < chosen.attrs["evenly_spaced_error"]
    assert float(chosen.min()) < 513  # the constant asks for the pre-edge
    with pytest.raises(SchemaError, match="at least 6"):
        pk.stxm.select_energies(refs, 4)
    with pytest.raises(SchemaError, match="Lower n"):
        pk.stxm.select_energies(refs, 10, min_spacing_ev=5.0)


def test_comparison_counts_what_it_says(stack, od, refs, phases):
    table = pk.stxm.compare_methods(od, refs, stack["truth_phase"], phases)
    row = table.sel(approach="GMVAE + Pearson")
    both = ((stack["truth_phase"] >= 0) & (phases["phase"] >= 0)).values
    right = (phases["phase"] == stack["truth_phase"]).values[both]
    clear = (phases["status"] == 0).values[both]
    assert float(row["accuracy"]) == pytest.approx(right.mean())
    assert float(row["accuracy_unflagged"]) == pytest.approx(right[clear].mean())
    assert float(row["share_unflagged"]) == pytest.approx(clear.mean())
    assert (table["accuracy"] > 0.5).all()
    blind = pk.stxm.compare_methods(od, refs, energy_offset=0.25)
    assert blind["accuracy"].isnull().all()
    with pytest.raises(SchemaError, match="Use one grid"):
        pk.stxm.compare_methods(od, refs, stack["truth_phase"].isel(scan_y=slice(0, 5)))
