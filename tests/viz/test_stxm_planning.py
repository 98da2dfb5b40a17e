"""The figure of a plan draws what the plan and the forecast say."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


@pytest.fixture(scope="module")
def refs():
    return pk.synthetic.vanadium_references()


@pytest.fixture(scope="module")
def forecast(refs):
    return pk.stxm.predict_errors(refs, [8, 12], photons=[100.0, 1000.0, 30_000.0], i0_khz=50.0)


def test_every_chosen_energy_is_marked_on_every_reference(refs):
    chosen = pk.stxm.select_energies(refs, 8)
    ax = pk.viz.stxm.planning_figure(refs, chosen).axes[0]
    assert ax.get_title() == "8 energies"
    marked = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert len(marked) == refs.sizes["reference"]
    for line, name in zip(marked, refs["reference"].values, strict=True):
        np.testing.assert_allclose(line.get_xdata(), chosen)
        spectrum = refs["reference_spectrum"].sel(reference=name).sel(energy=chosen.values)
        np.testing.assert_allclose(line.get_ydata(), spectrum, rtol=1e-6)
    upright = [line.get_xdata()[0] for line in ax.get_lines() if len(set(line.get_xdata())) == 1]
    np.testing.assert_allclose(sorted(upright), chosen)
    assert "1/µm" in ax.get_ylabel()


def test_errors_are_drawn_against_number_of_energies_one_line_per_dose(refs, forecast):
    figure = pk.viz.stxm.planning_figure(refs, pk.stxm.select_energies(refs, 8), forecast=forecast)
    assert [ax.get_title() for ax in figure.axes] == ["8 energies", "Wrong phase", "Share of a phase"]
    rates, shares = figure.axes[1].get_lines(), figure.axes[2].get_lines()
    assert len(rates) == len(shares) == 3
    np.testing.assert_allclose(rates[0].get_xdata(), [8, 12])
    mean = forecast["error_rate"].mean("reference")
    np.testing.assert_allclose(rates[1].get_ydata(), mean.isel(photons=1))
    np.testing.assert_allclose(shares[2].get_ydata(), forecast["share_error"].isel(photons=2))
    assert float(mean.min()) < 1e-5
    np.testing.assert_allclose(rates[2].get_ydata(), 1e-5)  # drawn at the floor, not lost from the logarithmic axis
    assert figure.axes[1].get_yscale() == "log"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["100 (2 ms)", "1000 (20 ms)", "30000 (600 ms)"]
    assert figure.legends[0].get_title().get_text() == "photons (dwell time)"


def test_without_a_count_rate_the_key_holds_photons(refs, forecast):
    plain = forecast.drop_vars(["dwell_ms", "scan_time"])
    figure = pk.viz.stxm.planning_figure(refs, pk.stxm.select_energies(refs, 8), forecast=plain)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["100", "1000", "30000"]


def test_wrong_input_is_refused(refs, forecast):
    chosen = xr.DataArray([700.0, 710.0], dims="energy")
    with pytest.raises(SchemaError, match="no energy lies within"):
        pk.viz.stxm.planning_figure(refs, chosen)
    with pytest.raises(SchemaError, match="no variable 'error_rate', needs FORECAST"):
        pk.viz.stxm.planning_figure(refs, chosen - 190, forecast=refs)
    with pytest.raises(SchemaError, match="needs REFERENCES"):
        pk.viz.stxm.planning_figure(forecast, chosen)
