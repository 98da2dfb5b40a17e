"""A pixel that lacks some energies is fitted with the others."""

import numpy as np
import pytest

import phasekit as pk
from phasekit.errors import SchemaError
from tests.stxm.field import field, references


@pytest.fixture(scope="module")
def od():
    return pk.stxm.optical_density(field(photons=4000, seed=5, shape=(30, 40))).compute()


def _material(od):
    return np.argwhere((od["valid"] & ~od["empty"]).values)


def _without(od, energy, y, x):
    """The same data, NaN at some energies of some pixels."""
    out = od.copy(deep=True)
    for one, row, column in zip(energy, y, x, strict=True):
        out["optical_density"][one, row, column] = np.nan
    return out


FITS = {
    "plain": lambda data, refs: pk.stxm.fit_references(data, refs, energy_offset=0.0),
    "weighted": lambda data, refs: pk.stxm.fit_references(data, refs, energy_offset=0.0, weighted=True),
    "slope": lambda data, refs: pk.stxm.fit_references(data, refs, energy_offset=0.0, slope=True),
    "single": lambda data, refs: pk.stxm.match_single_phase(data, refs, energy_offset=0.0),
    "single_slope": lambda data, refs: pk.stxm.match_single_phase(data, refs, energy_offset=0.0, slope=True),
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("seed", range(3))
def test_a_missing_energy_is_as_if_it_had_not_been_measured(od, name, seed):
    rng = np.random.default_rng(seed)
    y, x = rng.permutation(_material(od))[0]
    energy = int(rng.integers(od.sizes["energy"]))
    refs = references()
    found = FITS[name](_without(od, [energy], [y], [x]), refs)
    others = FITS[name](od.drop_isel(energy=energy), refs)
    full = FITS[name](od, refs)
    pixel = {"scan_y": int(y), "scan_x": int(x)}
    # the constant and the slope are stated at the middle of the energies, which differs
    for variable in set(found.data_vars) - {"baseline", "baseline_slope"}:
        here, there = found[variable], others[variable]
        if "scan_y" not in here.dims:
            continue
        np.testing.assert_allclose(here.isel(pixel), there.isel(pixel), rtol=1e-6, atol=1e-6, err_msg=variable)
        mask = np.ones((od.sizes["scan_y"], od.sizes["scan_x"]), bool)
        mask[y, x] = False
        np.testing.assert_allclose(here.values[mask], full[variable].values[mask], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_flags_keep_their_rate_where_energies_are_missing(weighted):
    rng = np.random.default_rng(1)
    refs, sigma = references().isel(reference=[0, 3]), np.linspace(0.01, 0.05, 12)
    data = pk.stxm.optical_density(field(photons=4000, shape=(30, 40))).compute()
    at = refs["reference_spectrum"].interp(energy=data["energy"].values).values
    cube = (rng.dirichlet(np.ones(2), 40_000) * 0.3 @ at + 0.5 + rng.normal(size=(40_000, 12)) * sigma).T
    cube[rng.random(cube.shape) < 0.1] = np.nan
    dims = ("energy", "scan_y", "scan_x")
    data = data[["energy"]].assign(
        optical_density=(dims, cube.reshape(12, 200, 200)),
        noise=(dims, np.broadcast_to(sigma[:, None, None], (12, 200, 200)).copy()),
        valid=(dims[1:], np.ones((200, 200), bool)),
    )
    fit = pk.stxm.fit_references(data, refs, energy_offset=0.0, weighted=weighted)
    assert 0.0004 < float(fit["unexplained"].mean()) < 0.0025
    if weighted:  # an amount that the bound keeps at 0 leaves a little more
        assert float(fit["chi_square"].mean()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", FITS)
def test_too_few_energies_are_nan_and_any_chunks_are_the_same(od, name):
    rng = np.random.default_rng(0)
    places = rng.permutation(_material(od))[:60]
    energies = rng.integers(0, od.sizes["energy"], len(places))
    data = _without(od, energies, *places.T)
    y, x = places[0]
    data["optical_density"][2:, y, x] = np.nan
    found = FITS[name](data, references())
    variable = "amount" if "amount" in found else "chi_square"
    assert found[variable][y, x].isnull().all()
    assert np.isfinite(found[variable].values[tuple(places[1:].T)]).all()
    lazy = FITS[name](data.chunk({"energy": 5, "scan_y": 7, "scan_x": 11}), references())
    assert lazy[variable].chunks
    np.testing.assert_allclose(lazy[variable], found[variable], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", [pk.stxm.cluster_kmeans, pk.stxm.cluster_gaussian_mixture, pk.stxm.fit_mcr_als])
def test_clusters_and_components_take_the_energies_there_are(od, method):
    rng = np.random.default_rng(0)
    places = rng.permutation(_material(od))[:80]
    data = _without(od, rng.integers(0, od.sizes["energy"], len(places)), *places.T)
    y, x = places[0]
    data["optical_density"][2:, y, x] = np.nan
    full, found = (method(one, references(), energy_offset=0.0) for one in (od, data))
    assert int(found["phase"][y, x]) == -1
    here = tuple(places[1:].T)
    assert (found["phase"].values[here] >= 0).all()
    assert (found["phase"].values[here] == full["phase"].values[here]).mean() > 0.8
    assert np.isfinite(found["spectrum"]).all()
    nowhere = data.copy(deep=True)
    nowhere["optical_density"][3] = np.nan
    with pytest.raises(SchemaError, match="Leave out the frames"):
        method(nowhere, references(), energy_offset=0.0)
