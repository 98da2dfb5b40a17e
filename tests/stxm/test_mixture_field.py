"""Mixtures in the phase map: solid solutions, rims and sharp boundaries, and the field that holds their shares."""

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.errors import StxmStatus
from phasekit.stxm.phase_map.mixture_field import fit_mixture_field, make_shares
from phasekit.stxm.phase_map.sufficient_statistics import compute_block_statistics

PAIRS = np.array([[0, 1]])


def _spectra(energy):
    """Two references of an L edge (reference, energy)."""

    def line(centre, width):
        return np.exp(-((energy - centre) ** 2) / (2 * width**2))

    step = 0.1 + 0.3 / (1 + np.exp(-(energy - 709)))
    return np.array([step + line(709.5, 1.0) + 0.4 * line(708, 0.8), step + 1.1 * line(707.7, 1.0)])


def _fit_field(share, noise):
    """Field of pixels (y, x) with a share of the second reference, at 40 energies."""
    spectra = _spectra(np.linspace(700, 725, 40))
    clean = (1 - share)[..., None] * spectra[0] + share[..., None] * spectra[1]
    x = clean + np.random.default_rng(0).normal(0, noise, clean.shape)
    material = np.ones(share.shape, bool)
    statistics = compute_block_statistics(x, np.full_like(x, noise), material, templates=spectra, n_references=2)
    return fit_mixture_field(statistics, PAIRS, np.ones(share.shape), np.ones(share.shape))


def _compute_error(noise):
    """Standard error of the share of one pixel, an even mixture with thickness and constant free."""
    spectra = _spectra(np.linspace(700, 725, 40))
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    along, total = centred[1] - centred[0], centred.mean(axis=0)
    return noise / np.sqrt(along @ along - (along @ total) ** 2 / (total @ total))


def _stack(share, noise, n_energies=40, blur=0.0):
    """OD of a field of uniform thickness with a share of the second reference, and the references."""
    energy, fine = np.linspace(700, 725, n_energies), np.arange(695, 731, 0.25)
    spectra = _spectra(energy)
    density = (1 - share) * spectra[0][:, None, None] + share * spectra[1][:, None, None]
    seen = -np.log(ndimage.gaussian_filter(np.exp(-density), (0, blur, blur))) if blur else density
    cube = seen + np.random.default_rng(0).normal(0, noise, density.shape)
    dims = ("energy", "scan_y", "scan_x")
    od = xr.Dataset(
        {
            "optical_density": (dims, cube),
            "noise": (dims, np.full(cube.shape, noise)),
            "valid": (dims[1:], np.ones(share.shape, bool)),
        },
        coords={"energy": ("energy", energy, {"units": "eV"})},
    )
    refs = xr.Dataset(
        {"reference_spectrum": (("reference", "energy"), _spectra(fine))},
        coords={"reference": ["ox", "red"], "energy": ("energy", fine, {"units": "eV"})},
    )
    return od, refs


def test_shares_are_those_of_the_pixels_where_noise_is_small():
    share = np.random.default_rng(0).uniform(0, 1, (20, 24))
    field = _fit_field(share, 0.005)
    error = field.share - share
    assert error.std() == pytest.approx(float(field.share_error.mean()), rel=0.3)
    assert error.std() == pytest.approx(_compute_error(0.005), rel=0.3)
    np.testing.assert_allclose(make_shares(field, 2).sum(axis=-1), 1.0)


def test_noisy_shares_are_averaged_where_the_field_is_smooth():
    share = np.broadcast_to(np.linspace(0.2, 0.8, 40)[:, None], (40, 40))
    field = _fit_field(share, 0.2)
    inside = (slice(6, -6), slice(None))  # at the rim a window is one-sided, which biases a slope
    scatter = (field.share - share)[inside].std()
    assert scatter < 0.5 * _compute_error(0.2)
    assert scatter == pytest.approx(float(field.share_error[inside].mean()), rel=0.5)


@pytest.mark.parametrize("n_energies", [6, 40, 123])
@pytest.mark.parametrize("share", [0.3, 0.1])
def test_a_solid_mixture_is_no_checkerboard(n_energies, share):
    od, refs = _stack(np.full((30, 30), 1 - share), 0.02, n_energies)
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    inside = found.isel(scan_y=slice(2, -2), scan_x=slice(2, -2))
    assert (inside["phase"] == 1).all()
    right = [StxmStatus.TRANSITION] if share > 0.15 else [StxmStatus.OK, StxmStatus.TRANSITION]
    assert float(inside["status"].isin(right).mean()) > 0.98
    assert float(inside["reference_fraction"].isel(reference=0).mean()) == pytest.approx(share, abs=0.02)


def test_a_wide_rim_is_a_transition_and_a_sharp_edge_is_not():
    column = np.arange(60)
    rim = np.broadcast_to(np.clip((column - 18) / 24, 0, 1), (30, 60))
    od, refs = _stack(rim, 0.02, blur=0.8)
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    mixed = (rim > 0.25) & (rim < 0.75)
    assert (found["status"] == StxmStatus.TRANSITION).values[mixed].mean() > 0.9
    assert np.abs(found["reference_fraction"].values[..., 1] - rim).mean() < 0.02
    sharp = np.broadcast_to((column >= 30).astype(float), (30, 60))
    od, refs = _stack(sharp, 0.02, blur=0.8)
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    assert (found["status"] == StxmStatus.TRANSITION).values.mean() < 0.02
    assert (found["phase"].values == sharp).mean() > 0.98


def test_a_pixel_that_lacks_energies_says_so_and_keeps_its_name():
    od, refs = _stack(np.zeros((20, 20)), 0.02, 12)
    od["optical_density"][3, 8, 8] = np.nan
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    assert int(found["phase"][8, 8]) == 0
    assert int(found["status"][8, 8]) == StxmStatus.INCOMPLETE
    assert float((found["status"] == StxmStatus.OK).mean()) == 399 / 400


def test_composition_is_that_of_the_references_that_carry_one():
    od, refs = _stack(np.broadcast_to((np.arange(20) >= 10).astype(float), (20, 20)), 0.02)
    known = refs.assign(composition=("reference", [3.0, np.nan]))
    found = pk.stxm.label_phases(od, None, known, energy_offset=0.0)["composition"].values
    np.testing.assert_allclose(found[:, :8], 3.0)
    assert np.isnan(found[:, 12:]).all()


def test_a_frame_that_was_lost_changes_little():
    od, refs = _stack(np.broadcast_to((np.arange(20) >= 10).astype(float), (20, 20)), 0.02, 12)
    whole = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    od["optical_density"][4] = np.nan
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    assert (found["phase"] == whole["phase"]).mean() > 0.99
    assert found.sizes["energy"] == 11
    assert (found["n_missing"] == 0).all()


def test_noise_that_is_not_a_number_leaves_out_its_energy():
    od, refs = _stack(np.zeros((20, 20)), 0.02, 12)
    od["noise"][2, 5, 5], od["noise"][3, 6, 6], od["noise"][4, 7, 7] = np.nan, np.inf, -1.0
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    assert (found["phase"] == 0).all()
    assert found["n_missing"].values[[5, 6, 7], [5, 6, 7]].tolist() == [1, 1, 1]


def test_incomplete_pixels_stay_so_under_other_limits():
    od, refs = _stack(np.zeros((20, 20)), 0.02, 12)
    od["optical_density"][3, :, 8] = np.nan
    found = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    strict = pk.stxm.flag_ambiguous(found, 2.5)
    assert (strict["status"] == StxmStatus.AMBIGUOUS).all()
    again = pk.stxm.flag_ambiguous(strict, 0.0)
    np.testing.assert_array_equal(again["status"], found["status"])


@pytest.mark.parametrize("shape", [(10, 10), (40, 5), (600, 5)])
def test_narrow_and_lazy_fields(shape):
    od, refs = _stack(np.zeros(shape), 0.02, 8)
    whole = pk.stxm.label_phases(od, None, refs, energy_offset=0.0)
    lazy = pk.stxm.label_phases(od.chunk({"scan_y": 7}), None, refs, energy_offset=0.0).compute()
    np.testing.assert_array_equal(lazy["phase"], whole["phase"])
