"""Pixels whose fit with references leaves more than noise are flagged, and as few others as is said."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from tests.stxm.field import references

ENERGIES = np.array([510.0, 515.0, 515.8, 516.6, 517.4, 518.2, 519.6, 524.0, 525.5, 528.0])


def made(refs, *, n=40_000, energies=ENERGIES, extra=0.0, seed=0):
    """Mixtures (two references among four are often absent) with noise that differs fivefold between energies."""
    rng = np.random.default_rng(seed)
    at = refs["reference_spectrum"].interp(energy=energies).values
    amounts = rng.dirichlet(np.full(len(at), 0.3), n) * 0.3
    sigma = np.linspace(0.01, 0.05, energies.size)
    line = extra * np.exp(-((energies - 520.5) ** 2) / 2)
    density = amounts @ at + 0.5 + line + rng.normal(size=(n, energies.size)) * sigma
    cube = density.T.reshape(energies.size, -1, 100)
    dims = ("energy", "scan_y", "scan_x")
    return xr.Dataset(
        {
            "optical_density": (dims, cube),
            "noise": (dims, np.broadcast_to(sigma[:, None, None], cube.shape).copy()),
            "valid": (dims[1:], np.ones(cube.shape[1:], bool)),
        },
        coords={"energy": ("energy", energies, {"units": "eV"})},
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_references", [1, 2, 4])
def test_noise_alone_flags_one_pixel_in_a_thousand(weighted, n_references):
    refs = references().isel(reference=slice(0, n_references))
    data = made(refs, seed=n_references)
    flagged = pk.stxm.fit_references(data, refs, energy_offset=0.0, weighted=weighted)["unexplained"]
    assert flagged.dtype == bool
    assert 0.0004 < float(flagged.mean()) < 0.0025


@pytest.mark.parametrize("weighted", [False, True])
def test_what_the_references_do_not_hold_is_flagged(weighted):
    refs = references().isel(reference=[0, 3])
    data = made(refs, n=2000, extra=0.5)
    fit = pk.stxm.fit_references(data, refs, energy_offset=0.0, weighted=weighted)
    assert float(fit["unexplained"].mean()) > 0.95


def test_without_a_degree_of_freedom_nothing_is_flagged_and_invalid_pixels_are_not():
    refs = references().isel(reference=[0, 3])
    data = made(refs, n=2000, energies=ENERGIES[[0, 3, 6]], extra=0.2)
    fit = pk.stxm.fit_references(data, refs, energy_offset=0.0)
    free = (fit["amount"] > 0).all("reference")
    assert float(free.mean()) > 0.1
    assert not bool(fit["unexplained"].where(free, False).any())
    seen = made(refs, n=2000, extra=0.5)
    seen["valid"][3:, :] = False
    fit = pk.stxm.fit_references(seen, refs, energy_offset=0.0)
    assert bool(fit["unexplained"][:3].any())
    assert not bool(fit["unexplained"][3:].any())


def test_lazy_blocks_give_the_same_flags_and_they_survive_a_file(tmp_path):
    refs = references().isel(reference=[0, 3])
    data = made(refs, n=3000, extra=0.05)
    fit = pk.stxm.fit_references(data, refs, energy_offset=0.0)
    lazy = pk.stxm.fit_references(data.chunk({"scan_y": 7, "energy": 4}), refs, energy_offset=0.0)
    np.testing.assert_array_equal(lazy["unexplained"], fit["unexplained"])
    back = pk.io.load(pk.io.save(fit, tmp_path / "fit.nc"))
    xr.testing.assert_equal(back["unexplained"].load(), fit["unexplained"])
    assert fit["unexplained"].attrs["long_name"] == "the residual exceeds what noise leaves"
