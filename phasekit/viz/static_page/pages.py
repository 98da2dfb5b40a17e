"""From the parts that a workflow gives to the written page: size, grid, list of what was rounded and left out."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from phasekit.errors import SchemaError

from ..linked.pictures import find_stride
from .content import Scale, describe_grid, limit_step, list_colours, list_parameters, name_input
from .document import measure_frame, write_document
from .quantise import Codes
from .reduction import Reduced, fit_sections

_SIDE = 1024  # pixels along each side of a map at most
_MB = 1e6


class Rounded(NamedTuple):
    """An array whose rounding the page states."""

    array: str
    label: str
    unit: str = ""
    factor: float = 1.0  # of the error of one code


class PageParts(NamedTuple):
    """What a workflow gives: the texts, the controls, and functions that make the arrays for a step between pixels."""

    workflow: str
    heading: str  # what kind of result it is, in words
    data: xr.Dataset  # with scan_y, scan_x
    scales: Sequence[Scale]
    maps: Sequence[Mapping[str, Any]]  # name and label of each map; low and high of numbers
    choices: Sequence[Mapping[str, Any]]  # further controls: name, label, options, start, help
    extra: Mapping[str, Any]  # for the scripts of the workflow
    make_maps: Callable[[int], Mapping[str, Codes]]
    make_details: Callable[[int], Mapping[str, Codes]]
    rounded: Sequence[Rounded]
    detail_text: str  # what the details are, as the subject of a sentence
    is_averaged: bool = False  # whether blocks are averaged, or single pixels kept
    remarks: Sequence[str] = ()  # sentences on what the numbers mean


def write_page(
    path: str | os.PathLike[str], parts: PageParts, parameters: Mapping[str, Any] | None, max_mb: float
) -> Path:
    """Write the page of these parts, not larger than ``max_mb`` [10^6 bytes].

    Raises
    ------
    SchemaError
        ``max_mb`` is too small for any page, or the data do not fit into it.
    """
    texts = list_parameters(parameters, parts.workflow)
    content = {
        "title": name_input(parameters, parts.heading),
        "heading": parts.heading,
        "workflow": parts.workflow,
        "scales": [scale.describe() for scale in parts.scales],
        "maps": list(parts.maps),
        "choices": list(parts.choices),
        "colours": list_colours(),
        "parameters": texts,
        **parts.extra,
    }
    # 8 kB for the tables of the arrays and the list of what was rounded.
    room = int(max_mb * _MB) - measure_frame({**content, "grid": {}, "notes": []}) - 8000
    if not room > 1000:
        raise SchemaError(f"save_page: max_mb = {max_mb}, needs at least 0.5. The usual page holds 10.")
    start = find_stride([parts.data.sizes[dim] for dim in ("scan_y", "scan_x")], _SIDE)
    reduced = fit_sections(parts.make_maps, parts.make_details, room, start)
    content["grid"] = describe_grid(parts.data, limit_step(parts.data, reduced.map_step))
    content["detailStep"] = limit_step(parts.data, reduced.detail_step)
    content["averaged"] = parts.is_averaged
    content["notes"] = _state_reduction(parts, content["grid"]["step"], content["detailStep"], reduced)
    return write_document(path, content, reduced)


def _state_reduction(parts: PageParts, n: int, m: int, reduced: Reduced) -> list[str]:
    """Sentences that say what the page leaves out and rounds: pixels of every n-th place, details of every m-th."""
    notes = [] if n == 1 else [f"The maps show one pixel in each block of {n} x {n}, the one nearest its middle."]
    if m > 1 and parts.is_averaged:
        notes.append(f"{parts.detail_text} are means of blocks of {m} x {m} pixels.")
    elif m > 1:
        notes.append(f"{parts.detail_text} are those of one pixel in each block of {m} x {m}, nearest its middle.")
    tables = {entry["name"]: entry for entry in (*reduced.maps.table, *reduced.details.table)}
    errors = [_state_error(one, tables[one.array]) for one in parts.rounded if one.array in tables]
    if errors:
        notes.append(f"Largest errors by rounding: {'; '.join(errors)}.")
    notes.append("Thresholds are not rounded: at every position of a slider the map is that of phasekit.")
    return [*notes, *parts.remarks]


def _state_error(rounded: Rounded, entry: Mapping[str, Any]) -> str:
    if entry["kind"] == "ratio":
        return f"{rounded.label} {100 * entry['error']:.2g} %"
    return f"{rounded.label} {rounded.factor * entry['error']:.2g} {rounded.unit}".rstrip()


def check_size(data: xr.Dataset, shape: tuple[int, ...], name: str) -> None:
    """Refuse a dataset of another scan.

    Raises
    ------
    SchemaError
        Its numbers of pixels are not ``shape``.
    """
    found = tuple(data.sizes[dim] for dim in ("scan_y", "scan_x"))
    if found != shape:
        raise SchemaError(f"save_page: '{name}' has {found} pixels, the map {shape}. Give those of one scan.")
