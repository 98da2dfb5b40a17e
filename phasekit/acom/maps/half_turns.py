"""The 180-degree ambiguity: of two nearly equal orientations the one with the higher score over the whole grain."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import AcomStatus, SchemaError
from ...schema import ORIENTATIONS, describe, require
from ..symmetry import proper_rotations, read_phases
from .neighbours import Index, compute_disorientation, find_neighbour_pairs, label_connected

Array = NDArray[np.float64]
_READ = ["quaternion", "correlation", "phase", "reliability", "status"]


@renamed_arguments(found="orientations")
def resolve_180_ambiguity(
    orientations: xr.Dataset,
    *,
    max_disorientation_deg: float = 5.0,
    max_reliability: float = 5.0,
    min_gain: float = 2.0,
    max_safe_share: float = 0.1,
) -> xr.Dataset:
    r"""Choose between solutions of nearly equal score by their sums over the grain, after ``refine_orientations``.

    Solutions of neighbouring pixels that agree form a family. A grain with the 180-degree ambiguity has two families.
    In each pixel noise decides which of them comes first. Over all pixels of the grain the noise averages out.

    The scores of each family are summed over its pixels, unambiguous ones included. With the differences d of the
    scores in each pixel, the lead of one family over the other in standard errors is

    .. math:: \ell = \frac{\sum_i d_i}{\sqrt{\sum_i d_i^2}} .

    Ambiguous pixels take their solution of the leading family.

    Parameters
    ----------
    orientations
        ORIENTATIONS with two matches or more. Read into memory (5 numbers a pixel and match).
    max_disorientation_deg
        Solutions of neighbours that differ by no more, in the Laue group of the phase, agree. Use the value given to
        ``label_grains``.
    max_reliability
        Only pixels with ``status`` ambiguous_180 or pseudo_symmetric and an orientation reliability (0..100) below
        this may change.
    min_gain
        Smallest lead, in standard errors, that changes a pixel. 2 leaves grains of fewer than about 6 pixels as they
        are. 0 lets the slightest lead decide.
    max_safe_share
        A patch of one orientation stays if a larger fraction of its pixels is not ambiguous. Such a patch is a grain
        of its own, as half a turn is also a common twin. 1 lets every patch change.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS. In changed pixels another kept match comes first, with its ``correlation``. There
        ``reliability`` is 0, because the former best scores higher. ``phase_reliability`` is that of the new best.
        ``uncertainty_deg`` is NaN, because it belonged to the former best. ``status`` stays.
        ``changed(scan_y, scan_x)`` is true there.

    Raises
    ------
    SchemaError
        Another kind of data, fewer than two matches, or a setting outside its range.

    See Also
    --------
    refine_orientations : Step before.
    label_grains : Step after.
    misorientation_maps : Marks the boundaries that half a turn explains.

    Notes
    -----
    A twin whose pixels are all ambiguous cannot be told from a wrong patch. It is changed like one.

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> from phasekit.rotations import about_axis
    >>> cell = crystal("LiFePO4", 62, (10.33, 6.01, 4.69, 90, 90, 90), [("Fe", 0.28, 0.25, 0.97)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[1.0] * 9]) for name in ("reliability", "phase_reliability")}
    >>> data |= {"phase": (scan, [[0] * 9]), "status": (scan, [[3] * 9])}
    >>> true, flipped = about_axis([1, 2, 0], 30.0), about_axis([1, 2, 0], 150.0)
    >>> order = [[true, flipped]] * 4 + [[flipped, true]] + [[true, flipped]] * 4
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), [order])
    >>> data["correlation"] = ((*scan, "match"), [[[0.90, 0.89]] * 9])
    >>> orientations = xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> resolve_180_ambiguity(orientations)["changed"].values.astype(int)
    array([[0, 0, 0, 0, 1, 0, 0, 0, 0]])
    """
    require(orientations, ORIENTATIONS, step="resolve_180_ambiguity", argument="orientations")
    settings = {"max_disorientation_deg": max_disorientation_deg, "max_reliability": max_reliability}
    settings |= {"min_gain": min_gain, "max_safe_share": max_safe_share}
    _check_settings(orientations, settings)
    read = orientations[_READ].compute()
    shape = read["phase"].shape
    # A pixel with a safe orientation gives its scores, but does not change.
    ambiguous = read["status"].isin([AcomStatus.AMBIGUOUS_180.value, AcomStatus.PSEUDO_SYMMETRIC.value])
    free = (ambiguous & (read["reliability"] < max_reliability)).values.ravel()
    score = np.asarray(read["correlation"].values, dtype=float).reshape(free.size, -1)
    symmetries = [proper_rotations(crystal) for crystal in read_phases(orientations)]
    quaternion = np.asarray(read["quaternion"].values, dtype=float).reshape(*score.shape, 4)
    phase = np.where(np.isfinite(quaternion[:, 0]).all(axis=1), read["phase"].values.ravel(), -1)
    family, patch = _build_families(quaternion, phase, shape, symmetries, max_disorientation_deg)
    # A patch that is mostly unambiguous is a grain of its own, however the scores of its rival add up.
    held = np.bincount(patch, weights=~free) > max_safe_share * np.bincount(patch)
    # Pixels without an orientation would otherwise be families of their own.
    family[~(np.isfinite(score) & (phase >= 0)[:, None])] = -1
    chosen = _select_matches(family, np.nan_to_num(score), free & ~held[patch], min_gain)
    out = _reorder_matches(orientations, read, chosen.reshape(shape))
    return describe(out, ORIENTATIONS, step="resolve_180_ambiguity", settings=settings, source=orientations)


def _check_settings(orientations: xr.Dataset, settings: dict[str, float]) -> None:
    if orientations.sizes["match"] < 2:
        raise SchemaError(
            "resolve_180_ambiguity: there is 1 match per pixel, needs 2 or more to choose from. Run "
            "match_orientations(..., n_matches=2) and refine again."
        )
    negative = {name: value for name, value in settings.items() if not value >= 0}
    if negative:
        raise SchemaError(
            f"resolve_180_ambiguity: found {negative}, needs 0 or more. Give degrees, percent, standard errors and a "
            "fraction as numbers of at least 0, or leave them out."
        )


def _build_families(
    quaternion: Array, phase: NDArray[Any], shape: tuple[int, ...], symmetries: list[Array], limit: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Family of every solution (pixel, match), and patch of every pixel, joined by its first solution alone.

    Families and patches are connected components: of all solutions, and of the best ones.
    """
    n_matches = quaternion.shape[1]
    first, second = find_neighbour_pairs(shape)
    joined: list[tuple[Index, Index]] = []
    patch = np.zeros(0, dtype=np.int32)
    # Every match of a pixel is compared with every match of its neighbour: the order in a pixel is noise.
    for one, other in np.ndindex(n_matches, n_matches):
        agree = np.zeros(first.size, dtype=bool)
        for index, symmetry in enumerate(symmetries):
            here = np.flatnonzero((phase[first] == index) & (phase[second] == index))
            angle = compute_disorientation(
                quaternion[first[here], one], quaternion[second[here], other], symmetry, False
            )
            agree[here] = angle <= limit
        joined.append((first[agree] * n_matches + one, second[agree] * n_matches + other))
        if one == other == 0:
            patch = label_connected(first[agree], second[agree], phase.size)
    one_end, other_end = (np.concatenate(side) for side in zip(*joined, strict=True))
    return label_connected(one_end, other_end, quaternion.shape[0] * n_matches).reshape(-1, n_matches), patch


def _select_matches(family: NDArray[np.int32], score: Array, free: NDArray[np.bool_], min_gain: float) -> Index:
    """Match (pixel,) that each pixel takes: 0, or that of the family with the largest lead over the first's family.

    ``family`` and ``score`` are (pixel, match); only ``free`` pixels (pixel,) may change.
    """
    chosen = np.zeros(len(family), dtype=np.int64)
    largest = np.full(len(family), -np.inf)
    worst = np.where(family >= 0, score, np.inf).min(axis=1)  # a solution that was not kept scores no more
    members = _list_members(family)
    for match in range(1, family.shape[1]):
        alternative = family[:, match]
        # Only pixels that hold a rival family of their first one can change.
        asked = free & (alternative >= 0) & (alternative != family[:, 0])
        # Two families meet in many pixels, but their lead is computed once.
        rivals, which = np.unique(np.stack([alternative[asked], family[asked, 0]]), axis=1, return_inverse=True)
        leads = np.array([_compute_lead(members[a], members[b], family, score, worst) for a, b in rivals.T])
        lead = np.full(len(family), -np.inf)
        lead[asked] = leads[which.ravel()] if leads.size else -np.inf
        better = (lead > max(min_gain, 0)) & (lead > largest)
        chosen[better], largest[better] = match, lead[better]
    return chosen


def _list_members(family: NDArray[np.int32]) -> list[Index]:
    """Flat numbers (pixel * n_matches + match) of the solutions in every family."""
    flat = family.ravel()
    # One sort gives all families; the entries -1 come first and are cut off.
    order = np.argsort(flat, kind="stable")
    order = order[int((flat < 0).sum()) :]
    return list(np.split(order, np.cumsum(np.bincount(flat[flat >= 0]))[:-1]))


def _compute_lead(one: Index, other: Index, family: NDArray[np.int32], score: Array, worst: Array) -> float:
    """Lead of one family's summed score over another's, in standard errors, over the pixels that hold either.

    A pixel that kept no solution of a family counts with its ``worst`` score: the missing one cannot be better.
    """
    if len(one) < 2:  # one pixel, in which the family is not first
        return -np.inf
    n_matches = family.shape[1]
    pixels = np.unique(np.concatenate([one, other]) // n_matches)
    place = [np.searchsorted(pixels, side // n_matches) for side in (one, other)]
    # Both families start from the worst kept score, and each pixel then takes its own.
    values = np.stack([worst[pixels], worst[pixels]])
    for row, side, where in zip(values, (one, other), place, strict=True):
        np.maximum.at(row, where, score.ravel()[side])
    difference = values[0] - values[1]
    spread = np.sqrt(np.sum(difference**2))
    return float(difference.sum() / spread) if spread > 0 else 0.0


def _reorder_matches(orientations: xr.Dataset, read: xr.Dataset, chosen: Index) -> xr.Dataset:
    """Result in which the chosen match (scan_y, scan_x) of every pixel comes first; the others keep their order."""
    out = orientations[[v.name for v in ORIENTATIONS.variables if v.name in orientations]].copy()
    n_matches = orientations.sizes["match"]
    # Rank -1 moves the chosen match to the front, and the sort keeps the order of the rest.
    rank = np.where(np.arange(n_matches) == chosen[..., None], -1, np.arange(n_matches))
    order = xr.DataArray(np.argsort(rank, axis=-1), dims=("scan_y", "scan_x", "match"))
    changed = xr.DataArray(chosen > 0, dims=("scan_y", "scan_x"))
    new = {name: read[name].isel(match=order) for name in ("quaternion", "correlation")}
    quaternion = new["quaternion"].transpose("scan_y", "scan_x", "match", "wxyz")
    ratio = (read["correlation"].isel(match=0) / new["correlation"].isel(match=0)).drop_vars("match", errors="ignore")
    # 100 (1 - Q_other / Q1) with the new Q1, from the old value alone: Q_other need not have been kept.
    phase_reliability = (100 - (100 - orientations["phase_reliability"]) * ratio).clip(0, 100)
    out["quaternion"], out["correlation"] = quaternion, new["correlation"]
    # The former best has the higher score in this pixel, so that the reliability is 0 by definition.
    out["reliability"] = read["reliability"].where(~changed, 0).astype(orientations["reliability"].dtype)
    kind = orientations["phase_reliability"].dtype
    out["phase_reliability"] = orientations["phase_reliability"].where(~changed, phase_reliability).astype(kind)
    if "uncertainty_deg" in out:
        out["uncertainty_deg"] = out["uncertainty_deg"].where(~changed)
    out["changed"] = changed | orientations["changed"] if "changed" in orientations else changed
    return out
