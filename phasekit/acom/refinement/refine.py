"""Refinement of the orientations of a bank to continuous ones, with an uncertainty for every pixel."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ...deprecation import renamed_arguments
from ...diffraction import reflections, wavelength
from ...errors import SchemaError
from ...schema import ORIENTATIONS, describe, require
from ..matching import result as _result
from ..matching.bank import check_inputs, select_peaks_for_matching
from ..matching.parallel import apply_per_pattern
from ..symmetry import proper_rotations, read_phases
from .centre_and_scale import CentreSettings, correct_centre_and_scale
from .kernels import Crystals
from .pattern_loop import RefineSettings, Starts, refine_patterns

Array = NDArray[np.float64]
_STEP_DEG = 2.0  # the simplex is at least as large: a smaller one stays in a side maximum, however fine the bank
_N_FINE = 4
_N_RESTARTS = 3
_WEAK = 1e-4  # of the strongest |F|^2; weaker reflections are never seen, stronger ones may be where no strong one is

_UNCERTAINTY = {"long_name": "standard deviation of the orientation", "units": "degree"}


@renamed_arguments(found="orientations", blur="position_tolerance")
def refine_orientations(  # noqa: PLR0913 -- settings are keyword-only with defaults
    peaks: xr.Dataset,
    bank: xr.Dataset,
    orientations: xr.Dataset,
    *,
    position_tolerance: float | None = None,
    fit_centre: bool = False,
    fit_scale: bool = False,
    intensity_power: float = 0.5,
    min_correlation: float = 0.35,
    min_reliability: float = 5.0,
) -> xr.Dataset:
    r"""Refine every orientation continuously on positions and intensities of the peaks, and rank the solutions again.

    Every solution of ``orientations`` is refined: all candidates of all phases. The simplex method of Nelder and Mead
    maximises the correlation index between peaks and computed spots. These spots have the excitation errors, the
    precession and the thickness of the bank, but not its sampling. The refined scores decide again which solution is
    the best.

    Parameters
    ----------
    peaks, bank, orientations
        PEAKS in 1/angstrom, the TEMPLATES and the ORIENTATIONS that ``match_orientations`` made of the two.
    position_tolerance
        Tolerance of a spot's position [1/angstrom]: at twice this distance a spot counts 1/e. ``None``: 0.8
        detector pixels, at least 0.008 and at most 0.03 (0.02 where the pixel is not known).
    fit_centre, fit_scale
        Whether the pattern's centre and scale are fitted too, on the spots that the best solution predicts near a peak.
        All solutions are then refined again. This corrects what calibration leaves: a beam off by half a pixel, or a
        specimen that is not flat. With fewer than 6 such spots nothing is corrected.
    intensity_power
        Spots weigh |g| I^power. With 0 only positions count; with 1 the strongest spots dominate.
    min_correlation, min_reliability
        Limits of the status, as in ``match_orientations``.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS on the same pixels, with ``uncertainty_deg(scan_y, scan_x)`` [degree]. It is the standard deviation
        of the orientation, of all three rotation components together. NaN means that the score is flat in some
        direction. It does not include the risk of a wrong solution, which the reliability describes. A fit adds
        ``centre_y`` and ``centre_x`` [1/angstrom], the centre that was found. It also adds ``scale_correction``, the
        factor that positions were multiplied by.

    Raises
    ------
    SchemaError
        Data of another kind or unit, on another scan, or made with another bank; a setting outside its range.

    See Also
    --------
    match_orientations : Finds the solutions that are refined here.
    resolve_180_ambiguity : Chooses between half turns by the whole grain.
    match_second_grain : Matches the peaks that the best orientation leaves unexplained.
    label_grains : Joins pixels of similar orientation to grains.

    Notes
    -----
    The score is the correlation index of Gaussian spots in the plane. Spots k and peaks p have the weights w:

    .. math::
        Q = \frac{\sum_{kp} w_k w_p\, e^{-|x_k - x_p|^2 / 4 \sigma^2}}{\sqrt{\sum_k w_k^2 \sum_p w_p^2}}

    The intensity of a spot follows from its excitation error :math:`s = g_z + \lambda |g|^2 / 2`. The rocking curve of
    the foil is averaged over the precession. The uncertainty comes from the curvature of the score at its maximum.
    With n peaks and H minus the Hessian of Q, the covariance of the rotation vector is

    .. math:: C = \frac{1 - Q}{n - 3/2}\, H^{-1}

    Examples
    --------
    >>> from phasekit.acom import build_templates, match_orientations, simulate_peaks
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> peaks = simulate_peaks(bank, [7, 11])
    >>> refined = refine_orientations(peaks, bank, match_orientations(peaks, bank))
    >>> refined.uncertainty_deg.dims
    ('scan_y', 'scan_x')
    """
    check_inputs(peaks, bank, "refine_orientations")
    require(orientations, ORIENTATIONS, step="refine_orientations", argument="orientations")
    position_tolerance = _estimate_tolerance(peaks) if position_tolerance is None else position_tolerance
    _check_settings(peaks, bank, orientations, position_tolerance, intensity_power)
    # Reflections are computed from the crystals, not from the templates: they do not have the bank's sampling.
    crystals, symmetries = collect_crystals(bank)
    n_matches = orientations.sizes["match"]
    refine_settings = _make_settings(bank, position_tolerance, intensity_power)
    plan = _RefinePlan(n_matches, crystals, symmetries, refine_settings)
    limits = {"min_correlation": min_correlation, "min_reliability": min_reliability}

    def refine_from(spots: list[xr.DataArray], starts: xr.Dataset) -> xr.Dataset:
        inputs, sizes = [*spots, *_select_starts(starts)], {"match": n_matches, "wxyz": 4}
        maps = apply_per_pattern(_refine_block, inputs, _result.RESULT_OUTPUTS, sizes, plan)
        uncertainty = maps["uncertainty_deg"].astype(np.float32).assign_attrs(_UNCERTAINTY)
        return _result.make_orientations(maps, limits, peaks["status"]).assign(uncertainty_deg=uncertainty)

    spots = select_peaks_for_matching(peaks, bank)
    out = refine_from(spots, orientations)
    if fit_centre or fit_scale:
        centre_settings = CentreSettings(bool(fit_centre), bool(fit_scale), float(position_tolerance))
        spots, fitted = correct_centre_and_scale(spots, out, crystals, centre_settings)
        # The corrected peaks may favour another solution, so all are refined again.
        out = refine_from(spots, out).assign(fitted)
    kept = ("phases", "voltage_kv", "precession_deg")
    out.attrs |= {key: orientations.attrs[key] for key in kept if key in orientations.attrs}
    settings = {
        "position_tolerance": position_tolerance,
        "intensity_power": intensity_power,
        "fit_centre": fit_centre,
        "fit_scale": fit_scale,
    }
    return describe(out, ORIENTATIONS, step="refine_orientations", settings=settings | limits, source=orientations)


def _make_settings(bank: xr.Dataset, position_tolerance: float, intensity_power: float) -> RefineSettings:
    """Settings of the kernel; angles follow from the step of the bank."""
    return RefineSettings(
        step=float(np.radians(max(_STEP_DEG, bank.attrs["resolution_deg"]))),
        window=float(np.radians(max(5.0, 2.5 * float(bank.attrs["resolution_deg"])))),
        position_tolerance=float(position_tolerance),
        intensity_power=float(intensity_power),
        n_fine=_N_FINE,
        n_restarts=_N_RESTARTS,
    )


def _estimate_tolerance(peaks: xr.Dataset) -> float:
    """Position tolerance of these peaks [1/angstrom]: positions of weak spots scatter by half a pixel."""
    step = peaks.attrs.get("detector_step")
    return 0.02 if step is None else float(np.clip(0.8 * np.mean(np.asarray(step, float)), 0.008, 0.03))


def _check_settings(
    peaks: xr.Dataset, bank: xr.Dataset, orientations: xr.Dataset, position_tolerance: float, power: float
) -> None:
    """Refuse data that do not belong together, and settings outside their range."""
    if orientations.attrs.get("phases") != bank.attrs.get("phases"):
        raise SchemaError(
            "refine_orientations: result and bank hold different phases. Use the bank that match_orientations used."
        )
    # Sizes are compared and not coordinates: a cropped scan may have lost its coordinates.
    scans = [tuple(data.sizes[dim] for dim in ("scan_y", "scan_x")) for data in (peaks, orientations)]
    if scans[0] != scans[1]:
        raise SchemaError(
            f"refine_orientations: peaks have {scans[0]} scan positions, the result {scans[1]}. Cut both alike."
        )
    if not 0 < position_tolerance < 0.2 or not 0 <= power <= 2:
        raise SchemaError(
            f"refine_orientations: position_tolerance = {position_tolerance}, intensity_power = {power}; needs "
            "0 < position_tolerance < 0.2 [1/angstrom] and 0 <= intensity_power <= 2. Leave both out for the defaults."
        )


def collect_crystals(bank: xr.Dataset) -> tuple[Crystals, _result.SymmetryStack]:
    """Reflections of all phases one after the other, and the proper rotations of all phases."""
    g, strength, symmetries = [], [], []
    for phase in read_phases(bank):
        all_reflections = reflections(phase, float(bank.attrs["g_max"]))
        # Reflections that are never seen only cost time.
        strong = all_reflections.strength > _WEAK * all_reflections.strength.max()
        g.append(all_reflections.g[strong])
        strength.append(all_reflections.strength[strong])
        symmetries.append(proper_rotations(phase))
    # Thickness in nm becomes angstrom.
    beam = (
        wavelength(float(bank.attrs["voltage_kv"])),
        1 / (np.pi * float(bank.attrs["thickness_nm"]) * 10),
        float(np.sin(np.radians(bank.attrs["precession_deg"]))),
    )
    first = np.concatenate([[0], np.cumsum([len(one) for one in g])]).astype(np.int64)
    vectors = np.concatenate(g)
    x, y, z = np.ascontiguousarray(vectors.T)
    strengths = (np.linalg.norm(vectors, axis=1), np.concatenate(strength))
    return Crystals(x, y, z, *strengths, first, *beam), _result.stack_symmetries(symmetries)


def _select_starts(orientations: xr.Dataset) -> list[xr.DataArray]:
    """Solutions to start from: quaternions (scan_y, scan_x, start, component) and phases (scan_y, scan_x, start).

    These are the candidates of ``match_orientations``. Results without candidates give all their matches, and the best
    solution of another phase.
    """
    if "candidate_quaternion" in orientations:
        quaternion, phase = orientations["candidate_quaternion"], orientations["candidate_phase"]
        return _name_starts(quaternion, phase, "candidate")
    quaternion = orientations["quaternion"].transpose("scan_y", "scan_x", "match", "wxyz")
    # Matches that do not exist must not become starts.
    valid = quaternion.notnull().all("wxyz")
    phase = orientations["phase"].where(valid, -1).transpose("scan_y", "scan_x", "match")
    if "other_quaternion" in orientations:
        quaternion = xr.concat([quaternion, orientations["other_quaternion"].expand_dims("match", -2)], "match")
        phase = xr.concat([phase, orientations["other_phase"].expand_dims("match", -1)], "match")
    return _name_starts(quaternion, phase, "match")


def _name_starts(quaternion: xr.DataArray, phase: xr.DataArray, dim: str) -> list[xr.DataArray]:
    """Both arrays with ``dim`` called "start": results have a "match" of their own, of another length."""
    bare = [one.drop_vars([name for name in ("wxyz", dim) if name in one.coords]) for one in (quaternion, phase)]
    quaternion = bare[0].rename({dim: "start", "wxyz": "component"})
    quaternion = quaternion.transpose("scan_y", "scan_x", "start", "component").astype(np.float64)
    return [quaternion, bare[1].rename({dim: "start"}).transpose("scan_y", "scan_x", "start")]


class _RefinePlan(NamedTuple):
    """What is the same for every pattern."""

    n_matches: int
    crystals: Crystals
    symmetries: _result.SymmetryStack
    settings: RefineSettings


def _refine_block(plan: _RefinePlan, *arrays: Array) -> tuple[NDArray[np.generic], ...]:
    """Results of a block: qy, qx, intensity (..., peak), start quaternions (..., start, 4), phases (..., start)."""
    shape = arrays[0].shape[:-1]
    qy, qx, intensity, phase = (
        np.ascontiguousarray(a, float).reshape(-1, a.shape[-1]) for a in (*arrays[:3], arrays[4])
    )
    starts = np.ascontiguousarray(arrays[3], float).reshape(len(qy), -1, 4)
    # A start needs both a finite quaternion and a phase.
    phases = np.where(np.isfinite(starts).all(axis=2), np.nan_to_num(phase, nan=-1), -1).astype(np.int64)
    results = _result.make_empty_results(len(qy), plan.n_matches)
    with threadpool_limits(1, "blas"):  # a second BLAS thread only waits: patterns are the unit
        refine_patterns(qy, qx, intensity, Starts(starts, phases), *plan[1:], results)
    return tuple(array.reshape(*shape, *array.shape[1:]) for array in results)
