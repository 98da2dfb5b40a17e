"""Two spectra like those of ferric and ferrous iron at the L3 edge."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from phasekit.errors import SchemaError
from phasekit.schema import REFERENCES, describe

Array = NDArray[np.float64]
#: Absorption of the strongest line [1/um]: particles of 120 to 330 nm reach an optical density of 0.7 to 2.
_SCALE = 6.0
#: Lines of each spectrum: centre [eV], height, standard deviation [eV].
_LINES = {
    "oxidised": ((709.5, 1.0, 1.0), (708.0, 0.4, 0.8)),
    "reduced": ((707.7, 1.1, 0.9), (710.0, 0.3, 0.9)),
}


def iron_references(energies: ArrayLike | None = None) -> xr.Dataset:
    """Absorption spectra of two states that resemble oxidised and reduced iron at the L3 edge.

    Two Gaussian lines each, on a common step at 709 eV. They are simple shapes for tests, not computed spectra.

    Parameters
    ----------
    energies
        Photon energies [eV], increasing. ``None``: 695..731 in steps of 0.25.

    Returns
    -------
    xarray.Dataset
        REFERENCES: ``reference_spectrum(reference, energy)`` [1/um]; ``composition(reference)``, the oxidised share:
        1 and 0. No NaN.

    Raises
    ------
    SchemaError
        ``energies`` is empty or not increasing.

    See Also
    --------
    vanadium_references : Five states of charge, computed from multiplets.
    mixture_stack : Makes a stack of mixtures of these two.

    Examples
    --------
    >>> refs = iron_references()
    >>> refs["reference"].values.tolist(), refs.sizes["energy"]
    (['oxidised', 'reduced'], 145)
    """
    grid = np.arange(695.0, 731.1, 0.25) if energies is None else np.atleast_1d(np.asarray(energies, dtype=float))
    if not grid.size or (np.diff(grid) <= 0).any():
        raise SchemaError("iron_references: needs at least one energy, increasing. Sort them with np.unique(...).")
    step = 0.1 + 0.3 / (1 + np.exp(-(grid - 709.0)))
    spectra = _SCALE * np.stack([step + _sum_lines(grid, lines) for lines in _LINES.values()])
    refs = xr.Dataset(
        {
            "reference_spectrum": (("reference", "energy"), spectra, {"units": "1/um"}),
            "composition": ("reference", [1.0, 0.0]),
        },
        coords={"reference": list(_LINES), "energy": ("energy", grid, {"units": "eV", "long_name": "photon energy"})},
    )
    return describe(refs, REFERENCES, step="iron_references", settings={})


def _sum_lines(energy: Array, lines: tuple[tuple[float, float, float], ...]) -> Array:
    """Sum of Gaussian lines, relative to the scale."""
    total = np.zeros_like(energy)
    for centre, height, width in lines:
        total += height * np.exp(-((energy - centre) ** 2) / (2 * width**2))
    return total
