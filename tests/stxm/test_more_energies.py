"""More energies never hurt: what the map gets right does not fall from 4 to 123 energies, within its error."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import nnls

import phasekit as pk
from benchmarks.stxm.maps import find_lone_pixels, select_fraction

# four energies may not decide the energy offset, and the map says so
pytestmark = pytest.mark.filterwarnings("ignore:.*do not decide the energy offset")
NUMBERS = (4, 6, 10, 30, 60, 123)
#: A fall of the score is one when it exceeds this many standard errors of the difference.
ERRORS = 3.0
#: What the mean of intensities under the probe does to a fraction here, with the energy offset that it bends.
#: It does not fall with the number of energies, while the noise does.
SYSTEMATIC = {"agreement of the fraction": 0.02}
KINDS = ("solid solution", "sharp grains")


class Score(NamedTuple):
    """Mean of a quantity over pixels, and the standard error of that mean."""

    mean: float
    error: float


def average(values) -> Score:
    """Mean over pixels; the error counts one more pixel of either outcome, so that it is never zero."""
    padded = np.concatenate([np.asarray(values, dtype=float), [0.0, 1.0]])
    return Score(float(np.mean(values)), float(padded.std() / np.sqrt(padded.size)))


def energies_of(refs, n: int):
    if n >= 30:
        return np.linspace(700.0, 725.0, n)
    return pk.stxm.select_energies(refs.sel(energy=slice(704, 716)), n, offset_robust=n > 4).values


def fit_independently(od, refs, offset: float):
    """Fraction of the first reference by scipy's NNLS, with a constant of either sign; one pixel a row."""
    energies = od["energy"].values + offset
    columns = [np.interp(energies, refs["energy"].values, row) for row in refs["reference_spectrum"].values]
    design = np.stack([*columns, np.ones(energies.size), -np.ones(energies.size)], axis=1)
    spectra = np.nan_to_num(od["optical_density"].transpose("scan_y", "scan_x", "energy").values.astype(float))
    amounts = np.array([nnls(design, spectrum)[0][:2] for spectrum in spectra.reshape(-1, energies.size)])
    total = amounts.sum(axis=1)
    return (amounts[:, 0] / np.where(total > 0, total, 1.0)).reshape(spectra.shape[:2])


def score_map(kind: str, n: int) -> dict[str, Score]:
    """Scores of the map of one specimen; 30:70 where it is a solution, seen by a probe of two pixels."""
    refs = pk.synthetic.iron_references()
    stack = pk.synthetic.mixture_stack(
        kind,
        shape=(40, 40),
        energies=energies_of(refs, n),
        n_particles=3,
        mixing=pk.synthetic.MixtureSettings(share=(0.3, 0.3), variation=0.0),
        photons=2000,
        probe_fwhm_nm=80.0,
        frame_drift_px=0.0,
        hot_pixels=0.0,
        seed=5,
    )
    od = pk.stxm.optical_density(stack).compute()
    phases = pk.stxm.label_phases(od, None, refs).compute()
    phase, truth = phases["phase"].values, stack["truth_phase"].values
    use = (truth >= 0) & (phase >= 0) & (abs(stack["truth_fraction"].values[..., 0] - 0.5) > 0.1)
    linear = fit_independently(od, refs, float(phases["energy_offset"]))
    wrong = np.abs(select_fraction(phases)[..., 0] - stack["truth_fraction"].values[..., 0])
    return {
        "accuracy": average((phase == truth)[use]),
        "agreement with NNLS": average((phase == np.where(linear > 0.5, 0, 1))[use]),
        "pixels that are not lone": average(~find_lone_pixels(phase)[use]),
        "agreement of the fraction": average(1 - wrong[use & np.isfinite(wrong)]),
    }


@pytest.fixture(scope="module", params=KINDS)
def scores(request):
    return {n: score_map(request.param, n) for n in NUMBERS}


@pytest.mark.parametrize(
    "name", ["accuracy", "agreement with NNLS", "pixels that are not lone", "agreement of the fraction"]
)
def test_more_energies_never_hurt(scores, name):
    falls = []
    for index, n in enumerate(NUMBERS):
        here = scores[n][name]
        for fewer in NUMBERS[:index]:
            there = scores[fewer][name]
            allowed = ERRORS * np.hypot(there.error, here.error) + SYSTEMATIC.get(name, 0.0)
            if there.mean - here.mean > allowed:
                falls.append(f"{fewer} energies {there.mean:.3f}, {n} energies {here.mean:.3f}")
    assert not falls, f"{name} falls: {'; '.join(falls)}"


def test_half_toning_is_refused_at_every_number_of_energies(scores):
    """Lone pixels at most one in a hundred, beyond what chance leaves of so few pixels."""
    lone = {n: 1 - one["pixels that are not lone"].mean for n, one in scores.items()}
    error = {n: one["pixels that are not lone"].error for n, one in scores.items()}
    assert not {n: round(share, 3) for n, share in lone.items() if share > 0.01 + ERRORS * error[n]}
