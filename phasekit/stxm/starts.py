"""Where the training of the GMVAE starts: principal components of normalised spectra and a mixture on their scores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class _Start(NamedTuple):
    """Where training starts: a linear decoder from principal components, a mixture from their scores."""

    shape_mean: Array
    basis: Array
    project: Array
    mean: Array
    variance: Array
    weight: Array
    precision: Array


def _start(spectra: Array, noise: Array, n_clusters: int, n_latent: int, seed: int) -> _Start:
    """Linear model of the normalised spectra and a mixture on its scores, from the pixels with the better signal."""
    from sklearn.mixture import GaussianMixture

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
    with _quiet():
        mixture.fit(scores)
    # what the noise alone spreads the scores by is not the cluster's own width
    blur = 1.0 / (np.median(snr[good]) ** 2 * deviation**2)
    variance = np.maximum(mixture.covariances_ - blur, 0.1 * mixture.covariances_)
    return _Start(mean, basis, project, mixture.means_, variance, mixture.weights_, deviation**2)


@contextmanager
def _quiet() -> Iterator[None]:
    """A start need not have converged."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
