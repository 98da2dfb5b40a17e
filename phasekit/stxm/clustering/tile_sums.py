"""Mean spectra of clusters with standard errors measured between the parts of the field."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..preprocessing.material import find_material

Array = NDArray[np.float64]
_TILES = 8  # along each side of the field


class ClusterMeans(NamedTuple):
    """Mean spectra (cluster, energy), their standard errors by noise, and the pixels (cluster,) in each."""

    spectra: Array
    noise: Array
    n_pixels: Array

    def select_clusters(self, which: NDArray[np.intp]) -> "ClusterMeans":
        """Some of the clusters."""
        return ClusterMeans(self.spectra[which], self.noise[which], self.n_pixels[which])


class TileSums(NamedTuple):
    """Sums (tile, cluster, energy) over the pixels of each tile that have the energy, weighted by responsibility."""

    product: Array  # weight times optical density
    weight: Array
    variance: Array  # weight squared times noise variance

    @property
    def n_tiles(self) -> int:
        """Number of tiles with material."""
        return len(self.weight)

    def compute_means(self, omit: int | None = None) -> ClusterMeans:
        """Compute the means over all tiles, or all but one; NaN for a cluster that has no pixel at some energy."""
        product, weight, variance = (part.sum(axis=0) for part in self)
        if omit is not None:
            product, weight, variance = product - self[0][omit], weight - self[1][omit], variance - self[2][omit]
        # a difference of sums leaves rounding where nothing is left
        known = np.where(weight > 1e-6, weight, np.nan)
        return ClusterMeans(product / known, np.sqrt(np.maximum(variance, 0.0)) / known, weight.mean(axis=1))


def read_tile_sums(od: xr.Dataset, responsibility: xr.DataArray) -> TileSums:
    """Sum the spectra of each cluster over each of 8 x 8 tiles of the field, block by block.

    ``responsibility`` (scan_y, scan_x, cluster) is NaN without material. Missing values of ``od`` do not count.
    """
    material = find_material(od)
    weight = responsibility.where(material).fillna(0.0)
    known = material & np.isfinite(od["optical_density"]) & np.isfinite(od["noise"])
    density, variance = od["optical_density"].where(known, 0.0), od["noise"].where(known, 0.0) ** 2
    sums = [
        _sum_tiles(weight, density),
        _sum_tiles(weight, known.astype(np.float64)),
        _sum_tiles(weight**2, variance),
    ]
    parts = xr.Dataset(dict(zip(("product", "weight", "variance"), sums, strict=True))).compute()
    stacked = parts.stack(tile=("tile_y", "tile_x")).transpose("tile", "cluster", "energy")
    arrays = [np.asarray(stacked[name], dtype=np.float64) for name in ("product", "weight", "variance")]
    has_material = arrays[1].sum(axis=(1, 2)) > 0
    return TileSums(*(part[has_material] for part in arrays))


def _sum_tiles(weight: xr.DataArray, values: xr.DataArray) -> xr.DataArray:
    """Products (tile_y, tile_x, cluster, energy) of ``weight`` and ``values``, summed over the pixels of each tile."""
    sizes = {dim: -(-weight.sizes[dim] // _TILES) for dim in ("scan_y", "scan_x")}
    windows = {"scan_y": ("tile_y", "y"), "scan_x": ("tile_x", "x")}
    first, second = (
        part.drop_vars(["scan_y", "scan_x"], errors="ignore")
        .astype(np.float64)
        .coarsen(sizes, boundary="pad")
        .construct(windows)
        .fillna(0.0)
        for part in (weight, values)
    )
    # one dimension at a time: dask sums several in an order that differs from process to process
    return xr.dot(first, second, dim="x").sum("y")
