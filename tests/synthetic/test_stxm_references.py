"""Vanadium references: published facts and tabulated absorption."""

import numpy as np
import pytest

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.schema import REFERENCES, require


@pytest.mark.parametrize(("energy", "low", "high"), [(505.0, 1.0, 1.2), (520.0, 2.1, 2.9), (545.0, 4.2, 4.6)])
def test_baseline_is_the_tabulated_absorption(energy, low, high):
    assert low < pk.synthetic.vanadium_baseline([energy])[0] < high


def test_references_meet_the_table_before_and_behind_the_edge():
    refs = pk.synthetic.vanadium_references([505.0, 530.0])["reference_spectrum"].sel(reference="Na3")
    table = pk.synthetic.vanadium_baseline([505.0, 530.0])
    np.testing.assert_allclose(refs, table, rtol=0.15)


def test_neighbouring_references_are_as_alike_as_published():
    refs = pk.synthetic.vanadium_references().sel(energy=slice(510, 528))
    pearson = np.corrcoef(refs["reference_spectrum"])
    np.testing.assert_allclose(np.diag(pearson, 1)[:3], [0.98, 0.993, 0.96], atol=0.003)


def test_intermediate_states_are_no_linear_mixture_of_the_ends():
    refs = pk.synthetic.vanadium_references().sel(energy=slice(510, 528))["reference_spectrum"]
    ends = np.column_stack([refs.sel(reference="Na3"), refs.sel(reference="Na1"), np.ones(refs.sizes["energy"])])
    for name in ("Na2.4", "Na2"):
        middle = refs.sel(reference=name).values
        misfit = middle - ends @ np.linalg.lstsq(ends, middle, rcond=None)[0]
        assert misfit.std() > 0.01 * middle.std()


def test_white_line_moves_up_with_the_state_of_charge():
    spectra = pk.synthetic.vanadium_references().sel(energy=slice(514, 520))["reference_spectrum"]
    peaks = spectra["energy"].values[spectra.argmax("energy")]
    assert (np.diff(peaks) >= 0).all()
    assert peaks[-1] - peaks[0] > 1.5


def test_absorption_of_white_lines_grows_with_the_holes():
    energy = np.arange(510.0, 529.0, 0.1)
    refs = pk.synthetic.vanadium_references(energy)
    baseline = np.array([pk.synthetic.vanadium_baseline(energy, float(x)) for x in refs["composition"]])
    assert (np.diff((refs["reference_spectrum"].values - baseline).sum(axis=1)) > 0).all()


def test_references_are_references_and_four_on_request():
    refs = pk.synthetic.vanadium_references([515.0, 516.0], below_one=False)
    require(refs, REFERENCES, step="test")
    assert refs["composition"].values.tolist() == [3.0, 2.4, 2.0, 1.0]
    assert refs["reference_spectrum"].shape == (4, 2)


@pytest.mark.parametrize("energies", [[], [520.0, 510.0], [490.0], [530.0, 560.0]])
def test_energies_outside_are_refused(energies):
    with pytest.raises(SchemaError, match=r"500\.\.540"):
        pk.synthetic.vanadium_references(energies)
