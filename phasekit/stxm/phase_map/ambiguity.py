"""The ambiguity drawn again with another threshold, without judging anew."""

import numpy as np
import xarray as xr

from ...errors import SchemaError, StxmStatus
from ...schema import PHASES, describe, require


def flag_ambiguous(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.75) -> xr.Dataset:
    """Draw the ambiguity again with another margin; every other status stays.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        A pixel that is ``ok`` or ``ambiguous`` becomes ``ambiguous`` when its margin or its confidence is below, else
        ``ok``.

    Returns
    -------
    xarray.Dataset
        PHASES with a new ``status``.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, or ``margin`` is NaN or negative.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 3), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> flag_ambiguous(phases, 0.05)["status"].values
    array([[3, 3, 0]], dtype=int8)
    """
    require(phases, PHASES, step="flag_ambiguous")
    if not margin >= 0:
        raise SchemaError(f"flag_ambiguous: margin={margin}, needs a number >= 0: 0 flags nothing, 0.01 is severe.")
    out = phases.copy()
    out["status"] = mark_ambiguous(phases, margin, min_confidence)
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
        Ambiguous pixels over pixels with a phase; NaN when no pixel has one. Grows with ``margin``, never above the
        share of pixels that carry no stronger flag.

    Raises
    ------
    SchemaError
        As :func:`flag_ambiguous`.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 4), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2, 0.3]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> ambiguous_fraction(phases, 0.05)
    0.5
    """
    status = flag_ambiguous(phases, margin, min_confidence=min_confidence)["status"]
    named = phases["phase"] >= 0
    total = int(named.sum())
    return float(((status == StxmStatus.AMBIGUOUS) & named).sum()) / total if total else float("nan")


def mark_ambiguous(phases: xr.Dataset, margin: float, min_confidence: float) -> xr.DataArray:
    """Status (scan_y, scan_x) with ``ambiguous`` drawn anew from the margin and the confidence."""
    doubtful = (phases["margin"] < margin) | (phases["confidence"] < min_confidence)
    free = phases["status"].isin([StxmStatus.OK, StxmStatus.AMBIGUOUS])
    fresh = doubtful * StxmStatus.AMBIGUOUS.value
    status = phases["status"].where(~free, fresh).astype(np.int8)
    return status.assign_attrs(phases["status"].attrs)
