"""The unit of the references is no information: maps, fits and errors are the same in any of them."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk

_UNITS = (1e-22, 1e-8, 3.7e5)  # cm2 per atom is about 1e-22


@pytest.fixture(scope="module")
def stack() -> tuple[xr.Dataset, xr.Dataset]:
    """Optical density and references of a small field."""
    refs = pk.synthetic.vanadium_references().sel(reference=["Na3", "Na1"])
    raw = pk.synthetic.stxm_stack(shape=(32, 32), seed=3, photons=2000, frame_drift_px=0.0)
    return pk.stxm.optical_density(raw, i0=raw["truth_i0"]), refs


def _in_unit(refs: xr.Dataset, unit: float) -> xr.Dataset:
    return refs.assign(reference_spectrum=refs["reference_spectrum"] * unit)


@pytest.mark.parametrize("unit", _UNITS)
def test_the_map_does_not_depend_on_the_unit(stack, unit):
    od, refs = stack
    one, other = (pk.stxm.label_phases(od, None, r) for r in (refs, _in_unit(refs, unit)))
    assert (one["status"] == other["status"]).mean() > 0.99
    assert (one["phase"] == other["phase"]).mean() > 0.99
    for name in ("energy_offset", "energy_offset_error", "stray_light", "stray_light_error", "reference_misfit"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-4, atol=1e-7, err_msg=name)
    np.testing.assert_allclose(other["fitted_reference"] / unit, one["fitted_reference"], rtol=1e-5)


@pytest.mark.parametrize("unit", _UNITS)
def test_amounts_are_in_the_unit_of_the_references(stack, unit):
    od, refs = stack
    one, other = (pk.stxm.fit_references(od, r) for r in (refs, _in_unit(refs, unit)))
    floor = 1e-6 * float(one["amount"].max())
    np.testing.assert_allclose(other["amount"] * unit, one["amount"], rtol=1e-4, atol=floor)
    np.testing.assert_allclose(other["amount_error"] * unit, one["amount_error"], rtol=1e-4)
    np.testing.assert_allclose(other["chi_square"], one["chi_square"], rtol=1e-4)


@pytest.mark.parametrize("unit", _UNITS)
def test_one_phase_a_pixel_does_not_depend_on_the_unit(stack, unit):
    od, refs = stack
    one, other = (pk.stxm.match_single_phase(od, r) for r in (refs, _in_unit(refs, unit)))
    for name in ("phase", "pearson_phase"):
        assert (one[name] == other[name]).mean() > 0.99
    np.testing.assert_allclose(other["chi_square"], one["chi_square"], rtol=1e-4)
