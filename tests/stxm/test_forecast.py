"""Forecasts against counting simulated pixels, and against what must hold for any of them."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.stxm.planning.separation import compute_confusion


@pytest.fixture(scope="module")
def vanadium():
    return pk.synthetic.vanadium_references()


def chosen(*energies):
    return xr.DataArray(np.array(energies), dims="energy", attrs={"units": "eV"})


def one_phase_chi_square(density, variance, spectra):
    """Chi-square (pixel, reference) of weighted fits of one spectrum and a constant, written out."""
    out = []
    for spectrum in spectra:
        weight = 1 / variance
        mean_x, mean_y = (
            np.average(v, axis=-1, weights=weight) for v in (np.broadcast_to(spectrum, density.shape), density)
        )
        x, y = spectrum - mean_x[:, None], density - mean_y[:, None]
        amount = np.clip((weight * x * y).sum(1) / (weight * x * x).sum(1), 0, None)
        out.append((weight * (y - amount[:, None] * x) ** 2).sum(1))
    return np.array(out).T


def counted_errors(refs, energies, photons, peak_od, *, slope_pixels=6000, seed=0):
    """Share of pixels of each phase that another reference fits better, from Poisson counts."""
    rng = np.random.default_rng(seed)
    at = refs["reference_spectrum"].interp(energy=energies).values
    unit = peak_od / float(refs["reference_spectrum"].mean("reference").max())
    rates = []
    for index, spectrum in enumerate(at * unit):
        counts = rng.poisson(photons * np.exp(-spectrum), (slope_pixels, spectrum.size)).clip(1)
        density = -np.log(counts / photons)
        variance = np.broadcast_to(np.exp(spectrum) / photons, density.shape)
        rates.append(float((one_phase_chi_square(density, variance, at).argmin(1) != index).mean()))
    return np.array(rates)


@pytest.mark.parametrize("peak_od", [0.5, 1.5])
@pytest.mark.parametrize(
    "energies", [(509.0, 516.2, 517.4, 525.0), (509, 515.6, 516.1, 516.6, 517.4, 524.3, 524.8, 525.3)]
)
def test_predicted_error_rates_are_the_counted_ones(vanadium, energies, peak_od):
    """Mean rates within 6 %, those of single phases within 15 %, where they are above 0.02."""
    doses = [100.0, 500.0, 2000.0]
    predicted = pk.stxm.predict_errors(vanadium, chosen(*energies), photons=doses, peak_od=peak_od)[
        "error_rate"
    ].values[0]
    for dose, rate in zip(doses, predicted, strict=True):
        counted = counted_errors(vanadium, list(energies), dose, peak_od)
        large = counted > 0.02
        scatter = 3 * np.sqrt(counted / 6000)
        np.testing.assert_array_less(np.abs(rate - counted)[large], (0.15 * counted + scatter)[large])
        if counted.mean() > 0.02:
            assert rate.mean() == pytest.approx(counted.mean(), rel=0.06, abs=0.005)
        assert (rate[~large] < 0.03).all()


def test_predicted_error_rate_of_a_simulated_stack_with_thickness(vanadium):
    """A stack of particles, counted pixel by pixel: the forecast at the pixels' thicknesses is right within 20 %."""
    energies = pk.stxm.select_energies(vanadium, 8)
    still = {"frame_drift_px": 0.0, "hot_pixels": 0.0, "stray_light": 0.0, "i0_drift": 0.0, "probe_fwhm_nm": 0.0}
    stack = pk.synthetic.stxm_stack(energies=energies.values, photons=300, rim_nm=0.0, seed=4, **still)
    thickness, truth = stack["truth_thickness"].values, stack["truth_phase"].values
    inside = (truth >= 0) & (thickness > 60)
    density = (
        -np.log((stack["intensity"] / stack["truth_i0"]).clip(min=1e-3)).transpose("scan_y", "scan_x", "energy").values
    )
    at = vanadium["reference_spectrum"].interp(energy=energies.values).values
    expected = thickness[inside][:, None] * 1e-3 * at[truth[inside]]
    found = one_phase_chi_square(density[inside], np.exp(expected) / 300, at).argmin(1)
    top = float(vanadium["reference_spectrum"].mean("reference").max()) * 1e-3
    bins = np.quantile(thickness[inside], np.linspace(0, 1, 6))
    group = np.clip(np.searchsorted(bins, thickness[inside]) - 1, 0, 4)
    predicted = np.empty(inside.sum())
    for index in range(5):
        depth = float(np.median(thickness[inside][group == index]))
        rate = pk.stxm.predict_errors(vanadium, energies, photons=[300], peak_od=depth * top)["error_rate"].values[0, 0]
        predicted[group == index] = rate[truth[inside]][group == index]
    assert predicted.mean() == pytest.approx((found != truth[inside]).mean(), rel=0.2)


def test_two_phases_are_confused_as_their_distance_says(vanadium):
    """Noise alike at every energy, two spectra: half the distance of the nearest scaled spectra, to first order."""
    pair = vanadium.isel(reference=[1, 2])
    energies = chosen(509.0, 515.8, 516.6, 517.4, 525.0)
    found = pk.stxm.predict_errors(pair, energies, photons=[400.0], counting=False)
    unit = 1 / float(pair["reference_spectrum"].mean("reference").max())
    one, two = pair["reference_spectrum"].interp(energy=energies.values).values * unit
    # the constant and the other spectrum's amount fitted: what is left of spectrum one
    rest = one - np.vstack([two, np.ones(5)]).T @ np.linalg.lstsq(np.vstack([two, np.ones(5)]).T, one, rcond=None)[0]
    sigma = np.sqrt(np.exp(one.mean()) / 400)
    assert float(found["pair_error"][0, 0, 0, 1]) == pytest.approx(
        norm.cdf(-np.linalg.norm(rest) / 2 / sigma), rel=0.02
    )
    assert float(found["pair_error"][0, 0, 0, 0]) == 0
    assert float(found["error_rate"][0, 0, 0]) == pytest.approx(float(found["pair_error"][0, 0, 0, 1]), rel=0.1)


def test_all_phases_together_are_confused_more_than_two_and_less_than_the_sum(vanadium):
    found = pk.stxm.predict_errors(vanadium, [8], photons=[50, 500, 5000])
    rate, pair = found["error_rate"], found["pair_error"]
    scatter = 0.011
    assert bool((rate >= pair.max("other_reference") - scatter).all())
    assert bool((rate <= pair.sum("other_reference") + scatter).all())


def test_indistinguishable_references_are_guessed():
    spectra = np.repeat(np.array([[0.0, 1.0, 2.0, 1.0]]), 2, axis=0)
    found = compute_confusion(spectra, np.full(spectra.shape, 0.01), np.ones((1, 4)), np.random.default_rng(0))
    assert found.pair[0, 1] == pytest.approx(0.5)


def test_errors_follow_dose_averaging_and_thickness(vanadium):
    few = pk.stxm.predict_errors(vanadium, [8], photons=[200.0, 1800.0])
    np.testing.assert_allclose(few["amount_error"][:, 0] / few["amount_error"][:, 1], 3.0)
    np.testing.assert_allclose(few["share_error"][:, 0] / few["share_error"][:, 1], 3.0)
    nine = pk.stxm.predict_errors(vanadium, [8], photons=[200.0], n_averaged=9)
    np.testing.assert_allclose(nine["error_rate"][0, 0], few["error_rate"][0, 1])
    behind = pk.stxm.predict_errors(vanadium, [8], photons=[200.0 * np.e], background_od=1.0)
    np.testing.assert_allclose(behind["error_rate"][0, 0], few["error_rate"][0, 0])
    doubled = vanadium.assign(reference_spectrum=2 * vanadium["reference_spectrum"])
    again = pk.stxm.predict_errors(doubled, [8], photons=[200.0, 1800.0])
    np.testing.assert_allclose(again["error_rate"], few["error_rate"])
    np.testing.assert_allclose(again["amount_error"], few["amount_error"] / 2)


def test_amount_errors_are_those_of_a_fit(vanadium):
    """Simulated mixtures of all references, fitted with weights."""
    energies = pk.stxm.select_energies(vanadium, 12)
    found = pk.stxm.predict_errors(vanadium, energies, photons=[2e4])
    at = vanadium["reference_spectrum"].interp(energy=energies.values).values
    mixed = at.mean(axis=0) / float(vanadium["reference_spectrum"].mean("reference").max())
    variance = np.exp(mixed) / 2e4
    noise = np.random.default_rng(0).normal(size=(4000, 12)) * np.sqrt(variance)
    design = (np.vstack([at, np.ones(12)]) / np.sqrt(variance)).T
    amounts = np.linalg.lstsq(design, ((mixed + noise) / np.sqrt(variance)).T, rcond=None)[0]
    np.testing.assert_allclose(found["amount_error"][0, 0], amounts[:5].std(axis=1), rtol=0.05)
    assert found["amount_error"].attrs["units"] == "um"


def test_time_of_the_scan_is_dwell_times_pixels_times_energies(vanadium):
    found = pk.stxm.predict_errors(vanadium, [7, 10], photons=[100.0, 500.0], i0_khz=50.0, n_scan_pixels=40_000)
    np.testing.assert_allclose(found["dwell_ms"], [2.0, 10.0])
    assert float(found["scan_time"].sel(n_energies=10, photons=500)) == pytest.approx(10 * 40_000 * 10e-3)
    assert found["scan_time"].attrs["units"] == "s"


def test_default_numbers_of_energies_and_padding(vanadium):
    found = pk.stxm.predict_errors(vanadium, photons=[1000.0])
    assert found["n_energies"].values.tolist() == [8, 10, 15, 20]  # 4 and 6 are too few for five references
    assert found["energy_choice"].notnull().sum("slot").values.tolist() == [8, 10, 15, 20]
    assert bool((found["error_rate"].mean("reference").diff("n_energies") < 0).all())
    two = pk.stxm.predict_errors(vanadium.isel(reference=[0, 3]), photons=[1000.0])
    assert two["n_energies"].values[0] == 4


def test_fewer_energies_than_terms_name_phases_but_know_no_amounts(vanadium):
    found = pk.stxm.predict_errors(vanadium, chosen(509.0, 516.2, 517.4, 525.0), photons=[1000.0])
    assert found["amount_error"].isnull().all()
    assert found["error_rate"].notnull().all()
    assert pk.stxm.predict_errors(vanadium.isel(reference=[0]), [4])["share_error"].isnull().all()


def test_same_seed_same_forecast_which_survives_files_and_changes_nothing(vanadium, tmp_path):
    before = vanadium.copy(deep=True)
    found, again = (pk.stxm.predict_errors(vanadium, [8], seed=3, i0_khz=10.0) for _ in range(2))
    xr.testing.assert_identical(found, again)
    xr.testing.assert_identical(vanadium, before)
    for name in ("forecast.nc", "forecast.zarr"):
        xr.testing.assert_identical(pk.io.load(pk.io.save(found, tmp_path / name)).load(), found)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"photons": [0.0]}, "needs counts per pixel and energy above 0"),
        ({"photons": [np.inf]}, "needs counts per pixel"),
        ({"n_averaged": 0}, "needs at least 1 pixel"),
        ({"peak_od": -1.0}, "an optical density above 0"),
        ({"i0_khz": 0.0}, "needs both above 0"),
        ({"energies": [7.5]}, "not whole numbers"),
        ({"energies": [5]}, "n=5 energies for 5 references"),
        ({"energies": []}, "7 energies are the least"),
        ({"energies": chosen(400.0, 516.0, 517.0)}, r"needs at least 3 within the references' 505\.\.535 eV"),
    ],
)
def test_wrong_settings_are_refused_with_a_cure(vanadium, settings, words):
    with pytest.raises(SchemaError, match=words):
        pk.stxm.predict_errors(vanadium, **settings)
