"""Linear models of a pixel, and how well a choice of energies determines them."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..reference_spectra.library import Library

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Nodes [eV] and weights of a normal error of 0.17 eV of the energy scale (Gauss-Hermite rule of three points).
UNCERTAIN_SCALE = ((-0.3, 1 / 6), (0.0, 2 / 3), (0.3, 1 / 6))
KNOWN_SCALE = ((0.0, 1.0),)
#: Variance of the share f of two amounts (f, 1 - f) is g V g with g = (1 - f, -f); this is the mean of g g over f.
_SHARE_TARGET = np.array([[1 / 3, -1 / 6], [-1 / 6, 1 / 3]])


class DesignModels(NamedTuple):
    """Models of a pixel over the same candidate energies; a choice is judged by the weighted mean over them."""

    columns: Array  # (model, energy, term): amounts first, then the constant and the slope
    weights: Array  # (model, energy): as the fit weighs the energies
    variance: Array  # (model, energy): of the noise
    misfit: Array  # (component, energy): what the models leave out, one standard deviation each
    model_weights: Array  # (model,): weights that sum to one
    n_amounts: int
    by_determinant: bool
    weighted_by_noise: bool


class PixelBackground(NamedTuple):
    """What a pixel's spectrum holds beside the references."""

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
    """Models for every node of the energy scale: each pair of references, or all references together.

    Spectra are scaled so that the mean reference peaks at ``peak_od``: an amount of 1 is a typical pixel. ``variance``
    (energy,) is the noise's; None: that of counted photons, exp(OD), which is 1 where OD = 0.
    """
    unit = peak_od / find_peak_absorption(library, energies)
    n = len(library.names)
    groups = [tuple(range(n))] if criterion == "amounts" or n == 1 else list(combinations(range(n), 2))
    columns, noise, model_weights = [], [], []
    for offset, weight in scale:
        spectra = library.at(energies + offset) * unit
        for group in groups:
            inside = spectra[list(group)]
            columns.append(_make_columns(inside, energies, background.slope))
            noise.append(np.exp(inside.mean(axis=0)) if variance is None else variance)
            model_weights.append(weight / len(groups))
    misfit = np.zeros((0, energies.size)) if background.misfit is None else background.misfit
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
    """Largest absorption of the mean reference."""
    return float(np.abs(library.at(energies).mean(axis=0)).max())


def _make_columns(spectra: Array, energies: Array, slope: bool) -> Array:
    """(energy, term): references, the constant, the slope."""
    rows = [*spectra, np.ones(energies.size)]
    if slope:
        rows.append((energies - energies.mean()) / max(float(np.ptp(energies)), 1e-9))
    return np.stack(rows, axis=1)


def make_target_matrix(designs: DesignModels) -> Array:
    """Matrix T (term, term) such that trace(T V) is what is to be small: the share's variance, or the one amount's."""
    n_terms, n = designs.columns.shape[-1], designs.n_amounts
    target = np.zeros((n_terms, n_terms))
    target[:n, :n] = _SHARE_TARGET if n == 2 else np.eye(n)
    return target


def compute_information_matrices(designs: DesignModels, chosen: Index) -> Array:
    """Information matrices (model, term, term), with a hair of ridge so that too few energies do not stop it."""
    x, w = designs.columns[:, chosen], designs.weights[:, chosen]
    information = np.einsum("me,mei,mej->mij", w, x, x)
    ridge = 1e-10 * np.trace(information, axis1=1, axis2=2)
    return np.asarray(information + ridge[:, None, None] * np.eye(x.shape[-1]))


def _compute_scatter(designs: DesignModels, chosen: Index) -> Array:
    """Matrices S (model, term, term) such that noise and misfit give the fitted terms the covariance V S V.

    With weights 1 / variance and no misfit that is the information itself, and V S V = V.
    """
    x, w = designs.columns[:, chosen], designs.weights[:, chosen]
    noise = np.einsum("me,mei,mej->mij", w**2 * designs.variance[:, chosen], x, x)
    alias = _compute_alias(designs, chosen)
    return np.asarray(noise + alias @ alias.swapaxes(1, 2))


def _compute_alias(designs: DesignModels, chosen: Index) -> Array:
    """Matrices X' W M (model, term, component): a misfit m passes for V X' W m in the fitted terms."""
    x, w = designs.columns[:, chosen], designs.weights[:, chosen]
    return np.asarray(np.einsum("me,mei,ce->mic", w, x, designs.misfit[:, chosen]))


def compute_score(designs: DesignModels, chosen: Index) -> float:
    """Mean log determinant of the amounts' covariance, or mean of trace(T V S V): the less the better."""
    covariance: Array = np.linalg.inv(compute_information_matrices(designs, chosen)).astype(np.float64)
    if designs.by_determinant:
        n = designs.n_amounts
        values = np.linalg.slogdet(covariance[:, :n, :n])[1]
    else:
        values = _compute_squared_error(covariance, _compute_scatter(designs, chosen), make_target_matrix(designs))
    return float(designs.model_weights @ values)


def _compute_squared_error(covariance: Array, scatter: Array, target: Array) -> Array:
    """trace(T V S V) of stacks of matrices."""
    return np.asarray(((covariance @ target @ covariance) * scatter).sum(axis=(-2, -1)))


def compute_exchange_scores(designs: DesignModels, kept: Index, candidates: Index) -> Array:
    """Scores of ``kept`` and one candidate each, by rank-one updates; by determinant up to a common constant."""
    information = compute_information_matrices(designs, kept)
    covariance = np.linalg.inv(information)
    x, w = designs.columns[:, candidates], designs.weights[:, candidates]
    projected = x @ covariance
    added = 1 / w + (projected * x).sum(axis=-1)
    if designs.by_determinant:
        n = designs.n_amounts
        nuisance = np.linalg.inv(information[:, n:, n:])
        rest = 1 / w + ((x[..., n:] @ nuisance) * x[..., n:]).sum(axis=-1)
        return np.asarray(designs.model_weights @ np.log(rest / added))
    target = make_target_matrix(designs)
    if designs.weighted_by_noise and len(designs.misfit) == 0:  # V S V = V, five times as fast as what follows
        reduction = ((projected @ target) * projected).sum(axis=-1) / added
        return np.asarray(designs.model_weights @ (np.einsum("ij,mji->m", target, covariance)[:, None] - reduction))
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
