"""Unknown and transition phases are told from what noise, blur or wrong frames make look strange."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import StxmStatus
from phasekit.stxm.phase_map.unknown_phases import (
    compute_misfit_probability,
    estimate_usual_misfit,
    weight_surrounded_pixels,
)
from tests.stxm.field import ENERGIES, field, references


def _chain(stack, refs, **settings):
    od = pk.stxm.optical_density(stack)
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=6, seed=1, progress=False, training=pk.stxm.Training(n_steps=150))
    return pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), refs, **settings)


@pytest.fixture(scope="module")
def stack():
    return field(photons=500, offset=0.25, seed=4)


@pytest.mark.parametrize("missing", [0, 3])
def test_a_phase_without_reference_is_flagged_and_the_others_are_not(stack, missing):
    kept = [index for index in range(4) if index != missing]
    found = _chain(stack, references().isel(reference=kept))
    named = (found["phase"] >= 0).values
    unknown = (stack["truth_phase"] == missing).values & named
    known = (stack["truth_phase"] >= 0).values & named & ~unknown
    none = (found["status"] == StxmStatus.NO_REFERENCE).values
    assert none[unknown].mean() > 0.9
    assert none[known].mean() < 0.05
    assert float(found["unknown_probability"].values[unknown].mean()) > 0.85
    assert np.isnan(found["composition"].values[none]).all()
    assert float(found["energy_offset"]) == pytest.approx(0.25, abs=0.05)
    truth = np.array([*kept, 0])[found["phase"].values]
    clear = known & (found["status"] == StxmStatus.OK).values
    assert (truth == stack["truth_phase"].values)[clear].mean() > 0.97


def test_with_all_references_nothing_is_unknown(stack):
    found = _chain(stack, references())
    named = (found["phase"] >= 0).values
    assert float((found["status"] == StxmStatus.NO_REFERENCE).values[named].mean()) < 0.01
    assert float(found["unknown_probability"].max()) < 0.01


def test_without_clusters_nothing_is_looked_for(stack):
    od = pk.stxm.optical_density(stack)
    found = pk.stxm.label_phases(od, None, references())
    assert "cluster_phase" not in found
    assert float(found["unknown_probability"].max()) == 0.0
    both = ((stack["truth_phase"] >= 0) & (found["phase"] >= 0)).values
    assert (found["phase"] == stack["truth_phase"]).values[both].mean() > 0.85


def _two_phases(width, *, photons, seed, mixed=0):
    """Two phases side by side behind a Gaussian probe; between them ``mixed`` columns that are half of each."""
    rng = np.random.default_rng(seed)
    at = references()["reference_spectrum"].interp(energy=ENERGIES).values[[0, 1]]
    share = np.where(np.arange(60) < 30, 0.0, 1.0)
    share[30 - mixed // 2 : 30 + mixed - mixed // 2] = 0.5
    depth = 0.3 * np.ones((40, 60, 1))
    transmission = np.exp(-depth * ((1 - share)[:, None] * at[0] + share[:, None] * at[1])[None])
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(transmission, (width / 2.355, width / 2.355, 0), mode="nearest")
    cube = -np.log(rng.poisson(photons * blurred) / photons)
    coords = {"energy": ("energy", ENERGIES, {"units": "eV"})}
    return xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), cube.transpose(2, 0, 1)),
            "noise": (("energy", "scan_y", "scan_x"), ((photons * blurred) ** -0.5).transpose(2, 0, 1)),
            "valid": (("scan_y", "scan_x"), np.ones((40, 60), bool)),
        },
        coords=coords,
    )


@pytest.mark.parametrize("photons", [400, 2500, 10_000])
@pytest.mark.parametrize("width", [1.0, 2.0, 3.0])
def test_blur_alone_makes_no_transition_phase(width, photons):
    od = _two_phases(width, photons=photons, seed=0)
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=4, progress=False, training=pk.stxm.Training(n_steps=150))
    found = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), references(), energy_offset=0.0)
    assert float((found["status"] == StxmStatus.TRANSITION).mean()) <= 0.02
    assert float((found["status"] == StxmStatus.NO_REFERENCE).mean()) <= 0.02
    ok = found["status"].values == StxmStatus.OK
    truth = np.broadcast_to(np.arange(60) >= 30, (40, 60))
    assert (found["phase"].values == truth)[ok].mean() > 0.98


def test_a_wide_transition_phase_is_one_even_where_single_pixels_cannot_tell():
    od = _two_phases(1.5, photons=1500, seed=1, mixed=12)
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=4, progress=False, training=pk.stxm.Training(n_steps=200))
    found = pk.stxm.label_phases(od, pk.stxm.assign_clusters(od, gmvae), references(), energy_offset=0.0)
    alone = pk.stxm.label_phases(od, None, references(), energy_offset=0.0)
    inside, outside = (slice(None), slice(26, 34)), (slice(None), slice(0, 20))
    transition = found["status"].values == StxmStatus.TRANSITION
    assert transition[inside].mean() > 0.9
    assert transition[outside].mean() < 0.02
    # neighbours suffice: the clusters need not tell of it
    assert (alone["status"].values == StxmStatus.TRANSITION)[inside].mean() > 0.9
    assert float(found["composition"].values[inside].mean()) == pytest.approx(2.7, abs=0.06)


def test_only_pixels_inside_a_particle_and_among_their_like_count():
    membership = np.full((9, 9, 1), np.nan)
    membership[1:8, 1:8] = 0.0
    membership[3:6, 3:6] = 1.0
    membership[1, 1] = 1.0
    weight = weight_surrounded_pixels(membership)[..., 0]
    assert weight[4, 4] == 1.0
    assert weight[3, 3] == 0.0  # only three of its eight neighbours belong
    membership[1:8, 1:8] = 1.0
    weight = weight_surrounded_pixels(membership)[..., 0]
    assert (weight[2:7, 2:7] == 1.0).all()
    assert weight.sum() == 25  # the rim does not count


def test_references_that_are_all_a_little_wrong_are_tolerated():
    rng = np.random.default_rng(0)
    spectra = references()["reference_spectrum"].interp(energy=ENERGIES).values
    wrong = spectra * (1 + 0.1 * np.sin(ENERGIES * 1.3 + rng.uniform(0, 6, (4, 1))))
    error = np.full((4, ENERGIES.size), 0.01)
    tolerance = estimate_usual_misfit(wrong, error, np.full(4, 100.0), spectra)
    assert 0.03 < tolerance < 0.5
    assert estimate_usual_misfit(spectra, error, np.full(4, 100.0), spectra) == 0.02
    strict, mild = (compute_misfit_probability(wrong[0], error[0], spectra, value) for value in (0.02, tolerance))
    assert strict < 1e-4 < mild
