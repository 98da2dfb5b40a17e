"""The live peak search of an explorer: on the pattern under the cursor, and on a regular part of the scan."""

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.acom.peaks.virtual_images import PeakCounts, count_peaks, select_regularly, summarise_counts
from phasekit.schema import provenance

from ..linked.one_pattern import read_pattern
from ..linked.pictures import MapPicture

MOST_PEAKS = 150  # as in `find_peaks`
_REMEMBERED = 16  # results of the search that are kept


class Search(NamedTuple):
    """Settings of the peak search as the sliders hold them; 0: the default of ``find_peaks``."""

    prominence: float = 0.0
    min_distance: float = 0.0
    blur: float = 0.0
    max_peaks: int = MOST_PEAKS

    def is_part_of(self, given: "Search") -> bool:
        """Whether a search with the settings ``given`` holds this one: fewer peaks of the same."""
        return self._replace(max_peaks=given.max_peaks) == given and self.max_peaks <= given.max_peaks

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of ``find_peaks``."""
        settings: dict[str, Any] = {"min_prominence": self.prominence or None, "blur_px": self.blur or None}
        return {**settings, "min_distance_px": self.min_distance or None, "max_peaks": self.max_peaks}


def read_search(found_peaks: xr.Dataset | None) -> tuple[Search, dict[str, Any]]:
    """Settings that the peaks were found with, from their provenance: those with a slider, and the others."""
    given = _read_settings(found_peaks)
    prominence, distance, blur = (
        float(given.get(name) or 0.0) for name in ("min_prominence", "min_distance_px", "blur_px")
    )
    # An average over neighbours needs more patterns than one, and a mask is an argument of the explorer.
    others = ("background_radius", "refine_box", "intensity_radius", "mode")
    search = Search(prominence, distance, blur, int(given.get("max_peaks") or MOST_PEAKS))
    return search, {name: given[name] for name in others if given.get(name) is not None}


def read_other_settings(found_peaks: xr.Dataset | None) -> dict[str, Any]:
    """Settings without a slider that the peaks were found with and that are not the defaults of ``find_peaks``."""
    given = _read_settings(found_peaks)
    usual = {name: argument.default for name, argument in inspect.signature(acom.find_peaks).parameters.items()}
    # A mask is data of the notebook's own; the sliders write the rest.
    own = ("mask", "min_prominence", "min_distance_px", "blur_px", "max_peaks")
    return {name: value for name, value in given.items() if name not in own and value != usual.get(name)}


def find_highest_prominence(found_peaks: xr.Dataset | None) -> float:
    """Prominence that a tenth of the peaks exceed [counts], of some of the patterns; 0 without peaks."""
    if found_peaks is None:
        return 0.0
    values = found_peaks["prominence"].isel(select_regularly(found_peaks)).values
    return float(np.nanquantile(values, 0.9)) if np.isfinite(values).any() else 0.0


def _read_settings(found_peaks: xr.Dataset | None) -> Mapping[str, Any]:
    """All settings that the peaks were found with."""
    steps = [] if found_peaks is None else provenance(found_peaks)
    return next((step["settings"] for step in reversed(steps) if step["step"] == "find_peaks"), {})


class PeakPreview:
    """Searches the peaks of single patterns, and of at most 256 patterns spread over the scan."""

    def __init__(self, patterns: xr.Dataset, found_peaks: xr.Dataset | None, mask: Any) -> None:
        self._patterns, self._found, self._mask = patterns, found_peaks, mask
        self._given, self._others = read_search(found_peaks)
        self._selection = select_regularly(patterns)
        self._read_sample = lru_cache(1)(self._read_regularly)
        self._count = lru_cache(_REMEMBERED)(self._count_anew)

    def find_peaks(self, pixel: tuple[int, int], pattern: xr.DataArray, search: Search) -> xr.Dataset:
        """Peaks of the scan at the start of the sliders; those of this pattern alone at other settings."""
        if self._found is not None and search.is_part_of(self._given):
            one = self._found[["qx", "qy", "intensity"]].isel(scan_y=pixel[0], scan_x=pixel[1])
            return one.isel(peak=slice(0, search.max_peaks)).compute()
        alone = self._patterns[["intensity"]].isel(scan_y=[pixel[0]], scan_x=[pixel[1]])
        alone = alone.assign(intensity=alone["intensity"].copy(data=pattern.values[None, None]))
        found = acom.find_peaks(alone, weak_peaks=0, mask=self._mask, **self._others, **search.arguments)
        return found.isel(scan_y=0, scan_x=0).compute()

    def draw(
        self, prominence: float = 0.0, min_distance: float = 0.0, blur: float = 0.0, max_peaks: int = MOST_PEAKS
    ) -> MapPicture:
        """Number of peaks of each pattern that was searched, and how many they are in the middle."""
        search = Search(prominence, min_distance, blur, max_peaks)
        counts = self._count_found(max_peaks) if search.is_part_of(self._given) else self._count(search)
        if counts is None:
            nothing = xr.full_like(self._patterns["intensity"].isel(self._selection)[..., 0, 0], np.nan, dtype=float)
            return MapPicture(nothing, "number of peaks: move a slider", label="peaks", limits=(0.0, 1.0))
        n, total = counts.n_peaks.size, self._patterns.sizes["scan_y"] * self._patterns.sizes["scan_x"]
        part = f"all {n} patterns" if n == total else f"{n} of {total} patterns, evenly spread"
        title = f"peaks: median {counts.median:.3g}, {100 * counts.empty_share:.3g} % empty"
        key = f"Number of peaks in {part}. Empty: at most one peak, the direct beam."
        return MapPicture(
            counts.n_peaks, title, label="peaks", limits=(0.0, float(counts.n_peaks.max()) or 1.0), key=key
        )

    def _count_found(self, max_peaks: int) -> PeakCounts | None:
        """Counts of the peaks that were given; ``None`` without them: nothing is read before a slider moves."""
        if self._found is None:
            return None
        count = self._found["count"].isel(self._selection).compute()
        return summarise_counts(count.clip(max=max_peaks))

    def _count_anew(self, search: Search) -> PeakCounts:
        return count_peaks(self._read_sample(), mask=self._mask, **self._others, **search.arguments)

    def _read_regularly(self) -> xr.Dataset:
        """The patterns that are searched, each read alone; kept in memory."""
        intensity = self._patterns["intensity"].transpose("scan_y", "scan_x", "qy", "qx")
        rows, columns = (range(intensity.sizes[dim])[self._selection[dim]] for dim in ("scan_y", "scan_x"))
        part = self._patterns[["intensity"]].isel(self._selection)
        read = [[read_pattern(intensity, (row, column)) for column in columns] for row in rows]
        return part.assign(intensity=part["intensity"].transpose(*intensity.dims).copy(data=np.asarray(read)))
