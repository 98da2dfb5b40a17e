"""Comparison of an orientation map with the truth of a simulation, or with another map of the same scan."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...rotations import about_axis, multiply, symmetric_angle_deg
from ...schema import ORIENTATION_ACCURACY, ORIENTATIONS, describe, read_phase_names, renumber_phases, require
from ..symmetry import proper_rotations, read_phases

Array = NDArray[np.float64]
_HALF_TURN = about_axis([0, 0, 1], 180.0)
_SCAN = ("scan_y", "scan_x")


@renamed_arguments(found="orientations")
def compare_with_truth(orientations: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    r"""Phase accuracy and disorientation from the truth, with and without counting 180-degree pairs as right.

    The disorientation from the true orientation is the smallest angle over the proper rotations S of the Laue group:

    .. math:: \omega = \min_{S} \, 2 \arccos \left| \langle q \, q_{true}^{-1}, S \rangle \right| .

    Only grain interiors are counted: ``truth_interior`` where the truth has it, else every pixel with material. Where
    two grains overlap there is no single right answer. A pixel without an orientation counts as wrong.

    Parameters
    ----------
    orientations
        ORIENTATIONS.
    truth
        Dataset on the same scan with ``truth_phase`` (-1 = vacuum) and ``truth_quaternion(scan_y, scan_x, wxyz)``. The
        phase is an index into its own ``attrs["phases"]`` and is compared by name; a phase that ``orientations`` lacks
        is wrong everywhere. Without ``attrs["phases"]``: an index into the phases of ``orientations``.

    Returns
    -------
    xarray.Dataset
        ORIENTATION_ACCURACY along ``counting`` = ("folded", "unfolded"). Folded takes the nearer of the orientation
        and the one after half a turn about the beam. Both give nearly the same spots.

        ``disorientation(counting, scan_y, scan_x)`` [degrees] is NaN outside interiors and where the phase is wrong.
        ``median`` is its median. ``within_2`` and ``within_5`` are fractions of all interior pixels. Without
        ``counting``: ``phase_accuracy``, ``n_pixels`` and ``vacuum_indexed``, the fraction of true vacuum that got an
        orientation (NaN without vacuum).

    Raises
    ------
    SchemaError
        Another kind of data, a truth without these variables, or on another scan.

    See Also
    --------
    compare_maps : Compares two maps without a truth.
    refine_orientations : Makes the map that is compared.
    misorientation_maps : Misorientation without a truth, between neighbours.

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> cell = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0, 0.0]]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> turned = about_axis([0, 0, 1], [[0.0, 1.0]])
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), turned[:, :, None])
    >>> data["correlation"] = ((*scan, "match"), [[[1.0], [1.0]]])
    >>> orientations = xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> truth = xr.Dataset({"truth_phase": (scan, [[0, 0]]),
    ...                     "truth_quaternion": ((*scan, "wxyz"), about_axis([0, 0, 1], [[0.0, 0.0]]))})
    >>> float(compare_with_truth(orientations, truth)["median"].sel(counting="folded").round(6))
    0.5
    """
    require(orientations, ORIENTATIONS, step="compare_with_truth", argument="orientations")
    _check_truth(orientations, truth)
    best = orientations[["quaternion", "phase"]].isel(match=0, drop=True).compute()
    phase, quaternion = best["phase"].values, np.asarray(best["quaternion"].values, dtype=float)
    true_phase = _read_true_phase(orientations, truth)
    material = true_phase >= 0
    # Every pixel with material counts, indexed or not: a map must not gain by leaving out hard pixels.
    counted = truth["truth_interior"].values.astype(bool) & material if "truth_interior" in truth else material
    indexed = (phase >= 0) & np.isfinite(quaternion).all(axis=-1)
    # An angle to an orientation of another phase has no meaning.
    right = counted & indexed & (phase == true_phase)
    angle = np.full((2, *phase.shape), np.nan)
    for index, crystal in enumerate(read_phases(orientations)):
        here = right & (phase == index)
        truths = np.asarray(truth["truth_quaternion"].values[here], dtype=float)
        angle[:, here] = _compute_disorientations(quaternion[here], truths, proper_rotations(crystal))
    n = int(counted.sum())
    flat = angle[:, counted]
    # Pixels of the wrong phase hold NaN, which no limit exceeds: they count as wrong.
    share = {limit: np.sum(flat <= limit, axis=1) / max(n, 1) for limit in (2, 5)}
    vacuum = indexed[~material]
    out = xr.Dataset(
        {
            "disorientation": (("counting", *_SCAN), angle),
            "median": ("counting", [_compute_median(row) for row in flat]),
            "within_2": ("counting", share[2]),
            "within_5": ("counting", share[5]),
            "phase_accuracy": ((), right.sum() / n if n else np.nan),
            "n_pixels": ((), n),
            "vacuum_indexed": ((), vacuum.mean() if vacuum.size else np.nan),
        },
        coords={"counting": ["folded", "unfolded"], **{d: orientations[d] for d in _SCAN if d in orientations.coords}},
    )
    return describe(out, ORIENTATION_ACCURACY, step="compare_with_truth", settings={}, source=orientations)


def compare_maps(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """Compare two orientation maps of the same scan, as one from NMF components and one from single patterns.

    Parameters
    ----------
    first, second
        ORIENTATIONS of the same phases on the same scan. Points that the second map has no phase for are left out.

    Returns
    -------
    xarray.Dataset
        ORIENTATION_ACCURACY of the first map, with the second one as the truth. ``phase_accuracy`` is the fraction of
        points with the same phase. ``disorientation(counting, scan_y, scan_x)`` [degrees] is the angle between the
        maps, NaN where the phases differ. ``vacuum_indexed`` is the fraction of the second map's vacuum for which the
        first has a phase.

    Raises
    ------
    SchemaError
        Not ORIENTATIONS, other phases, or another scan.

    See Also
    --------
    compare_with_truth : The same figures against a simulation's truth.
    match_orientations : Makes such maps.

    Examples
    --------
    >>> import json
    >>> from phasekit.diffraction import crystal, phase_record
    >>> cell = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> scan = ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0, 0.0]]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> data["correlation"] = ((*scan, "match"), [[[1.0], [1.0]]])
    >>> turned = [((*scan, "match", "wxyz"), about_axis([1, 2, 3], [[angle] * 2])[:, :, None]) for angle in (0.0, 3.0)]
    >>> attrs = {"phases": json.dumps([phase_record(cell)])}
    >>> first, second = (xr.Dataset({**data, "quaternion": quaternion}, attrs=attrs) for quaternion in turned)
    >>> float(compare_maps(first, second)["median"].sel(counting="folded").round(4))
    3.0
    """
    for data in (first, second):
        require(data, ORIENTATIONS, step="compare_maps")
    if first.attrs.get("phases") != second.attrs.get("phases"):
        raise SchemaError("compare_maps: the maps were matched with different phases. Use one template bank for both.")
    sizes = [(data.sizes["scan_y"], data.sizes["scan_x"]) for data in (first, second)]
    if sizes[0] != sizes[1]:
        raise SchemaError(f"compare_maps: the maps differ in shape {sizes}. Cut both to the same scan positions.")
    # The points where the second map has no phase count as its vacuum.
    best = second["quaternion"].isel(match=0, drop=True)
    return compare_with_truth(first, xr.Dataset({"truth_phase": second["phase"], "truth_quaternion": best}))


def _check_truth(orientations: xr.Dataset, truth: xr.Dataset) -> None:
    """Refuse a truth that lacks its variables or belongs to another scan."""
    for name in ("truth_phase", "truth_quaternion"):
        if name not in truth:
            raise SchemaError(
                f"compare_with_truth: there is no variable '{name}', needs simulated data with their truth. "
                "pk.synthetic.orientation_scan makes them."
            )
    if any(orientations.sizes[dim] != truth.sizes[dim] for dim in _SCAN):
        sizes = {dim: (orientations.sizes[dim], truth.sizes[dim]) for dim in _SCAN}
        raise SchemaError(
            f"compare_with_truth: result and truth differ in shape {sizes}. Cut both to the same scan positions."
        )


def _read_true_phase(orientations: xr.Dataset, truth: xr.Dataset) -> NDArray[np.integer]:
    """True phase of every pixel, numbered as the phases of the map; those it lacks get numbers behind them."""
    names = read_phase_names(orientations) or []
    true_phase = truth["truth_phase"]
    own = read_phase_names(true_phase) or read_phase_names(truth)
    # A truth without names (another map of the same phases) has the numbers of the map already.
    return (true_phase if own is None else renumber_phases(true_phase, own, names, step="compare_with_truth")[0]).values


def _compute_disorientations(matched: Array, truth: Array, symmetry: Array) -> Array:
    """Disorientation [degrees] of quaternions (n, 4), folded and unfolded (2, n)."""
    plain = symmetric_angle_deg(matched, truth, symmetry)
    turned = symmetric_angle_deg(multiply(matched, _HALF_TURN), truth, symmetry)
    return np.stack([np.minimum(plain, turned), plain])


def _compute_median(values: Array) -> float:
    """Median of the finite values, NaN without any."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
