"""Views of the explorer of an orientation map: maps, and the pattern under the cursor with peaks and templates."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.acom.calibration.detector_frame import place_on_detector
from phasekit.acom.templates import simulate_indexed_spots
from phasekit.crystals import phase_from_record
from phasekit.diffraction import reflections
from phasekit.errors import AcomStatus

from ..linked.gestures import close_outline, make_grid, mark_pins
from ..linked.one_pattern import read_pattern
from ..linked.pictures import MapPicture, Marks, thin_for_screen
from ..style import PHASE_COLOURS, STATUS_COLOURS
from .colour_mask import mask_unreliable
from .key_image import make_key_html
from .peak_preview import MOST_PEAKS, PeakPreview, Search
from .pole_views import POLES, PoleViews

Drawn = dict[str, list[float]] | None  # corners of a box or a lasso
_REMEMBERED = 16  # patterns and their peaks that are kept
# Drawn on dark patterns only. Orange would mean a phase; the two differ by their markers, too.
_BEST, _SECOND = "cyan", "white"


class ScanData(NamedTuple):
    """Datasets that the views are made from."""

    orientations: xr.Dataset
    patterns: xr.Dataset | None
    found_peaks: xr.Dataset | None  # in the coordinates of the patterns
    peaks: xr.Dataset | None  # the same, calibrated
    bank: xr.Dataset | None
    mask: Any


class ScanViews:
    """Draws the maps of a scan, and one of its patterns."""

    def __init__(self, data: ScanData, direction: Any) -> None:
        self._data, self._direction = data, direction
        self._thin = thin_for_screen(data.orientations).compute()
        self._colours = acom.ipf_colours(self._thin, direction=direction)
        self._records = json.loads(data.orientations.attrs.get("phases", "[]"))
        self._names = [str(record["name"]) for record in self._records]
        self.grid = make_grid(data.orientations["scan_y"], data.orientations["scan_x"])
        self.detector = None if data.patterns is None else make_grid(data.patterns["qy"], data.patterns["qx"])
        if data.patterns is not None:
            axes = {dim: data.patterns[dim] for dim in ("qy", "qx")}
            self.preview = PeakPreview(data.patterns, data.found_peaks, data.mask)
            self._detector = xr.DataArray(np.zeros([one.size for one in axes.values()]), axes, ("qy", "qx"))
        self._read_pattern = lru_cache(_REMEMBERED)(self._read_measured)
        self._find = lru_cache(_REMEMBERED)(self._find_peaks)
        self.poles = PoleViews(data.orientations, self._thin, self._records)
        self._simulate = lru_cache(_REMEMBERED)(self._simulate_spots)
        self._tables = lru_cache(len(self._records) or 1)(self._make_reflections)
        self._virtual = lru_cache(4)(self._make_virtual)

    def draw_map(
        self,
        threshold: float,
        show: str = "orientation",
        aperture_kind: str = "circle",
        aperture: Drawn = None,
        pins: Sequence[tuple[int, int]] = (),
        **chosen: Any,
    ) -> MapPicture:
        """The chosen map; orientations and phases below the threshold are grey.

        ``chosen`` are the pole figure's form and phase, and what was drawn in it and on the map.
        """
        picture = self._draw_plain_map(threshold, show, aperture_kind, aperture, pins)
        linked = (chosen.get("pole", POLES[0]), chosen.get("pole_phase"), chosen.get("pole_region"))
        shaded = self.poles.find_shaded(threshold, *linked)
        if shaded is not None:
            key = f"Bright: the {int((~shaded).sum())} pixels with a pole in the region drawn in the pole figure. "
            picture = picture._replace(key=key + picture.key, shaded=shaded)
        return picture._replace(outlines=close_outline(chosen.get("region")))

    def _draw_plain_map(
        self, threshold: float, show: str, aperture_kind: str, aperture: Drawn, pins: Sequence[tuple[int, int]]
    ) -> MapPicture:
        reliability = self._thin["reliability"]
        marks = mark_pins(self.grid, pins)
        if show == "reliability":
            return MapPicture(reliability, "reliability", label="reliability (0..100)", marks=marks)
        if show == "virtual image":
            title = "all spots but the direct beam" if aperture is None else f"dark field: {aperture_kind}"
            values = self._virtual(aperture_kind, None if aperture is None else _freeze(aperture))
            return MapPicture(values, title, label="intensity [counts]", marks=marks)
        if show == "status":
            words = [code.name.lower() for code in AcomStatus]
            colours = [STATUS_COLOURS[word] for word in words]
            return MapPicture(
                self._thin["status"], "status", [w.replace("_", " ") for w in words], colours, marks=marks
            )
        if show == "phase":
            phase = self._thin["phase"].where(reliability >= threshold, -1)
            return MapPicture(
                phase, "phase", self._names, PHASE_COLOURS, background="not indexed or unreliable", marks=marks
            )
        values = mask_unreliable(self._thin, self._colours, threshold)
        title = f"orientation (IPF-{self._direction})"
        # A list of 30 phases has two on the map: keys of the others would fill the page.
        here = np.unique(self._thin["phase"].values)
        records = [record for i, record in enumerate(self._records) if i in here]
        return MapPicture(values, title, key=make_key_html(records), marks=marks)

    def draw_pattern(
        self,
        pixel: tuple[int, int],
        prominence: float = 0.0,
        blur: float = 0.0,
        max_peaks: int = MOST_PEAKS,
        template: str = "best",
        aperture_kind: str = "circle",
        aperture: Drawn = None,
        *,
        min_distance: float = 0.0,
    ) -> MapPicture:
        """The pattern under the cursor, its peaks, the spots of the matched templates, and the aperture."""
        assert self._data.patterns is not None
        measured = self._read_pattern(pixel)
        spots = self._find(pixel, Search(prominence, min_distance, blur, max_peaks))
        valid = np.isfinite(spots["qx"].values)
        labels = [f"peak of {value:.3g} counts" for value in spots["intensity"].values[valid]]
        marks = [Marks(spots["qx"].values[valid], spots["qy"].values[valid], labels, "white", 13, name="peaks")]
        marks += self._mark_templates(pixel, template)
        counts = thin_for_screen(measured, ("qy", "qx")).clip(min=0)
        title = f"{self.describe_pixel(pixel)}; {int(valid.sum())} peaks"
        outlines = self._outline_aperture(aperture_kind, aperture)
        # A single hot pixel must not hide the spots.
        top = float(np.nanpercentile(counts.values, 99.9)) or float(np.nanmax(counts.values, initial=0.0)) or 1.0
        return MapPicture(counts, title, label="counts", limits=(0.0, top), power=0.35, marks=marks, outlines=outlines)

    def describe_pixel(self, pixel: tuple[int, int]) -> str:
        """Phase, reliability and status of a pixel, in words."""
        one = self._data.orientations[["phase", "reliability", "status"]].isel(scan_y=pixel[0], scan_x=pixel[1])
        phase, reliability = one["phase"].values.item(), one["reliability"].values.item()
        status = AcomStatus(int(one["status"].values)).name.lower().replace("_", " ")
        place = f"row {pixel[0]}, column {pixel[1]}"
        if not np.isfinite(phase) or phase < 0 or not np.isfinite(reliability):
            return f"{place}: {status}"
        return f"{place}: {self._names[int(phase)]}, reliability {reliability:.0f}, {status}"

    def _read_measured(self, pixel: tuple[int, int]) -> xr.DataArray:
        """The one pattern that the cursor is on; no other is read."""
        assert self._data.patterns is not None
        return self._detector.copy(data=read_pattern(self._data.patterns["intensity"], pixel))

    def _find_peaks(self, pixel: tuple[int, int], search: Search) -> xr.Dataset:
        return self.preview.find_peaks(pixel, self._read_pattern(pixel), search)

    def _mark_templates(self, pixel: tuple[int, int], template: str) -> list[Marks]:
        chosen = {"none": [], "best": [0], "best and second": [0, 1]}[template]
        marks = []
        for match, colour, shape in zip(chosen, (_BEST, _SECOND), ("x", "cross"), strict=False):
            spots, names = self._simulate(pixel, match)
            text = "best template" if match == 0 else "second template"
            labels = [f"{name} ({text})" for name in names]
            marks.append(Marks(spots[:, 1], spots[:, 0], labels, colour, 9, shape, name=text))
        return marks

    def _simulate_spots(self, pixel: tuple[int, int], match: int) -> tuple[Any, list[str]]:
        """Spots (n, 2: y, x) of a match on the detector, and their indices in words; none where nothing matched."""
        one = self._data.orientations[["phase", "quaternion"]].isel(scan_y=pixel[0], scan_x=pixel[1])
        phase = one["phase"].values.item()
        empty: tuple[Any, list[str]] = (np.zeros((0, 2)), [])
        if match >= one.sizes["match"] or not np.isfinite(phase) or phase < 0 or self._data.bank is None:
            return empty
        quaternion = one["quaternion"].values[match]
        if not np.isfinite(quaternion).all():
            return empty
        names = ("precession_deg", "resolution_deg", "voltage_kv", "thickness_nm", "min_intensity")
        settings = {name: float(self._data.bank.attrs[name]) for name in names}
        spots, hkl = simulate_indexed_spots(self._tables(int(phase)), quaternion, settings)
        placed = self._place(pixel, spots[:, :2])
        inside = np.isfinite(placed).all(axis=1)
        return placed[inside], [f"({h} {k} {m})" for h, k, m in hkl[inside]]

    def _place(self, pixel: tuple[int, int], positions: Any) -> Any:
        """Calibrated positions on the detector of this pattern; as they are without both kinds of peaks."""
        if self._data.peaks is None or self._data.found_peaks is None:
            return positions
        both = [
            one[["qy", "qx"]].isel(scan_y=pixel[0], scan_x=pixel[1]).to_array().transpose("peak", "variable").values
            for one in (self._data.peaks, self._data.found_peaks)
        ]
        return place_on_detector(positions, both[0].astype(float), both[1].astype(float))

    def _make_reflections(self, phase: int) -> Any:
        assert self._data.bank is not None
        return reflections(phase_from_record(self._records[phase]), float(self._data.bank.attrs["g_max"]))

    def _make_virtual(self, kind: str, frozen: Any) -> xr.DataArray:
        """Virtual image of all spots, or of those in the aperture."""
        assert self._data.found_peaks is not None
        peaks = thin_for_screen(self._data.found_peaks)
        if frozen is None:
            return acom.virtual_images(peaks)["dark_field"].compute()
        parts = [
            sign * acom.virtual_images(peaks, aperture=one)["dark_field"]
            for sign, one in self._list_apertures(kind, {"x": frozen[0], "y": frozen[1]})
        ]
        return sum(parts[1:], parts[0]).compute()

    def _list_apertures(self, kind: str, outline: Any) -> list[tuple[int, tuple[float, float, float]]]:
        """Sign and (qy, qx, radius) of the disks that make up an aperture."""
        # The disk in the drawn box: its middle, and half of its mean side.
        y, x = (float(min(outline[axis]) + max(outline[axis])) / 2 for axis in ("y", "x"))
        radius = max(float(np.ptp(outline["y"]) + np.ptp(outline["x"])) / 4, 1e-9)
        y0, x0 = self._find_beam()
        if kind == "ring":
            distance = float(np.hypot(y - y0, x - x0))
            inner = [(-1, (y0, x0, distance - radius))] if distance > radius else []
            return [(1, (y0, x0, distance + radius)), *inner]
        disks = [(1, (y, x, radius))]
        return [*disks, (1, (2 * y0 - y, 2 * x0 - x, radius))] if kind == "Friedel pair" else disks

    def _find_beam(self) -> tuple[float, float]:
        """Mean position of the direct beam; the middle of the detector without calibrated peaks."""
        if self._data.peaks is not None and "origin_y" in self._data.peaks:
            return float(self._data.peaks["origin_y"].mean()), float(self._data.peaks["origin_x"].mean())
        assert self.detector is not None
        x, y = self.detector.find_centre((self.detector.n_y // 2, self.detector.n_x // 2))
        return y, x

    def _outline_aperture(self, kind: str, outline: Drawn) -> list[Any]:
        if outline is None:
            return []
        turn = np.linspace(0, 2 * np.pi, 73)
        circles = []
        for _, (y, x, radius) in self._list_apertures(kind, outline):
            circle = {"x": list(x + radius * np.cos(turn)), "y": list(y + radius * np.sin(turn))}
            circles += close_outline(circle)
        return circles


def _freeze(outline: dict[str, list[float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(outline["x"]), tuple(outline["y"])
