"""Grains: connected pixels of one phase and nearly one orientation, with size, mean orientation and spread."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...rotations import inverse, multiply, positive
from ...schema import GRAINS, ORIENTATIONS, describe, require
from ..symmetry import proper_rotations, read_phases
from .neighbours import HALF_TURN, compute_disorientation, find_neighbour_pairs, label_connected

Array = NDArray[np.float64]
_SCAN = ("scan_y", "scan_x")


@renamed_arguments(found="orientations")
def label_grains(
    orientations: xr.Dataset,
    *,
    max_disorientation_deg: float = 5.0,
    min_reliability: float = 0.0,
    min_pixels: int = 1,
    fold_180: bool = False,
) -> xr.Dataset:
    r"""Join neighbouring pixels of one phase and nearly one orientation to grains.

    Two pixels that share an edge belong to one grain when their phases agree and their disorientation is small:

    .. math:: \omega_{ij} = \min_{S} \, 2 \arccos \left| \langle q_i q_j^{-1}, S \rangle \right| \le \omega_{max}

    over the proper rotations S of the Laue group. Only neighbours are compared, so a slowly bent grain stays whole.

    Parameters
    ----------
    orientations
        ORIENTATIONS; the best match of each pixel counts. Read into memory (4 numbers a pixel).
    max_disorientation_deg
        Neighbours that differ by more belong to two grains. 5 is usual. Below about twice the scatter of the
        orientations (see ``refine_orientations``) noise splits the grains.
    min_reliability
        Pixels of lower orientation reliability (0..100) belong to no grain.
    min_pixels
        Smaller grains are left out.
    fold_180
        Whether neighbours related by half a turn about the beam count as one grain. Such pairs give nearly the same
        spots (docs/conventions.md), so that a grain may otherwise contain islands.

    Returns
    -------
    xarray.Dataset
        GRAINS. ``grain(scan_y, scan_x)`` counts from 0 in reading order, -1 where there is none. Along
        ``grain_number``: ``size`` [pixels], ``grain_phase``, ``diameter`` [nm] of the circle of equal area, and
        ``mean_quaternion``. ``spread`` [degrees] is the mean disorientation from that mean (GOS).

    Raises
    ------
    SchemaError
        Another kind of data, or a negative angle.

    See Also
    --------
    resolve_180_ambiguity : Step before: resolves the 180-degree ambiguity.
    misorientation_maps : Misorientation inside the grains, and their boundaries.
    ipf_colours : Colours of the same map.

    References
    ----------
    Mean of quaternions: Markley et al., J. Guid. Control Dyn. 30, 1193 (2007).

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> from phasekit.rotations import about_axis
    >>> cell = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0, 0, 0, 0]]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> turned = about_axis([0, 0, 1], [[0.0, 3.0, 30.0, 90.0]])
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), turned[:, :, None])
    >>> data["correlation"] = ((*scan, "match"), [[[1.0]] * 4])
    >>> orientations = xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> label_grains(orientations)["grain"].values
    array([[0, 0, 1, 2]], dtype=int32)
    """
    require(orientations, ORIENTATIONS, step="label_grains", argument="orientations")
    if max_disorientation_deg < 0:
        raise SchemaError(
            f"label_grains: max_disorientation_deg = {max_disorientation_deg}, needs 0 or more. Give degrees, as in 5."
        )
    best = orientations[["quaternion", "phase", "reliability"]].isel(match=0, drop=True).compute()
    # Unusable pixels get the phase -1 and join no pair.
    usable = np.isfinite(best["quaternion"].values).all(axis=-1) & (best["reliability"].values >= min_reliability)
    phase = np.where(usable, best["phase"].values, -1).astype(np.int32)
    symmetries = [proper_rotations(crystal) for crystal in read_phases(orientations)]
    quaternion = np.asarray(best["quaternion"].values, dtype=float)
    label = _label_components(quaternion, phase, symmetries, max_disorientation_deg, fold_180, min_pixels)
    out = xr.Dataset({"grain": (("scan_y", "scan_x"), label)}, coords=_select_scan_coordinates(orientations))
    out = out.assign(
        _compute_statistics(label, quaternion, phase, symmetries, _compute_pixel_area(orientations), fold_180)
    )
    settings: dict[str, Any] = {"max_disorientation_deg": max_disorientation_deg, "min_reliability": min_reliability}
    settings |= {"min_pixels": min_pixels, "fold_180": fold_180}
    out.attrs["phases"] = orientations.attrs["phases"]
    return describe(out, GRAINS, step="label_grains", settings=settings, source=orientations)


def _select_scan_coordinates(orientations: xr.Dataset) -> dict[str, xr.DataArray]:
    """Scan coordinates, where the map has them."""
    return {dim: orientations[dim] for dim in _SCAN if dim in orientations.coords}


def _compute_pixel_area(orientations: xr.Dataset) -> float:
    """Area of a scan position [nm^2]; NaN where the steps are unknown."""
    sampled = [d in orientations.coords and orientations.sizes[d] > 1 for d in _SCAN]
    # A single row or column says nothing about its own step; the pixel is then taken as square.
    steps = [
        float(abs(orientations[d].diff(d).mean())) if known else np.nan for d, known in zip(_SCAN, sampled, strict=True)
    ]
    known = [step for step in steps if np.isfinite(step)]
    return float(np.prod(known)) if len(known) == 2 else (known[0] ** 2 if known else np.nan)


def _label_components(
    quaternion: Array, phase: NDArray[np.int32], symmetries: list[Array], limit: float, fold: bool, min_pixels: int
) -> NDArray[np.int32]:
    """Connected components (y, x) of the graph whose edges join similar neighbours, numbered in reading order."""
    first, second = find_neighbour_pairs(phase.shape)
    q, p = quaternion.reshape(-1, 4), phase.ravel()
    joined = np.zeros(first.size, dtype=bool)
    for index, symmetry in enumerate(symmetries):
        pair = np.flatnonzero((p[first] == index) & (p[second] == index))
        joined[pair] = compute_disorientation(q[first[pair]], q[second[pair]], symmetry, fold) <= limit
    component = label_connected(first[joined], second[joined], p.size)
    size = np.bincount(component)
    # Sizes are known only after labelling, so that small grains are removed here.
    component = np.where((p >= 0) & (size[component] >= min_pixels), component, -1)
    kept, place = np.unique(component[component >= 0], return_index=True)
    # Slot -1 is the last entry and holds -1: pixels of no grain keep it when the array is indexed.
    rank = np.full(component.max(initial=-1) + 2, -1, dtype=np.int32)
    rank[kept[np.argsort(place)]] = np.arange(kept.size, dtype=np.int32)
    return rank[component].reshape(phase.shape)


def _compute_statistics(
    label: NDArray[np.int32],
    quaternion: Array,
    phase: NDArray[np.int32],
    symmetries: list[Array],
    pixel_area: float,
    fold: bool,
) -> dict[str, tuple[Any, ...]]:
    """Size, phase, diameter [nm], mean quaternion and spread [degrees] of every grain of the labels (y, x)."""
    count = int(label.max(initial=-1)) + 1
    size = np.bincount(label[label >= 0], minlength=count).astype(np.int32)
    kind = np.full(count, -1, dtype=np.int32)
    kind[label[label >= 0]] = phase[label >= 0]
    mean, spread = np.full((count, 4), np.nan), np.full(count, np.nan)
    # Sorted once by label: a search for the pixels of each grain would take the square of the time.
    order = np.argsort(label, axis=None, kind="stable")
    members = np.split(order[int((label < 0).sum()) :], np.cumsum(size)[:-1]) if count else []
    for grain, pixels in enumerate(members):
        mean[grain], spread[grain] = _average_orientation(
            quaternion.reshape(-1, 4)[pixels], symmetries[kind[grain]], fold
        )
    return {
        "size": ("grain_number", size),
        "grain_phase": ("grain_number", kind),
        "diameter": ("grain_number", 2 * np.sqrt(size * pixel_area / np.pi)),
        "mean_quaternion": (("grain_number", "wxyz"), mean),
        "spread": ("grain_number", spread),
    }


def _average_orientation(quaternion: Array, symmetry: Array, fold: bool) -> tuple[Array, float]:
    r"""Mean orientation of quaternions (n, 4), and the mean angle to it [degrees].

    The mean is the leading eigenvector of the scatter matrix, which does not depend on the signs of the quaternions:

    .. math:: M = \sum_i q_i q_i^T .

    Each member is first replaced by its equivalent nearest to the mean so far.
    """
    # Three rounds suffice for members within a few degrees of each other.
    mean = quaternion[0]
    for _ in range(3):
        # Rotations of the crystal act from the left, half a turn of the sample from the right.
        candidates = multiply(symmetry[None], quaternion[:, None])
        if fold:
            candidates = np.concatenate([candidates, multiply(candidates, HALF_TURN)], axis=1)
        cosine = candidates @ mean
        nearest = np.abs(cosine).argmax(axis=1)
        rows = np.arange(len(quaternion))
        chosen = candidates[rows, nearest] * np.sign(cosine[rows, nearest])[:, None]
        mean = positive(np.linalg.eigh(chosen.T @ chosen)[1][:, -1])
    angle = 2 * np.degrees(np.arccos(np.clip(np.abs(multiply(chosen, inverse(mean))[:, 0]), -1, 1)))
    return mean, float(angle.mean())
