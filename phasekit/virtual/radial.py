"""Radial profiles: mean and variance of every pattern over the azimuth."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import PATTERNS, describe, require
from .geometry import DETECTOR, Array, Centre, Mask, find_direct_beam, pixel_distances, select_pixels
from .schema import RADIAL_SCAN


def compute_radial_profiles(
    patterns: xr.Dataset,
    *,
    centre: Centre | None = None,
    width: float = 1.0,
    mask: Mask = None,
) -> xr.Dataset:
    r"""Mean and variance of every pattern over rings about the direct beam.

    .. math::
        \bar I(\mathbf r, q) = \langle I(\mathbf r, \mathbf q) \rangle_{|\mathbf q - \mathbf q_0| = q}, \qquad
        V(\mathbf r, q) = \langle (I - \bar I)^2 \rangle_{|\mathbf q - \mathbf q_0| = q}

    Counting noise alone gives :math:`V = \bar I`. A larger variance shows that the ring has spots. The annular mean of
    the variance is the signal of fluctuation electron microscopy. Source: Daulton, Bondi and Kelton 2010,
    Ultramicroscopy 110, 1279.

    Parameters
    ----------
    patterns
        PATTERNS. Lazy stays lazy: profiles are computed block by block.
    centre
        ``(qy, qx)`` of the direct beam; ``None`` asks :func:`find_direct_beam`, which reads the scan once.
    width
        Width of the rings [detector pixels]. 1 keeps the resolution; 2 halves the number of rings.
    mask
        As in :func:`apply_detectors`.

    Returns
    -------
    xarray.Dataset
        RADIAL_SCAN: ``radial_mean`` [counts] and ``radial_variance`` [counts^2] ``(scan_y, scan_x, radius)``, and
        ``n_pixels(radius)``. ``radius`` is the middle of the ring, in the unit of the detector's axes. Rings without a
        used pixel are left out. A missing value (NaN) makes its ring NaN, but for those that a
        DETECTOR_MASK leaves out.

    Raises
    ------
    SchemaError
        Not PATTERNS, a width below half a pixel, a mask of another shape or one that uses no pixel.

    See Also
    --------
    apply_detectors : Sums over chosen rings.
    find_direct_beam : The direct beam.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.arange(-4.0, 5.0)
    >>> counts = np.broadcast_to(np.hypot(axis[:, None], axis), (1, 1, 9, 9))
    >>> scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)}, {"qy": axis, "qx": axis})
    >>> compute_radial_profiles(scan, centre=(0, 0)).radial_mean[0, 0, :3].round(2).values
    array([0.  , 1.21, 2.16])
    """
    step = "compute_radial_profiles"
    require(patterns, PATTERNS, step=step, argument="patterns")
    used, intensity, left_out = select_pixels(patterns, mask, step)
    if not width >= 0.5:
        raise SchemaError(f"{step}: width = {width}, needs at least 0.5 detector pixels. Leave it out for 1.")
    if not used.any():
        raise SchemaError(f"{step}: the mask leaves no pixel. Give one that is True, or 0, where pixels are good.")
    centre = find_direct_beam(patterns, mask=mask).centre if centre is None else centre
    distance, pixel = pixel_distances(patterns, centre)
    # Rounded to the nearest ring: ring 0 is the beam's own pixel, for a width of 1.
    rings = np.rint(distance / (width * pixel)).astype(np.intp)
    order, starts, number = _sort_by_ring(rings, used)
    mean, variance = xr.apply_ufunc(
        lambda frames: _profile_frames(frames, order, starts, left_out=left_out),
        intensity,
        input_core_dims=[DETECTOR],
        output_core_dims=[["radius"], ["radius"]],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64],
        dask_gufunc_kwargs={"output_sizes": {"radius": len(starts)}, "allow_rechunk": True},
    )
    count = np.diff(np.append(starts, order.size))
    units = patterns["qx"].attrs.get("units", "px")
    out = xr.Dataset(
        {"radial_mean": mean, "radial_variance": variance, "n_pixels": ("radius", count)},
        coords={"radius": ("radius", number * width * pixel, {"units": units, "long_name": "distance from the beam"})},
    )
    return describe(out, RADIAL_SCAN, step=step, settings={"centre": centre, "width": width}, source=patterns)


def _sort_by_ring(
    rings: NDArray[np.intp], used: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Used pixels in the order of their rings, where each ring starts among them, and the numbers of the rings."""
    # Sorted once, so that every frame needs one pass; stable, so that the order of the sums is fixed.
    pixels = np.flatnonzero(used)
    order = pixels[np.argsort(rings.ravel()[pixels], kind="stable")]
    number, starts = np.unique(rings.ravel()[order], return_index=True)
    return order, starts, number


def _profile_frames(
    frames: Array, order: NDArray[np.intp], starts: NDArray[np.intp], *, left_out: bool
) -> tuple[Array, Array]:
    """Mean and variance ``(.., ring)`` of frames ``(.., qy, qx)``; with ``left_out`` NaN pixels do not count."""
    # `take` returns rows that lie in one piece, so that each is summed in the same order whatever the block.
    flat = np.take(np.asarray(frames, dtype=np.float64).reshape(*frames.shape[:-2], -1), order, axis=-1)
    count: Array = np.diff(np.append(starts, order.size)).astype(np.float64)
    length = count.astype(np.intp)
    if left_out:
        seen = np.isfinite(flat)
        count = np.add.reduceat(seen.astype(np.float64), starts, axis=-1)
        count = np.where(count > 0, count, np.nan)
        flat = np.where(seen, flat, 0)
    mean = np.add.reduceat(flat, starts, axis=-1) / count
    # Deviations from the mean are squared, not the counts: the difference of two large sums would lose digits.
    deviation = flat - np.repeat(mean, length, axis=-1)
    deviation = deviation * seen if left_out else deviation
    return mean, np.add.reduceat(deviation**2, starts, axis=-1) / count
