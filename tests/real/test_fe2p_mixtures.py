"""The maps of the measured Fe 2p stack against an independent fit: right phases, right fractions, no half-toning."""

import numpy as np
import pytest

import phasekit as pk
from benchmarks.stxm.measured import (
    find_folder,
    fit_nnls,
    open_measured,
    plan_energies,
    score_measured,
    select_rich,
)

FOLDER = find_folder()
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*do not decide the energy offset"),  # four energies; the map says so
    pytest.mark.skipif(not FOLDER.is_dir(), reason="PHASEKIT_REAL_DATA does not hold stxm/als_fe2p_71214078"),
]
NUMBERS = (4, 6, 10, 30, 60, 123)
#: A fall of a score is one when it exceeds this many standard errors of the difference.
ERRORS = 3.0


@pytest.fixture(scope="module")
def scores():
    """Scores in the iron-rich pixels by number of energies: planned ones, and all 123."""
    measured = open_measured(FOLDER)
    energy = measured.od["energy"].values
    offset = float(pk.stxm.label_phases(measured.od, None, measured.refs)["energy_offset"])
    full = fit_nnls(measured, energy, offset)
    rich = select_rich(full, (measured.od["valid"] & ~measured.od["empty"]).values)
    plans = {n: energy if n == energy.size else plan_energies(measured, n) for n in NUMBERS}
    return {n: score_measured(measured, plan, full, {"rich": rich})["rich"] for n, plan in plans.items()}


def share_error(share: float, n: int) -> float:
    """Standard error of a share; one more pixel of either outcome, so that it is never zero."""
    padded = (share * n + 1) / (n + 2)
    return float(np.sqrt(padded * (1 - padded) / n))


@pytest.mark.parametrize("n", [123, 10, 6])
def test_the_phase_is_that_of_the_larger_fraction(scores, n):
    assert scores[n]["agrees_all"] >= 0.97


@pytest.mark.parametrize("n", [123, 10, 6])
def test_the_fraction_is_that_of_the_independent_fit(scores, n):
    """0.99 with all energies; with fewer as good as the fit itself with these, within the error of a correlation."""
    one = scores[n]
    wanted = min(0.99, one["noise_correlation"])
    assert one["correlation_all"] >= wanted - ERRORS * (1 - wanted**2) / np.sqrt(one["pixels"])


@pytest.mark.parametrize("n", [123, 10, 6])
def test_hardly_a_pixel_stands_alone(scores, n):
    assert scores[n]["lone"] <= 0.01


@pytest.mark.parametrize("n", [123, 10, 6])
def test_most_pixels_are_explained(scores, n):
    assert scores[n]["ok_or_transition"] >= 0.70


@pytest.mark.parametrize("name", ["agrees_all", "lone", "correlation_all"])
def test_more_energies_never_hurt(scores, name):
    falls = []
    for index, n in enumerate(NUMBERS):
        for fewer in NUMBERS[:index]:
            there, here, pixels = scores[fewer][name], scores[n][name], scores[n]["pixels"]
            if name == "correlation_all":
                error = (1 - min(there, here) ** 2) / np.sqrt(pixels)
            else:
                error = np.hypot(share_error(there, pixels), share_error(here, pixels))
            fall = here - there if name == "lone" else there - here
            if fall > ERRORS * error:
                falls.append(f"{fewer} energies {there:.3f}, {n} energies {here:.3f}")
    assert not falls, f"{name} is worse with more energies: {'; '.join(falls)}"
