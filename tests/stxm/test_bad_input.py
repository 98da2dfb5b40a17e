"""What users hand in by mistake: a clear error that says the cure, or a status; never a crash or a silent map."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError, StxmStatus
from tests.stxm.field import field, references


@pytest.fixture(scope="module")
def stack():
    return field(photons=1500, seed=1)


@pytest.fixture(scope="module")
def od(stack):
    return pk.stxm.optical_density(stack).compute()


@pytest.fixture(scope="module")
def good(od):
    return pk.stxm.label_phases(od, None, references())


def _energies(data, values, unit="eV"):
    return data.assign_coords(energy=("energy", values, {"units": unit}))


def _counts(stack, values):
    return stack.assign(intensity=(("energy", "scan_y", "scan_x"), values))


def test_references_elsewhere_or_in_other_units(od, stack):
    refs = references()
    energy = refs["energy"].values
    with pytest.raises(SchemaError, match=r"cover 603..635.9 eV, the data need 509..528 eV"):
        pk.stxm.label_phases(od, None, _energies(refs, energy + 100))
    with pytest.raises(SchemaError, match=r"references look like keV.*by 1000"):
        pk.stxm.label_phases(od, None, _energies(refs, energy / 1000))
    with pytest.raises(SchemaError, match="'energy' is in 'keV', needs 'eV'"):
        pk.stxm.label_phases(od, None, _energies(refs, energy / 1000, "keV"))
    small = pk.stxm.optical_density(_energies(stack, stack["energy"].values / 1000))
    with pytest.raises(SchemaError, match="data look like keV"):
        pk.stxm.label_phases(small, None, refs)
    with pytest.raises(SchemaError, match="'energy' is in 'keV'"):
        pk.stxm.optical_density(_energies(stack, stack["energy"].values / 1000, "keV"))


def test_fewer_energies_than_references(od):
    with pytest.raises(SchemaError, match="4 energies are too few to separate 4 references"):
        pk.stxm.label_phases(od.isel(energy=slice(4)), None, references())
    with pytest.raises(SchemaError, match="needs at least 4"):
        pk.stxm.fit_gmvae(od.isel(energy=[0, 5]))


def test_the_order_of_the_energies_does_not_matter_and_a_repeat_is_no_harm(stack, good):
    shuffled = stack.isel(energy=[3, 1, 2, 0, 5, 4, 6, 7, 8, 9, 11, 10])
    found = pk.stxm.label_phases(pk.stxm.optical_density(shuffled), None, references())
    assert (found["phase"] == good["phase"]).values[(good["confidence"] > 0.9).values].mean() > 0.99
    twice = stack.isel(energy=[0, 1, 2, 2, *range(3, 12)])
    found = pk.stxm.label_phases(pk.stxm.optical_density(twice), None, references())
    assert (found["phase"] == good["phase"]).values[(good["confidence"] > 0.9).values].mean() > 0.97


def test_no_counts_at_all_and_no_material_at_all(stack):
    for values in (0 * stack["intensity"].values, -1.0 * stack["intensity"].values):
        with pytest.raises(SchemaError, match="no counts above the dark ones in any frame"):
            pk.stxm.optical_density(_counts(stack, values))
    vacuum = _counts(stack, np.random.default_rng(0).poisson(1000, stack["intensity"].shape))
    od = pk.stxm.optical_density(vacuum)
    assert float(od["empty"].mean()) > 0.99
    with pytest.raises(SchemaError, match="material pixels for n_clusters"):
        pk.stxm.fit_gmvae(od)
    found = pk.stxm.label_phases(od, None, references())
    assert float((found["status"] == StxmStatus.BACKGROUND).mean()) > 0.99
    assert np.isnan(found["energy_offset_error"])


@pytest.mark.parametrize("value", [np.nan, -5.0])
def test_lost_and_negative_counts_have_no_clean_status_and_their_neighbours_do(stack, good, value):
    counts = stack["intensity"].values.astype(float)
    counts[3, 20:25, 20:25] = value
    found = pk.stxm.label_phases(pk.stxm.optical_density(_counts(stack, counts)), None, references())
    lost = (slice(21, 24), slice(21, 24))
    if np.isnan(value):  # one lost energy of twelve: the others name the pixel
        assert (found["phase"].values[lost] >= 0).all()
        assert (found["status"].values[lost] != StxmStatus.OK).all()
    else:
        assert (found["phase"].values[lost] == -1).all()
    away = np.ones(found["phase"].shape, bool)
    away[17:28, 17:28] = False
    sure = away & (good["confidence"] > 0.9).values
    assert (found["phase"] == good["phase"]).values[sure].mean() > 0.99


def test_one_reference_says_where_it_does_not_fit(od, stack):
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=5, progress=False, training=pk.stxm.Training(n_steps=60))
    found = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), references().isel(reference=[1]))
    assert (found["runner_up"] == -1).all()
    other = ((stack["truth_phase"] >= 2) & (found["phase"] >= 0)).values
    assert (found["status"] != StxmStatus.OK).values[other].mean() > 0.5


def test_a_field_of_a_few_pixels(od):
    small = od.isel(scan_y=slice(20, 23), scan_x=slice(20, 24))
    with pytest.warns(pk.stxm.OffsetWarning, match="do not decide"):
        found = pk.stxm.label_phases(small, None, references())
    assert found["phase"].shape == (3, 4)
    assert (found["phase"] >= 0).all()


def test_nan_in_references(od):
    refs = references()
    values = refs["reference_spectrum"].values.copy()
    values[1, 40] = np.nan
    with pytest.raises(SchemaError, match="NaN"):
        pk.stxm.label_phases(od, None, refs.assign(reference_spectrum=(("reference", "energy"), values)))


def test_inputs_of_another_kind(od):
    with pytest.raises(SchemaError, match="optical_density"):
        pk.stxm.label_phases(xr.Dataset({"a": 1}), None, references())
    with pytest.raises(SchemaError, match="neighbours"):
        pk.stxm.label_phases(od, None, references(), neighbours=-1.0)
    with pytest.raises(SchemaError, match="blur_px"):
        pk.stxm.label_phases(od, None, references(), blur_px="auto")
