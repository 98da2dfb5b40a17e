"""The name of each cluster by the references, and what the clusters say about each pixel."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...correlation import pearson_coefficient
from ..reference_spectra.library import Library

Array = NDArray[np.floating]


def name_clusters(
    clusters: xr.Dataset | None, covered: NDArray[np.bool_], spectra: Array, library: Library
) -> xr.Dataset:
    """Pearson correlation of each cluster's mean spectrum with each reference, and the best reference.

    ``spectra`` (reference, energy) are the references as the stack shows them, at the energies that are ``covered``
    (energy of the clusters,). The result holds ``cluster_pearson``
    (cluster, reference) and ``cluster_phase`` (cluster,), -1 for an empty cluster. Without clusters it is empty.
    """
    if clusters is None:
        return xr.Dataset()
    pearson = xr.apply_ufunc(
        lambda mean: pearson_coefficient(mean[..., None, :], spectra),
        clusters["spectrum"].isel(energy=np.flatnonzero(covered)),
        input_core_dims=[["energy"]],
        output_core_dims=[["reference"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"reference": len(library.names)}},
    )
    # an empty cluster has no mean spectrum, so its correlations are NaN and it gets no name
    is_known = np.isfinite(pearson).all("reference")
    phase = pearson.fillna(-2.0).argmax("reference").where(is_known, -1).astype(np.int16)
    named = xr.Dataset({"cluster_pearson": pearson, "cluster_phase": phase})
    return named.assign_coords(reference=library.names)


def compute_cluster_vote(clusters: xr.Dataset | None, names: xr.Dataset, library: Library) -> xr.DataArray | None:
    """Probability (scan_y, scan_x, reference) of each name by the clusters of a pixel; None without clusters.

    It is the sum of the responsibilities of all clusters with that name.
    """
    if clusters is None:
        return None
    is_named = names["cluster_phase"] == xr.DataArray(np.arange(len(library.names)), dims="reference")
    responsibility = clusters["responsibility"].fillna(0.0)
    return xr.dot(responsibility, is_named.astype(np.float32), dim="cluster")
