import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import THICKNESS, require
from phasekit.stxm.particles.optical_constants import compute_absorption
from tests.stxm.shapes import SCAN, sides

NVPF, DENSITY = "Na3V2(PO4)2F3", 3.16
ENERGIES = np.array([505.0, 508.0, 516.0, 518.0, 528.0, 545.0, 560.0])
WINDOWS = [(500, 510), (527, 529), (544, 561)]


def od_of(thickness, *, constant=0.0, noise=0.01, table="chantler", rng=None, energies=ENERGIES):
    """OD of a compound of known thickness [nm], white lines added where no window should look."""
    mu = compute_absorption(NVPF, DENSITY, energies, step="test").sel(table=table).values
    mu = mu + np.where((energies > 512) & (energies < 526), 5.0, 0.0)
    cube = constant + 1e-3 * mu[:, None, None] * thickness
    if rng is not None:
        cube = cube + rng.normal(0, noise, cube.shape)
    images = ("energy", *SCAN)
    data = {
        "optical_density": (images, cube),
        "noise": (images, np.full(cube.shape, noise)),
        "valid": (SCAN, np.ones(cube.shape[1:], bool)),
    }
    return xr.Dataset(data, {"energy": ("energy", energies, {"units": "eV"}), **sides(cube.shape[1:])})


def test_tabulated_absorption_is_the_known_one():
    mu = compute_absorption(NVPF, DENSITY, [505.0, 520.0, 545.0], step="test")
    assert mu.sel(energy=505.0).values == pytest.approx([1.1, 1.1, 1.1], abs=0.08)
    at_520 = mu.sel(energy=520.0)
    assert (float(at_520.min()), float(at_520.max())) == (pytest.approx(2.1, abs=0.05), pytest.approx(2.8, abs=0.1))
    assert float(mu.sel(energy=545.0, table="henke")) == pytest.approx(4.4, abs=0.1)
    # the tables differ by up to 2.6 times where their edges lie at different energies
    near = compute_absorption(NVPF, DENSITY, np.arange(511, 544, 0.1), step="test")
    ratio = near.max("table") / near.min("table")
    assert float(ratio.max()) == pytest.approx(2.6, abs=0.05)
    far = ratio.sel(energy=slice(521, 531))
    assert 1.2 < float(far.min()) < float(far.max()) < 1.35
    # mass absorption does not depend on how the formula is written
    same = compute_absorption("Na3V2P2O8F3", DENSITY, [505.0], step="test")
    np.testing.assert_allclose(same.values, mu.sel(energy=[505.0]).values)


def test_one_energy_is_enough_where_the_constant_is_trusted():
    od = od_of(np.array([[100.0, 250.0]])).isel(energy=[0])
    found = pk.stxm.thickness_map(od, NVPF, DENSITY, constant="zero")
    np.testing.assert_allclose(found["thickness"], [[100, 250]])


def test_absorption_of_a_simulated_reference_is_that_of_its_table():
    mu = compute_absorption(NVPF, DENSITY, [505.0, 508.0], step="test").sel(table="chantler")
    refs = pk.synthetic.vanadium_references([505.0, 508.0])
    np.testing.assert_allclose(
        refs["reference_spectrum"].sel(reference="Na3"), mu, rtol=0.09
    )  # the tail of its edge is on top


@pytest.mark.parametrize("constant", ["fit", "zero"])
@pytest.mark.parametrize("table", ["chantler", "elam", "henke"])
def test_thickness_is_exact_without_noise(constant, table):
    thickness = np.linspace(-20, 400, 12).reshape(3, 4)
    od = od_of(thickness, constant=0.3 if constant == "fit" else 0.0, table=table)
    found = pk.stxm.thickness_map(od, NVPF, DENSITY, windows=WINDOWS, constant=constant, table=table)
    require(found, THICKNESS, step="test")
    np.testing.assert_allclose(found["thickness"], thickness, atol=1e-6)
    np.testing.assert_allclose(found["constant"], 0.3 if constant == "fit" else 0.0, atol=1e-9)
    assert found["used"].values.tolist() == [True, True, False, False, True, True, True]
    np.testing.assert_allclose(found["thickness_by_table"].sel(table=table), thickness, atol=1e-6)


def test_the_spread_of_the_tables_is_reported_and_least_before_the_edge():
    od = od_of(np.full((2, 2), 200.0))
    before = pk.stxm.thickness_map(od, NVPF, DENSITY, windows=[(500, 510)], constant="zero")
    behind = pk.stxm.thickness_map(od, NVPF, DENSITY, windows=[(500, 510), (527, 529)])
    assert float(before["thickness_table_error"].max()) < 0.06 * 200
    assert float(behind["thickness_table_error"].min()) > 0.15 * 200
    by = behind["thickness_by_table"]
    np.testing.assert_allclose(behind["thickness_table_error"], 0.5 * (by.max("table") - by.min("table")))
    spread = behind["absorption_spread"]
    np.testing.assert_allclose(spread, behind["absorption"].max("table") / behind["absorption"].min("table"))
    assert float(spread.sel(energy=505)) == pytest.approx(1.09, abs=0.02)


def test_stated_error_is_the_scatter():
    rng = np.random.default_rng(0)
    od = od_of(np.full((60, 60), 150.0), constant=0.1, noise=0.02, rng=rng)
    for settings in ({"constant": "fit"}, {"constant": "zero", "windows": [(500, 510)]}):
        found = pk.stxm.thickness_map(od, NVPF, DENSITY, **{"windows": WINDOWS, **settings})
        scatter = float(found["thickness"].std())
        assert scatter == pytest.approx(float(found["thickness_error"].mean()), rel=0.05)
    fitted = pk.stxm.thickness_map(od, NVPF, DENSITY, windows=WINDOWS)
    assert float(fitted["thickness"].mean()) == pytest.approx(150, abs=1)


def test_energies_near_an_edge_are_left_out_by_themselves():
    energies = np.array([505.0, 508.0, 510.0, 514.0, 517.0, 524.0, 528.0])
    found = pk.stxm.thickness_map(od_of(np.ones((1, 1)) * 100.0, energies=energies), NVPF, DENSITY)
    assert found["used"].values.tolist() == [True, True, False, False, False, False, True]
    assert found["thickness"].item() == pytest.approx(100, rel=1e-6)


def test_where_nothing_is_known_nothing_is_said():
    od = od_of(np.full((2, 3), 100.0))
    od["valid"][0, 1] = False
    od["optical_density"][0, 1, 2] = np.nan
    found = pk.stxm.thickness_map(od, NVPF, DENSITY, windows=WINDOWS)
    unknown = np.zeros((2, 3), bool)
    unknown[0, 1] = unknown[1, 2] = True
    for name in ("thickness", "thickness_error", "thickness_table_error", "constant"):
        np.testing.assert_array_equal(np.isnan(found[name]), unknown)
    # NaN at an energy that is not used does not matter
    od = od_of(np.full((2, 3), 100.0))
    od["optical_density"][3] = np.nan
    assert np.isfinite(pk.stxm.thickness_map(od, NVPF, DENSITY, windows=WINDOWS)["thickness"]).all()


def test_other_data_and_settings_are_refused():
    od = od_of(np.full((2, 2), 100.0))
    for settings, words in (
        ({"windows": [(500, 510)]}, "a constant cannot be told from thickness"),
        ({"windows": [(600, 610)]}, "no energy lies in windows"),
        ({"windows": [(510, 500)]}, "low < high"),
        ({"windows": []}, "low < high"),
        ({"constant": "free"}, "constant='free'"),
        ({"table": "cromer"}, "table='cromer'"),
    ):
        with pytest.raises(SchemaError, match=words):
            pk.stxm.thickness_map(od, NVPF, DENSITY, **settings)
    with pytest.raises(SchemaError, match="formula='Xy3' is not understood"):
        pk.stxm.thickness_map(od, "Xy3", DENSITY)
    with pytest.raises(SchemaError, match="density_g_cm3=0"):
        pk.stxm.thickness_map(od, NVPF, 0)
    inside = od.isel(energy=[2, 3])
    with pytest.raises(SchemaError, match=r"every energy 516..518 eV is near an edge \(V L3, V L2"):
        pk.stxm.thickness_map(inside, NVPF, DENSITY)
    kev = od.assign_coords(energy=("energy", ENERGIES / 1000, {"units": "eV"}))
    with pytest.raises(SchemaError, match="in keV by 1000"):
        pk.stxm.thickness_map(kev, NVPF, DENSITY)
    with pytest.raises(SchemaError, match="optical_density makes one"):
        pk.stxm.thickness_map(od.drop_vars("noise"), NVPF, DENSITY)


# ---- a simulated stack


@pytest.fixture(scope="module")
def simulated():
    stack = pk.synthetic.stxm_stack(seed=2, frame_drift_px=0.0, stray_light=0.0)
    return stack, pk.stxm.optical_density(stack).compute(), pk.synthetic.vanadium_references()


@pytest.mark.parametrize(
    ("settings", "bias"),
    [({}, 0.1), ({"constant": "zero"}, 0.05), ({"constant": "zero", "windows": [(505, 510)]}, 0.03)],
)
def test_simulated_particles_have_their_thickness(simulated, settings, bias):
    stack, od, _ = simulated
    found = pk.stxm.thickness_map(od, NVPF, DENSITY, **settings)
    truth = stack["truth_thickness"]
    thick = (truth > 60).values
    away = (found["thickness"] - truth).values[thick]
    assert abs(away.mean()) < bias * float(truth.values[thick].mean())
    assert away.std() < 1.3 * float(found["thickness_error"].values[thick].mean())
    empty = found["thickness"].values[(truth == 0).values & ~np.isnan(found["thickness"].values)]
    assert abs(empty.mean()) < 3
    # the truth lies between the tables, give or take the noise of the mean
    low, high = (found["thickness_by_table"].values[:, thick].mean(axis=1) for _ in range(2))
    assert low.min() * 0.95 < truth.values[thick].mean() < high.max() * 1.1


def test_absolute_references_give_the_thickness(simulated):
    stack, od, refs = simulated
    fit = pk.stxm.fit_references(od, refs)
    found = pk.stxm.thickness_from_references(fit, refs)
    assert isinstance(found["thickness"].data, da.Array) == isinstance(fit["amount"].data, da.Array)
    truth = stack["truth_thickness"].values
    thick = truth > 60
    away = (found["thickness"].values - truth)[thick]
    assert abs(away.mean()) < 0.03 * truth[thick].mean()
    assert away.std() < 1.3 * np.nanmean(found["thickness_error"].values[thick])
    scaled = refs.copy()
    scaled["reference_spectrum"] = refs["reference_spectrum"].assign_attrs(units="1")
    with pytest.raises(SchemaError, match="needs '1/um'"):
        pk.stxm.thickness_from_references(fit, scaled)


def test_lazy_stays_lazy_any_chunking_inputs_stay_and_files_round_trip(tmp_path):
    od = od_of(np.linspace(0, 300, 80).reshape(8, 10), rng=np.random.default_rng(1))
    before = od.copy(deep=True)
    found = pk.stxm.thickness_map(od, NVPF, DENSITY, windows=WINDOWS)
    lazy = pk.stxm.thickness_map(od.chunk(energy=2, scan_y=3, scan_x=7), NVPF, DENSITY, windows=WINDOWS)
    assert isinstance(lazy["thickness"].data, da.Array)
    assert isinstance(lazy["thickness_table_error"].data, da.Array)
    xr.testing.assert_allclose(lazy.compute(), found)
    xr.testing.assert_identical(od, before)
    for suffix in ("nc", "zarr"):
        pk.io.save(found, tmp_path / f"thickness.{suffix}")
        xr.testing.assert_identical(pk.io.load(tmp_path / f"thickness.{suffix}").compute(), found)
