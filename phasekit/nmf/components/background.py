"""Grains' patterns without the background that a factorisation leaves in them."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import FACTORS, describe, require
from .overlap import choose_background

Array = NDArray[np.float64]
_RATIO_QUANTILE = 0.05  # of the ratio grain / background over the background's brighter pixels: between the spots
_BRIGHT_QUANTILE = 0.3  # of the background's own pattern: in darker pixels the ratio is mostly noise


def separate_background(factors: xr.Dataset, *, background: int | None = None) -> xr.Dataset:
    r"""Move the background that every grain's pattern contains to the background's own component.

    Where a grain is, the background is too. The factorisation cannot assign the diffuse scattering between the spots,
    because the product of loadings and factors is the same. Each grain's pattern :math:`h_g` therefore gives up the
    largest multiple of the background's pattern :math:`h_b` that leaves it non-negative:

    .. math::

        h_g \leftarrow \frac{\max(h_g - s_g h_b,\, 0)}{\sum \max(h_g - s_g h_b,\, 0)},\qquad
        s_g = Q_{5\,\%}\!\left(\frac{h_g}{h_b}\right).

    The quantile Q over the brighter pixels of the background allows for noise. The background's map receives what was
    taken off: :math:`w_b \leftarrow w_b + \sum_g s_g w_g`. The grain's map becomes :math:`(1 - s_g) w_g`. Patterns come
    closer to those of single grains, and their weights can be compared.

    Parameters
    ----------
    factors
        FACTORS of :func:`factorise`.
    background
        Index of the background component; ``None`` takes :func:`propose_background`.

    Returns
    -------
    xarray.Dataset
        FACTORS in the same order, patterns of sum 1. ``background_share(component)`` is the share of each pattern that
        was background (0 for the background itself). Without any background the factors come back as they were.

    Raises
    ------
    SchemaError
        Not FACTORS, or a background that is no component.

    See Also
    --------
    propose_background : Which component is the background.
    find_overlap : Where two components overlap, on the cleaned weights.
    component_patterns : The cleaned patterns for peak finding.

    Notes
    -----
    On 36 simulated scans of six grains at 4000 electrons the worst cosine of a grain to its true pattern rises from .97
    to .98. The published overlap map stays as right as it was: F1 is .88, and .89 with the true patterns.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, shape=(24, 24), detector=(48, 48), seed=1)
    >>> factors = pk.nmf.factorise(pk.nmf.to_features(scan), 4)
    >>> before, after = (pk.nmf.match_components(f, scan) for f in (factors, separate_background(factors)))
    >>> bool(after.pattern_cosine[:3].min() > before.pattern_cosine[:3].min())
    True
    """
    require(factors, FACTORS, step="separate_background", argument="factors")
    chosen = choose_background(factors, background, "separate_background")
    patterns = factors["factor"].transpose("component", "qy", "qx")
    rows = patterns.to_numpy().astype(np.float64).reshape(patterns.sizes["component"], -1)
    share = _compute_background_shares(rows, chosen) if chosen >= 0 else np.zeros(len(rows))
    kept = xr.DataArray(1 - share, dims="component")
    # Counts are kept: what leaves a grain's pattern goes to the background's map, and sums of patterns stay 1.
    cleaned = np.maximum(rows - share[:, None] * rows[max(chosen, 0)], 0)
    cleaned /= np.maximum(np.nansum(cleaned, axis=1, keepdims=True), 1e-300)
    given = (factors["loading"] * (1 - kept)).sum("component")
    loading = factors["loading"] * kept
    loading = loading.where(xr.DataArray(np.arange(len(rows)) != chosen, dims="component"), loading + given)
    out = factors.assign(
        factor=patterns.copy(data=cleaned.reshape(patterns.shape).astype(np.float32)),
        loading=loading.transpose("component", "scan_y", "scan_x").astype(np.float32),
        background_share=("component", share),
    )
    out["loading"].attrs = dict(factors["loading"].attrs)
    out["background_share"].attrs = {"long_name": "share of the pattern that was background", "units": "1"}
    if "explained" in out:
        total = out["loading"].sum(("scan_y", "scan_x"))
        out["explained"] = total / total.sum()
    settings = {"background": background, "chosen": chosen}
    return describe(out, FACTORS, step="separate_background", settings=settings, source=factors)


def _compute_background_shares(rows: Array, background: int) -> Array:
    """Share of each pattern (component, pixel), sum 1, that is the background's."""
    if not 0 <= background < len(rows):
        raise SchemaError(
            f"separate_background: background = {background} is no component. "
            f"Give a number from 0 to {len(rows) - 1}, or the one of propose_background."
        )
    diffuse = rows[background]
    bright = np.isfinite(diffuse) & (diffuse > np.nanquantile(diffuse, _BRIGHT_QUANTILE))
    share = (
        np.quantile(rows[:, bright] / diffuse[bright], _RATIO_QUANTILE, axis=1) if bright.any() else np.zeros(len(rows))
    )
    share[background] = 0.0
    return np.clip(share, 0.0, 0.95)
