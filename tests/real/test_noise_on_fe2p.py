"""Noise measured on the Fe 2p stack, whose frames were interpolated before, against neighbouring energies."""

import numpy as np
import pytest

import phasekit as pk

from .fe2p import FOLDER, MARKS

pytestmark = MARKS


def _scatter_over_noise(od, low, high, use):
    """Spread of the second differences along energy, in units of the one that the stated noise gives."""
    density, noise = od["optical_density"].values[:, use], od["noise"].values[:, use]
    second = density[:-2] - 2 * density[1:-1] + density[2:]
    expected = np.sqrt(noise[:-2] ** 2 + 4 * noise[1:-1] ** 2 + noise[2:] ** 2)
    inside = (od["energy"].values[1:-1] >= low) & (od["energy"].values[1:-1] < high)
    return 1.4826 * np.median(np.abs(second / expected)[inside])


@pytest.mark.parametrize(("low", "high"), [(700, 704), (704, 707), (712, 719), (719, 724), (724, 731)])
def test_noise_is_the_scatter_between_energies_where_the_spectrum_is_smooth(od, low, high):
    """Vacuum 1.01 to 1.03, material 1.04 to 1.07; with the differences of neighbours 1.05 to 1.63 and 1.16 to 1.84."""
    assert _scatter_over_noise(od, low, high, (od["valid"] & od["empty"]).values) == pytest.approx(1, abs=0.06)
    assert _scatter_over_noise(od, low, high, (od["valid"] & ~od["empty"]).values) == pytest.approx(1, abs=0.12)


def test_neighbours_understate_the_noise_of_this_stack(od):
    assert od["noise_source"].attrs["flag_meanings"].split()[int(od["noise_source"])] == "low_rank"
    assert float(od["noise_correlation"]) > 0.2
    estimate = od["noise_estimate"]
    assert float(estimate.sel(estimator="neighbours")) < 0.92 * float(estimate.sel(estimator="low_rank"))
    assert float(estimate.sel(estimator="low_rank")) == pytest.approx(
        float(estimate.sel(estimator="energies")), rel=0.06
    )
    assert 0.04 < float(od["position_noise"]) < 0.12


@pytest.mark.parametrize("n", [4, 10, 40])
def test_few_energies_tell_the_same_noise(od, n):
    """The gains of all energies, at those of the few: the standard deviations agree within 12 %."""
    stack = pk.io.open_stxm(FOLDER / "71214078.hdr")
    chosen = np.linspace(0, stack.sizes["energy"] - 1, n).astype(int)
    few = pk.stxm.estimate_noise(stack.isel(energy=chosen))
    ratio = float(few["gain"].mean() / od["gain"].isel(energy=chosen).mean())
    assert np.sqrt(ratio) == pytest.approx(1, abs=0.12)
