"""Parameters that all pixels share, on fields where they are known."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import NUISANCES, require
from tests.stxm.field import ENERGIES, references


def _od(*, offset=0.0, stray=0.0, slope=0.0, noise=0.02, n_unknown_rows=0, seed=0, energies=ENERGIES):
    """36 x 48 pixels in stripes of four phases, of thickness that varies fivefold; some rows of an unknown phase."""
    rng = np.random.default_rng(seed)
    at = references()["reference_spectrum"].interp(energy=energies + offset).values
    at = at + slope * (energies - energies.mean()) * at.mean()
    column = np.arange(48) // 12
    depth = rng.uniform(0.06, 0.3, (6, 8)).repeat(6, axis=0).repeat(6, axis=1)
    density = depth[..., None] * at[column][None]
    if n_unknown_rows:
        unknown = 2.0 + np.cos(energies * 2.0)
        density[:n_unknown_rows] = depth[:n_unknown_rows, :, None] * unknown
    density = -np.log((1 - stray) * np.exp(-density) + stray)
    cube = (density + rng.normal(0, noise, density.shape)).transpose(2, 0, 1)
    coords = {"energy": ("energy", energies, {"units": "eV"})}
    return xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), cube),
            "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, noise)),
            "valid": (("scan_y", "scan_x"), np.ones(cube.shape[1:], bool)),
        },
        coords=coords,
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "truth",
    [
        {},
        {"offset": 0.3},
        {"offset": -0.4, "stray": 0.06},
        {"slope": 0.02, "offset": 0.1},
        {"offset": 0.2, "stray": 0.04, "slope": -0.015},
    ],
)
def test_shared_numbers_are_recovered_within_their_errors(truth, seed):
    found = pk.stxm.fit_systematics(_od(**truth, seed=seed), references())
    require(found, NUISANCES, step="test")
    wanted = {"energy_offset": truth.get("offset", 0.0), "stray_light": truth.get("stray", 0.0)}
    wanted["background_slope"] = truth.get("slope", 0.0)
    for name, value in wanted.items():
        error = float(found[f"{name}_error"])
        assert 0 < error < 0.06
        assert float(found[name]) == pytest.approx(value, abs=max(4 * error, 0.003))
    assert float(found["energy_offset"]) == pytest.approx(wanted["energy_offset"], abs=0.05)
    assert float(found["misfit"]) == pytest.approx(1.0, abs=0.5)


def test_broadening_is_found_when_asked_for():
    from scipy.ndimage import gaussian_filter1d

    sharp = references()
    soft = sharp.copy()
    soft["reference_spectrum"] = (
        ("reference", "energy"),
        gaussian_filter1d(sharp["reference_spectrum"].values, 5, axis=1),
    )
    data = _od(noise=0.005)
    at = soft["reference_spectrum"].interp(energy=ENERGIES).values[np.arange(48) // 12]
    cube = (0.2 * np.broadcast_to(at, (36, 48, ENERGIES.size))).transpose(2, 0, 1)
    noise = np.random.default_rng(0).normal(0, 0.005, cube.shape)
    data = data.assign(optical_density=(("energy", "scan_y", "scan_x"), cube + noise))
    found = pk.stxm.fit_systematics(data, sharp, broadening="fit")
    assert float(found["broadening"]) == pytest.approx(0.5, abs=0.1)
    assert float(found["broadening_error"]) > 0


def test_an_unknown_phase_does_not_pull_the_offset():
    found = pk.stxm.fit_systematics(_od(offset=0.3, n_unknown_rows=10), references())
    assert float(found["energy_offset"]) == pytest.approx(0.3, abs=0.05)


def test_few_energies_still_give_the_offset():
    energies = np.array([512.0, 515.5, 517.5, 520.0, 524.0])
    found = pk.stxm.fit_systematics(_od(offset=0.25, energies=energies), references().isel(reference=[0, 2, 3]))
    assert float(found["energy_offset"]) == pytest.approx(0.25, abs=0.15)


@pytest.mark.parametrize("slope", [-0.02, 0.02])
def test_few_energies_and_a_slope_do_not_end_in_a_wrong_valley(slope):
    energies = np.array([512.0, 515.5, 516.5, 517.5, 520.0, 524.0])
    refs = references().isel(reference=[0, 1, 2])
    data = _od(slope=slope, energies=energies, noise=0.01).isel(scan_x=slice(0, 36))
    found = pk.stxm.fit_systematics(data, refs)
    assert float(found["background_slope"]) == pytest.approx(slope, abs=0.005)
    assert float(found["energy_offset"]) == pytest.approx(0.0, abs=0.1)


def test_given_numbers_stay_and_have_no_error():
    found = pk.stxm.fit_systematics(
        _od(), references(), energy_offset=0.1, stray_light=0.02, background_slope=0.0, broadening=0.3
    )
    assert [float(found[n]) for n in ("energy_offset", "stray_light", "broadening")] == pytest.approx([0.1, 0.02, 0.3])
    assert float(found["energy_offset_error"]) == 0.0


def test_nothing_to_fit_is_nan_not_a_guess():
    empty = _od().assign(valid=(("scan_y", "scan_x"), np.zeros((36, 48), bool)))
    found = pk.stxm.fit_systematics(empty, references())
    assert np.isnan(found["energy_offset_error"])
    assert int(found["n_blocks"]) == 0


def test_stray_light_taken_off_is_the_truth_and_lazy_stays_lazy():
    clean, stray = _od(noise=1e-6), _od(noise=1e-6, stray=0.05)
    back = pk.stxm.remove_stray_light(stray.chunk({"scan_y": 9}), 0.05)
    assert back["optical_density"].chunks is not None
    np.testing.assert_allclose(back["optical_density"], clean["optical_density"], atol=2e-4)
    assert (back["noise"] >= stray["noise"]).all()
    thick = stray.assign(optical_density=stray["optical_density"] * 0 - np.log(0.04))
    assert np.isfinite(pk.stxm.remove_stray_light(thick, 0.05)["optical_density"]).all()


def test_input_untouched_and_round_trip(tmp_path):
    data = _od()
    before = data.copy(deep=True)
    found = pk.stxm.fit_systematics(data, references())
    xr.testing.assert_identical(data, before)
    pk.io.save(found, tmp_path / "shared.nc")
    xr.testing.assert_equal(pk.io.load(tmp_path / "shared.nc").compute(), found)
    chunked = pk.stxm.fit_systematics(data.chunk({"energy": 5, "scan_y": 7, "scan_x": 11}), references())
    for name in ("energy_offset", "stray_light"):
        assert float(chunked[name]) == pytest.approx(float(found[name]), abs=1e-3)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"energy_offset": "auto"}, "'fit'"),
        ({"stray_light": 1.2}, "stray_light in"),
        ({"broadening": -0.1}, "broadening >= 0"),
        ({"background_slope": float("nan")}, "finite"),
    ],
)
def test_wrong_settings_are_refused(setting, words):
    with pytest.raises(SchemaError, match=words):
        pk.stxm.fit_systematics(_od(), references(), **setting)
    with pytest.raises(SchemaError, match="fraction"):
        pk.stxm.remove_stray_light(_od(), -0.1)
