"""Probability that two components have one orientation, from their indexed orientations."""

import json

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import AcomStatus, SchemaError

Array = NDArray[np.float64]
_UNCERTAINTY_DEG = 1.0  # of an orientation that was matched and not refined: half the usual step of a template bank


def compare_orientations(orientations: xr.Dataset, n: int, max_angle_deg: float, step: str) -> Array:
    r"""Probability (component, other) that the orientations differ by less than a limit.

    .. math:: P = \Phi\!\left(\frac{\omega_{max} - \omega}{\sqrt{\sigma_1^2 + \sigma_2^2}}\right)

    with the disorientation :math:`\omega` and the uncertainties :math:`\sigma`. It is 0 between different phases, and
    NaN where one of the two is not indexed. Half a turn about the beam counts as no rotation, because the spots of
    kinematic diffraction do not show it.
    """
    from scipy.special import ndtr

    from ...crystals import find_laue_rotations, phase_from_record
    from ...rotations import about_axis, multiply, symmetric_angle_deg

    sizes = orientations.sizes["scan_y"], orientations.sizes["scan_x"]
    if sizes != (1, n):
        raise SchemaError(
            f"{step}: the orientations are a map of {sizes}, needs (1, {n}), one for each component. Match the peaks "
            "of pk.nmf.component_patterns(factors)."
        )
    line = orientations.isel(scan_y=0, match=0).compute()
    phase, quaternion = line["phase"].to_numpy(), line["quaternion"].to_numpy().astype(float)
    records = json.loads(orientations.attrs["phases"])
    groups = [find_laue_rotations(phase_from_record(record).point_group) for record in records]
    indexed = (phase >= 0) & np.isfinite(quaternion).all(axis=-1) & _is_reliable(line["status"].to_numpy())
    error = np.full(n, _UNCERTAINTY_DEG)
    if "uncertainty_deg" in line:
        error = np.where(np.isfinite(line["uncertainty_deg"]), line["uncertainty_deg"], error)
    half_turn = about_axis([0, 0, 1], 180.0)
    out = np.full((n, n), np.nan)
    for i, j in np.argwhere(indexed & indexed[:, None]):
        if phase[i] != phase[j]:
            out[i, j] = 0.0
            continue
        # On the right: the turn is in the frame of the sample.
        turned = np.stack([quaternion[j], multiply(quaternion[j], half_turn)])
        angle = float(np.min(symmetric_angle_deg(quaternion[i], turned, groups[phase[i]])))
        out[i, j] = ndtr((max_angle_deg - angle) / max(float(np.hypot(error[i], error[j])), 1e-9))
    return out


def combine_probabilities(orientations: Array, spots: Array, error_rate: float) -> Array:
    """Probability from orientations where there is one, else from spots; open where spots contradict two orientations.

    Orientations that differ although the spots may coincide are a wrong indexing, or a symmetry that the structure
    nearly has. Spots that differ in spite of equal orientations are no contradiction: a tilt of a few degrees changes
    which of them are visible.
    """
    known = np.isfinite(orientations)
    contradicts = known & (orientations <= error_rate) & (spots > error_rate)
    left_open = np.where(spots >= 1 - error_rate, 0.5, spots)
    return np.where(contradicts, left_open, np.where(known, orientations, spots))


def _is_reliable(status: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Indexed without a better or equal second solution, apart from half a turn about the beam."""
    return np.isin(status, (AcomStatus.OK.value, AcomStatus.AMBIGUOUS_180.value))
