"""Steps 4 and 5 in tiles of a fixed size that overlap: maps drawn from their posterior, and what each pixel is in them.

The tiles do not depend on the chunks of the data, so the same map comes out of any chunking. A tile is drawn and
classified in one task. Otherwise the statistics and the posterior of the whole map would be kept until the last tile.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import StxmStatus, status_attributes
from .ambiguity import AmbiguityLimits
from .phase_maps import draw_phase_maps, sample_tile
from .phase_model import PhaseModel
from .pixel_status import BY_REFERENCE, RESULT_TYPES, classify_pixels
from .potts_sampler import Prior
from .sufficient_statistics import unpack_channels

Array = NDArray[np.floating]
_SIDE = 512  # pixels of a tile
_OVERLAP = 16  # pixels shared with the neighbouring tiles; domains influence each other over shorter distances
_FEW_DRAWS = 20  # that show which candidates for unknown phases are tested
#: names of the learned prior: costs of unlike neighbours [nat], width of the blur [px]
_PRIOR_NAMES = ("cost_adjacent", "cost_other", "fitted_blur_px")


def label_tiles(
    statistics: xr.DataArray,
    too_thick: xr.DataArray,
    cluster_vote: xr.DataArray | None,
    model: PhaseModel,
    limits: AmbiguityLimits,
) -> xr.Dataset:
    """Fields of :class:`PixelResult` (scan_y, scan_x) and means of the learned prior; lazy where the inputs are.

    ``statistics`` (.., channel) are those of :func:`compute_sufficient_statistics`; ``cluster_vote`` is
    (.., reference).
    """
    layers = [statistics, too_thick.expand_dims("channel").astype(np.float32)]
    if cluster_vote is not None:
        layers.append(cluster_vote.drop_vars("reference", errors="ignore").rename(reference="channel"))
    layers = [layer.astype(np.float32).transpose("scan_y", "scan_x", "channel") for layer in layers]
    together = xr.concat(layers, "channel", coords="minimal", compat="override", join="override")
    n_out = len(_PRIOR_NAMES) + sum(model.n_references if name in BY_REFERENCE else 1 for name in RESULT_TYPES)
    label = partial(_label_tile, model=model, limits=limits, has_vote=cluster_vote is not None)
    packed = apply_over_tiles(together, label, n_out)
    return _unpack_results(packed, model.n_references)


def _label_tile(channels: Array, *, model: PhaseModel, limits: AmbiguityLimits, has_vote: bool) -> NDArray[np.float32]:
    """Results of a tile (y, x, channel) in a row for each pixel (y, x, part)."""
    n_last = 1 + model.n_references * has_vote
    statistics = unpack_channels(channels[..., :-n_last], len(model.templates), model.n_references)
    too_thick = channels[..., -n_last] > 0.5
    posterior, prior = draw_phase_maps(statistics, model)
    vote = channels[..., -model.n_references :] if has_vote else None
    results = classify_pixels(statistics, posterior, too_thick, vote, model=model, limits=limits)
    # where there is no material nothing was learned
    learned = np.where(np.isfinite(posterior.name[..., :1]), np.asarray(prior), np.nan)
    parts = [values if values.ndim == 3 else values[..., None] for values in results]
    return np.concatenate([*parts, learned], axis=-1, dtype=np.float32, casting="unsafe")


def _unpack_results(packed: xr.DataArray, n_references: int) -> xr.Dataset:
    """Variables from rows (.., part); whole numbers are exact in single precision."""
    out, first = xr.Dataset(), 0
    for name, dtype in RESULT_TYPES.items():
        if name in BY_REFERENCE:
            out[name] = packed.isel(part=slice(first, first + n_references)).rename(part="reference")
            first += n_references
        else:
            out[name] = packed.isel(part=first).astype(dtype)
            first += 1
    out["status"].attrs = status_attributes(StxmStatus)
    return out.assign(
        {name: packed.isel(part=first + index).mean() for index, name in enumerate(Prior._fields)}
    ).rename(dict(zip(Prior._fields, _PRIOR_NAMES, strict=True)))


def compute_membership(statistics: xr.DataArray, model: PhaseModel) -> xr.DataArray:
    """Probability (scan_y, scan_x, group), in memory, of belonging to each unknown phase."""
    n, n_references = len(model.templates), model.n_references

    def draw_tile(channels: Array) -> Array:
        tile = unpack_channels(channels, n, n_references)
        return sample_tile(tile, model, _FEW_DRAWS).probability[..., n_references:n]

    return apply_over_tiles(statistics, draw_tile, n - n_references, "group").compute()


def apply_over_tiles(
    channels: xr.DataArray, kernel: Callable[[Array], Array], n_out: int, dim: str = "part"
) -> xr.DataArray:
    """Apply a kernel (y, x, channel) -> (y, x, n_out) to every tile of a map; lazy where the map is."""
    ordered = channels.transpose("scan_y", "scan_x", "channel")
    grid = ordered.isel(channel=0, drop=True)
    if max(ordered.shape[:2]) <= _SIDE and ordered.chunks is None:
        return xr.DataArray(kernel(ordered.values), dims=("scan_y", "scan_x", dim), coords=grid.coords)
    import dask.array

    da: Any = dask.array  # only partly typed
    is_lazy = ordered.chunks is not None
    # small maps take the direct way above; here chunks are first made equal to the tiles
    blocks = da.asarray(ordered.data).rechunk((_split_axis(ordered.shape[0]), _split_axis(ordered.shape[1]), -1))
    # an axis with a single tile needs none, and may be shorter than the overlap
    overlap_px = {axis: _OVERLAP if ordered.shape[axis] > _SIDE else 0 for axis in (0, 1)} | {2: 0}
    wide = da.overlap.overlap(blocks, depth=overlap_px, boundary="none")
    chunks = (*wide.chunks[:2], (n_out,))
    out = wide.map_blocks(kernel, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    out = da.overlap.trim_internal(out, overlap_px, boundary="none")
    return xr.DataArray(out if is_lazy else out.compute(), dims=("scan_y", "scan_x", dim), coords=grid.coords)


def _split_axis(n: int) -> tuple[int, ...]:
    """Sizes [px] of the tiles along an axis of ``n`` pixels: as few and as equal as possible."""
    count = -(-n // _SIDE)
    edges = np.linspace(0, n, count + 1).round().astype(int)
    return tuple(int(size) for size in np.diff(edges))
