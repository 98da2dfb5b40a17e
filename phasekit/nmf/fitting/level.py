"""The unit of the features: values far from 1 are brought near it before a fit, by a power of two.

Products of single precision overflow above 3e38 and lose digits below 1e-38. The features enter a fit squared and
summed, so that values beyond some 1e15 or below 1e-15 would meet these ends. A power of two changes no digit. It goes
over to ``scan_weight``, so that counts stay value x both weights, and every later step is in counts as before.

The weights of lazy features are loaded first. Each block of values is divided by a mean over the whole scan, which
every block would else compute anew from the whole file.
"""

from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

_WEIGHTS = ("scan_weight", "feature_weight")
_NEAR = 12  # exponents up to it stay as they are: no copy of usual data is made
_FARTHEST = 120  # the weight itself must remain a number of single precision


def bring_to_unit_level(features: xr.Dataset) -> xr.Dataset:
    """FEATURES with a mean value of about 1, the rest of the unit in ``scan_weight``; the same where it is near.

    Lazy values stay lazy. Their weights are loaded, in one pass over the file.
    """
    features = _load_weights(features)
    values = features["feature_value"]
    exponent = _find_exponent(values)
    if exponent == 0:
        return features
    scaled = xr.apply_ufunc(np.ldexp, values, -exponent, dask="parallelized", output_dtypes=[values.dtype])
    weight = features["scan_weight"].astype(np.float64) * 2.0**exponent
    return features.assign(feature_value=scaled.assign_attrs(values.attrs), scan_weight=weight)


def _load_weights(features: xr.Dataset) -> xr.Dataset:
    """FEATURES whose lazy values are divided by weights in memory; the same where values or weights are in memory."""
    values = features["feature_value"]
    lazy = [name for name in _WEIGHTS if features[name].chunks is not None]
    if values.chunks is None or not lazy:
        return features
    loaded = features[lazy].compute()
    known = [(features[name].data, loaded[name].to_numpy()) for name in lazy]
    return features.assign({**loaded, "feature_value": values.copy(data=_replace_layers(values.data, known))})


def _replace_layers(values: Any, known: list[tuple[Any, NDArray[np.floating]]]) -> Any:
    """The dask array ``values``, whose graph finds the arrays of ``known`` in memory instead of computing them."""
    from dask.array import core
    from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

    build, split = cast("Any", core.Array), cast("Any", core.slices_from_chunks)
    graph = values.__dask_graph__()
    layers, dependencies = dict(graph.layers), dict(graph.dependencies)
    for lazy, loaded in known:
        if lazy.name not in layers:  # these values were made from other weights
            continue
        keys = [(lazy.name, *place) for place in np.ndindex(*lazy.numblocks)]
        parts = [loaded[part] for part in split(lazy.chunks)]
        layers[lazy.name] = MaterializedLayer(dict(zip(keys, parts, strict=True)))
        dependencies[lazy.name] = set()
    return build(HighLevelGraph(layers, dependencies), values.name, values.chunks, dtype=values.dtype)


def _find_exponent(values: xr.DataArray) -> int:
    """Even exponent of two next to the mean of the values; 0 within 2^-12..2^12 and where nothing is known."""
    level = _measure_level(values)
    if not 0 < level < np.inf:  # zeros, or values that the fit refuses
        return 0
    # Even: the square root of the factor, by which both sides of a fit change, is a power of two as well.
    exponent = int(np.frexp(level)[1]) // 2 * 2
    return 0 if abs(exponent) <= _NEAR else int(np.clip(exponent, -_FARTHEST, _FARTHEST))


def _measure_level(values: xr.DataArray) -> float:
    """Mean of what is measured; of lazy values that of the first scan line of a chunk with any value above 0."""
    if values.chunks is None:
        return _compute_mean(values.to_numpy())
    start = 0
    for lines in values.chunksizes["scan_y"]:
        level = _compute_mean(values.isel(scan_y=start).to_numpy())
        if level != 0:
            return level
        start += lines
    return 0.0


def _compute_mean(values: NDArray[np.floating]) -> float:
    """Mean in double precision; a value that is NaN counts as 0."""
    total = float(values.sum(dtype=np.float64))
    return (total if np.isfinite(total) else float(np.nansum(values, dtype=np.float64))) / max(values.size, 1)
