"""Reference spectra at the energies of the data, and mean spectra of blocks of pixels to compare them with."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError

Array = NDArray[np.float64]
_MOST_BLOCKS = 1500
#: largest energy offset that is looked for [eV]; calibrations of beamlines differ by 1 to 3
MAX_OFFSET_EV = 5.0


class Library(NamedTuple):
    """Reference spectra as measured.

    ``names``, ``energies`` (n,) [eV], ``values`` (reference, n), and ``composition`` (reference,) or NaN.
    """

    names: list[str]
    energies: Array
    values: Array
    composition: Array

    @property
    def slack(self) -> float:
        """Half a step of the references [eV]: so far beyond their ends the spectra count as constant."""
        return float(0.5 * (self.energies[-1] - self.energies[0]) / (self.energies.size - 1))

    def covers(self, energies: Array) -> NDArray[np.bool_]:
        """Say which ``energies`` [eV] lie within the references, or less than half a step outside."""
        inside = (energies >= self.energies[0] - self.slack) & (energies <= self.energies[-1] + self.slack)
        return np.asarray(inside)

    def at(self, energies: Array) -> Array:
        """Interpolate the spectra to ``energies`` [eV] by monotone cubic splines, constant beyond the ends."""
        from scipy.interpolate import PchipInterpolator

        inside = np.clip(energies, self.energies[0], self.energies[-1])
        # Monotone pieces do not overshoot at sharp lines, as cubic splines do.
        return PchipInterpolator(self.energies, self.values, axis=1)(inside)

    @property
    def unit(self) -> float:
        """Power of two nearest to the largest contrast, by which sums are freed from the unit of the references."""
        contrast = float(np.ptp(self.values, axis=1).max())
        return float(2.0 ** np.round(np.log2(contrast))) if contrast > 0 else 1.0

    def in_units_of(self, unit: float) -> "Library":
        """Return the library with spectra divided by ``unit``; amounts are then larger by as much."""
        return self._replace(values=self.values / unit)


def build_library(
    refs: xr.Dataset,
    energies: xr.DataArray,
    *,
    step: str,
    n_nuisance: int = 2,
    energy_offset: float | str | None = None,
    limit: float = MAX_OFFSET_EV,
) -> Library:
    """Build the library for ``energies``; refuse references that do not cover them or are too many to tell apart.

    Where there is an ``energy_offset``, a number or "fit", references may end inside the data by as much as ``limit``.
    A fit and the number that it found are treated alike.
    """
    allowed = 0.0 if energy_offset is None else limit
    if isinstance(energy_offset, int | float):
        allowed = max(limit, abs(energy_offset))
    names = [str(name) for name in refs["reference"].values] if "reference" in refs.coords else []
    names = names or [str(index) for index in range(refs.sizes["reference"])]
    if "energy" not in refs.coords:
        raise SchemaError(f"{step}: the references have no energy coordinate. Open them with pk.io.open_references.")
    order = np.argsort(refs["energy"].values)
    own = refs["energy"].values[order].astype(np.float64)
    values = refs["reference_spectrum"].transpose("reference", "energy").values[:, order].astype(np.float64)
    if own.size < 2 or np.any(np.diff(own) <= 0) or not np.isfinite(values).all():
        raise SchemaError(
            f"{step}: the references repeat an energy, have fewer than 2, or hold NaN. Remove such rows from the files."
        )
    _check_coverage(own, energies, step, allowed)
    if energies.size < len(names) + n_nuisance:
        raise SchemaError(
            f"{step}: {energies.size} energies are too few to separate {len(names)} references + "
            f"{n_nuisance} background terms. "
            f"Use fewer references, .isel(reference=[...]), or measure at least {len(names) + n_nuisance} energies."
        )
    composition = (
        refs["composition"].values.astype(np.float64) if "composition" in refs else np.full(len(names), np.nan)
    )
    return Library(names, own, values, composition)


def _check_coverage(own: Array, energies: xr.DataArray, step: str, shift: float) -> None:
    """Refuse references that end more than ``shift`` and half a step before the energies of the data."""
    lowest, highest = float(energies.min()), float(energies.max())
    # Beyond the ends the spectra are constant, which holds for half a step at most.
    slack = shift + 0.5 * (own[-1] - own[0]) / (own.size - 1)
    inside = float(((energies >= own[0]) & (energies <= own[-1])).mean())
    # A shift leaves most of the energies where they can be compared.
    if lowest < own[0] - slack or highest > own[-1] + slack or (shift and inside < 0.5):
        ratio = lowest / own[0] if own[0] > 0 else 1.0
        # A factor of about 1000 is an error of unit, which gets its own message.
        if not 0.01 < ratio < 100:
            which = "references" if ratio > 1 else "data"
            raise SchemaError(
                f"{step}: the references cover {own[0]:g}..{own[-1]:g} eV, the data need {lowest:g}..{highest:g} eV: "
                f"the {which} look like keV. Multiply their energies by 1000."
            )
        raise SchemaError(
            f"{step}: the references cover {own[0]:g}..{own[-1]:g} eV, the data need {lowest:g}..{highest:g} eV. "
            f"Select the covered energies with od.sel(energy=slice({own[0]:g}, {own[-1]:g})), or use longer references."
        )


def select_covered_energies(od: xr.Dataset, library: Library, offset: float, *, step: str, n_terms: int) -> xr.Dataset:
    """Select the energies that the references cover at this offset, and refuse too few; others count as missing."""
    inside = library.covers(od["energy"].values + offset)
    if inside.all():
        return od
    if inside.sum() < n_terms:
        raise SchemaError(
            f"{step}: with an energy offset of {offset:.2f} eV the references cover {inside.sum()} of {inside.size} "
            f"energies, and the fit has {n_terms} terms. Use longer references, or state energy_offset."
        )
    return od.isel(energy=np.flatnonzero(inside))


def design_matrix(
    library: Library, energies: Array, offset: float, *, baseline: bool = True, slope: bool = False
) -> Array:
    r"""Make the rows (term, energy) of the linear model of a pixel.

    These are the references at ``energies + offset``, then the constant and the slope where asked for:

    .. math:: \mathrm{OD}(E) = \sum_i a_i S_i(E + \delta) + b + s \, \frac{E - \bar E}{E_{max} - E_{min}}.
    """
    rows = [library.at(energies + offset)]
    if baseline:
        rows.append(np.ones((1, energies.size)))
    if slope:
        rows.append(((energies - energies.mean()) / max(float(np.ptp(energies)), 1e-9))[None])
    return np.concatenate(rows)


def compute_block_means(od: xr.Dataset, material: xr.DataArray, size: int = 6) -> tuple[Array, Array]:
    """Compute mean spectra (n, energy) of blocks with at least 6 pixels of material, and their standard errors.

    Blocks are chosen by position, never by the noisy spectra themselves, so averaging does not bias them. Of more than
    1500 blocks every second, third, ... is used. Shared parameters are known well enough from these. Where an energy
    has fewer than 6 finite pixels in a block, its mean is 0 and its error infinite, so its weight is 0.
    """
    blocks = {"scan_y": min(size, od.sizes["scan_y"]), "scan_x": min(size, od.sizes["scan_x"])}
    # A missing value leaves out one energy of one pixel.
    known = material & np.isfinite(od["optical_density"]) & np.isfinite(od["noise"])
    n = known.astype(float).coarsen(blocks, boundary="trim").sum()
    total = od["optical_density"].where(known, 0.0).coarsen(blocks, boundary="trim").sum()
    variance = (od["noise"].where(known, 0.0) ** 2).coarsen(blocks, boundary="trim").sum()
    order = ("scan_y", "scan_x", "energy")
    # Three sums are read instead of the stack: they are 1/36 of its size each.
    counts = np.asarray(n.transpose(*order), dtype=np.float64).reshape(-1, od.sizes["energy"])
    sums = np.asarray(total.transpose(*order), dtype=np.float64).reshape(counts.shape)
    squares = np.asarray(variance.transpose(*order), dtype=np.float64).reshape(counts.shape)
    # A mean over few pixels has skewed noise.
    usable = (counts >= 6) & (squares > 0)
    good = np.flatnonzero(usable.any(axis=1))
    good = good[:: -(-good.size // _MOST_BLOCKS) or 1]
    usable, counts = usable[good], np.maximum(counts[good], 1.0)
    return np.where(usable, sums[good] / counts, 0.0), np.where(usable, np.sqrt(squares[good]) / counts, np.inf)
