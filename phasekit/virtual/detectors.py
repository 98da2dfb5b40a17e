"""Images of the scan as ring-shaped detectors would have recorded them."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..errors import SchemaError
from ..schema import PATTERNS, describe, require
from .geometry import DETECTOR, Array, Centre, Mask, find_direct_beam, pixel_distances, ring_weights, select_pixels
from .schema import VIRTUAL_IMAGES


def apply_detectors(
    patterns: xr.Dataset,
    detectors: Mapping[str, tuple[float, float]],
    *,
    centre: Centre | None = None,
    mask: Mask = None,
) -> xr.Dataset:
    r"""Sum the counts of every pattern over ring-shaped virtual detectors.

    .. math:: I_d(\mathbf r) = \sum_{\mathbf q} w_d(|\mathbf q - \mathbf q_0|)\, I(\mathbf r, \mathbf q)

    with the direct beam :math:`\mathbf q_0` and the share :math:`w_d` of a detector pixel that lies in the ring.

    Parameters
    ----------
    patterns
        PATTERNS. Lazy stays lazy: the images are computed block by block.
    detectors
        Name -> ``(inner, outer)`` radius in the unit of the detector's axes. ``(0, r)`` is a disk (bright field),
        ``(r1, r2)`` a ring (annular dark field). Rings that share a radius add up exactly.
    centre
        ``(qy, qx)`` of the direct beam; ``None`` asks :func:`find_direct_beam`, which reads the scan once.
    mask
        DETECTOR_MASK of :func:`phasekit.detector.find_mask`. Bad values of single patterns are then left out too, and
        the sum is scaled up to the whole detector. Or an array ``(qy, qx)``: boolean (True: used) or flags (0: used).
        ``None`` uses every pixel.

    Returns
    -------
    xarray.Dataset
        VIRTUAL_IMAGES: ``virtual_image(detector, scan_y, scan_x)`` [counts] and ``weight(detector, qy, qx)``. A pattern
        with a missing value (NaN) on a detector is NaN there.

    Raises
    ------
    SchemaError
        Not PATTERNS, no detector, or radii that are not 0 <= inner < outer. A detector without a used pixel, or a mask
        of another shape.

    See Also
    --------
    find_direct_beam : The direct beam.
    compute_radial_profiles : All rings at once.
    phasekit.acom.virtual_images : The same from peaks, without the background between them.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axis = np.arange(9.0)
    >>> counts = np.ones((2, 3, 9, 9))
    >>> scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)}, {"qy": axis, "qx": axis})
    >>> images = apply_detectors(scan, {"inside": (0, 2), "outside": (2, 9)}, centre=(4, 4))
    >>> images.virtual_image.sum("detector").values[0]
    array([81., 81., 81.])
    """
    step = "apply_detectors"
    require(patterns, PATTERNS, step=step, argument="patterns")
    used, intensity, left_out = select_pixels(patterns, mask, step)
    _check_detectors(detectors)
    centre = find_direct_beam(patterns, mask=mask).centre if centre is None else centre
    # Distances are computed once for all detectors: they depend on the centre alone.
    distance, pixel = pixel_distances(patterns, centre)
    weights = np.stack([ring_weights(distance, *radii, pixel) * used for radii in detectors.values()])
    # A detector beside the pattern would give an image of zeros without a warning.
    for name, weight in zip(detectors, weights, strict=True):
        if not weight.any():
            raise SchemaError(f"{step}: detector {name!r} = {detectors[name]} holds no pixel. Give it other radii.")
    images = xr.apply_ufunc(
        lambda frames: _sum_over_detectors(frames, weights, scale_up=left_out),
        intensity,
        input_core_dims=[DETECTOR],
        output_core_dims=[["detector"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"detector": len(weights)}, "allow_rechunk": True},
    )
    out = xr.Dataset(
        {
            "virtual_image": images.transpose("detector", "scan_y", "scan_x"),
            "weight": (("detector", *DETECTOR), weights),
        },
        coords={"detector": list(detectors), "qy": patterns["qy"], "qx": patterns["qx"]},
    )
    # JSON has no tuples, so the radii are recorded as lists.
    settings = {"detectors": {name: list(radii) for name, radii in detectors.items()}, "centre": centre}
    return describe(out, VIRTUAL_IMAGES, step=step, settings=settings, source=patterns)


def _check_detectors(detectors: Mapping[str, tuple[float, float]]) -> None:
    """Refuse radii that make no ring, before the scan is read."""
    if not detectors:
        raise SchemaError("apply_detectors: no detector, needs at least one. Give {'bright field': (0, radius)}.")
    for name, radii in detectors.items():
        if len(radii) != 2 or not 0 <= radii[0] < radii[1]:
            raise SchemaError(
                f"apply_detectors: detector {name!r} = {radii}, needs (inner, outer) with 0 <= inner < outer. "
                "Give radii in the unit of 'qx'."
            )


def _sum_over_detectors(frames: Array, weights: Array, *, scale_up: bool) -> Array:
    """Sums ``(.., detector)`` of frames ``(.., qy, qx)``; each pattern alone, so that blocks do not matter.

    With ``scale_up`` NaN pixels are left out, and the sum is divided by the share of the weight that the others hold.
    """
    flat = np.asarray(frames, dtype=np.float64).reshape(*frames.shape[:-2], -1)
    rows = weights.reshape(len(weights), -1)
    # Only the pixels that count are touched: a NaN elsewhere must not spoil the sum.
    # `take` returns rows that lie in one piece, so that each is summed in the same order whatever the block.
    used = [np.flatnonzero(row) for row in rows]
    if scale_up:
        return np.stack([_scale_sum(np.take(flat, i, axis=-1), row[i]) for i, row in zip(used, rows, strict=True)], -1)
    sums = [(np.take(flat, index, axis=-1) * row[index]).sum(-1) for index, row in zip(used, rows, strict=True)]
    return np.stack(sums, axis=-1)


def _scale_sum(values: Array, weight: Array) -> Array:
    """Weighted sum over the last axis, scaled up where values are NaN; NaN where all are."""
    seen = np.isfinite(values)
    share = (seen * weight).sum(-1) / weight.sum()
    return (np.where(seen, values, 0) * weight).sum(-1) / np.where(share > 0, share, np.nan)
