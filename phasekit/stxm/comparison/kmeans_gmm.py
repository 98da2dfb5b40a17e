"""Clusters of spectra by principal components, then k-means or a mixture of Gaussians.

The other simple methods are :func:`phasekit.stxm.match_single_phase`, :func:`phasekit.stxm.fit_references` and
:func:`phasekit.stxm.fit_mcr_als`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...correlation import pearson_coefficient
from ...errors import SchemaError
from ...schema import BASELINE, OD, REFERENCES, describe, require
from ..preprocessing.material import find_material
from ..reference_spectra.library import build_library, select_covered_energies
from ..reference_spectra.non_negative import solve_non_negative
from ..reference_spectra.systematics import find_energy_offset

Array = NDArray[np.float64]
_MAX_PIXELS = 30_000  # that clusters and mixtures are fitted to; the others are assigned
_N_STARTS = 5  # of which the best is kept


class MaterialPixels(NamedTuple):
    """Material pixels in memory, and the references on their energy scale."""

    use: NDArray[np.bool_]  # (scan_y, scan_x)
    density: Array  # (pixel, energy), NaN at energies that a pixel lacks
    spectra: Array  # (reference, energy)
    names: list[str]  # of the references
    offset: float  # of the energies [eV]

    @property
    def complete(self) -> NDArray[np.intp]:
        """Places (n,) of the pixels that have all energies."""
        return np.flatnonzero(np.isfinite(self.density).all(axis=1))

    def keep_pixels(self, keep: NDArray[np.bool_]) -> "MaterialPixels":
        """Some of the pixels (pixel,)."""
        use = self.use.copy()
        use[self.use] = keep
        return self._replace(use=use, density=self.density[keep])

    def place_on_map(self, values: NDArray[Any]) -> NDArray[np.int16]:
        """Values of the material pixels on the scan, -1 elsewhere."""
        out = np.full(self.use.shape, -1, dtype=np.int16)
        out[self.use] = values
        return out


def cluster_kmeans(
    od: xr.Dataset,
    refs: xr.Dataset,
    *,
    n_clusters: int = 8,
    n_components: int = 4,
    energy_offset: float | str = "fit",
    seed: int = 0,
) -> xr.Dataset:
    """Cluster the spectra by k-means on their principal components; name each cluster by Pearson correlation.

    Spectra are first brought to mean 0 and norm 1, so that clusters are shapes and not thicknesses.

    Parameters
    ----------
    od, refs
        OD and REFERENCES.
    n_clusters
        Number of clusters.
    n_components
        Principal components kept, at most energies - 1.
    energy_offset
        As in :func:`phasekit.stxm.fit_references`; only the names depend on it.
    seed
        Of the starts.

    Returns
    -------
    xarray.Dataset
        BASELINE:

        - ``phase`` and ``label`` (cluster), -1 without material.
        - ``spectrum(cluster, energy)``, mean OD; ``cluster_phase(cluster)``, ``cluster_pearson(cluster, reference)``.
        - ``explained(component)``, share of the variance.
        - ``energy_offset`` [eV].

        Clusters are fitted to pixels that have all energies. Others are assigned by the energies they have, at least
        ``n_components`` + 2.

    Raises
    ------
    SchemaError
        No pixel holds material, or the references do not fit the energies.

    See Also
    --------
    cluster_gaussian_mixture : The same with Gaussians in place of k-means.
    fit_gmvae : The clustering that :func:`phasekit.stxm.label_phases` uses.
    compare_methods : All methods side by side.

    Notes
    -----
    Reads the material pixels into memory and fits at most 30 000 of them.

    Examples
    --------
    >>> import phasekit as pk
    >>> stack = pk.synthetic.stxm_stack(shape=(32, 48), n_particles=3, frame_drift_px=0.0)
    >>> found = cluster_kmeans(pk.stxm.optical_density(stack), pk.synthetic.vanadium_references(), n_clusters=5)
    >>> sorted(set(found["label"].values.ravel().tolist()))
    [-1, 0, 1, 2, 3, 4]
    """

    def fit_kmeans(scores: Array, some: NDArray[np.intp]) -> NDArray[np.intp]:
        from sklearn.cluster import KMeans

        model = KMeans(min(n_clusters, len(some)), n_init=_N_STARTS, random_state=seed).fit(scores[some])
        return np.asarray(model.predict(scores))

    settings = {"n_clusters": n_clusters, "n_components": n_components, "energy_offset": energy_offset, "seed": seed}
    return _cluster_pixels(od, refs, fit_kmeans, settings, "cluster_kmeans")


def cluster_gaussian_mixture(
    od: xr.Dataset,
    refs: xr.Dataset,
    *,
    n_clusters: int = 8,
    n_components: int = 4,
    energy_offset: float | str = "fit",
    seed: int = 0,
) -> xr.Dataset:
    """Cluster the spectra as :func:`cluster_kmeans`, by a mixture of Gaussians with full covariances.

    Parameters
    ----------
    od, refs, n_clusters, n_components, energy_offset, seed
        As in :func:`cluster_kmeans`.

    Returns
    -------
    xarray.Dataset
        As :func:`cluster_kmeans`.

    Raises
    ------
    SchemaError
        As :func:`cluster_kmeans`.

    See Also
    --------
    cluster_kmeans : The same with k-means.
    compare_methods : All methods side by side.

    Examples
    --------
    >>> import phasekit as pk
    >>> stack = pk.synthetic.stxm_stack(shape=(32, 48), n_particles=3, frame_drift_px=0.0)
    >>> od, refs = pk.stxm.optical_density(stack), pk.synthetic.vanadium_references()
    >>> cluster_gaussian_mixture(od, refs, n_clusters=5)["cluster_phase"].sizes["cluster"]
    5
    """

    def fit_mixture(scores: Array, some: NDArray[np.intp]) -> NDArray[np.intp]:
        from sklearn.mixture import GaussianMixture

        from ..clustering.initialisation import ignore_convergence_warnings

        model = GaussianMixture(min(n_clusters, len(some)), n_init=_N_STARTS, random_state=seed, reg_covar=1e-6)
        with ignore_convergence_warnings():
            return np.asarray(model.fit(scores[some]).predict(scores))

    settings = {"n_clusters": n_clusters, "n_components": n_components, "energy_offset": energy_offset, "seed": seed}
    return _cluster_pixels(od, refs, fit_mixture, settings, "cluster_gaussian_mixture")


def _check_inputs(od: xr.Dataset, refs: xr.Dataset, step: str) -> None:
    """Refuse datasets of other kinds."""
    require(od, OD, step=step, argument="od")
    require(refs, REFERENCES, step=step, argument="refs")


def read_material_pixels(od: xr.Dataset, refs: xr.Dataset, energy_offset: float | str, step: str) -> MaterialPixels:
    """Material pixels and references, read into memory."""
    _check_inputs(od, refs, step)
    library = build_library(refs, od["energy"], step=step, n_nuisance=1, energy_offset=energy_offset)
    offset = float(find_energy_offset(od, library, energy_offset, step=step).value[0])
    od = select_covered_energies(od, library, offset, step=step, n_terms=2)
    spectra = library.at(od["energy"].values.astype(np.float64) + offset)
    material = find_material(od)
    use = np.asarray(material.transpose("scan_y", "scan_x"), dtype=bool)
    density = np.asarray(od["optical_density"].transpose("scan_y", "scan_x", "energy"), dtype=np.float64)
    # references and a constant need as many energies, in a pixel as in the stack
    use = use & (np.isfinite(density).sum(axis=-1) > len(spectra))
    if not use.any():
        raise SchemaError(f"{step}: no pixel holds material. See od['valid'] and od['empty'] for why.")
    task = MaterialPixels(use, density[use], spectra, library.names, offset)
    if not task.complete.size:
        raise SchemaError(
            f"{step}: every material pixel lacks some energy, and some pixels need all of them. "
            "Leave out the frames that are missing with od.isel(energy=[...])."
        )
    return task


def _cluster_pixels(
    od: xr.Dataset,
    refs: xr.Dataset,
    method: Callable[[Array, NDArray[np.intp]], NDArray[np.intp]],
    settings: dict[str, Any],
    step: str,
) -> xr.Dataset:
    """Project the spectra on principal components, cluster them by ``method``, and name the clusters.

    ``method`` takes the scores (pixel, component) and the pixels to fit; it returns the cluster of every pixel. A name
    is the reference with the highest Pearson correlation.
    """
    from threadpoolctl import threadpool_limits

    if settings["n_clusters"] < 1 or settings["n_components"] < 1:
        raise SchemaError(f"{step}: got {settings}, needs at least 1 cluster and 1 component. Raise the one below 1.")
    task = read_material_pixels(od, refs, settings["energy_offset"], step)
    shape = _normalise_shape(task.density[task.complete])
    n = min(settings["n_components"], shape.shape[1] - 1)
    # a few energies, many pixels: the eigenvectors of the covariance are the components
    variance, axes = np.linalg.eigh(np.cov(shape.T, bias=True))
    mean, axes = shape.mean(axis=0), axes[:, ::-1][:, :n]
    if task.complete.size < len(task.density):
        task = task.keep_pixels(np.isfinite(task.density).sum(axis=1) >= n + 2)
        shape = _normalise_shape(_fill_missing(task.density, np.vstack([np.ones_like(mean), mean, axes.T])))
    scores = (shape - mean) @ axes
    # the components use all complete pixels, the clusters a random part of them
    rng = np.random.default_rng(settings["seed"])
    some = np.sort(rng.permutation(task.complete)[:_MAX_PIXELS])
    with threadpool_limits(1):  # sums then do not depend on the number of threads
        label = method(scores, some)
    means = np.stack([_compute_mean_spectrum(task.density[label == index]) for index in range(int(label.max()) + 1)])
    # an empty cluster correlates with nothing; -2 is below every correlation
    pearson = np.nan_to_num(pearson_coefficient(means[:, None], task.spectra[None]), nan=-2.0)
    cluster_phase = pearson.argmax(axis=1)
    out = make_maps(od, task, cluster_phase[label]).assign(
        label=(("scan_y", "scan_x"), task.place_on_map(label)),
        spectrum=(("cluster", "energy"), means),
        cluster_phase=("cluster", cluster_phase.astype(np.int16)),
        cluster_pearson=(("cluster", "reference"), pearson),
        explained=("component", variance[::-1][:n] / max(float(variance.sum()), 1e-12)),
    )
    return describe(out, BASELINE, step=step, settings=settings, source=od)


def _normalise_shape(density: Array) -> Array:
    """Spectra (pixel, energy) of mean 0 and norm 1: thickness and background drop out, as in Pearson's correlation."""
    shape = density - density.mean(axis=1, keepdims=True)
    return np.asarray(shape / np.maximum(np.linalg.norm(shape, axis=1, keepdims=True), 1e-9))


def _fill_missing(density: Array, basis: Array) -> Array:
    """Spectra (pixel, energy), what is missing taken from the fit of the ``basis`` (term, energy) to the rest.

    Only the assignment to a cluster sees these values; means of clusters do not.
    """
    missing = ~np.isfinite(density)
    fit = solve_non_negative(basis, density, np.ones_like(density), 0)
    return np.where(missing, fit.coefficient @ basis, density)


def _compute_mean_spectrum(density: Array) -> Array:
    """Mean spectrum (energy,) of the values that pixels (pixel, energy) have; NaN for none."""
    count = np.isfinite(density).sum(axis=0)
    return np.where(count > 0, np.nansum(density, axis=0) / np.maximum(count, 1), np.nan)


def make_maps(od: xr.Dataset, task: MaterialPixels, phase: NDArray[Any]) -> xr.Dataset:
    """``phase`` on the scan with its coordinates, and the energy offset that was used."""
    grid = {dim: od[dim] for dim in ("scan_y", "scan_x", "energy") if dim in od.coords}
    out = xr.Dataset({"phase": (("scan_y", "scan_x"), task.place_on_map(phase)), "energy_offset": ((), task.offset)})
    return out.assign_coords({**grid, "reference": task.names})
