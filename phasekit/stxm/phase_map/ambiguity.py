"""The status ``ambiguous``: how it is set, and set again with other thresholds."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...errors import SchemaError, StxmStatus
from ...schema import PHASES, describe, require


class AmbiguityLimits(NamedTuple):
    """Below one of these a pixel is ambiguous."""

    margin: float  # of the Pearson correlations
    min_confidence: float


def is_ambiguous(margin: Any, confidence: Any, limits: AmbiguityLimits) -> Any:
    """Whether pixels (..) are below a limit, for arrays of any kind; NaN is below none."""
    return (margin < limits.margin) | (confidence < limits.min_confidence)


def flag_ambiguous(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.75) -> xr.Dataset:
    """Set the status ``ambiguous`` again with another margin; every other status stays.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        A pixel that is ``ok``, ``incomplete`` or ``ambiguous`` becomes ``ambiguous`` if its margin or its confidence is
        below. Else it becomes ``incomplete`` or ``ok``.

    Returns
    -------
    xarray.Dataset
        PHASES with a new ``status``.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, or ``margin`` is NaN or negative.

    See Also
    --------
    label_phases : Makes the map with its first thresholds.
    ambiguous_fraction : What a margin costs, as one number.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 3), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> flag_ambiguous(phases, 0.05)["status"].values
    array([[3, 3, 0]], dtype=int8)
    """
    _check_call(phases, margin, "flag_ambiguous")
    out = phases.copy()
    out["status"] = _set_ambiguous(phases, AmbiguityLimits(margin, min_confidence))
    settings = {"margin": margin, "min_confidence": min_confidence}
    return describe(out, PHASES, step="flag_ambiguous", settings=settings, source=phases)


def ambiguous_fraction(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.75) -> float:
    """Share of the material pixels that :func:`flag_ambiguous` calls ambiguous at this margin, 0..1.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        As in :func:`flag_ambiguous`.

    Returns
    -------
    float
        Ambiguous pixels over pixels with a phase; NaN when no pixel has one. It grows with ``margin``, up to the share
        of pixels that are ``ok`` or ``ambiguous``.

    Raises
    ------
    SchemaError
        As :func:`flag_ambiguous`.

    See Also
    --------
    flag_ambiguous : The map with this margin.
    label_phases : Makes the map.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 4), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2, 0.3]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> ambiguous_fraction(phases, 0.05)
    0.5
    """
    _check_call(phases, margin, "ambiguous_fraction")
    status = _set_ambiguous(phases, AmbiguityLimits(margin, min_confidence))
    named = phases["phase"] >= 0
    total = int(named.sum())
    return float(((status == StxmStatus.AMBIGUOUS) & named).sum()) / total if total else float("nan")


def _check_call(phases: xr.Dataset, margin: float, step: str) -> None:
    require(phases, PHASES, step=step, argument="phases")
    if not margin >= 0:
        raise SchemaError(f"{step}: margin={margin}, needs a number >= 0: 0 flags nothing, 0.01 is severe.")


def _set_ambiguous(phases: xr.Dataset, limits: AmbiguityLimits) -> xr.DataArray:
    """Status (scan_y, scan_x) in which only ``ok``, ``incomplete`` and ``ambiguous`` are set anew."""
    clear = (
        StxmStatus.OK.value if "n_missing" not in phases else (phases["n_missing"] > 0) * StxmStatus.INCOMPLETE.value
    )
    doubtful = is_ambiguous(phases["margin"], phases["confidence"], limits)
    out = xr.apply_ufunc(
        set_ambiguous_status, phases["status"], doubtful, clear, dask="parallelized", output_dtypes=[np.int8]
    )
    return out.assign_attrs(phases["status"].attrs)


def set_ambiguous_status(status: Any, doubtful: Any, clear: Any) -> Any:
    """Status (..) with ``ambiguous`` where it is doubtful and free to be, and ``clear`` where it is free and is not."""
    is_free = (status == StxmStatus.OK) | (status == StxmStatus.AMBIGUOUS) | (status == StxmStatus.INCOMPLETE)
    free_status = np.where(doubtful, StxmStatus.AMBIGUOUS.value, clear)
    return np.where(is_free, free_status, status).astype(np.int8)
