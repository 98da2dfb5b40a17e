"""Where the training of the GMVAE starts: principal components of normalised spectra and a mixture on their scores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..preprocessing.stray_light import correct_stray_light

Array = NDArray[np.floating]


class InitialModel(NamedTuple):
    """Where training starts: a linear decoder from principal components, a mixture from their scores."""

    scale: float  # optical density that counts as 1
    shape_mean: Array
    basis: Array
    project: Array
    mean: Array
    variance: Array
    weight: Array
    precision: Array


def fit_initial_model(spectra: Array, noise: Array, n_clusters: int, n_latent: int, seed: int) -> InitialModel:
    """Linear model of the normalised spectra and a mixture on its scores, from the pixels with the better signal.

    Everything is in units of ``scale``, the field's typical edge, so that single precision is at its best.
    """
    from sklearn.mixture import GaussianMixture

    scale = float(np.median(spectra.std(axis=1))) or 1.0
    spectra, noise = spectra / scale, noise / scale
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    mean = centred.mean(axis=0)
    amplitude = centred @ mean / (mean @ mean)
    snr = amplitude / np.sqrt((noise**2).mean(axis=1))
    good = np.flatnonzero(snr >= np.median(snr))[:8000]
    normalised = centred[good] / amplitude[good, None]
    _, singular, rows = np.linalg.svd(normalised - mean, full_matrices=False)
    deviation = np.maximum(singular[:n_latent] / np.sqrt(good.size), 1e-6)
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
    # what the noise alone spreads the scores by is not the cluster's own width
    blur = 1.0 / (np.median(snr[good]) ** 2 * deviation**2)
    variance = np.maximum(mixture.covariances_ - blur, 0.1 * mixture.covariances_)
    return InitialModel(scale, mean, basis, project, mixture.means_, variance, mixture.weights_, deviation**2)


def estimate_stray_fraction(spectra: Array, noise: Array, n_latent: int) -> float:
    """Stray light that leaves the spectra most nearly a constant and ``n_latent + 1`` shapes of any amount.

    Stray light bends thick spectra, and bent ones need more shapes. The least chi-square over the fraction, with 0.05
    as what is expected beforehand: thin or noisy stacks tell nothing and stay near 0. Give means of blocks: the noise
    of single pixels is itself bent, and would look like stray light.
    """
    n_shapes = n_latent + 1
    if len(spectra) <= 2 * n_shapes or spectra.shape[1] < n_shapes + 3:
        return 0.0
    grid = np.linspace(0.0, 0.2, 11)
    cost = np.array(
        [_compute_shape_chi_square(*correct_stray_light(spectra, noise, f), n_shapes) + (f / 0.05) ** 2 for f in grid]
    )
    best = int(np.argmin(cost))
    if best in (0, grid.size - 1):
        return float(grid[best])
    curve, linear, _ = np.polyfit(grid[best - 1 : best + 2] - grid[best], cost[best - 1 : best + 2], 2)
    return float(grid[best] - linear / (2 * curve))


def _compute_shape_chi_square(x: Array, noise: Array, n_shapes: int) -> float:
    """Chi-square of spectra (pixel, energy) fitted with a constant and their first principal shapes."""
    centred = (x - x.mean(axis=1, keepdims=True)) / noise.mean(axis=1, keepdims=True)
    shapes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :n_shapes].T
    terms = np.vstack([np.ones(x.shape[1]), shapes])
    weight = noise**-2.0
    normal = np.einsum("ne,ie,je->nij", weight, terms, terms, optimize=True)
    amounts = np.linalg.solve(normal, ((weight * x) @ terms.T)[..., None])[..., 0]
    return float((((x - amounts @ terms) / noise) ** 2).sum())


@contextmanager
def ignore_convergence_warnings() -> Iterator[None]:
    """A start need not have converged."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
