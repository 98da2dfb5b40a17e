"""Spectra at the corners of the set that non-negative mixtures span, and how many of them the data need."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..reference_spectra.non_negative import solve_non_negative
from .tile_sums import ClusterMeans

Array = NDArray[np.float64]
_MAX_EXCHANGES = 20  # rounds, of which a few suffice
_MAX_ALTERNATIONS = 50
_STOP = 1e-6  # relative change of chi-square at which the alternation ends


class MixtureModel(NamedTuple):
    """Non-negative mixtures of ``members`` (member, energy) on a free ``background`` (term, energy)."""

    members: Array
    background: Array

    def fit_spectra(self, spectra: Array, error: Array) -> tuple[Array, Array]:
        """Fit spectra (n, energy); returns the residuals (n, energy) and coefficients (n, term)."""
        design = np.vstack([self.members, self.background])
        coefficient = solve_non_negative(design, spectra, error**-2.0, len(self.members)).coefficient
        return spectra - coefficient @ design, coefficient

    def compute_contrast(self, spectra: Array) -> Array:
        """Root sum of squares (n,) of what the background cannot explain in spectra (n, energy)."""
        basis = np.linalg.qr(self.background.T)[0]
        return np.asarray(np.linalg.norm(spectra - (spectra @ basis) @ basis.T, axis=1))

    def with_members(self, more: Array) -> "MixtureModel":
        """The same model with further members behind."""
        return self._replace(members=np.concatenate([self.members, more.reshape(-1, self.members.shape[1])]))


def select_extreme_clusters(fixed: MixtureModel, means: ClusterMeans, n: int) -> NDArray[np.intp]:
    r"""Select the ``n`` clusters whose mean spectra lie farthest outside the mixtures of all others.

    The distance of a spectrum is the residual r of the best non-negative mixture, relative to its contrast c, with the
    part of the noise subtracted:

    .. math:: d^2 = \frac{\sum_e (r_e^2 - \sigma_e^2)}{c^2}

    The farthest cluster is added until there are n (successive projection). Then each is exchanged for the farthest
    from the others, until none changes.
    """
    contrast = np.maximum(fixed.compute_contrast(means.spectra), 1e-12)

    def find_farthest(model: MixtureModel) -> int:
        residual, _ = model.fit_spectra(means.spectra, means.noise)
        return int((((residual**2 - means.noise**2).sum(axis=1)) / contrast**2).argmax())

    start = fixed
    if not len(fixed.members):
        # without references the first corner is the farthest from the mean shape
        start = fixed.with_members((means.spectra / contrast[:, None]).mean(axis=0))
    chosen = [find_farthest(start)] if n else []
    while len(chosen) < n:
        chosen.append(find_farthest(fixed.with_members(means.spectra[chosen])))
    for _ in range(_MAX_EXCHANGES if n + len(fixed.members) > 1 else 0):
        before = list(chosen)
        for place in range(n):
            others = [one for index, one in enumerate(chosen) if index != place]
            chosen[place] = find_farthest(fixed.with_members(means.spectra[others]))
        if chosen == before:
            break
    return np.array(chosen, dtype=np.intp)


def refine_members(fixed: MixtureModel, start: Array, means: ClusterMeans) -> Array:
    r"""Refine the members ``start`` (member, energy) by alternating least squares, the fixed ones kept (MCR-ALS).

    Amounts and members are fitted in turn to the means, weighted by their noise:

    .. math:: \min_{A \ge 0,\, S} \sum_{ne} \frac{(x_{ne} - \sum_k A_{nk} S_{ke} - b_{ne})^2}{\sigma_{ne}^2}
    """
    n_fixed, n_own = len(fixed.members), len(start)
    if not n_own:
        return start
    weight, members, last = means.noise**-2.0, start.copy(), np.inf
    for _ in range(_MAX_ALTERNATIONS):
        model = fixed.with_members(members)
        residual, coefficient = model.fit_spectra(means.spectra, means.noise)
        chi_square = float((weight * residual**2).sum())
        if not chi_square < last * (1 - _STOP):
            break
        last = chi_square
        amount = coefficient[:, n_fixed : n_fixed + n_own]
        # what the members must explain, once the fixed ones and the background are taken off
        target = residual + amount @ members
        normal = np.einsum("ne,ni,nj->eij", weight, amount, amount)
        right = np.einsum("ne,ni,ne->ei", weight, amount, target)
        # the pseudo-inverse keeps a member at 0 that no spectrum holds
        members = (np.linalg.pinv(normal, hermitian=True) @ right[..., None])[..., 0].T
    return members


class MemberCounts(NamedTuple):
    """Evidence for each number of members, by the number of those that are the data's own."""

    n: NDArray[np.intp]
    misfit: Array  # root mean square residual beyond noise, relative to the contrast
    probability: Array

    @property
    def best(self) -> int:
        """Most probable number."""
        return int(self.n[self.probability.argmax()])


def compare_member_counts(models: list[MixtureModel], spectra: Array, noise: Array, n_own: list[int]) -> MemberCounts:
    r"""Compare models by the Schwarz criterion on spectra (n, energy) that are chosen by position, not by their values.

    References and the linear model are never exact, so the scale of the residuals is unknown. With N spectra,
    :math:`\nu` independent energies and :math:`\chi^2_k` of k members

    .. math:: \mathrm{BIC}_k = N \nu \ln \chi^2_k + k (N + \nu) \ln(N \nu), \quad P_k \propto e^{-\mathrm{BIC}_k / 2}

    A member has N amounts and a spectrum. Residuals of neighbouring energies are alike, so :math:`\nu` is the
    participation ratio :math:`(\mathrm{tr}\, C)^2 / \mathrm{tr}\, C^2` of their covariance C. C, and the misfit that is
    proportional to the contrast, are measured with the largest model.
    """
    contrast = models[-1].compute_contrast(spectra) / np.sqrt(spectra.shape[1])
    residual, coefficient = models[-1].fit_spectra(spectra, noise)
    floor = np.median(_compute_excess(residual, coefficient, noise, contrast))
    sigma = np.sqrt(noise**2 + max(float(floor), 0.0) * contrast[:, None] ** 2)
    covariance = (residual / sigma).T @ (residual / sigma)
    independent = float(np.trace(covariance) ** 2 / (covariance**2).sum())
    size = len(spectra) * independent
    cost, misfit = [], []
    for model in models:
        residual, coefficient = model.fit_spectra(spectra, sigma)
        penalty = len(model.members) * (len(spectra) + independent) * np.log(size)
        cost.append(size * np.log(((residual / sigma) ** 2).sum()) + penalty)
        misfit.append(np.sqrt(max(float(np.median(_compute_excess(residual, coefficient, noise, contrast))), 0.0)))
    weight = np.exp(-0.5 * (np.array(cost) - min(cost)))
    return MemberCounts(np.array(n_own, dtype=np.intp), np.array(misfit), weight / weight.sum())


def _compute_excess(residual: Array, coefficient: Array, noise: Array, contrast: Array) -> Array:
    """Mean square residual (n,) beyond noise, relative to the squared ``contrast`` (n,); amounts at 0 fit nothing."""
    freedom = np.maximum(residual.shape[1] - (coefficient != 0).sum(axis=1), 1)
    excess = (residual**2).sum(axis=1) / freedom - (noise**2).mean(axis=1)
    return np.asarray(excess / np.maximum(contrast, 1e-12) ** 2)
