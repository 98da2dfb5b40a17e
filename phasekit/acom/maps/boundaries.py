"""Misorientation inside grains (kernel average, from the grain's mean), and boundaries between scan positions."""

from enum import IntEnum
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import SchemaError, status_attributes
from ...schema import BOUNDARIES, GRAINS, ORIENTATIONS, describe, require
from ..symmetry import proper_rotations, read_phases
from .neighbours import compute_disorientation, find_neighbour_pairs, is_half_turn_pair

Array = NDArray[np.float64]
_SCAN = ("scan_y", "scan_x")


class BoundaryKind(IntEnum):
    """Kind of the boundary between two scan positions that share an edge."""

    NONE = 0
    LOW_ANGLE = 1
    HIGH_ANGLE = 2
    PHASE = 3
    HALF_TURN = 4


@renamed_arguments(found="orientations")
def misorientation_maps(
    orientations: xr.Dataset,
    grains: xr.Dataset | None = None,
    *,
    max_kernel_deg: float = 5.0,
    low_angle_deg: float = 2.0,
    high_angle_deg: float = 15.0,
    half_turn_deg: float = 5.0,
    fold_180: bool = False,
) -> xr.Dataset:
    r"""Misorientation inside grains, and angle and kind of the boundary at every edge between scan positions.

    The disorientation of two pixels is the smallest rotation angle between equivalent orientations:

    .. math:: \omega_{ij} = \min_{S} \, 2 \arccos \left| \langle q_i q_j^{-1}, S \rangle \right|

    over the proper rotations S of the Laue group. The kernel average misorientation (KAM) is its mean over the
    neighbours of the same grain:

    .. math:: \kappa_i = \frac{1}{|N_i|} \sum_{j \in N_i} \omega_{ij}, \qquad
              N_i = \{ j : \omega_{ij} \le \omega_{max} \} .

    Parameters
    ----------
    orientations
        ORIENTATIONS; the best match of each pixel counts. Read into memory (4 numbers a pixel).
    grains
        GRAINS of the same scan, for ``grain_misorientation``.
    max_kernel_deg
        Neighbours that differ by more belong to another grain and do not count in the kernel. 5 is usual.
    low_angle_deg, high_angle_deg
        An edge is a low-angle boundary from the first and a high-angle boundary from the second on. Below about twice
        the scatter of the orientations the first marks noise.
    half_turn_deg
        Tolerance for a half turn about the beam, or about an axis within 15 degrees of it. Two neighbours related by
        one give nearly the same spots (docs/conventions.md), so the boundary may be an artefact. Only disorientations
        above the tolerance are tested. 0 tests none.
    fold_180
        Whether half a turn about the beam counts as no misorientation in ``kernel_misorientation`` and
        ``grain_misorientation``. Use the value given to ``label_grains``. Boundaries are never folded.

    Returns
    -------
    xarray.Dataset
        BOUNDARIES, all (scan_y, scan_x). ``kernel_misorientation`` [degree] is the mean disorientation from those of
        the 4 neighbours that have the same phase and differ by ``max_kernel_deg`` at most; NaN where there is none.

        ``boundary_x`` and ``boundary_y`` [degree] are the disorientation from the right and the lower neighbour. They
        are NaN where one of the two has no orientation, the phases differ or the map ends.

        ``boundary_kind_x`` and ``boundary_kind_y``: 0 none (also beside pixels without an orientation), 1 low angle,
        2 high angle, 3 phase boundary, 4 pair related by half a turn.

        With ``grains``, ``grain_misorientation`` [degree] is the disorientation from the mean orientation of the
        grain (GROD); NaN outside grains.

    Raises
    ------
    SchemaError
        Other kinds of data, grains of another scan, or limits out of order.

    See Also
    --------
    label_grains : Finds the grains and their mean orientations.
    refine_orientations : Lowers the scatter that limits the smallest boundary angle.
    resolve_180_ambiguity : Removes boundaries that come from the 180-degree ambiguity.

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> from phasekit.rotations import about_axis
    >>> cell = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0] * 4]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> turned = about_axis([0, 0, 1], [[0.0, 1.0, 4.0, 40.0]])
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), turned[:, :, None])
    >>> data["correlation"] = ((*scan, "match"), [[[1.0]] * 4])
    >>> maps = misorientation_maps(xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])}))
    >>> maps["boundary_x"].values.round(3), maps["kernel_misorientation"].values.round(3)
    (array([[ 1.,  3., 36., nan]]), array([[ 1.,  2.,  3., nan]]))
    >>> maps["boundary_kind_x"].values
    array([[0, 1, 2, 0]], dtype=int8)
    """
    require(orientations, ORIENTATIONS, step="misorientation_maps", argument="orientations")
    limits = {"low_angle_deg": low_angle_deg, "high_angle_deg": high_angle_deg, "half_turn_deg": half_turn_deg}
    settings: dict[str, Any] = {"max_kernel_deg": max_kernel_deg, **limits, "fold_180": fold_180}
    _check_settings(orientations, grains, settings)
    best = orientations[["quaternion", "phase"]].isel(match=0, drop=True).compute()
    quaternion = np.asarray(best["quaternion"].values, dtype=float)
    known = np.isfinite(quaternion).all(axis=-1)
    # Phase -1 marks pixels without an orientation: they pair with none.
    phase = np.where(known, best["phase"].values, -1).astype(np.int64)
    symmetries = [proper_rotations(crystal) for crystal in read_phases(orientations)]
    angle, kind, folded = _classify_edges(quaternion, phase, symmetries, limits, fold_180)
    maps = {"kernel_misorientation": _compute_kernel_misorientation(folded, phase.shape, max_kernel_deg)}
    maps["boundary_x"], maps["boundary_y"] = _split_into_maps(angle, phase.shape, np.nan)
    maps["boundary_kind_x"], maps["boundary_kind_y"] = _split_into_maps(kind, phase.shape, BoundaryKind.NONE.value)
    if grains is not None:
        maps["grain_misorientation"] = _compute_grain_misorientation(quaternion, phase, grains, symmetries, fold_180)
    coords = {dim: orientations[dim] for dim in _SCAN if dim in orientations.coords}
    out = xr.Dataset({name: (_SCAN, values) for name, values in maps.items()}, coords)
    for name in ("boundary_kind_x", "boundary_kind_y"):
        out[name].attrs = status_attributes(BoundaryKind)
    return describe(out, BOUNDARIES, step="misorientation_maps", settings=settings, source=orientations)


def _check_settings(orientations: xr.Dataset, grains: xr.Dataset | None, settings: dict[str, Any]) -> None:
    low, high = settings["low_angle_deg"], settings["high_angle_deg"]
    if not 0 <= low <= high or settings["max_kernel_deg"] < 0 or settings["half_turn_deg"] < 0:
        raise SchemaError(
            f"misorientation_maps: found {settings}, needs 0 <= low_angle_deg <= high_angle_deg and no negative angle. "
            "Give degrees, as in low_angle_deg=2, high_angle_deg=15."
        )
    if grains is None:
        return
    # A grain dimension of length 0 would fail the check of the schema.
    if grains.sizes.get("grain_number") != 0:  # a map without any grain is a result, too
        require(grains, GRAINS, step="misorientation_maps", argument="grains")
    sizes = [tuple(data.sizes[dim] for dim in _SCAN) for data in (orientations, grains)]
    if sizes[0] != sizes[1]:
        raise SchemaError(
            f"misorientation_maps: the map has {sizes[0]} scan positions, the grains {sizes[1]}. "
            "Label the grains of this map with label_grains(orientations)."
        )


def _classify_edges(
    quaternion: Array, phase: NDArray[np.int64], symmetries: list[Array], limits: dict[str, float], fold: bool
) -> tuple[Array, NDArray[np.int8], Array]:
    """Disorientation [degrees], kind and disorientation folded on request of every pair of neighbours (pair,)."""
    first, second = find_neighbour_pairs(phase.shape)
    q, p = quaternion.reshape(-1, 4), phase.ravel()
    angle = np.full(first.size, np.nan)
    folded = angle.copy()
    kind = np.zeros(first.size, dtype=np.int8)
    kind[(p[first] >= 0) & (p[second] >= 0) & (p[first] != p[second])] = BoundaryKind.PHASE
    for index, symmetry in enumerate(symmetries):
        pair = np.flatnonzero((p[first] == index) & (p[second] == index))
        one, other = q[first[pair]], q[second[pair]]
        # Boundaries are drawn from the unfolded angle, kernels from the folded one.
        angle[pair] = compute_disorientation(one, other, symmetry, False)
        folded[pair] = compute_disorientation(one, other, symmetry, True) if fold else angle[pair]
        # The limits belong to the class above them.
        low, high = angle[pair] >= limits["low_angle_deg"], angle[pair] >= limits["high_angle_deg"]
        # Near a two-fold axis along the beam, nearly equal orientations are half turns of each other, too.
        apart = low & (angle[pair] > limits["half_turn_deg"])
        turned = is_half_turn_pair(one, other, symmetry, limits["half_turn_deg"]) & apart
        choices = [BoundaryKind.HALF_TURN, BoundaryKind.HIGH_ANGLE, BoundaryKind.LOW_ANGLE]
        kind[pair] = np.select([turned, high, low], choices, BoundaryKind.NONE)
    return angle, kind, folded


def _split_into_maps(edges: NDArray[Any], shape: tuple[int, ...], outside: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values of the pairs (pair,) as two maps (y, x): at the pixel on the left, and at the upper one."""
    height, width = shape
    x, y = np.full(shape, outside, dtype=edges.dtype), np.full(shape, outside, dtype=edges.dtype)
    # Pairs side by side come first in the list of pairs, those below each other second.
    n_x = height * (width - 1)
    x[:, :-1], y[:-1] = edges[:n_x].reshape(height, width - 1), edges[n_x:].reshape(height - 1, width)
    return x, y


def _compute_kernel_misorientation(angle: Array, shape: tuple[int, ...], limit: float) -> Array:
    """Mean angle [degrees] (y, x) of the pairs (pair,) up to ``limit`` that end at each pixel; NaN without one."""
    first, second = find_neighbour_pairs(shape)
    counts = angle <= limit
    # Every pair counts at both of its ends.
    ends = np.concatenate([first[counts], second[counts]])
    size = int(np.prod(shape))
    total = np.bincount(ends, weights=np.tile(angle[counts], 2), minlength=size)
    number = np.bincount(ends, minlength=size)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan).reshape(shape)


def _compute_grain_misorientation(
    quaternion: Array, phase: NDArray[np.int64], grains: xr.Dataset, symmetries: list[Array], fold: bool
) -> Array:
    """Disorientation [degrees] of every pixel from the mean orientation of its grain, NaN outside grains."""
    label, mean = grains["grain"].values, grains["mean_quaternion"].values
    out = np.full(phase.shape, np.nan)
    for index, symmetry in enumerate(symmetries):
        here = (label >= 0) & (phase == index)
        out[here] = compute_disorientation(quaternion[here], mean[label[here]], symmetry, fold)
    return out
