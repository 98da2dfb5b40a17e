r"""Linear models of a pixel, and how well a choice of energies determines them (optimal design of experiments).

The information matrix of the energies e with model columns X and weights :math:`w = 1/\sigma^2` is

.. math:: M = \sum_e w_e \, x_e x_e^T.

Its inverse V is the covariance of the weighted fit, which reaches the Cramer-Rao bound for Gaussian noise.

References
----------
Pukelsheim, Optimal Design of Experiments (2006), chapters 4 and 6.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..reference_spectra.library import Library

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Nodes [eV] and weights of a normal error of 0.17 eV of the energy scale (three-point Gauss-Hermite rule).
UNCERTAIN_SCALE = ((-0.3, 1 / 6), (0.0, 2 / 3), (0.3, 1 / 6))
KNOWN_SCALE = ((0.0, 1.0),)
#: Mean of g g^T over the share f, see make_target_matrix.
_SHARE_TARGET = np.array([[1 / 3, -1 / 6], [-1 / 6, 1 / 3]])


class DesignModels(NamedTuple):
    """Models of a pixel over the same candidate energies; a choice is judged by their weighted mean."""

    columns: Array  # (model, energy, term): amounts first, then the constant and the slope
    weights: Array  # (model, energy): as the fit weighs the energies
    variance: Array  # (model, energy): of the noise
    misfit: Array  # (component, energy): what the models leave out, one standard deviation each
    model_weights: Array  # (model,): weights that sum to one
    n_amounts: int
    by_determinant: bool
    weighted_by_noise: bool


class PixelBackground(NamedTuple):
    """Parts of a pixel's spectrum besides the references."""

    slope: bool = False  # fitted
    misfit: Array | None = None  # (component, energy), of unit variance: not fitted, so it passes for amounts
    weighted: bool = True  # the fit weighs every energy by its noise, not all alike


def build_designs(
    library: Library,
    energies: Array,
    scale: tuple[tuple[float, float], ...],
    *,
    background: PixelBackground,
    criterion: str,
    peak_od: float,
    variance: Array | None = None,
) -> DesignModels:
    """Build the models for every node of the energy scale.

    There is one model per pair of references, or one with all references together. Spectra are scaled so that the mean
    reference peaks at ``peak_od``, and an amount of 1 is a typical pixel. ``variance`` (energy,) is that of the noise.
    None takes that of counted photons, exp(OD), in units of its value at OD = 0.
    """
    unit = peak_od / find_peak_absorption(library, energies)
    n = len(library.names)
    # Shares are needed in mixtures of two, amounts in a fit of all references.
    groups = [tuple(range(n))] if criterion == "amounts" or n == 1 else list(combinations(range(n), 2))
    columns, noise, model_weights = [], [], []
    # An uncertain energy scale is averaged over its quadrature nodes.
    for offset, weight in scale:
        spectra = library.at(energies + offset) * unit
        for group in groups:
            inside = spectra[list(group)]
            columns.append(_make_columns(inside, energies, background.slope))
            noise.append(np.exp(inside.mean(axis=0)) if variance is None else variance)
            model_weights.append(weight / len(groups))
    # No component stands for a specimen that the references describe exactly.
    misfit = np.zeros((0, energies.size)) if background.misfit is None else background.misfit
    # A fit without weights has a larger covariance than the Cramer-Rao bound; the scatter accounts for it.
    weights = 1 / np.array(noise) if background.weighted else np.ones((len(noise), energies.size))
    return DesignModels(
        np.array(columns),
        weights,
        np.array(noise),
        misfit,
        np.array(model_weights),
        len(groups[0]),
        by_determinant=criterion == "amounts",
        weighted_by_noise=background.weighted,
    )


def find_peak_absorption(library: Library, energies: Array) -> float:
    """Find the largest absorption of the mean reference."""
    return float(np.abs(library.at(energies).mean(axis=0)).max())


def _make_columns(spectra: Array, energies: Array, slope: bool) -> Array:
    """Make the model columns (energy, term): references, the constant, the slope."""
    rows = [*spectra, np.ones(energies.size)]
    if slope:
        rows.append((energies - energies.mean()) / max(float(np.ptp(energies)), 1e-9))
    return np.stack(rows, axis=1)


def make_target_matrix(designs: DesignModels) -> Array:
    r"""Make the matrix T (term, term) for which trace(T V) is the variance to minimise.

    For two references this is the variance of the share :math:`f = a_1 / (a_1 + a_2)`. The pixel has the amounts
    :math:`(f, 1 - f)`, and the mean over f in 0..1 is

    .. math:: \mathrm{var}(f) = g^T V g, \quad g = (1 - f, -f), \quad
        T = \int_0^1 g g^T df = \begin{pmatrix} 1/3 & -1/6 \\ -1/6 & 1/3 \end{pmatrix}.

    For one reference it is the variance of its amount.
    """
    n_terms, n = designs.columns.shape[-1], designs.n_amounts
    target = np.zeros((n_terms, n_terms))
    target[:n, :n] = _SHARE_TARGET if n == 2 else np.eye(n)
    return target


def compute_information_matrices(designs: DesignModels, chosen: Index) -> Array:
    """Compute the information matrices M (model, term, term) of the chosen energies.

    A relative ridge of 1e-10 keeps them invertible when the energies are fewer than the terms.
    """
    x, w = designs.columns[:, chosen], designs.weights[:, chosen]
    information = np.einsum("me,mei,mej->mij", w, x, x)
    ridge = 1e-10 * np.trace(information, axis1=1, axis2=2)
    return np.asarray(information + ridge[:, None, None] * np.eye(x.shape[-1]))


def _compute_scatter(designs: DesignModels, chosen: Index) -> Array:
    r"""Compute S (model, term, term), for which noise and misfit give the fitted terms the covariance V S V.

    .. math:: S = X^T W \Sigma W X + (X^T W M^T)(X^T W M^T)^T

    with weights W, noise variance :math:`\Sigma` and misfit components M. Without misfit and with :math:`W =
    \Sigma^{-1}`, S is the information itself. Then V S V = V.
    """
    x, w = designs.columns[:, chosen], designs.weights[:, chosen]
    noise = np.einsum("me,mei,mej->mij", w**2 * designs.variance[:, chosen], x, x)
    alias = _compute_alias(designs, chosen)
    return np.asarray(noise + alias @ alias.swapaxes(1, 2))


def _compute_alias(designs: DesignModels, chosen: Index) -> Array:
    """Compute the alias matrices X' W M (model, term, component); a misfit m biases the terms by V X' W m."""
    x, w = designs.columns[:, chosen], designs.weights[:, chosen]
    return np.asarray(np.einsum("me,mei,ce->mic", w, x, designs.misfit[:, chosen]))


def compute_score(designs: DesignModels, chosen: Index) -> float:
    r"""Compute the criterion of a choice of energies; smaller is better.

    It is the mean over the models of

    .. math:: \ln \det V_{aa} \quad \text{(D-optimal for the amounts } a\text{)} \quad \text{or} \quad
        \mathrm{trace}(T V S V) \quad \text{(A-optimal for shares)}.
    """
    covariance: Array = np.linalg.inv(compute_information_matrices(designs, chosen)).astype(np.float64)
    if designs.by_determinant:
        n = designs.n_amounts
        values = np.linalg.slogdet(covariance[:, :n, :n])[1]
    else:
        values = _compute_squared_error(covariance, _compute_scatter(designs, chosen), make_target_matrix(designs))
    return float(designs.model_weights @ values)


def _compute_squared_error(covariance: Array, scatter: Array, target: Array) -> Array:
    """Compute trace(T V S V) of stacks of matrices."""
    return np.asarray(((covariance @ target @ covariance) * scatter).sum(axis=(-2, -1)))


def compute_exchange_scores(designs: DesignModels, kept: Index, candidates: Index) -> Array:
    r"""Compute the scores of ``kept`` and one candidate each, by rank-one updates.

    With :math:`V_0` of the kept energies the candidate x of weight w gives (Sherman, Morrison)

    .. math:: V = V_0 - \frac{V_0 x x^T V_0}{1/w + x^T V_0 x}.

    Scores by determinant are correct up to a common constant.
    """
    information = compute_information_matrices(designs, kept)
    covariance = np.linalg.inv(information)
    x, w = designs.columns[:, candidates], designs.weights[:, candidates]
    # x V for every candidate at once: the exchange spends its time here.
    projected = x @ covariance
    added = 1 / w + (projected * x).sum(axis=-1)
    if designs.by_determinant:
        n = designs.n_amounts
        # det V_aa = det M_bb / det M with the background terms b; a candidate multiplies each by one factor.
        nuisance = np.linalg.inv(information[:, n:, n:])
        rest = 1 / w + ((x[..., n:] @ nuisance) * x[..., n:]).sum(axis=-1)
        return np.asarray(designs.model_weights @ np.log(rest / added))
    target = make_target_matrix(designs)
    if designs.weighted_by_noise and len(designs.misfit) == 0:  # V S V = V, five times as fast as what follows
        reduction = ((projected @ target) * projected).sum(axis=-1) / added
        return np.asarray(designs.model_weights @ (np.einsum("ij,mji->m", target, covariance)[:, None] - reduction))
    # In the general case noise and misfit of every candidate are added to the scatter of the kept energies.
    covariance = covariance[:, None] - projected[..., :, None] * projected[..., None, :] / added[..., None, None]
    weighted_columns = w[..., None] * x
    alias = (
        _compute_alias(designs, kept)[:, None] + weighted_columns[..., None] * designs.misfit[:, candidates].T[:, None]
    )
    noise = _compute_scatter(designs._replace(misfit=designs.misfit[:0]), kept)[:, None] + (
        designs.variance[:, candidates, None, None] * weighted_columns[..., :, None] * weighted_columns[..., None, :]
    )
    return np.asarray(
        designs.model_weights @ _compute_squared_error(covariance, noise + alias @ alias.swapaxes(-1, -2), target)
    )
