"""Pole figures: directions of the plane normals of one form {hkl} in the sample frame, and their density."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...crystals import direct_basis, lattice_of, select_up_to_sign
from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...rotations import to_matrix
from ...schema import ORIENTATIONS, POLE_FIGURE, describe, require
from ..symmetry import proper_rotations, read_phases

Array = NDArray[np.float64]
Projection = Literal["equal_area", "stereographic"]
_BINS = 180  # across the circle: poles less than about 1 degree apart are merged, whatever the size of the map


@renamed_arguments(found="orientations")
def pole_figure(
    orientations: xr.Dataset,
    hkl: Sequence[int],
    *,
    phase: int = 0,
    projection: Projection = "equal_area",
    half_width_deg: float = 7.5,
    grid: int = 91,
    min_reliability: float = 0.0,
) -> xr.Dataset:
    r"""Pole figure of a form {hkl}: density of all equivalent plane normals in the sample frame.

    Both normals of a plane count (Friedel), so one hemisphere shows everything. It is the one around +z, the direction
    of the electrons. The x axis points to the right and y downwards, as in the maps
    (docs/conventions.md). The normal (x, y, z) is projected to

    .. math:: (X, Y) = \frac{(x, y)}{\sqrt{1 + z}} \;\text{ (equal area)}, \qquad
              (X, Y) = \frac{(x, y)}{1 + z} \;\text{ (stereographic)}.

    The density at the direction n is a mean over the poles p of weight W:

    .. math:: f(n) = \frac{\sum_j W_j \, K(n \cdot p_j)}{\sum_j W_j}, \qquad
              K(u) = \frac{\kappa}{1 - e^{-2 \kappa}} \left(e^{\kappa (u - 1)} + e^{-\kappa (u + 1)}\right), \qquad
              \kappa = \frac{\ln 2}{1 - \cos h}

    with the half width h. K is the kernel of von Mises and Fisher, summed over both normals, with the mean 1.

    Parameters
    ----------
    orientations
        ORIENTATIONS; the best match of each pixel counts. Read into memory (4 numbers a pixel).
    hkl
        Three Miller indices of the plane, as (1, 1, 1).
    phase
        Index of the phase whose pixels are used.
    projection
        ``"equal_area"`` (Lambert): equal areas hold equal solid angles. ``"stereographic"`` (Wulff): circles remain
        circles.
    half_width_deg
        Angle at which the kernel that smooths the density falls to one half. Smaller is sharper and noisier: n
        pixels of single crystals show n separate spots below about 90 / sqrt(n) degrees.
    grid
        Points of the density across the circle.
    min_reliability
        Pixels of lower orientation reliability (0..100) do not count.

    Returns
    -------
    xarray.Dataset
        POLE_FIGURE. ``density(pole_y, pole_x)`` is in multiples of a random distribution (MRD). Its mean over the
        hemisphere is 1. It is NaN outside the circle of radius 1.

        ``direction_y`` and ``direction_x`` (pole) are the projected poles. Poles less than about 1 degree apart are
        merged at their mean, and ``weight(pole)`` is their number. A pole on the rim counts half at each end.

        ``n_pixels`` is the number of pixels. Without any pixel of the phase, density and directions are NaN (one pole
        of weight 0).

    Raises
    ------
    SchemaError
        Another kind of data, no such phase, indices that are no plane, or a setting outside its range.

    See Also
    --------
    ipf_colours : Sample directions in the crystal frame instead.
    label_grains : Grains of the same map.
    refine_orientations : Step before.

    References
    ----------
    Kernel: R. A. Fisher, Proc. R. Soc. A 217, 295 (1953).

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> cell = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0]]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]]])
    >>> data["correlation"] = ((*scan, "match"), [[[1.0]]])
    >>> cube = xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> pole = pole_figure(cube, (0, 0, 1))
    >>> (pole["direction_x"].values.round(3) + 0.0).tolist(), (pole["direction_y"].values.round(3) + 0.0).tolist()
    ([0.0, -1.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0, 1.0])
    """
    require(orientations, ORIENTATIONS, step="pole_figure", argument="orientations")
    phases = read_phases(orientations)
    settings = {"hkl": [int(index) for index in hkl], "phase": phase, "projection": projection}
    settings |= {"half_width_deg": half_width_deg, "grid": grid, "min_reliability": min_reliability}
    _check_settings(hkl, settings, [str(one.name) for one in phases])
    best = orientations[["quaternion", "phase", "reliability"]].isel(match=0, drop=True).compute()
    quaternion = np.asarray(best["quaternion"].values, dtype=float)
    # Reliability is NaN where only one match was kept: without a limit such pixels count.
    here = (best["phase"].values == phase) & np.isfinite(quaternion).all(axis=-1)
    if min_reliability > 0:
        here &= best["reliability"].values >= min_reliability
    normals = find_equivalent_normals(phases[phase], hkl)
    # v_sample = R^T v_crystal
    poles, weight = bin_poles((normals @ to_matrix(quaternion[here])).reshape(-1, 3))
    axis = np.linspace(-1, 1, grid)
    density = _estimate_density(poles, weight, axis, projection, half_width_deg)
    x, y = project_directions(poles, projection)
    data: dict[str, Any] = {"density": (("pole_y", "pole_x"), density), "n_pixels": ((), int(here.sum()))}
    data |= {"direction_y": ("pole", y), "direction_x": ("pole", x), "weight": ("pole", weight)}
    coords = {name: (name, axis, {"units": "1"}) for name in ("pole_y", "pole_x")}
    name, form = str(phases[phase].name), "".join(f" {int(index)}" for index in hkl).strip()
    out = xr.Dataset(data, coords, {"phase_name": name, "form": f"{{{form}}}", "projection": projection})
    return describe(out, POLE_FIGURE, step="pole_figure", settings=settings, source=orientations)


def _check_settings(hkl: Sequence[int], settings: dict[str, Any], names: list[str]) -> None:
    """Refuse indices that are no plane, an unknown phase or projection, and numbers outside their range."""
    if len(hkl) != 3 or not any(hkl) or [float(index) for index in hkl] != settings["hkl"]:
        raise SchemaError(
            f"pole_figure: hkl = {tuple(hkl)}, needs three whole numbers that are not all 0. Leave the third of four "
            "hexagonal indices (hkil) out, as in (1, 0, 2)."
        )
    if settings["phase"] not in range(len(names)):
        raise SchemaError(f"pole_figure: phase = {settings['phase']}, needs an index into {names}. Count from 0.")
    if settings["projection"] not in ("equal_area", "stereographic"):
        raise SchemaError(
            f"pole_figure: projection '{settings['projection']}', needs 'equal_area' (the default) or 'stereographic'."
        )
    if not 0.5 <= settings["half_width_deg"] <= 60 or settings["grid"] < 3:
        raise SchemaError(
            f"pole_figure: half_width_deg = {settings['half_width_deg']}, grid = {settings['grid']}; needs 0.5 to 60 "
            "degrees and 3 points or more. Leave both out for 7.5 degrees on 91 points."
        )


def find_equivalent_normals(phase: Any, hkl: Sequence[int]) -> Array:
    """Unit normals (n, 3) of the planes equivalent to hkl in the Laue group, crystal frame, one of each +- pair."""
    normal = np.linalg.inv(direct_basis(lattice_of(phase))) @ np.asarray(hkl, dtype=float)
    # The Laue group, not the point group: diffraction adds the inversion.
    equivalent = to_matrix(proper_rotations(phase)) @ (normal / np.linalg.norm(normal))
    # Normals n and -n are one plane; keeping one avoids double poles.
    return select_up_to_sign(equivalent, 1e-9)


def bin_poles(normals: Array) -> tuple[Array, Array]:
    """Mean direction (pole, 3) and number (pole,) of the poles in each occupied bin of the hemisphere z >= 0.

    A pole on the rim appears at both ends of its line, so each end counts one half.
    """
    both = np.concatenate([normals, -normals])
    # Both normals are made, and the upper one is kept; on the rim both remain.
    both = both[both[:, 2] >= -1e-9]
    if not len(both):
        return np.full((1, 3), np.nan), np.zeros(1)
    # The two ends of a line in the rim are one plane.
    share = np.where(both[:, 2] <= 1e-9, 0.5, 1.0)
    # In the equal-area projection all bins hold the same solid angle.
    x, y = project_directions(both, "equal_area")
    cell = np.round((np.stack([y, x]) + 1) * _BINS / 2).astype(int)
    # A row has _BINS + 1 cells, so that this numbering gives no two cells one number.
    _, place = np.unique(cell[0] * (_BINS + 2) + cell[1], return_inverse=True)
    mean = np.stack([np.bincount(place, weights=both[:, k]) for k in range(3)], axis=1)
    weight = np.asarray(np.bincount(place, weights=share), dtype=float)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True), weight


def project_directions(directions: Array, projection: str) -> tuple[Array, Array]:
    """Coordinates (x, y) in the circle of radius 1 of unit vectors (n, 3) with z >= 0.

    The equal-area projection is scaled by 1 / sqrt(2), so that the rim has the radius 1 in both projections.
    """
    z = np.clip(directions[:, 2], 0, 1)
    scale = 1 / np.sqrt(1 + z) if projection == "equal_area" else 1 / (1 + z)
    return directions[:, 0] * scale, directions[:, 1] * scale


def _estimate_density(poles: Array, weight: Array, axis: Array, projection: str, half_width_deg: float) -> Array:
    """Kernel density (y, x) at the points of the grid, in multiples of random; NaN outside the circle."""
    x, y = np.meshgrid(axis, axis)
    square = x**2 + y**2
    inside = square <= 1 + 1e-9
    s = square[inside]
    # Inverse projections: from the plane back to the sphere.
    if projection == "equal_area":
        z, scale = 1 - s, np.sqrt(np.clip(2 - s, 0, None))
    else:
        z, scale = (1 - s) / (1 + s), 2 / (1 + s)
    points = np.stack([x[inside] * scale, y[inside] * scale, z], axis=1)
    # At the half width the kernel falls to one half.
    sharpness = np.log(2) / (1 - np.cos(np.radians(half_width_deg)))
    total = np.zeros(len(points))
    for start in range(0, len(poles), 1000):  # 1000 poles at once: some 50 MB
        cosine = np.abs(points @ poles[start : start + 1000].T)
        kernel = np.exp(sharpness * (cosine - 1)) + np.exp(-sharpness * (cosine + 1))
        total += kernel @ weight[start : start + 1000]
    mean = (1 - np.exp(-2 * sharpness)) / sharpness  # of the two kernels over the sphere
    out = np.full(x.shape, np.nan)
    out[inside] = total / (mean * weight.sum()) if weight.sum() else np.nan
    return out
