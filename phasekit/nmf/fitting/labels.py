"""From a fit of the scaled features to FACTORS in counts, with names and units."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .hals import Array, Fit


def read_scan_weight(features: xr.Dataset) -> Array:
    """What was divided out of each scan point, (scan point,), float32."""
    return features["scan_weight"].transpose("scan_y", "scan_x").to_numpy().astype(np.float32).ravel()


def label_fit(features: xr.Dataset, fit: Fit) -> xr.Dataset:
    """FACTORS in counts, factors of sum 1, strongest component first."""
    # Back to counts: multiply both sides by what the scaling of the features divided out.
    patterns = fit.factor * features["feature_weight"].to_numpy()
    maps = fit.loading * read_scan_weight(features)
    norm = patterns.sum(axis=1, dtype=np.float64)
    patterns, maps = _normalise_patterns(patterns, maps, norm)
    # A stable sort: components of equal strength keep their order, so that results are the same on every machine.
    total = maps.sum(axis=1, dtype=np.float64)
    order = np.argsort(-total, kind="stable")
    shape = (features.sizes["scan_y"], features.sizes["scan_x"])
    out = xr.Dataset(
        {
            "loading": (("component", "scan_y", "scan_x"), maps[order].reshape(-1, *shape)),
            "factor": (("component", "qy", "qx"), _lay_out(features, patterns[order])),
            "explained": ("component", total[order] / max(total.sum(), 1e-300)),
        },
        coords={d: features[d] for d in ("scan_y", "scan_x", "qy", "qx") if d in features.coords},
    ).assign_coords(component=np.arange(len(order)))
    out["loading"].attrs["units"] = "counts"
    reached = {"relative_error": fit.error, "iterations": fit.iterations, "converged": int(fit.converged)}
    if np.isfinite(fit.optimality):
        reached["optimality"] = fit.optimality
    beam = {key: value for key, value in features.attrs.items() if key.startswith("beam_")}
    out.attrs = {**reached, **beam}
    return out


def _lay_out(features: xr.Dataset, patterns: Array) -> Array:
    """Patterns (component, feature) on the detector, as :func:`to_detector` does; without labels it takes less time."""
    index = features["feature_index"].transpose("qy", "qx").to_numpy()
    density = patterns / features["feature_pixels"].to_numpy().astype(np.float32)
    return np.where(index >= 0, density[:, index], np.float32(np.nan))


def _normalise_patterns(patterns: Array, maps: Array, norm: NDArray[np.floating]) -> tuple[Array, Array]:
    """Divide each pattern by its norm and multiply its map by it."""
    safe = np.where(norm > 0, norm, 1.0)[:, None]
    return (patterns / safe).astype(np.float32), (maps * norm[:, None]).astype(np.float32)
