"""A phase map as one HTML page: the spectrum of every pixel beside the references and the mean of its cluster."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phasekit.errors import StxmStatus
from phasekit.schema import PHASES, REFERENCE_FIT, require
from phasekit.stxm import fitted_composition

from ..linked.gestures import make_grid
from ..linked.pictures import INK
from ..static_page.content import (
    choose_value,
    colour_phases,
    describe_numbers,
    describe_status,
    keep_pixels,
    limit_step,
    make_scale,
)
from ..static_page.pages import PageParts, Rounded, check_size, write_page
from ..static_page.quantise import (
    Codes,
    count_positions,
    quantise_by_ratio,
    quantise_evenly,
    store_counts,
    store_indices,
)
from .pixel_spectra import SpectrumData, SpectrumPlots
from .threshold_explorer import make_thresholds

_OWN_ERROR = (
    "The composition of a pixel alone has its standard error from the noise. The error ignores the bounds of the fit, "
    "so it is rather too large."
)
_NAMES = ("margin", "min_confidence")
_ROUNDED = (
    Rounded("confidence", "confidence"),
    Rounded("margin", "margin"),
    Rounded("composition", "composition"),
    Rounded("density", "optical density"),
    Rounded("noise", "noise of a spectrum"),
)


def save_page(  # noqa: PLR0913 -- each dataset of the result is an argument
    phases: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    od: xr.Dataset | None = None,
    clusters: xr.Dataset | None = None,
    refs: xr.Dataset | None = None,
    fit: xr.Dataset | None = None,
    thresholds: Mapping[str, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    max_mb: float = 10.0,
) -> Path:
    """Write a phase map as one HTML page that needs no Python and no network.

    The page shows the maps under live thresholds of margin and confidence. For the pixel under the cursor it shows the
    spectrum with its noise, the fitted best two references, the mean of the cluster, and the residual.

    Parameters
    ----------
    phases
        PHASES; lazy maps are computed.
    path
        File to write; its folder is made.
    od
        OD that the phases were made from. Without it no spectra are drawn.
    clusters, refs
        CLUSTERS and REFERENCES of the phases, for the curves beside a spectrum.
    fit
        REFERENCE_FIT: with references that have a composition, each pixel's own composition and its standard error.
    thresholds
        ``margin`` and ``min_confidence`` at the start, such as ``explorer.thresholds``; 0.002 and 0.75 when not given.
    parameters
        Name and value of what the result was made with, for the page's list: ``globals()`` of the notebook. The name
        of the file in ``input_path`` is the heading.
    max_mb
        Largest size of the file [10^6 bytes]. Where not everything fits, spectra are means of blocks of n x n pixels,
        then maps show every n-th pixel along each axis. The page states n.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    SchemaError
        Another kind of data, data of another scan, an unknown threshold, or a page that cannot be so small.

    See Also
    --------
    explorer : The same views in a notebook, with regions and pins.
    phasekit.io.save_results : The result as a file for programs.

    Examples
    --------
    >>> import tempfile
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": map_.expand_dims(reference=["Na3"], axis=2)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_page(phases, f"{folder}/page.html").name
    'page.html'
    """
    require(phases, PHASES, step="save_page", argument="phases")
    start = {
        name: choose_value(thresholds, name, value, _NAMES) for name, value in zip(_NAMES, (0.002, 0.75), strict=True)
    }
    sliders = make_thresholds(start["margin"], start["min_confidence"])
    scales = [make_scale(name, sliders[name]) for name in _NAMES]
    drawn = _merge_composition(phases, fit, refs)
    spectra = None if od is None else SpectrumData(phases, od, clusters, refs, (), step="save_page")
    extra, curves = ({"spectra": None}, {}) if spectra is None else _describe_spectra(spectra)
    if spectra is not None and clusters is not None:
        drawn["cluster"] = (drawn["phase"].dims, clusters["label"].transpose(*drawn["phase"].dims).values)
    names = [str(name) for name in phases["reference"].values]
    parts = PageParts(
        workflow="stxm",
        heading="phase map",
        data=drawn,
        scales=scales,
        maps=_list_maps(drawn),
        choices=[],
        extra={"phases": colour_phases(names), "status": describe_status(StxmStatus), "ink": INK, **extra},
        make_maps=partial(_pack_maps, drawn, [scale.positions for scale in scales], len(names)),
        make_details=partial(_pack_details, drawn, od, curves),
        rounded=_ROUNDED,
        detail_text="Spectra",
        is_averaged=True,
        remarks=[_OWN_ERROR] if "own_error" in drawn else [],
    )
    return write_page(path, parts, parameters, max_mb)


def _merge_composition(phases: xr.Dataset, fit: xr.Dataset | None, refs: xr.Dataset | None) -> xr.Dataset:
    """The maps of the phases, and each pixel's own composition with its error where a fit gives them."""
    wanted = ("phase", "runner_up", "margin", "confidence", "composition", "status", "n_missing")
    data = phases[[name for name in wanted if name in phases]].compute()
    if fit is None:
        return data
    require(fit, REFERENCE_FIT, step="save_page", argument="fit")
    check_size(fit, phases["phase"].shape, "fit")
    # Without compositions of the references there is nothing to compute.
    if refs is None or "composition" not in refs:
        return data
    own = fitted_composition(fit, refs).compute()
    return data.assign(
        own_composition=(data["phase"].dims, own["composition"].transpose(*data["phase"].dims).values),
        own_error=(data["phase"].dims, own["composition_error"].transpose(*data["phase"].dims).values),
    )


def _list_maps(data: xr.Dataset) -> list[dict[str, Any]]:
    material = data.where(data["phase"] >= 0)
    maps: list[dict[str, Any]] = [{"name": "phase", "label": "phase"}]
    maps.append(describe_numbers("confidence", "confidence", material["confidence"], limits=(0.0, 1.0)))
    maps.append(describe_numbers("margin", "margin of the best two correlations", material["margin"]))
    maps.append(describe_numbers("composition", "composition", material["composition"]))
    if "own_composition" in data:
        label = "composition of the pixel alone"
        maps.append(describe_numbers("own_composition", label, material["own_composition"]))
    return [*maps, {"name": "status", "label": "status"}]


def _pack_maps(data: xr.Dataset, positions: list[list[float]], n: int, step: int) -> dict[str, Codes]:
    kept = keep_pixels(data, limit_step(data, step))
    arrays = {
        "phase": store_indices(kept["phase"].values, n=n),
        "status": store_indices(kept["status"].values, n=len(StxmStatus)),
    }
    # NaN lies below no threshold, so it counts as above all.
    for name, values in zip(("margin", "confidence"), positions, strict=True):
        arrays[f"{name}_level"] = count_positions(kept[name].values, values, otherwise=len(values))
    if "runner_up" in kept:
        arrays["runner_up"] = store_indices(kept["runner_up"].values, n=n)
    if "cluster" in kept:
        arrays["cluster"] = store_indices(kept["cluster"].values, n=1 + int(data["cluster"].max()))
    if "n_missing" in kept:
        arrays["is_missing"] = store_counts((kept["n_missing"].values > 0).astype(np.uint8))
    material = kept["phase"].values >= 0
    for name in ("confidence", "margin", "composition", "own_composition", "own_error"):
        if name in kept:
            arrays[name] = quantise_evenly(np.where(material, kept[name].values, np.nan))
    return arrays


def _describe_spectra(data: SpectrumData) -> tuple[dict[str, Any], dict[str, Codes]]:
    """Energies and curves of references and clusters, as plain data and as arrays."""
    plots = SpectrumPlots(data, make_grid(data.phases["scan_y"], data.phases["scan_x"]))
    names = list(plots.templates)
    energies = data.od["energy"].values.astype(float).tolist()
    curves = {f"curve_{i}": quantise_evenly(plots.templates[name]) for i, name in enumerate(names)}
    return {"spectra": {"energies": energies, "curves": names}}, curves


def _pack_details(data: xr.Dataset, od: xr.Dataset | None, curves: dict[str, Codes], step: int) -> dict[str, Codes]:
    if od is None:
        return {}
    step = limit_step(data, step)
    density, noise = _average_blocks(od, step)
    arrays = dict(curves)
    usual = float(np.nanmedian(noise)) if np.isfinite(noise).any() else 0.0
    # A quarter of the noise: rounding then adds 1 part in 400 to it.
    arrays["density"] = quantise_evenly(density, step=usual / 4 if np.isfinite(usual) else 0.0)
    arrays["noise"] = quantise_by_ratio(noise)
    return arrays


def _average_blocks(od: xr.Dataset, step: int) -> tuple[Any, Any]:
    """Mean spectra (energy, y, x) of blocks and their noise; of single pixels as they are."""
    dims = ("energy", "scan_y", "scan_x")
    density, noise = (od[name].transpose(*dims) for name in ("optical_density", "noise"))
    if step == 1:
        return density.values, noise.values
    valid = od["valid"].astype(bool)
    blocks: dict[str, Any] = {"scan_y": step, "scan_x": step, "boundary": "pad"}
    count: Any = density.where(valid).notnull().coarsen(**blocks).sum()
    mean: Any = density.where(valid).coarsen(**blocks).mean()
    square: Any = (noise**2).where(valid & density.notnull()).coarsen(**blocks).sum()
    return mean.values, (np.sqrt(square) / count.where(count > 0)).values
