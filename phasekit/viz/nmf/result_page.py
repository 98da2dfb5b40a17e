"""A factorisation as one HTML page: maps, components, the weights of a pixel and the pattern of its model."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phasekit.nmf import find_overlap
from phasekit.schema import FACTORS, require

from ..linked.gestures import make_grid
from ..static_page.content import choose_value, colour_phases, describe_numbers, keep_pixels, limit_step, make_scale
from ..static_page.pages import PageParts, Rounded, write_page
from ..static_page.quantise import Codes, count_positions, quantise_evenly, store_indices
from ..style import STATUS_COLOURS
from .threshold_explorer import make_threshold

#: Pixels along each side of a component's pattern at most.
_PATTERN = 160


def save_page(
    factors: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    background: int | None = None,
    thresholds: Mapping[str, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    max_mb: float = 10.0,
) -> Path:
    """Write a factorisation as one HTML page that needs no Python and no network.

    The page shows the components under a live threshold of the overlap, and their patterns. For the pixel under the
    cursor it shows the weights as bars, and the sum of the components as a pattern.

    Parameters
    ----------
    factors
        FACTORS; lazy data are computed.
    path
        File to write; its folder is made.
    background
        As in :func:`phasekit.nmf.find_overlap`.
    thresholds
        ``{"threshold": ratio}`` at the start, such as ``explorer.thresholds``; 0.75 when not given.
    parameters
        Name and value of what the result was made with, for the page's list: ``globals()`` of the notebook. The name
        of the file in ``input_path`` is the heading.
    max_mb
        Largest size of the file [10^6 bytes]. Where not everything fits, weights of every n-th pixel along each axis
        are kept, then the maps likewise. Patterns of more than 160 pixels along a side are means of blocks. The page
        states all of this.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    SchemaError
        Not FACTORS, an unknown threshold, or a page that cannot be so small.

    See Also
    --------
    explorer : The same views in a notebook, with the measured patterns.
    phasekit.io.save_results : The result as a file for programs.

    Examples
    --------
    >>> import tempfile
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_page(pk.nmf.truth_as_factors(scan), f"{folder}/page.html").name
    'page.html'
    """
    require(factors, FACTORS, step="save_page", argument="factors")
    data = factors[["loading", "factor"]].compute()
    threshold = choose_value(thresholds, "threshold", 0.75, ("threshold",))
    scale = make_scale("threshold", make_threshold(threshold))
    # The ratio does not depend on the threshold.
    overlap = find_overlap(factors, threshold=0.0, background=background).compute()
    chosen = int(overlap.attrs["background"])
    patterns, block = _shrink_patterns(data["factor"])
    k = data.sizes["component"]
    parts = PageParts(
        workflow="nmf",
        heading="components of a scan",
        data=data,
        scales=[scale],
        maps=_list_maps(overlap, k),
        choices=[],
        extra={
            "phases": colour_phases([f"component {i}" for i in range(k)]),
            "background": chosen,
            "overlap": STATUS_COLOURS["overlap"],
            "weightUnit": _name_unit(data["loading"]),
            "pattern": _describe_pattern(data["factor"], patterns, block),
        },
        make_maps=partial(_pack_maps, overlap, scale.positions, k),
        make_details=partial(_pack_details, data["loading"], patterns),
        rounded=(
            Rounded("ratio", "ratio of weights"),
            Rounded("loading_0", "weight of component 0", _name_unit(data["loading"])),
        ),
        detail_text="Weights",
    )
    return write_page(path, parts, parameters, max_mb)


def _list_maps(overlap: xr.Dataset, k: int) -> list[dict[str, Any]]:
    maps: list[dict[str, Any]] = [{"name": "components", "label": "components"}]
    maps.append(describe_numbers("ratio", "second weight over the first", overlap["ratio"], limits=(0.0, 1.0)))
    return [*maps, *({"name": f"weight_{i}", "label": f"weight of component {i}"} for i in range(k))]


def _pack_maps(overlap: xr.Dataset, positions: list[float], k: int, step: int) -> dict[str, Codes]:
    kept = keep_pixels(overlap, limit_step(overlap, step))
    return {
        "label": store_indices(kept["label"].values, n=k),
        "partner": store_indices(kept["partner"].values, n=k),
        "level": count_positions(kept["ratio"].values, positions, otherwise=0),
        "ratio": quantise_evenly(kept["ratio"].values),
    }


def _pack_details(loading: xr.DataArray, patterns: Any, step: int) -> dict[str, Codes]:
    # One scale for each component: a weak one keeps its digits.
    kept = keep_pixels(loading, limit_step(loading.to_dataset(name="loading"), step))
    maps = kept.transpose("component", "scan_y", "scan_x").values
    arrays = {f"loading_{i}": quantise_evenly(one) for i, one in enumerate(maps)}
    return arrays | {f"factor_{i}": quantise_evenly(one) for i, one in enumerate(patterns)}


def _shrink_patterns(factor: xr.DataArray) -> tuple[Any, int]:
    """Patterns (component, y, x) of at most 160 pixels along a side, and the side of the blocks that were averaged."""
    patterns = factor.transpose("component", "qy", "qx")
    block = max(-(-max(patterns.shape[1:]) // _PATTERN), 1)
    if block > 1:
        patterns = patterns.coarsen(qy=block, qx=block, boundary="pad").mean()
    return patterns.values.astype(np.float64), block


def _describe_pattern(factor: xr.DataArray, patterns: Any, block: int) -> dict[str, Any]:
    """Size of a pattern, and where its pixels lie on the detector."""
    grid = make_grid(factor["qy"], factor["qx"])
    height, width = patterns.shape[1:]
    return {"ny": height, "nx": width, "block": block, "dx": grid.dx * block, "unit": grid.unit}


def _name_unit(loading: xr.DataArray) -> str:
    unit = str(loading.attrs.get("units", "1"))
    return "" if unit == "1" else unit
