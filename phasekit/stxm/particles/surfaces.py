"""Profiles from the surface of a particle inwards."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import SchemaError
from ...schema import RADIAL_PROFILES, describe
from .interfaces import refine_curve
from .labels import require_particles
from .profile_parts import assign_units, compute_bin_statistics, load_map
from .scan_grid import read_scan_grid, require_same_scan

Array = NDArray[np.float64]
#: standard deviation [px] of the average over a mask that turns its steps into a curve
_SMOOTHING_PX = 1.0
#: surroundings [px] that this average needs
_PADDING_PX = 4


def radial_profile(
    data: xr.Dataset, particles: xr.Dataset, *, variable: str = "composition", bin_nm: float | None = None
) -> xr.Dataset:
    """Average a map by the depth under the surface of each particle, which shows a core unlike the shell.

    Parameters
    ----------
    data
        Dataset with ``variable(scan_y, scan_x)``, as for :func:`phasekit.stxm.line_profile`: PHASES, COMPOSITION, ...
    particles
        PARTICLES of the same scan. Read into memory.
    variable
        Name of the map.
    bin_nm
        Width of a bin [nm]. None: one pixel.

    Returns
    -------
    xarray.Dataset
        RADIAL_PROFILES by ``particle_number`` and ``depth`` [nm], the distance from the nearest outline of the particle
        in the image plane. Contact with another particle is outline, too.

        - ``profile``, ``profile_std``, ``profile_error``, ``n_pixels`` of each particle. Phase domains count as
          independent.
        - ``pooled``, ``pooled_std``, ``pooled_error`` over all particles, every pixel with the same weight. Particles
          count as independent.

        NaN where no pixel is that deep; an error also where only one domain or particle is.

    Raises
    ------
    SchemaError
        Other kinds of data, of different scans, a variable that is missing or holds names, or a bin not positive.

    See Also
    --------
    label_particles : The particles.
    line_profile : Profile along a line.
    boundary_profile : Profile across the boundaries of two phases.

    Notes
    -----
    Where the frame cuts a particle, pixels nearer to the frame than to the visible surface are left out. The surface
    may be nearer than it looks.

    An image is a projection. The rim of a particle shows its shell alone; its middle shows the core and the shell above
    and below it. So a core looks less pure than it is.

    Examples
    --------
    >>> y, x = np.mgrid[:40, :40]
    >>> depth = 15.3 - np.hypot(y - 20, x - 20)
    >>> side = {dim: (dim, np.arange(40) * 10.0, {"units": "nm"}) for dim in ("scan_y", "scan_x")}
    >>> maps = xr.Dataset({"x": (("scan_y", "scan_x"), np.where(depth > 6, 3.0, 2.0))}, side)
    >>> one = (("scan_y", "scan_x"), 1 * (depth > 0) - 1)
    >>> particles = maps[[]].assign(particle=one, domain=one)
    >>> radial_profile(maps, particles, variable="x", bin_nm=20)["pooled"].values.round(1)
    array([2., 2., 2., 3., 3., 3., 3., 3.])
    """
    step = "radial_profile"
    values = load_map(data, variable, step)
    require_particles(particles, step)
    require_same_scan(data, particles, step=step, what="map and particles", cure="Take both of one scan.")
    grid = read_scan_grid(data, step)
    width = grid.pixel_side if bin_nm is None else bin_nm
    if not width > 0:
        raise SchemaError(f"{step}: bin_nm={width:g}, needs a positive length.")
    label, domain = (particles[name].compute().values.astype(np.intp) for name in ("particle", "domain"))
    n = int(label.max(initial=-1)) + 1
    depth = compute_depth(label, grid.steps)
    use = (label >= 0) & np.isfinite(values) & np.isfinite(depth)
    bins = (depth[use] // width).astype(np.intp)
    n_bins = int(bins.max(initial=0)) + 1
    particle = label[use]
    # errors: domains are independent within a particle, particles among each other
    each = compute_bin_statistics(particle * n_bins + bins, values[use], domain[use], n * n_bins)
    pooled = compute_bin_statistics(bins, values[use], particle, n_bins)
    profiles: dict[str, Any] = {
        name: (("particle_number", "depth"), part.reshape(n, n_bins)) for name, part in each.items()
    }
    profiles |= {name.replace("profile", "pooled"): ("depth", pooled[name]) for name in pooled if name != "n_pixels"}
    out = xr.Dataset(profiles, {"depth": ("depth", (np.arange(n_bins) + 0.5) * width, {"units": "nm"})})
    settings = {"variable": variable, "bin_nm": width}
    out = assign_units(out, data[variable])
    return describe(out, RADIAL_PROFILES, step=step, settings=settings, source=particles)


def compute_depth(particle: NDArray[np.intp], steps: tuple[float, float]) -> Array:
    """Distance [nm] of each pixel's centre from the outline of its particle, 0 on and beyond it.

    NaN outside particles, and where the frame is nearer than the outline: what lies beyond it is not known.
    """
    out = np.full(particle.shape, np.nan)
    height, width = particle.shape
    for index, box in enumerate(ndimage.find_objects(particle + 1)):
        if box is None:
            continue
        rows, columns = box
        # surroundings on every side that the frame does not cut; there the particle goes on
        cut = ((rows.start == 0, rows.stop == height), (columns.start == 0, columns.stop == width))
        padding = [tuple(0 if side else _PADDING_PX for side in sides) for sides in cut]
        inside = np.pad(particle[box] == index, padding)
        depth = _compute_outline_distance(inside, steps)
        crop = tuple(slice(low, size - high) for (low, high), size in zip(padding, inside.shape, strict=True))
        out[box] = np.where(inside[crop], depth[crop], out[box])
    # distance to the frame; deeper pixels may be near a surface that is not in it
    y = (np.minimum(np.arange(height), np.arange(height)[::-1]) + 0.5) * steps[0]
    x = (np.minimum(np.arange(width), np.arange(width)[::-1]) + 0.5) * steps[1]
    return np.where(out <= np.minimum(y[:, None], x), out, np.nan)


def _compute_outline_distance(inside: NDArray[np.bool_], steps: tuple[float, float]) -> Array:
    """Distance (y, x) [nm] from the curve where the mask, smoothed by a pixel, is one half; NaN outside the mask.

    Distances to the nearest pixel outside would come out 0.2 to 0.3 pixels short at depth. Of many pixels behind a
    curve one always lies close to it.
    """
    from scipy.spatial import cKDTree
    from skimage.measure import find_contours

    if min(inside.shape) < 2:  # one row of a scan shows no outline above or below
        return np.full(inside.shape, np.nan)
    smooth = ndimage.gaussian_filter(inside.astype(float), _SMOOTHING_PX, mode="nearest")
    if smooth.max() <= 0.5:  # too thin to survive it
        smooth = inside.astype(float)
    curves = find_contours(smooth, 0.5)  # type: ignore[no-untyped-call]
    out = np.full(inside.shape, np.nan)
    if curves:
        points = np.concatenate([refine_curve(curve) for curve in curves]) * np.array(steps)
        places = np.argwhere(inside)
        far, _ = cKDTree(points).query(places * np.array(steps))
        out[tuple(places.T)] = np.where(smooth[tuple(places.T)] > 0.5, far, 0.0)
    return out
