"""Error model of a planned scan: noise of a pixel, confusion of phases, errors of amounts and shares."""

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
    """Pixel to predict: thickness as OD at the references' peak, background OD, kind of noise, slope fitted or not."""

    peak_od: float
    background_od: float
    counting: bool
    slope: bool


class PredictedErrors(NamedTuple):
    """Errors for one choice of energies and one dose: rate (reference,), pair (reference, reference), amount, share."""

    rate: Array
    pair: Array
    amount: Array
    share: float


def compute_errors(library: Library, energies: Array, pixel: PixelModel, photons: float, seed: int) -> PredictedErrors:
    """Compute all errors of one choice of energies [eV] at ``photons`` counts per pixel and energy."""
    # The thickness is set on the whole spectrum, so that all choices of energies see the same pixel.
    unit = pixel.peak_od / find_peak_absorption(library, library.energies)
    spectra = library.at(energies) * unit
    variance = _compute_variance(spectra, pixel, photons)
    nuisances = [np.ones(energies.size)] + ([energies - energies.mean()] if pixel.slope else [])
    # A constant is always fitted, because I0 from another field leaves one.
    confusion = compute_confusion(spectra, variance, np.array(nuisances), np.random.default_rng(seed))
    return PredictedErrors(
        confusion.rate, confusion.pair, *_compute_linear_errors(library, energies, pixel, photons, unit)
    )


def _compute_variance(spectra: Array, pixel: PixelModel, photons: float) -> Array:
    """Compute the noise variance of OD for pixels of these spectra (.., energy).

    With :math:`I_0` counts without specimen and background :math:`D_b` it is :math:`e^{D + D_b} / I_0`, by Gaussian
    error propagation of Poisson counts.
    """
    density = spectra + pixel.background_od
    if not pixel.counting:
        density = np.broadcast_to(density.mean(axis=-1, keepdims=True), density.shape)
    return np.asarray(np.exp(density) / photons)


def _compute_linear_errors(
    library: Library, energies: Array, pixel: PixelModel, photons: float, unit: float
) -> tuple[Array, float]:
    """Compute standard errors of all amounts fitted together, and of the share in a mixture of two.

    They are the square roots of the diagonal of the inverse information matrix, the Cramer-Rao bound.
    """
    n = len(library.names)
    spectra = library.at(energies) * unit
    # One noise for all mixtures: that of the mean reference.
    mixed = _compute_variance(spectra.mean(axis=0), pixel, photons)
    background = PixelBackground(pixel.slope)
    # The references need not reach their peak at these energies, so the thickness follows from the unit.
    peak = float(np.abs(spectra.mean(axis=0)).max())
    together, pairs = (
        build_designs(library, energies, KNOWN_SCALE, background=background, criterion=c, peak_od=peak, variance=mixed)
        for c in ("amounts", "shares")
    )
    everything = np.arange(energies.size)
    amount = np.full(n, np.nan)
    # With fewer energies than terms the amounts are undetermined.
    if energies.size >= n + 1 + pixel.slope:
        covariance = np.linalg.inv(compute_information_matrices(together, everything))[0]
        amount = unit * np.sqrt(np.diag(covariance)[:n])
    share = float(np.sqrt(compute_score(pairs, everything))) if n > 1 else np.nan
    return amount, share
