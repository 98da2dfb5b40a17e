"""The same scan prepared in several ways: which preparation finds which components."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ...errors import ConvergenceError, SchemaError
from ...schema import PATTERNS, VARIANTS, describe, require
from ..features.features import to_features
from ..fitting.factors import factorise
from .matching import match_components, truth_as_factors


def compare_variants(
    patterns: xr.Dataset,
    k: int,
    variants: Mapping[str, Mapping[str, Any]],
    *,
    reference: xr.Dataset | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Factorise a scan after each of several preparations, and compare the components with a reference.

    Parameters
    ----------
    patterns
        PATTERNS; read once or twice for every variant, see :func:`to_features`.
    k
        Number of components.
    variants
        Name -> settings of :func:`to_features`, e.g. ``{"3 x 3 mean": {"scan_mean": True}}``.
    reference
        FACTORS on the same detector, or a simulated scan with its truth. ``None``: the truth where ``patterns`` have
        one, else the first variant, which then agrees with itself.
    seed
        Seed of the starts, the same for every variant.

    Returns
    -------
    xarray.Dataset
        VARIANTS: ``pattern_cosine(variant, truth)`` and ``loading_correlation(variant, truth)`` of the component that
        matches each one of the reference (NaN: none), ``n_features(variant)`` and ``iterations(variant)``.

    Raises
    ------
    SchemaError
        Not PATTERNS, no variant at all, or settings that :func:`to_features` refuses.

    See Also
    --------
    to_features : The preparation.
    match_components : The comparison.
    scan_ranks : Choose ``k`` first.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(12, 12), detector=(32, 32))
    >>> found = compare_variants(scan, 3, {"scaled": {}, "unscaled": {"scale": None}})
    >>> bool(found.pattern_cosine.sel(variant="scaled").min() > 0.8)
    True
    """
    require(patterns, PATTERNS, step="compare_variants", argument="patterns")
    if not variants:
        raise SchemaError("compare_variants: no variant was given, needs e.g. {'as it is': {}, 'mean': {...}}.")
    fits = {name: _fit_variant(to_features(patterns, **settings), k, seed) for name, settings in variants.items()}
    # Without a truth the first variant stands in, and agrees with itself by construction.
    known = patterns if reference is None and "truth_factor" in patterns else reference
    first = next(iter(fits.values())) if known is None else known
    matches = []
    # The truth is masked as each variant is, so that a masked beam counts on neither side.
    for factors in fits.values():
        against = truth_as_factors(first, like=factors) if "truth_factor" in first else first
        matches.append(match_components(factors, against))
    scores = xr.concat([m[["pattern_cosine", "loading_correlation"]] for m in matches], dim="variant")
    out = scores.assign_coords(variant=list(fits), truth=np.arange(scores.sizes["truth"]))
    for name in ("n_features", "iterations"):
        out[name] = ("variant", [int(factors.attrs[name]) for factors in fits.values()])
    settings = {"k": k, "variants": {name: sorted(given) for name, given in variants.items()}, "seed": seed}
    return describe(out, VARIANTS, step="compare_variants", settings=settings, source=patterns)


def _fit_variant(features: xr.Dataset, k: int, seed: int) -> xr.Dataset:
    """Factors of one preparation, converged or as far as the iterations went."""
    try:
        factors = factorise(features, k, seed=seed)
    except ConvergenceError as stopped:
        factors = stopped.partial
    return factors.assign_attrs(n_features=features.sizes["feature"])
