"""Which components are patterns of the same crystal, and how many crystals there are."""

from enum import IntEnum

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError, status_attributes
from ...schema import CRYSTAL_GROUPS, FACTORS, ORIENTATIONS, PEAKS, describe, require
from .orientation_pairs import combine_probabilities, compare_orientations
from .overlap import choose_background
from .spot_coincidence import compare_spots
from .spot_lists import SpotList, compute_spot_shares, read_spots
from .spot_order import Evidence, judge_components

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
_MIN_WEIGHT = 0.1  # share of its largest weight that a component needs at a point, as in map_component_orientations


class PairRelation(IntEnum):
    """What two components are to each other."""

    DIFFERENT = 0
    UNDECIDED = 1
    SAME_CRYSTAL = 2
    APART = 3  # the same orientation, but the maps do not touch
    NOT_COMPARED = 4


def group_crystals(
    factors: xr.Dataset,
    peaks: xr.Dataset,
    *,
    orientations: xr.Dataset | None = None,
    background: int | None = None,
    max_angle_deg: float = 5.0,
    error_rate: float = 0.05,
) -> xr.Dataset:
    r"""Group components that are patterns of one crystal, and count patterns and crystals.

    A bent grain is one crystal and needs two patterns: its spots stay at their places while their intensities change.
    Two components are the same crystal where both hold.

    1. Their spots coincide, after a rotation about the beam of at most ``max_angle_deg`` and a shift of at most one
       disk radius. Two different lattices share at most half of the spots of the denser one. A twin shares a row, and a
       superlattice has spots of its own. The share must therefore be more than half for both patterns. A beta
       distribution of the number of spots gives the probability that it is.
    2. Their maps touch or overlap. Grains of one orientation that do not touch are several crystals of one
       ``orientation_group``.

    A crystal has a quarter of its counts in spots, or spots ordered as on a lattice. No structure is needed. What the
    spots do not decide is counted both ways, which gives ``n_crystals_low`` and ``n_crystals_high``.

    Parameters
    ----------
    factors
        FACTORS, best of :func:`separate_background`.
    peaks
        PEAKS of their :func:`component_patterns` (``pk.acom.find_peaks``), calibrated or not.
    orientations
        ORIENTATIONS of the same patterns (``pk.acom.match_orientations``, better refined). Where both components are
        indexed, the angle between them decides instead of the spots. Where it says that they differ, and the spots do
        not, the pair stays undecided.
    background
        As in :func:`find_overlap`. Further components without spots are no crystals either.
    max_angle_deg
        Largest angle inside one crystal [degrees]; 5 as in ``pk.acom.label_grains``. Without orientations it limits the
        rotation about the beam. A tilt of the beam is limited by the spots that remain visible.
    error_rate
        A pair is decided where the probability of the opposite is at most this. It is also the part of patterns of
        noise that are called a crystal.

    Returns
    -------
    xarray.Dataset
        CRYSTAL_GROUPS by ``component``. ``crystal``: number, the strongest first; -1 without crystal.
        ``orientation_group``: the same for orientations. ``evidence`` for a crystal, from two numbers. ``spot_share``
        is the part of the pattern in spots. ``order_p_value`` is the part of patterns of as many spots at random
        azimuths in which as many differences between spots repeat; NaN below 5 spots.
        By pairs ``(component, other)``: ``same_probability``, ``shared_spots`` (0..1), and ``rotation_angle`` from the
        one to the other, from +x towards +y; NaN where one has no spots. ``touching`` maps, and ``relation``.
        Attributes: ``n_patterns``, ``n_background`` (components that count as no crystal), ``n_crystals``,
        ``n_crystals_low``, ``n_crystals_high``.

    Raises
    ------
    SchemaError
        Not FACTORS, PEAKS or ORIENTATIONS, not one pattern for each component, or a setting out of range.

    See Also
    --------
    component_patterns : The patterns that peaks are found in.
    count_crystals : The count for several k.
    map_component_orientations : An orientation map from components.

    Notes
    -----
    With the amplitudes a (square roots of intensities) of a pattern's spots, and b of the other at the same places, the
    shared part is :math:`S = \sum \min(a, b) / \sum a`. It rests on :math:`n = (\sum a)^2 / \sum a^2` spots. Half of it
    would need a quarter of another grain's intensity in a pattern, so that small remains do no harm.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, shape=(24, 24), seed=1)
    >>> factors = pk.nmf.truth_as_factors(scan)
    >>> groups = group_crystals(factors, pk.acom.find_peaks(pk.nmf.component_patterns(factors)))
    >>> groups.crystal.values, groups.attrs["n_patterns"], groups.attrs["n_crystals"]
    (array([ 0,  2,  1, -1]), 4, 3)
    """
    step = "group_crystals"
    require(factors, FACTORS, step=step, argument="factors")
    require(peaks, PEAKS, step=step, argument="peaks")
    _check_settings(factors, peaks, max_angle_deg, error_rate)
    chosen = choose_background(factors, background, step)
    loading = factors["loading"].transpose("component", "scan_y", "scan_x").to_numpy().astype(float)
    spots, share = read_spots(peaks), compute_spot_shares(factors, peaks)
    order, evidence = judge_components(spots, share, error_rate)
    # Without any background the most isotropic grain is proposed: what has spots is no background, unless it is given.
    if chosen >= 0 and (background is not None or evidence[chosen] < Evidence.CRYSTAL):
        evidence[chosen] = Evidence.NO_CRYSTAL
    pairs = _compare_all(spots, evidence > Evidence.NO_CRYSTAL, max_angle_deg)
    probability = pairs["same_probability"]
    if orientations is not None:
        require(orientations, ORIENTATIONS, step=step, argument="orientations")
        angles = compare_orientations(orientations, len(evidence), max_angle_deg, step)
        probability = np.where(np.isfinite(probability), combine_probabilities(angles, probability, error_rate), np.nan)
    touching = _find_touching(loading, evidence > Evidence.NO_CRYSTAL)
    out = _label_groups(pairs | {"same_probability": probability}, touching, evidence, loading, error_rate)
    out = out.assign(spot_share=("component", share), order_p_value=("component", order))
    out.attrs |= {"background": chosen, "n_patterns": len(evidence)}
    settings = {"background": background, "max_angle_deg": max_angle_deg, "error_rate": error_rate}
    return describe(out, CRYSTAL_GROUPS, step=step, settings=settings, source=factors)


def _check_settings(factors: xr.Dataset, peaks: xr.Dataset, max_angle_deg: float, error_rate: float) -> None:
    sizes = peaks.sizes["scan_y"], peaks.sizes["scan_x"]
    if sizes != (1, factors.sizes["component"]):
        raise SchemaError(
            f"group_crystals: the peaks are of {sizes} patterns, needs (1, {factors.sizes['component']}), one for each "
            "component. Find the peaks of pk.nmf.component_patterns(factors)."
        )
    if "disk_radius" not in peaks:
        raise SchemaError("group_crystals: the peaks have no 'disk_radius'. pk.acom.find_peaks measures it.")
    if not 0 <= max_angle_deg <= 45:
        raise SchemaError(f"group_crystals: max_angle_deg = {max_angle_deg}, needs 0..45 degrees, as in 5.")
    if not 0.001 <= error_rate < 0.5:
        raise SchemaError(f"group_crystals: error_rate = {error_rate}, needs 0.001 to 0.5, as in 0.05.")


def _compare_all(spots: list[SpotList], usable: Flags, max_angle_deg: float) -> dict[str, Array]:
    """Matrices (component, other) of what the spots of each pair say; NaN where one of them has no spots."""
    n = len(spots)
    names = ("shared_spots", "same_probability", "rotation_angle")
    out = {name: np.full((n, n), np.nan) for name in names}
    for i, j in zip(*np.triu_indices(n, 1), strict=True):
        if not (usable[i] and usable[j]):
            continue
        # Twice the limit is searched: a rotation beyond it must be found to be refused.
        found = compare_spots(spots[i], spots[j], 2 * max_angle_deg)
        same = found.probability if abs(found.angle_deg) <= max_angle_deg else 0.0
        for name, value in zip(names, (found.shared, same, found.angle_deg), strict=True):
            out[name][i, j] = out[name][j, i] = value
    out["rotation_angle"] = np.triu(out["rotation_angle"], 1) - np.tril(out["rotation_angle"], -1)
    return out


def _find_touching(loading: Array, usable: Flags) -> Flags:
    """Whether the areas of two components overlap or share an edge, (component, other)."""
    from scipy.ndimage import binary_dilation, median_filter

    n = len(loading)
    highest = loading.max(axis=(1, 2), keepdims=True)
    # Where it is the strongest crystal, or has at least half of its largest weight: one that lies under others counts.
    strongest = np.where(usable[:, None, None], loading, 0).argmax(axis=0) == np.arange(n)[:, None, None]
    area = (strongest | (loading >= highest / 2)) & (loading >= _MIN_WEIGHT * highest) & (loading > 0)
    # Single points are noise, unless a component has nothing else.
    smooth = np.stack([median_filter(part, 3, mode="nearest") for part in area])
    area = np.where(smooth.any(axis=(1, 2), keepdims=True), smooth, area)
    grown = np.stack([binary_dilation(part) for part in area])
    flat = [part.reshape(n, -1).astype(np.float32) for part in (grown, area)]
    touching = flat[0] @ flat[1].T > 0
    return (touching | touching.T) & usable & usable[:, None]


def _label_groups(
    pairs: dict[str, Array], touching: Flags, evidence: NDArray[np.int64], loading: Array, error_rate: float
) -> xr.Dataset:
    """CRYSTAL_GROUPS without provenance."""
    probability = np.nan_to_num(pairs["same_probability"])  # without spots there is no pair
    total = loading.sum(axis=(1, 2))
    likely, sure, possible = probability > 0.5, probability >= 1 - error_rate, probability > error_rate
    best = _number_groups(likely & touching, evidence >= Evidence.LIKELY, total)
    # Counted both ways: everything undecided joined, and everything undecided apart.
    low = _number_groups(possible & touching, evidence >= Evidence.CRYSTAL, total).max(initial=-1) + 1
    high = _number_groups(sure & touching, evidence > Evidence.NO_CRYSTAL, total).max(initial=-1) + 1
    n = int(best.max(initial=-1)) + 1
    relation = np.full(probability.shape, int(PairRelation.DIFFERENT))
    relation[possible] = PairRelation.UNDECIDED
    relation[sure] = np.where(touching, PairRelation.SAME_CRYSTAL, PairRelation.APART)[sure]
    relation[np.isnan(pairs["same_probability"])] = PairRelation.NOT_COMPARED
    matrix = ("component", "other")
    out = xr.Dataset({name: (matrix, values) for name, values in pairs.items()})
    out = out.assign(touching=(matrix, touching))
    out["evidence"] = ("component", evidence.astype(np.int8), status_attributes(Evidence))
    out["relation"] = (matrix, relation.astype(np.int8), status_attributes(PairRelation))
    out["crystal"] = ("component", best)
    out["orientation_group"] = ("component", _number_groups(likely, evidence >= Evidence.LIKELY, total))
    out = out.assign_coords(component=np.arange(len(evidence)), other=np.arange(len(evidence)))
    counts = {"n_crystals": n, "n_crystals_low": min(int(low), n), "n_crystals_high": max(int(high), n)}
    out.attrs = counts | {"n_background": int((evidence < Evidence.LIKELY).sum())}
    return out


def _number_groups(joined: Flags, counted: Flags, total: Array) -> NDArray[np.int64]:
    """Number of the group of each component, those of the largest summed ``total`` first; -1 where not counted."""
    from scipy.sparse.csgraph import connected_components

    label = connected_components(joined & counted & counted[:, None], directed=False)[1]
    size = np.bincount(label, weights=np.where(counted, total, 0), minlength=len(total))
    members = np.unique(label[counted])
    number = np.full(len(total), -1)
    number[members[np.argsort(-size[members], kind="stable")]] = np.arange(len(members))
    return np.where(counted, number[label], -1)
