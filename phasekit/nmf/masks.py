"""Which detector pixels an NMF should see: not the direct beam, no dead and no hot pixels."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import PATTERNS, require

USED, DIRECT_BEAM, DEAD, HOT = range(4)
_MEANINGS = "used direct_beam dead hot"


def find_mask(patterns: xr.Dataset, *, direct_beam: float | str = "auto") -> xr.DataArray:
    """Find the direct beam, dead and hot pixels of the detector from the whole scan.

    Reads the data once, block by block; what is kept in memory are three images of detector size.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts].
    direct_beam
        Radius [px] to mask around the direct beam; 0 masks none. ``"auto"`` takes the brightest spot of the mean
        pattern, out to where its profile has levelled off, when it stands 1.5-fold (near the detector's middle) or
        threefold (elsewhere) above everything beyond.

    Returns
    -------
    xarray.DataArray
        ``(qy, qx)``, int8 with ``flag_meanings`` "used direct_beam dead hot" (0 = used). Edit it freely and hand it to
        :func:`to_features`. Attributes ``beam_qy_px``, ``beam_qx_px``, ``beam_radius_px`` say where the direct beam is
        (NaN when none was found).

    Raises
    ------
    SchemaError
        ``patterns`` is no PATTERNS dataset, its intensities are negative, not finite, or zero everywhere.

    Notes
    -----
    A pixel is *hot* when its mean, or its variance over the scan, is more than 5 times that of its third-brightest
    neighbour and the excess is beyond 6 standard errors; *dead* when it is below a fifth of its third-darkest
    neighbour where at least 30 counts were expected. A spot narrower than about 1.2 px (full width) looks like a hot
    pixel: bring your own mask then.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(6, 6), detector=(32, 32), hot_pixels=3)
    >>> mask = find_mask(scan)
    >>> int((mask == 3).sum()), mask.attrs["beam_qy_px"]
    (3, 15.5)
    """
    require(patterns, PATTERNS, step="find_mask")
    images = scan_images(patterns["intensity"], "find_mask")
    return mask_from_images(images, direct_beam)


def scan_images(intensity: xr.DataArray, step: str) -> xr.Dataset:
    """Mean and variance over the scan, smallest value and number of patterns: one pass over the data."""
    data = intensity.astype(np.float32)
    scan = ("scan_y", "scan_x")
    lazy = xr.Dataset(
        {
            "mean": data.mean(scan, dtype=np.float64, skipna=False),
            "square": (data**2).mean(scan, dtype=np.float64, skipna=False),
            "lowest": data.min(skipna=False),
        }
    )
    images = lazy.compute()
    check_values(float(images["lowest"]), float(images["mean"].sum()), step)
    images["variance"] = (images["square"] - images["mean"] ** 2).clip(min=0)
    return images.assign_attrs(n_patterns=intensity.sizes["scan_y"] * intensity.sizes["scan_x"])


def check_values(lowest: float, total: float, step: str) -> None:
    """Refuse intensities that a non-negative factorisation cannot mean anything for."""
    if not np.isfinite(lowest) or not np.isfinite(total):
        raise SchemaError(
            f"{step}: 'intensity' holds NaN or infinite values, needs finite ones. Fill them "
            "(patterns.fillna(0)) or cut these scan points away with .isel(...)."
        )
    if lowest < 0:
        raise SchemaError(
            f"{step}: 'intensity' goes down to {lowest:g}, needs values >= 0. Add the offset that was subtracted, "
            "or clip the noise: patterns.assign(intensity=patterns.intensity.clip(min=0))."
        )
    if total <= 0:
        raise SchemaError(f"{step}: every pattern is zero. Check that the right dataset of the file was opened.")


def mask_from_images(images: xr.Dataset, direct_beam: float | str) -> xr.DataArray:
    """Mask of :func:`find_mask` from the scan's mean and variance images."""
    mean, variance = images["mean"].to_numpy(), images["variance"].to_numpy()
    hot, dead = _outliers(mean, variance, images.attrs["n_patterns"])
    centre, radius = _direct_beam(np.where(hot, _neighbours(mean)[4], mean))
    if not isinstance(direct_beam, str):
        radius = float(direct_beam)
        centre = centre if np.isfinite(centre).all() else (np.array(mean.shape) - 1) / 2
    elif direct_beam != "auto":
        raise SchemaError(f"find_mask: direct_beam = {direct_beam!r}, needs 'auto' or a radius in px.")
    y, x = np.indices(mean.shape)
    mask = np.full(mean.shape, USED, dtype=np.int8)
    mask[dead], mask[hot] = DEAD, HOT
    if radius > 0:
        mask[np.hypot(y - centre[0], x - centre[1]) <= radius] = DIRECT_BEAM
    out = xr.DataArray(mask, dims=("qy", "qx"), coords={d: images[d] for d in ("qy", "qx") if d in images.coords})
    out.attrs = {"long_name": "use of the detector pixel", "units": "1", "flag_meanings": _MEANINGS}
    out.attrs["flag_values"] = np.arange(4, dtype=np.int8)
    names = ("beam_qy_px", "beam_qx_px", "beam_radius_px")
    out.attrs |= dict(zip(names, (float(centre[0]), float(centre[1]), float(radius)), strict=True))
    return out


def _neighbours(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """The eight neighbours of each pixel, darkest first, ``(8, y, x)``; edges see themselves mirrored."""
    padded = np.pad(image, 1, mode="symmetric")
    rows, cols = image.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.sort([padded[i : i + rows, j : j + cols] for i, j in shifts], axis=0)


def _outliers(
    mean: NDArray[np.floating], variance: NDArray[np.floating], n: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Hot and dead pixels: against the third-brightest and third-darkest neighbour, beyond counting noise."""
    around, spread = _neighbours(mean), _neighbours(variance)
    error = np.sqrt((around[5] + 1 / n) / n)
    hot = (mean > 5 * around[5]) & (mean > around[5] + 6 * error)
    # excess over Poisson noise that the neighbours do not share; 6 / sqrt(n): standard errors of a variance
    expected = spread[5] + np.maximum(mean, around[5]) + 1 / n
    hot |= variance > 5 * expected * (1 + 6 * np.sqrt(2 / n))
    dead = (mean < 0.2 * around[2]) & (around[2] * n > 30)
    return hot, dead


def _direct_beam(mean: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Centre [px] and radius [px] of the direct beam; NaN and 0 where nothing stands out as one."""
    from scipy.ndimage import center_of_mass, gaussian_filter

    smooth = gaussian_filter(mean, 1.0)
    centre = np.array(np.unravel_index(smooth.argmax(), smooth.shape), dtype=float)
    y, x = np.indices(mean.shape)
    level = smooth.max() / 2
    for _ in range(5):  # centre of mass of what is above half the peak, so that diffuse slopes do not pull
        near = np.hypot(y - centre[0], x - centre[1]) < max(mean.shape) / 8
        centre = np.array(center_of_mass(np.where(near & (smooth > level), smooth, 0)))
    distance = np.hypot(y - centre[0], x - centre[1])
    rings = range(max(min(mean.shape) // 3, 4))  # 0.75: also the innermost ring holds pixels, wherever the centre lies
    profile = [float(np.median(mean[np.abs(distance - r) <= 0.75])) for r in rings]
    fall = -np.diff(profile)
    steep = int(fall.argmax())
    flat = next((r for r in range(steep, len(fall)) if fall[r] < 0.1 * fall[steep]), len(fall))
    radius = flat + 1.0
    rest = smooth[distance > radius + 1]
    middle = (np.array(mean.shape) - 1) / 2
    central = bool((np.abs(centre - middle) < np.array(mean.shape) / 8).all())
    if rest.size == 0 or smooth.max() < (1.5 if central else 3.0) * rest.max():
        return np.full(2, np.nan), 0.0
    return np.round(centre, 2), radius
