"""What the profiles have in common: maps read and checked, strips sampled, bins averaged, fits as variables."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, special

from ...errors import SchemaError
from .interfaces import WIDTH_PER_SIGMA, FittedEdge, subtract_probe_width
from .scan_grid import SCAN, ScanGrid

Array = NDArray[np.float64]
Line = tuple[tuple[float, float], tuple[float, float]]


def load_map(data: xr.Dataset, variable: str, step: str) -> Array:
    """Map (scan_y, scan_x) of measured values, in memory.

    Whole numbers are refused: they name things, so they have no mean.
    """
    if not isinstance(data, xr.Dataset) or variable not in data:
        raise SchemaError(f"{step}: there is no variable '{variable}' in the data. Name one of its maps.")
    array = data[variable]
    if tuple(map(str, array.dims)) != SCAN or 0 in array.shape:
        raise SchemaError(
            f"{step}: '{variable}' has dimensions {dict(array.sizes)}, needs a map {SCAN}. Select one with .isel(...)."
        )
    if array.dtype.kind not in "fb":
        raise SchemaError(
            f"{step}: '{variable}' holds whole numbers ({array.dtype}), which name things, needs measured values or "
            f"bool. Give the share of one: data.assign(share=data['{variable}'] == 0), or convert with .astype(float)."
        )
    return np.asarray(array.compute().values, dtype=np.float64)


def check_line(grid: ScanGrid, line: Line, lengths: tuple[float, ...], step: str) -> None:
    """Refuse lengths that are not positive and a line that leaves the frame."""
    if not all(length > 0 for length in lengths):
        raise SchemaError(f"{step}: width_nm, step_nm, independent_nm = {lengths}, needs positive lengths.")
    for axis, values, side in ((0, grid.y, grid.steps[0]), (1, grid.x, grid.steps[1])):
        low, high = values.min() - 0.5 * side, values.max() + 0.5 * side
        if not all(low <= end[axis] <= high for end in line):
            raise SchemaError(
                f"{step}: the line from {line[0]} to {line[1]} nm (y, x) leaves the frame, "
                f"{SCAN[axis]} {low:g}..{high:g} nm. Move its ends inside."
            )
    if np.hypot(*np.subtract(*line)) <= 0:
        raise SchemaError(f"{step}: the line from {line[0]} to {line[1]} nm has no length. Give two places.")


def sample_line(values: Array, grid: ScanGrid, line: Line, width: float, spacing: float) -> tuple[Array, Array, Array]:
    """Distances (n,) along the line [nm], its places (2, n) [nm], and values (n, strip), NaN where unknown."""
    start, stop = np.array(line[0], dtype=float), np.array(line[1], dtype=float)
    length = float(np.hypot(*(stop - start)))
    ahead = (stop - start) / length  # unit vector along the line
    along: Array = np.arange(int(np.floor(length / spacing + 1e-9)) + 1, dtype=np.float64) * spacing
    # one value per pixel across the strip
    n = max(round(width / grid.pixel_side), 1)
    across = (np.arange(n) - 0.5 * (n - 1)) * width / n
    places = start[:, None] + ahead[:, None] * along
    points = places[:, :, None] + np.array([-ahead[1], ahead[0]])[:, None, None] * across
    origin = np.array([grid.y[0], grid.x[0]])
    side = np.array([axis[1] - axis[0] if axis.size > 1 else 1.0 for axis in (grid.y, grid.x)])  # may be negative
    index = (points - origin[:, None, None]) / side[:, None, None]
    # known values and their weight are interpolated apart, so that NaN does not spread
    known = np.isfinite(values)
    weight = ndimage.map_coordinates(known.astype(float), index, order=1, mode="constant")
    total = ndimage.map_coordinates(np.where(known, values, 0.0), index, order=1, mode="constant")
    return along, places, np.where(weight >= 0.5, total / np.maximum(weight, 0.5), np.nan).astype(np.float64)


def compute_bin_statistics(bins: NDArray[np.intp], value: Array, group: NDArray[np.intp], n: int) -> dict[str, Array]:
    """Mean, standard deviation and number of the values in each of ``n`` bins, and the standard error of the mean.

    Values of one group are not independent. The error follows from the scatter of the sums of groups about the mean
    (cluster-robust), and is NaN where a bin holds one group only.
    """
    count = np.bincount(bins, minlength=n).astype(np.float64)
    some = np.where(count > 0, count, np.nan)
    mean = np.bincount(bins, value, n) / some
    residual = value - mean[bins]
    spread = np.sqrt(np.bincount(bins, residual**2, n) / np.where(count > 1, count - 1, np.nan))
    # sums over the members of one group in one bin are the independent observations
    members = bins.astype(np.int64) * (int(group.max(initial=0)) + 1) + group
    code, member = np.unique(members, return_inverse=True)
    where = code // (int(group.max(initial=0)) + 1)
    groups = np.bincount(where, minlength=n)
    square = np.bincount(where, np.bincount(member, residual, code.size) ** 2, n)
    # G / (G - 1) corrects for the mean that is taken from the same groups
    several = np.where(groups > 1, groups, 2)
    error = np.where(groups > 1, np.sqrt(square * several / (several - 1)) / some, np.nan)
    return {"profile": mean, "profile_std": spread, "profile_error": error, "n_pixels": count.astype(np.int64)}


def make_edge_variables(
    edge: FittedEdge, distance: Array, middle: float, probe: float | None, pixel: float
) -> dict[str, Any]:
    """The fit as variables of a PROFILE; ``middle`` [nm] is the zero of the distances in the fit."""
    if probe is not None and not probe > 0:
        raise SchemaError(
            f"fit_boundary_width: probe_fwhm_nm={probe}, needs a positive width [nm], or None to take nothing off."
        )
    low, high = edge.levels[0] if len(edge.levels) else (np.nan, np.nan)
    own = subtract_probe_width(edge, probe, pixel)
    curve = low + (high - low) * special.ndtr((distance - middle - edge.position) / edge.sigma)
    scalars = {
        "edge_position": middle + edge.position,
        "edge_position_error": edge.position_error,
        "edge_from": low,
        "edge_to": high,
        "edge_width_seen": WIDTH_PER_SIGMA * edge.sigma,
        "edge_width_seen_error": WIDTH_PER_SIGMA * edge.sigma_error,
        "edge_width": own.width,
        "edge_width_error": own.error,
        "edge_width_upper": own.upper,
    }
    return {"edge": ("distance", curve), **{name: ((), float(value)) for name, value in scalars.items()}}


def find_reference_pair(particles: xr.Dataset, between: tuple[str, str], step: str) -> tuple[int, int, int]:
    """Indices of two references, and how many there are."""
    if "reference" not in particles.coords:
        raise SchemaError(f"{step}: the particles carry no 'reference'. Make them with pk.stxm.label_particles.")
    names = [str(name) for name in particles["reference"].values]
    missing = [name for name in between if name not in names]
    if missing or len(between) != 2 or between[0] == between[1]:
        raise SchemaError(f"{step}: between={between}, needs two different references of {names}.")
    return names.index(between[0]), names.index(between[1]), len(names)


def select_particle(label: NDArray[np.int32], particle: int, step: str) -> NDArray[np.int32]:
    """Map with one particle left, renumbered 0."""
    n = int(label.max(initial=-1)) + 1
    if not 0 <= particle < n:
        raise SchemaError(f"{step}: particle={particle}, needs one of the {n} there are, counted from 0.")
    return np.where(label == particle, 0, -1).astype(np.int32)


def assign_units(out: xr.Dataset, source: xr.DataArray) -> xr.Dataset:
    """Give the unit of the map to everything measured in it, and nm to distances."""
    unit = str(source.attrs.get("units", "1"))
    same = ("profile", "profile_std", "profile_error", "pooled", "pooled_std", "pooled_error")
    for name in (*same, "edge", "edge_from", "edge_to"):
        if name in out:
            out[name].attrs["units"] = unit
    for name in ("distance", "depth", "line_y", "line_x"):
        if name in out.coords:
            out[name].attrs["units"] = "nm"
    return out
