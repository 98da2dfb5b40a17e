"""Cluster probabilities of every pixel, and the mean spectra of the clusters."""

from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import CLUSTERS, OD, describe, require
from ..preprocessing.material import fill_missing_energies, find_material, read_material_spectra
from .gmvae import FittedGMVAE, compute_responsibility

Array = NDArray[np.floating]
_MATCHING_PIXELS = 5000  # pixels by which clusters of different runs are matched


def assign_clusters(od: xr.Dataset, gmvae: FittedGMVAE) -> xr.Dataset:
    r"""Assign cluster probabilities to every material pixel, block by block.

    Parameters
    ----------
    od
        OD at the energies ``gmvae`` was trained at. It may be another field of the same experiment.
    gmvae
        Result of :func:`phasekit.stxm.fit_gmvae`.

    Returns
    -------
    xarray.Dataset
        CLUSTERS, lazy where ``od`` is.

        - ``responsibility(scan_y, scan_x, cluster)``: sums to 1. NaN where the pixel is not valid or is empty.
        - ``label``: the most probable cluster, -1 where ``responsibility`` is NaN.
        - ``spectrum(cluster, energy)``: mean OD weighted by responsibility. NaN for a cluster without pixels.
        - ``spectrum_error``: its standard error from the noise.
        - ``share(cluster)``: fraction of the material pixels.

        With several runs ``responsibility`` is their mean. Clusters are matched by the pixels they share. Where runs
        disagree the mean is spread over clusters.

    Raises
    ------
    SchemaError
        The energies differ from those of the training.

    See Also
    --------
    fit_gmvae : The step before: train the network.
    label_phases : The next step: name the clusters and map the phases.
    cluster_kmeans : The same result from PCA and k-means.
    cluster_gaussian_mixture : The same result from PCA and a Gaussian mixture.

    Notes
    -----
    With the responsibilities :math:`r_{nk}` of pixel n and its noise :math:`\sigma_n(E)`

    .. math:: \bar x_k(E) = \frac{\sum_n r_{nk} x_n(E)}{\sum_n r_{nk}}, \quad
        \sigma_k^2(E) = \frac{\sum_n r_{nk}^2 \sigma_n^2(E)}{(\sum_n r_{nk})^2}.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cube = 0.3 * np.array([0.0, 0, 1, 3, 2, 1])[:, None, None] + rng.normal(0, 0.03, (6, 8, 8))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((8, 8), bool))},
    ...                 coords={"energy": ("energy", np.arange(514.0, 520.0), {"units": "eV"})})
    >>> from phasekit.stxm import Training, fit_gmvae
    >>> found = assign_clusters(od, fit_gmvae(od, n_clusters=2, training=Training(n_steps=5), progress=False))
    >>> bool(np.allclose(found["responsibility"].sum("cluster"), 1))
    True
    """
    require(od, OD, step="assign_clusters", argument="od")
    # A network knows its energies by position only, so a different list would give wrong clusters silently.
    if od.sizes["energy"] != gmvae.energy.size or (
        "energy" in od.coords and not np.allclose(od["energy"], gmvae.energy, atol=1e-6)
    ):
        raise SchemaError(
            f"assign_clusters: the data have {od.sizes['energy']} energies, the GMVAE knows {gmvae.energy.size} "
            f"({gmvae.energy.min():g}..{gmvae.energy.max():g} eV). Train it on this energy list with fit_gmvae."
        )
    material = find_material(od)
    matched = _match_runs(od, gmvae, material)
    responsibility = xr.apply_ufunc(
        partial(_compute_block_responsibility, runs=matched),
        od["optical_density"],
        od["noise"],
        material,
        input_core_dims=[["energy"], ["energy"], []],
        output_core_dims=[["cluster"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"cluster": gmvae.n_clusters}},
    )
    out = _summarise_clusters(od, responsibility.transpose("scan_y", "scan_x", "cluster"), material)
    out = out.assign_coords(cluster=np.arange(gmvae.n_clusters))
    settings = {"n_clusters": gmvae.n_clusters, "n_alive": gmvae.n_alive, **gmvae.settings}
    return describe(out, CLUSTERS, step="assign_clusters", settings=settings, source=od)


def _summarise_clusters(od: xr.Dataset, responsibility: xr.DataArray, material: xr.DataArray) -> xr.Dataset:
    """Compute label, mean spectrum and share of each cluster."""
    label = responsibility.fillna(-1.0).argmax("cluster").where(material, -1).astype(np.int16)
    # Pixels without material are NaN in the map and must not enter the sums.
    weight = responsibility.where(material, 0.0)
    spectrum, error, total = _compute_weighted_spectra(od, weight, material)
    return xr.Dataset(
        {
            "responsibility": responsibility,
            "spectrum": spectrum.transpose("cluster", "energy"),
            "label": label,
            "spectrum_error": error.transpose("cluster", "energy"),
            "share": total / total.sum(),
        }
    )


def _compute_weighted_spectra(
    od: xr.Dataset, weight: xr.DataArray, material: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Compute mean spectra weighted by ``weight`` (scan_y, scan_x, group), standard errors and summed weights."""
    scan = ["scan_y", "scan_x"]
    total = weight.sum(scan)
    density, noise = (od[name].where(material, 0.0) for name in ("optical_density", "noise"))
    if density.chunks is not None:  # one block per spectrum; otherwise every block of weights meets every energy
        density, noise = density.chunk(energy=-1), noise.chunk(energy=-1)
    # A pixel that lacks an energy takes no part in the mean there.
    measured = density.notnull()
    known = _sum_over_scan(weight, measured.astype(weight.dtype))
    # An empty cluster has no mean: NaN and not zero.
    known = known.where(known > 0)
    spectrum = _sum_over_scan(weight, density.fillna(0.0)) / known
    error = _sum_over_scan(weight**2, (noise**2).where(measured, 0.0)) ** 0.5 / known
    return spectrum, error, total


def _sum_over_scan(weight: xr.DataArray, values: xr.DataArray) -> xr.DataArray:
    """Sum the products of ``weight`` (scan_y, scan_x, group) and ``values`` (energy, scan_y, scan_x) over the scan."""
    if values.chunks is None and weight.chunks is None:
        return xr.dot(weight, values, dim=["scan_y", "scan_x"])
    # dask sums several dimensions in the order of a set, which differs from process to process: one at a time.
    return xr.dot(weight, values, dim="scan_x").sum("scan_y")


def compute_mean_spectra(
    od: xr.Dataset, weight: xr.DataArray, material: xr.DataArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute the same as arrays (group, energy), (group, energy), (group,), block by block; NaN for an empty group."""
    parts = xr.Dataset(
        dict(zip(("mean", "error", "total"), _compute_weighted_spectra(od, weight, material), strict=True))
    )
    parts = parts.transpose("group", "energy").compute()
    return parts["mean"].values, parts["error"].values, parts["total"].values


class _MatchedRun(NamedTuple):
    """One run, and for each of its clusters the matching cluster of the first run."""

    gmvae: FittedGMVAE
    first_cluster: NDArray[np.intp]


def _match_runs(od: xr.Dataset, gmvae: FittedGMVAE, material: xr.DataArray) -> list[_MatchedRun]:
    """Match the clusters of all runs to those of the first by the pixels they share (Hungarian assignment)."""
    from scipy.optimize import linear_sum_assignment

    first = _MatchedRun(gmvae, np.arange(gmvae.n_clusters))
    if not gmvae.others:
        return [first]
    # The same pixels for all runs, so that their clusters can be counted together.
    spectra, noise = read_material_spectra(od, _MATCHING_PIXELS, seed=0)
    mine, out = compute_responsibility(gmvae, spectra, noise), [first]
    for other in gmvae.others:
        # Expected number of pixels that belong to cluster i of one run and j of the other.
        shared = compute_responsibility(other, spectra, noise).T @ mine
        rows, columns = linear_sum_assignment(shared, maximize=True)
        first_cluster = np.empty(gmvae.n_clusters, dtype=np.intp)
        first_cluster[rows] = columns
        out.append(_MatchedRun(other, first_cluster))
    return out


def _compute_block_responsibility(
    density: Array, noise: Array, material: NDArray[np.bool_], *, runs: list[_MatchedRun]
) -> Array:
    """Compute the mean responsibilities (.., cluster) of a block (.., energy); NaN where there is no material."""
    shape, n_energies, n_clusters = density.shape[:-1], density.shape[-1], runs[0].gmvae.n_clusters
    use = np.broadcast_to(material, shape).ravel() & np.isfinite(density).any(axis=-1).ravel()
    out = np.full((use.size, n_clusters), np.nan, dtype=np.float32)
    spectra, sigma = (np.broadcast_to(part, density.shape).reshape(-1, n_energies)[use] for part in (density, noise))
    spectra, sigma = fill_missing_energies(spectra, sigma)
    if use.any():
        total = np.zeros((len(spectra), n_clusters))
        for run in runs:
            # Columns are permuted so that a cluster keeps its number through all runs.
            total[:, run.first_cluster] += compute_responsibility(run.gmvae, spectra, sigma)
        out[use] = total / len(runs)
    return out.reshape(*shape, n_clusters)


def check_same_stack(clusters: xr.Dataset, od: xr.Dataset, *, step: str) -> None:
    """Refuse clusters that were made from another stack than ``od``."""
    if any(clusters.sizes[dim] != od.sizes[dim] for dim in ("energy", "scan_y", "scan_x")):
        raise SchemaError(
            f"{step}: clusters have {dict(clusters.sizes)}, the optical density {dict(od.sizes)}. "
            "Make them from this OD with assign_clusters."
        )
