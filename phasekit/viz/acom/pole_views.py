"""The pole figure of an explorer, linked with the map in both ways, and the unit cell at the pixel of the cursor."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasekit import acom
from phasekit.acom.maps.pole_links import find_pixels_with_pole, merge_poles, project_poles
from phasekit.acom.maps.poles import find_equivalent_normals
from phasekit.acom.maps.unit_cell import place_unit_cell
from phasekit.crystals import phase_from_record

from ..linked.gestures import Grid, close_outline, make_grid, select_pixels
from ..linked.pictures import GESTURE, INK, Label, Line, MapPicture, Marks, Outline, PlotPicture
from ..style import BACKGROUND_GREY

#: Forms offered in the list; the one that was asked for comes first.
POLES = ("0 0 1", "1 0 0", "0 1 0", "0 1 1", "1 0 1", "1 1 0", "1 1 1", "1 1 2")
_POINTS = 71  # of the density across the circle: a smoothing of 7.5 degrees needs no more
_MOST_MARKS = 1000  # poles of a region that are sent to the screen
_REMEMBERED = 4  # pole figures that are kept
_CIRCLE = np.linspace(0, 2 * np.pi, 121)
_EDGE = 1.35  # half the width of the drawing of a cell: room for the labels of its axes

Drawn = dict[str, list[float]] | None


def name_poles(hkl: Sequence[int] | None) -> list[str]:
    """Words of the forms that are offered, with the asked one first."""
    asked = [] if hkl is None else [" ".join(str(int(index)) for index in hkl)]
    return [*asked, *(pole for pole in POLES if pole not in asked)]


def name_phases(names: Sequence[str]) -> list[str]:
    """Names of the phases, each once: equal ones get their number."""
    return [name if list(names).count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names)]


class PoleViews:
    """Draws the pole figure of the pixels on the screen, and the cell of one of them."""

    def __init__(self, orientations: xr.Dataset, thin: xr.Dataset, records: list[dict[str, Any]]) -> None:
        self._orientations, self._thin, self._records = orientations, thin, records
        self.names = name_phases([str(record["name"]) for record in records])
        self._map_grid = make_grid(thin["scan_y"], thin["scan_x"])
        self._density = lru_cache(_REMEMBERED)(self._compute_density)
        self._poles = lru_cache(_REMEMBERED)(self._project_pixels)
        self._normals = lru_cache(64)(self._find_normals)
        self._cell = lru_cache(_REMEMBERED)(self._place_cell)
        self._orientation = lru_cache(_REMEMBERED)(self._read_orientation)
        self._selected = lru_cache(_REMEMBERED)(self._find_selected)

    @property
    def grid(self) -> Grid:
        """Grid of the pole figure, without a unit."""
        axis = xr.DataArray(np.linspace(-1, 1, _POINTS), dims="x")
        return make_grid(axis, axis)._replace(unit="", dims=("x (right)", "y (down)"))

    def draw_poles(
        self,
        pixel: tuple[int, int],
        threshold: float = 0.0,
        pole: str = POLES[0],
        pole_phase: str | None = None,
        region: Drawn = None,
        pole_region: Drawn = None,
    ) -> MapPicture:
        """Density of the poles, and on it the poles of the cursor's pixel and of the region."""
        phase = self._find_phase(pole_phase)
        figure = self._density(pole, phase, threshold)
        n = int(figure["n_pixels"])
        title = f"{figure.attrs['form']} of {self.names[phase]}: {n} pixels"
        marks = self._mark_region(pole, phase, threshold, region)
        here = self._find_poles(pole, phase, pixel)
        words = [f"pole of row {pixel[0]}, column {pixel[1]}"] * len(here)
        marks.append(
            Marks(
                here[:, 0].tolist(),
                here[:, 1].tolist(),
                words,
                "white",
                12,
                "diamond",
                name="poles of the cursor's pixel",
            )
        )
        rim = Outline(list(np.cos(_CIRCLE)), list(np.sin(_CIRCLE)), INK)
        label = "multiples of random"
        top = float(np.nanmax(figure["density"].values)) if n else 1.0
        picture = MapPicture(figure["density"], title, label=label, limits=(0.0, top), marks=marks)
        return picture._replace(outlines=[rim, *close_outline(pole_region)], missing=_make_clear(BACKGROUND_GREY))

    def find_shaded(
        self, threshold: float, pole: str, pole_phase: str | None, pole_region: Drawn
    ) -> NDArray[np.bool_] | None:
        """Pixels without a pole in the region that was drawn in the pole figure; ``None`` where nothing was drawn."""
        if pole_region is None:
            return None
        corners = tuple(zip(pole_region["x"], pole_region["y"], strict=True))
        found = self._selected(pole, self._find_phase(pole_phase), corners)
        return np.asarray(~(found & (self._thin["reliability"].values >= threshold)))

    def draw_cell(self, pixel: tuple[int, int]) -> PlotPicture:
        """Edges of the unit cell along the beam; those behind the cell are dashed."""
        place = f"row {pixel[0]}, column {pixel[1]}"
        found = self._cell(pixel)
        if found is None:
            return PlotPicture(f"{place}: no orientation", "", "", half_width=_EDGE)
        name, cell = found
        edges = [
            Line(edge[:, 0], edge[:, 1], "", INK, "dashed" if hidden else "solid", 1.0)
            for edge, hidden in zip(cell.edges, cell.hidden, strict=True)
            if not (edge == cell.origin).all(axis=1).any()
        ]
        # The axes lie on edges of the cell and are drawn over them.
        axes = [
            Line([cell.origin[0], end[0]], [cell.origin[1], end[1]], "", INK, "dashed" if hidden else "solid", 3.0)
            for end, hidden in zip(cell.axes, cell.axis_hidden, strict=True)
        ]
        labels = []
        for word, end in zip("abc", cell.axes, strict=True):
            step = end[:2] - cell.origin[:2]
            length = float(np.hypot(*step))
            # An axis along the beam has no direction on the screen: its label stands beside its end.
            away = 0.2 * step / length if length > 0.05 else np.array([0.14, 0.14])
            labels.append(Label(float(end[0] + away[0]), float(end[1] + away[1]), word))
        return PlotPicture(f"{place}: cell of {name}", "", "", [*edges, *axes], labels=labels, half_width=_EDGE)

    def _find_phase(self, name: str | None) -> int:
        return 0 if name is None else self.names.index(name)

    def _compute_density(self, pole: str, phase: int, threshold: float) -> xr.Dataset:
        hkl = [int(index) for index in pole.split()]
        return acom.pole_figure(self._thin, hkl, phase=phase, grid=_POINTS, min_reliability=threshold)

    def _project_pixels(self, pole: str, phase: int) -> NDArray[np.float32]:
        best = self._thin["quaternion"].isel(match=0).transpose("scan_y", "scan_x", "wxyz").values
        here = self._thin["phase"].values == phase
        return project_poles(np.where(here[..., None], best, np.nan), self._normals(pole, phase))

    def _find_normals(self, pole: str, phase: int) -> NDArray[np.float64]:
        return find_equivalent_normals(phase_from_record(self._records[phase]), [int(index) for index in pole.split()])

    def _find_selected(self, pole: str, phase: int, corners: Any) -> NDArray[np.bool_]:
        return find_pixels_with_pole(self._poles(pole, phase), np.asarray(corners, dtype=float))

    def _find_poles(self, pole: str, phase: int, pixel: tuple[int, int]) -> NDArray[np.float32]:
        """Poles (n, xy) of one pixel of the whole scan; none where it is of another phase."""
        found, quaternion = self._orientation(pixel)
        if found != phase:
            return np.zeros((0, 2), np.float32)
        return project_poles(quaternion, self._normals(pole, phase))

    def _mark_region(self, pole: str, phase: int, threshold: float, region: Drawn) -> list[Marks]:
        if region is None:
            return []
        inside = select_pixels(self._map_grid, region) & (self._thin["reliability"].values >= threshold)
        places, weight = merge_poles(self._poles(pole, phase)[inside], _MOST_MARKS)
        words = [f"{number:g} poles of the region" for number in weight]
        return [
            Marks(
                places[:, 0].tolist(), places[:, 1].tolist(), words, GESTURE, 5, name="poles of the region on the map"
            )
        ]

    def _place_cell(self, pixel: tuple[int, int]) -> Any:
        phase, quaternion = self._orientation(pixel)
        if phase is None:
            return None
        return self.names[phase], place_unit_cell(self._records[phase]["lattice"], quaternion)

    def _read_orientation(self, pixel: tuple[int, int]) -> tuple[int | None, NDArray[np.float64]]:
        """Phase and quaternion of one pixel of the whole scan; no phase where there is no orientation."""
        one = self._orientations[["phase", "quaternion"]].isel(scan_y=pixel[0], scan_x=pixel[1], match=0).compute()
        phase, quaternion = one["phase"].values.item(), np.asarray(one["quaternion"].values, dtype=float)
        known = np.isfinite(phase) and phase >= 0 and np.isfinite(quaternion).all()
        return (int(phase) if known else None), quaternion


def _make_clear(colour: str) -> str:
    """The same colour, fully transparent."""
    return f"{colour}00"
