"""Errors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..reference_spectra.library import Library
from .design import (
    KNOWN_SCALE,
    PixelBackground,
    build_designs,
    compute_information_matrices,
    compute_score,
    find_peak_absorption,
)
from .separation import compute_confusion

Array = NDArray[np.float64]


class PixelModel(NamedTuple):
    """A pixel to be forecast: its thickness (OD where the references peak), background, and how it is fitted."""

    peak_od: float
    background_od: float
    counting: bool
    slope: bool


class PredictedErrors(NamedTuple):
    """Results for one choice of energies and one dose."""

    rate: Array
    pair: Array
    amount: Array
    share: float


def compute_errors(library: Library, energies: Array, pixel: PixelModel, photons: float, seed: int) -> PredictedErrors:
    unit = pixel.peak_od / find_peak_absorption(library, library.energies)
    spectra = library.at(energies) * unit
    variance = _compute_variance(spectra, pixel, photons)
    nuisances = [np.ones(energies.size)] + ([energies - energies.mean()] if pixel.slope else [])
    confusion = compute_confusion(spectra, variance, np.array(nuisances), np.random.default_rng(seed))
    return PredictedErrors(
        confusion.rate, confusion.pair, *_compute_linear_errors(library, energies, pixel, photons, unit)
    )


def _compute_variance(spectra: Array, pixel: PixelModel, photons: float) -> Array:
    """Noise variance of counted photons for pixels of these spectra (.., energy)."""
    density = spectra + pixel.background_od
    if not pixel.counting:
        density = np.broadcast_to(density.mean(axis=-1, keepdims=True), density.shape)
    return np.asarray(np.exp(density) / photons)


def _compute_linear_errors(
    library: Library, energies: Array, pixel: PixelModel, photons: float, unit: float
) -> tuple[Array, float]:
    """Standard errors of all amounts fitted together, and of the share in a mixture of two."""
    n = len(library.names)
    spectra = library.at(energies) * unit
    mixed = _compute_variance(spectra.mean(axis=0), pixel, photons)
    background = PixelBackground(pixel.slope)
    # at these energies the references need not reach their peak, so the thickness is set by the unit, not anew
    peak = float(np.abs(spectra.mean(axis=0)).max())
    together, pairs = (
        build_designs(library, energies, KNOWN_SCALE, background=background, criterion=c, peak_od=peak, variance=mixed)
        for c in ("amounts", "shares")
    )
    everything = np.arange(energies.size)
    amount = np.full(n, np.nan)
    if energies.size >= n + 1 + pixel.slope:
        covariance = np.linalg.inv(compute_information_matrices(together, everything))[0]
        amount = unit * np.sqrt(np.diag(covariance)[:n])
    share = float(np.sqrt(compute_score(pairs, everything))) if n > 1 else np.nan
    return amount, share
