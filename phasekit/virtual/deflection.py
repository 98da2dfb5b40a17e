"""Deflection of the beam: the centre of mass of every pattern."""

import numpy as np
import xarray as xr

from ..errors import SchemaError
from ..schema import PATTERNS, describe, require
from .geometry import DETECTOR, Array, Centre, Mask, find_direct_beam, pixel_distances, ring_weights, select_pixels
from .schema import DEFLECTION


def compute_centre_of_mass(
    patterns: xr.Dataset,
    *,
    centre: Centre | None = None,
    radius: float | None = None,
    mask: Mask = None,
) -> xr.Dataset:
    r"""Centre of mass of every pattern, from the direct beam of the mean pattern.

    .. math:: \langle \mathbf q \rangle(\mathbf r) = \frac{\sum_{\mathbf q} w\,(\mathbf q - \mathbf q_0)\,
        I(\mathbf r, \mathbf q)}{\sum_{\mathbf q} w\, I(\mathbf r, \mathbf q)}

    For a thin specimen it is proportional to the electric field, averaged over the probe. Source: Muller et al. 2014,
    Nature Communications 5, 5653.

    Parameters
    ----------
    patterns
        PATTERNS. Lazy stays lazy: the maps are computed block by block.
    centre
        ``(qy, qx)`` that counts as zero; ``None`` asks :func:`find_direct_beam`, which reads the scan once.
    radius
        Only pixels within this distance of the centre count, in the unit of the detector's axes. ``None``: all.
    mask
        As in :func:`apply_detectors`.

    Returns
    -------
    xarray.Dataset
        DEFLECTION: ``centre_of_mass_y``, ``centre_of_mass_x (scan_y, scan_x)`` in the unit of the detector's axes. NaN
        where the pattern holds no counts or a missing value.

    Raises
    ------
    SchemaError
        Not PATTERNS, a radius that is not positive, a mask of another shape.

    See Also
    --------
    find_direct_beam : The direct beam.
    phasekit.acom.calibrate_peaks : Deflections of the direct-beam disk, which spots do not disturb.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.arange(-2.0, 3.0)
    >>> counts = np.zeros((1, 1, 5, 5))
    >>> counts[0, 0, 2, 3] = 7
    >>> scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)}, {"qy": axis, "qx": axis})
    >>> float(compute_centre_of_mass(scan, centre=(0, 0)).centre_of_mass_x[0, 0])
    1.0
    """
    step = "compute_centre_of_mass"
    require(patterns, PATTERNS, step=step, argument="patterns")
    used, intensity, left_out = select_pixels(patterns, mask, step)
    if radius is not None and not radius > 0:
        raise SchemaError(f"{step}: radius = {radius}, needs a positive number in the unit of 'qx', or None for all.")
    centre = find_direct_beam(patterns, mask=mask).centre if centre is None else centre
    distance, pixel = pixel_distances(patterns, centre)
    weight: Array = used.astype(np.float64)
    # Without a radius even the corners count, where there is mostly noise.
    if radius is not None:
        weight = weight * ring_weights(distance, 0.0, radius, pixel)
    offsets = tuple(patterns[dim].values.astype(float) - middle for dim, middle in zip(DETECTOR, centre, strict=True))
    y, x = xr.apply_ufunc(
        lambda frames: _centre_of_mass(frames, weight, offsets, left_out=left_out),
        intensity,
        input_core_dims=[DETECTOR],
        output_core_dims=[[], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    units = {"units": patterns["qx"].attrs.get("units", "px")}
    out = xr.Dataset({"centre_of_mass_y": y.assign_attrs(units), "centre_of_mass_x": x.assign_attrs(units)})
    return describe(out, DEFLECTION, step=step, settings={"centre": centre, "radius": radius}, source=patterns)


def _centre_of_mass(frames: Array, weight: Array, offsets: tuple[Array, ...], *, left_out: bool) -> tuple[Array, Array]:
    """Centres ``(..)`` of frames ``(.., qy, qx)``; every pattern is summed alone. With ``left_out`` NaN counts as 0."""
    # Only the pixels that count are touched: a NaN elsewhere must not spoil the sum.
    used = np.flatnonzero(weight)
    # `take` returns rows that lie in one piece, so that each is summed in the same order whatever the block.
    flat = np.take(np.asarray(frames, dtype=np.float64).reshape(*frames.shape[:-2], -1), used, axis=-1)
    flat = (np.nan_to_num(flat) if left_out else flat) * weight.ravel()[used]
    y, x = (grid.ravel()[used] for grid in np.meshgrid(*offsets, indexing="ij"))
    total = flat.sum(-1)
    # A pattern without counts has no centre: NaN, without a warning about a division by zero.
    total = np.where(total > 0, total, np.nan)
    return (flat * y).sum(-1) / total, (flat * x).sum(-1) / total
