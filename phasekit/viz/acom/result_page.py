"""An orientation map as one HTML page: patterns redrawn from their peaks, with the spots of the answers."""

import json
import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.errors import AcomStatus, SchemaError
from phasekit.schema import ORIENTATIONS, PEAKS, TEMPLATES, require

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
from ..static_page.quantise import Codes, count_positions, quantise_evenly, store_counts, store_indices
from .key_image import make_key_source
from .page_details import describe_diffraction, pack_answers, pack_peaks, pack_reflections
from .threshold_explorer import make_threshold

_DIRECTIONS = ("z", "x", "y")
_ROUNDED = (
    Rounded("reliability", "reliability"),
    Rounded("peak_x", "position of a peak", "1/Å"),
    Rounded("peak_intensity", "intensity of a peak"),
    # Each of the 4 numbers of a quaternion is off by the error at most, and the angle is twice that of the quaternion.
    Rounded("quaternion_0", "orientation", "degrees", float(np.degrees(4.0))),
)


def save_page(
    orientations: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    peaks: xr.Dataset | None = None,
    bank: xr.Dataset | None = None,
    thresholds: Mapping[str, float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    max_mb: float = 10.0,
) -> Path:
    """Write an orientation map as one HTML page that needs no Python and no network.

    The page shows the maps under a live reliability threshold, and the pattern of the pixel under the cursor. The
    pattern is redrawn from its peaks, with the spots of the best and of the second answer.

    Parameters
    ----------
    orientations
        ORIENTATIONS; lazy maps are computed.
    path
        File to write; its folder is made.
    peaks
        PEAKS that were matched, calibrated [1/angstrom]. Without them no patterns are drawn.
    bank
        TEMPLATES that were matched. Without them the spots of the answers are not drawn.
    thresholds
        ``{"threshold": reliability}`` at the start, such as ``explorer.thresholds``; 15 when not given.
    parameters
        Name and value of what the result was made with, for the page's list: ``globals()`` of the notebook. The name
        of the file in ``input_path`` is the heading.
    max_mb
        Largest size of the file [10^6 bytes]. Where not everything fits, peaks and answers of every n-th pixel along
        each axis are kept, then the maps likewise. The page states n.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    SchemaError
        Another kind of data, peaks of another scan or in px, an unknown threshold, or a page that cannot be so small.

    See Also
    --------
    explorer : The same views in a notebook, with the measured patterns.
    phasekit.io.save_results : The result as a file for programs.

    Examples
    --------
    >>> import tempfile
    >>> from phasekit.crystals import crystal, phase_record
    >>> cell, scan = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[40.0, 20.0]]) for n in ("reliability", "phase_reliability")}
    >>> maps |= {n: (scan, [[0, 0]]) for n in ("phase", "status")}
    >>> best = {"quaternion": ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]] * 2])}
    >>> best["correlation"] = ((*scan, "match"), [[[0.9]] * 2])
    >>> orientations = xr.Dataset({**maps, **best}, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_page(orientations, f"{folder}/page.html").name
    'page.html'
    """
    require(orientations, ORIENTATIONS, step="save_page", argument="orientations")
    _check_data(peaks, bank, orientations)
    # Lazy peaks are searched once, and not for each number that the page needs.
    peaks = None if peaks is None else peaks.compute()
    reliability = choose_value(thresholds, "threshold", 15.0, ("threshold",))
    scale = make_scale("threshold", make_threshold(reliability))
    records = json.loads(orientations.attrs.get("phases", "[]"))
    # Candidates of the refinement are large and not drawn.
    drawn = orientations[[name for name in orientations if "candidate" not in str(name)]].compute()
    parts = PageParts(
        workflow="acom",
        heading="orientation map",
        data=drawn,
        scales=[scale],
        maps=_list_maps(drawn),
        choices=_list_choices(drawn, bank),
        extra={
            "phases": colour_phases([record["name"] for record in records]),
            "status": describe_status(AcomStatus),
            "key": make_key_source(records),
            **describe_diffraction(records, drawn, peaks, bank),
        },
        make_maps=partial(_pack_maps, drawn, scale.positions, len(records), cache(partial(_colour_pixels, drawn))),
        make_details=partial(_pack_details, drawn, peaks, bank, records),
        rounded=_ROUNDED,
        detail_text="Peaks and answers",
    )
    return write_page(path, parts, parameters, max_mb)


def _check_data(peaks: xr.Dataset | None, bank: xr.Dataset | None, orientations: xr.Dataset) -> None:
    if bank is not None:
        require(bank, TEMPLATES, step="save_page", argument="bank")
    if peaks is None:
        return
    require(peaks, PEAKS, step="save_page", argument="peaks")
    check_size(peaks, orientations["phase"].shape, "peaks")
    unit = str(peaks["qx"].attrs.get("units", "px"))
    if unit != "1/angstrom":
        raise SchemaError(
            f"save_page: 'peaks' are in '{unit}', needs '1/angstrom'. Give the result of calibrate_peaks, which was "
            "matched."
        )


def _list_maps(data: xr.Dataset) -> list[dict[str, Any]]:
    maps: list[dict[str, Any]] = [
        {"name": f"orientation_{axis}", "label": f"orientation (IPF-{axis})"} for axis in _DIRECTIONS
    ]
    maps.append({"name": "phase", "label": "phase"})
    maps.append(describe_numbers("reliability", "reliability (0 to 100)", data["reliability"]))
    return [*maps, {"name": "status", "label": "status"}]


def _list_choices(data: xr.Dataset, bank: xr.Dataset | None) -> list[dict[str, Any]]:
    if bank is None:
        return []
    options, text = ["none", "best", "best and second"], "Spots of the matched orientation, and of the second best."
    if "other_quaternion" in data:
        options.append("best and other phase")
        text = "Spots of the matched orientation, of the second best, or of the best of another phase."
    return [{"name": "template", "label": "template", "options": options, "start": "best and second", "help": text}]


def _colour_pixels(data: xr.Dataset, step: int) -> dict[str, tuple[Any, Any]]:
    """Colours (y, x, rgb) of each direction as bytes, and where there is one."""
    found = {}
    for axis in _DIRECTIONS:
        colours = acom.ipf_colours(keep_pixels(data, step), direction=axis).values  # type: ignore[arg-type]
        seen = np.isfinite(colours).all(axis=-1)
        found[axis] = (np.where(seen[..., None], np.clip(colours, 0, 1) * 255, 0).astype(np.uint8), seen)
    return found


def _pack_maps(data: xr.Dataset, positions: list[float], n_phases: int, colour: Any, step: int) -> dict[str, Codes]:
    step = limit_step(data, step)
    kept = keep_pixels(data, step)
    arrays = {
        "phase": store_indices(kept["phase"].values, n=max(n_phases, 1)),
        "status": store_indices(kept["status"].values, n=len(AcomStatus)),
        "level": count_positions(kept["reliability"].values, positions, otherwise=0),
    }
    for axis, (colours, seen) in colour(step).items():
        arrays[f"seen_{axis}"] = store_counts(seen.astype(np.uint8))
        arrays |= {f"{channel}_{axis}": Codes(colours[..., i]) for i, channel in enumerate(("red", "green", "blue"))}
    for name in ("reliability", "phase_reliability", "uncertainty_deg"):
        if name in kept:
            arrays[name] = quantise_evenly(kept[name].values)
    return arrays


def _pack_details(
    data: xr.Dataset, peaks: xr.Dataset | None, bank: xr.Dataset | None, records: list[dict[str, Any]], step: int
) -> dict[str, Codes]:
    step = limit_step(data, step)
    arrays = pack_answers(keep_pixels(data, step), len(records))
    if bank is not None:
        arrays |= pack_reflections(records, bank)
    return arrays if peaks is None else arrays | pack_peaks(keep_pixels(peaks, step))
