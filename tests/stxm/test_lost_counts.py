"""Dead pixels, lost frames and saturated readings: flagged where they are, harmless elsewhere, named when fatal."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


@pytest.fixture(scope="module")
def stack():
    return pk.synthetic.stxm_stack(shape=(40, 56), n_particles=3, seed=5)


def damaged(stack: xr.Dataset, place: tuple, value: float) -> xr.Dataset:
    counts = stack["intensity"].values.astype(np.float64)
    counts[place] = value
    return stack.assign(intensity=(stack["intensity"].dims, counts))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_dead_pixel_costs_itself_and_its_neighbours_only(stack, value):
    bad = damaged(stack, np.s_[:, 12, 20], value)
    whole = pk.stxm.optical_density(pk.stxm.align(stack, progress=False))
    od = pk.stxm.optical_density(pk.stxm.align(bad, progress=False))
    lost = whole["valid"].values & ~od["valid"].values
    assert lost[12, 20]
    assert lost.sum() < 60
    assert not lost[:6].any()
    assert np.isfinite(od["noise"].values[:, od["valid"].values]).all()


def test_a_dead_pixel_does_not_stop_the_fit(stack):
    od = pk.stxm.optical_density(damaged(stack, np.s_[:, 12, 20], np.nan))
    fit = pk.stxm.fit_references(od, pk.synthetic.vanadium_references())
    assert np.isnan(fit["amount"].values[12, 20]).all()
    assert np.isfinite(fit["amount"].values[12, 30]).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_dark_frame_is_a_failed_one_and_optical_density_names_the_cure(stack, value):
    bad = damaged(stack, np.s_[2], value)
    aligned = pk.stxm.align(bad, progress=False)
    assert aligned["frame_status"].values.tolist() == [2 * (index == 2) for index in range(bad.sizes["energy"])]
    for given in (bad, aligned):
        with pytest.raises(SchemaError, match=r"no counts at all in frame 2 .*isel\(energy=\[0, 1, 3"):
            pk.stxm.optical_density(given)
