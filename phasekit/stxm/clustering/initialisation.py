"""Initial model of the GMVAE: principal components of normalised spectra and a Gaussian mixture of their scores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..preprocessing.stray_light import correct_stray_light

Array = NDArray[np.floating]


class InitialModel(NamedTuple):
    """Initial model: a linear decoder from principal components and a Gaussian mixture of the scores.

    ``scale`` is the OD that counts as 1. ``shape_mean`` (energy,), ``basis`` and ``project`` (latent, energy) are the
    decoder and its inverse. ``mean``, ``variance`` (cluster, latent) and ``weight`` (cluster,) are the mixture.
    ``precision`` (latent,) is that of the encoder at unit signal-to-noise ratio.
    """

    scale: float  # optical density that counts as 1
    shape_mean: Array
    basis: Array
    project: Array
    mean: Array
    variance: Array
    weight: Array
    precision: Array


def fit_initial_model(spectra: Array, noise: Array, n_clusters: int, n_latent: int, seed: int) -> InitialModel:
    """Fit the linear decoder and the mixture of its scores to the pixels with the better signal-to-noise ratio.

    Everything is in units of ``scale``, the typical edge of the field, which suits single precision.
    """
    from sklearn.mixture import GaussianMixture

    scale = float(np.median(spectra.std(axis=1))) or 1.0
    spectra, noise = spectra / scale, noise / scale
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    mean = centred.mean(axis=0)
    # Amplitude of the mean edge, the thickness as far as one shape can tell it.
    amplitude = centred @ mean / (mean @ mean)
    # A filled value has a thousand times the noise and no part in the mean.
    measured = noise < 100 * noise.min(axis=1, keepdims=True)
    snr = amplitude / np.sqrt((noise**2 * measured).sum(axis=1) / measured.sum(axis=1))
    # Noise of thin pixels would grow when they are divided by their amplitude.
    good = np.flatnonzero(snr >= np.median(snr))[:8000]
    normalised = centred[good] / amplitude[good, None]
    _, singular, rows = np.linalg.svd(normalised - mean, full_matrices=False)
    deviation = np.maximum(singular[:n_latent] / np.sqrt(good.size), 1e-6)
    # Rows scaled by the standard deviation of their scores give latents of unit variance.
    basis = deviation[:, None] * rows[:n_latent]
    project = rows[:n_latent] / deviation[:, None]
    scores = (normalised - mean) @ project.T
    mixture = GaussianMixture(
        n_clusters,
        covariance_type="diag",
        n_init=3,
        init_params="k-means++",
        reg_covar=1e-3,
        random_state=seed,
        max_iter=300,
    )
    with ignore_convergence_warnings():
        mixture.fit(scores)
    # The noise widens the scores; its variance is not part of the cluster's own.
    noise_variance = 1.0 / (np.median(snr[good]) ** 2 * deviation**2)
    # At least a tenth is kept, because the noise variance is an average over pixels.
    variance = np.maximum(mixture.covariances_ - noise_variance, 0.1 * mixture.covariances_)
    return InitialModel(scale, mean, basis, project, mixture.means_, variance, mixture.weights_, deviation**2)


def estimate_stray_fraction(spectra: Array, noise: Array, n_latent: int) -> float:
    r"""Estimate the stray light with which the spectra are most nearly a constant and ``n_latent + 1`` shapes.

    Stray light changes the shape of thick spectra, so that more shapes are needed. Minimised over the fraction f is

    .. math:: \chi^2(f) + (f / 0.05)^2

    with a Gaussian prior of width 0.05. Thin or noisy stacks contain no information and stay near 0. ``spectra`` and
    ``noise`` must be means of blocks (block, energy). The noise of single pixels, after the logarithm, would look like
    stray light.
    """
    n_shapes = n_latent + 1
    if len(spectra) <= 2 * n_shapes or spectra.shape[1] < n_shapes + 3:
        return 0.0
    # Four standard deviations of the prior; beyond, the prior decides.
    grid = np.linspace(0.0, 0.2, 11)
    cost = np.array(
        [_compute_shape_chi_square(*correct_stray_light(spectra, noise, f), n_shapes) + (f / 0.05) ** 2 for f in grid]
    )
    best = int(np.argmin(cost))
    # A minimum at the end of the grid has no neighbours for a parabola.
    if best in (0, grid.size - 1):
        return float(grid[best])
    curve, linear, _ = np.polyfit(grid[best - 1 : best + 2] - grid[best], cost[best - 1 : best + 2], 2)
    return float(grid[best] - linear / (2 * curve))


def _compute_shape_chi_square(x: Array, noise: Array, n_shapes: int) -> float:
    """Compute chi-square of spectra (pixel, energy) fitted with a constant and their first principal shapes."""
    centred = (x - x.mean(axis=1, keepdims=True)) / noise.mean(axis=1, keepdims=True)
    shapes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :n_shapes].T
    terms = np.vstack([np.ones(x.shape[1]), shapes])
    weight = noise**-2.0
    normal = np.einsum("ne,ie,je->nij", weight, terms, terms, optimize=True)
    amounts = np.linalg.solve(normal, ((weight * x) @ terms.T)[..., None])[..., 0]
    return float((((x - amounts @ terms) / noise) ** 2).sum())


@contextmanager
def ignore_convergence_warnings() -> Iterator[None]:
    """Ignore the warning that a mixture has not converged: an initial model need not."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
