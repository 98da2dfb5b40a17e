"""First look at a stack or a scan in the browser: a map, and the spectrum or the pattern under the cursor."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError
from phasekit.viz import PHASE_COLOURS, display_range
from phasekit.viz.explorer import Choice, Explorer, Slider, View
from phasekit.viz.linked.gestures import close_outline, make_grid, mark_pins, select_pixels
from phasekit.viz.linked.one_pattern import read_pattern
from phasekit.viz.linked.pictures import GESTURE, INK, Line, MapPicture, PlotPicture, find_stride, thin_for_screen

_STACK_BYTES = 2**30  # of a stack that is held in memory
_SCAN_BYTES = 2**29  # of a scan that is read whole for its first map
_SAMPLED = 48  # positions along each axis that are read of a larger scan
_DASHES = ("solid", "dashed")  # of the first and the second pin


def preview_stack(stack: xr.Dataset) -> Callable[[], Explorer]:
    """Read a STACK; the function makes an explorer of its frames, with the counts under the cursor.

    Of a stack above 1 GiB every n-th pixel is held. Values are as in the file: nothing is corrected, nothing fitted.
    """
    counts = stack["intensity"]
    step = int(np.ceil(np.sqrt(counts.nbytes / _STACK_BYTES))) if counts.nbytes > _STACK_BYTES else 1
    counts = counts.isel(scan_y=slice(None, None, step), scan_x=slice(None, None, step)).load()
    _check_size(counts)
    return partial(_explore_stack, _StackViews(counts.transpose("energy", "scan_y", "scan_x"), step))


class _StackViews:
    """Frames of a stack, and counts over the energies."""

    def __init__(self, counts: xr.DataArray, step: int) -> None:
        self.counts, self._step = counts, step
        self.energies = counts["energy"].values.astype(float)
        self.grid = make_grid(counts["scan_y"], counts["scan_x"])
        self._mean = counts.mean("energy", dtype=float)
        self.spectrum = np.asarray(counts.mean(("scan_y", "scan_x"), dtype=float))
        self._label = f"intensity [{counts.attrs.get('units', 'counts')}]"
        self._average = lru_cache(4)(self._average_region)

    def find_darkest(self) -> tuple[int, int]:
        """Pixel that absorbs most on average."""
        values = np.where(np.isfinite(self._mean.values), self._mean.values, np.inf)
        row, column = np.unravel_index(int(values.argmin()), values.shape)
        return int(row), int(column)

    def draw_map(
        self, show: str, energy: int, pins: Sequence[tuple[int, int]], region: dict[str, list[float]] | None
    ) -> MapPicture:
        """One frame, or the mean of all."""
        frame = self._mean if show == "mean" else self.counts.isel(energy=energy - 1)
        title = "mean of all frames" if show == "mean" else f"frame {energy} at {self.energies[energy - 1]:.2f} eV"
        title += f", every {self._step}. pixel" if self._step > 1 else ""
        marks, outlines = mark_pins(self.grid, pins), close_outline(region)
        return MapPicture(thin_for_screen(frame), title, label=self._label, marks=marks, outlines=outlines)

    def draw_spectrum(
        self,
        pixel: tuple[int, int],
        energy: int,
        pins: Sequence[tuple[int, int]],
        region: dict[str, list[float]] | None,
    ) -> PlotPicture:
        """Counts of the pixel under the cursor over the energies, and their mean over the frame."""
        lines = [
            Line(self.energies, self._read(pixel), "pixel", PHASE_COLOURS[4], width=2.5),
            Line(self.energies, self.spectrum, "mean of the frame", INK, "dotted"),
        ]
        for pin, dash in zip(pins, _DASHES, strict=False):
            lines.append(Line(self.energies, self._read(pin), f"pin row {pin[0]}, column {pin[1]}", GESTURE, dash))
        if region is not None:
            mean, n = self._average((tuple(region["x"]), tuple(region["y"])))
            lines.append(Line(self.energies, mean, f"region, {n} pixels", GESTURE, "dotdash"))
        title = f"row {pixel[0]}, column {pixel[1]}"
        shown = (float(self.energies[energy - 1]),)
        return PlotPicture(title, "photon energy [eV]", self._label, lines, verticals=shown)

    def _read(self, pixel: tuple[int, int]) -> Any:
        return self.counts.values[:, pixel[0], pixel[1]].astype(float)

    def _average_region(self, frozen: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[Any, int]:
        inside = select_pixels(self.grid, {"x": list(frozen[0]), "y": list(frozen[1])})
        n = int(inside.sum())
        return self.counts.values[:, inside].mean(axis=1) if n else np.full(self.energies.size, np.nan), n


def _explore_stack(views: _StackViews) -> Explorer:
    n = views.energies.size
    darkest = int(np.nanargmin(views.spectrum)) if np.isfinite(views.spectrum).any() else 0
    low, high = views.energies[0], views.energies[-1]
    text = f"Frames 1 to {n}, from {low:.1f} to {high:.1f} eV."
    controls: dict[str, Any] = {"show": Choice("map", ["frame", "mean"], "frame", "One frame, or the mean of all.")}
    # A slider needs a range, also for a single image.
    controls["energy"] = Slider("frame", 1, max(n, 2), 1, darkest + 1, decimals=0, help=text, is_whole=True)
    # At the start a pixel that holds material, not empty support.
    start: dict[str, Any] = {"pixel": views.find_darkest(), "pins": [], "region": None}
    needs = ("show", "energy", "pins", "region")
    drawn = {
        "map": View(
            lambda energy, **others: views.draw_map(energy=min(energy, n), **others),
            needs,
            views.grid,
            cursor="pixel",
            pins="pins",
            outline="region",
            width=420,
        ),
        "spectrum": View(
            lambda energy, **others: views.draw_spectrum(energy=min(energy, n), **others),
            ("pixel", "energy", "pins", "region"),
        ),
    }
    size = f"{n} frames of {views.grid.n_y} x {views.grid.n_x} pixels; nothing is corrected"
    return Explorer(controls, readout=lambda: size, views=drawn, thresholds=(), readout_needs=(), start=start)


def preview_patterns(patterns: xr.Dataset) -> Callable[[], Explorer]:
    """Read the first map of PATTERNS; the function makes an explorer with the pattern under the cursor.

    The map is the sum of each pattern. Of a scan above 512 MiB 48 positions along each axis are read, and the cursor
    reads one pattern at a time.
    """
    counts = patterns["intensity"].transpose("scan_y", "scan_x", "qy", "qx")
    _check_size(counts)
    if counts.nbytes <= _SCAN_BYTES:
        total = counts.sum(("qy", "qx"), dtype=float).compute()
        mean = np.asarray(counts.mean(("scan_y", "scan_x"), dtype=float))
        return partial(_explore_patterns, _ScanViews(counts, total, mean, 1))
    step = find_stride([counts.sizes["scan_y"], counts.sizes["scan_x"]], _SAMPLED)
    thin = counts.isel(scan_y=slice(step // 2, None, step), scan_x=slice(step // 2, None, step))
    rows, columns = (range(step // 2, counts.sizes[dim], step) for dim in ("scan_y", "scan_x"))
    # One pattern at a time: dask would read all blocks, most of the file.
    sums, mean = np.zeros(thin.shape[:2]), np.zeros(thin.shape[2:])
    for place in np.ndindex(*sums.shape):
        pattern = read_pattern(counts, (rows[place[0]], columns[place[1]])).astype(float)
        sums[place] = pattern.sum()
        mean += pattern / sums.size
    total = thin.isel(qy=0, qx=0, drop=True).copy(data=sums)
    return partial(_explore_patterns, _ScanViews(counts, total, mean, step))


class _ScanViews:
    """Map of the sums, and one pattern."""

    def __init__(self, counts: xr.DataArray, total: xr.DataArray, mean: Any, step: int) -> None:
        self._counts, self._total, self._step = counts, total, step
        self.grid, self.detector = make_grid(counts["scan_y"], counts["scan_x"]), make_grid(counts["qy"], counts["qx"])
        axes = {dim: counts[dim] for dim in ("qy", "qx")}
        self._mean = xr.DataArray(mean, axes, ("qy", "qx"))
        self._read = lru_cache(8)(partial(read_pattern, counts))

    def draw_map(self, pins: Sequence[tuple[int, int]]) -> MapPicture:
        """Sum of every pattern, or of those that were read."""
        title = "sum of each pattern" if self._step == 1 else f"sum of every {self._step}. pattern along each axis"
        marks = mark_pins(self.grid, pins)
        return MapPicture(thin_for_screen(self._total), title, label="sum of the pattern [counts]", marks=marks)

    def draw_pattern(self, pattern: str, pixel: tuple[int, int], power: float) -> MapPicture:
        """The pattern under the cursor, or the mean; to a power, so that weak disks are seen."""
        if pattern == "mean":
            values, title = self._mean, "mean of the patterns"
        else:
            values = self._mean.copy(data=self._read(pixel).astype(float))
            title = f"row {pixel[0]}, column {pixel[1]}: {float(np.nansum(values)):.4g} counts"
        shown = thin_for_screen(values, ("qy", "qx")).clip(min=0)
        low, high = display_range(shown)
        limits = (float(low), float(high)) if low is not None and high is not None else None
        # At the power of 1 a colour bar would come and go; nearly 1 looks the same.
        return MapPicture(shown, title, label="counts", limits=limits, power=min(power, 0.999))


def _explore_patterns(views: _ScanViews) -> Explorer:
    text = "Counts are drawn to this power: 1 is linear, 0.35 lifts weak disks."
    controls: dict[str, Any] = {
        "pattern": Choice("pattern", ["under the cursor", "mean"], "under the cursor", "Of one position, or of all."),
        "power": Slider("brightness", 0.2, 1.0, 0.05, 0.5, help=text),
    }
    start: dict[str, Any] = {"pixel": (views.grid.n_y // 2, views.grid.n_x // 2), "pins": []}
    drawn = {
        "map": View(views.draw_map, ("pins",), views.grid, cursor="pixel", pins="pins", width=400),
        "pattern": View(views.draw_pattern, ("pattern", "pixel", "power"), views.detector, width=400),
    }
    scan, detector = (f"{grid.n_y} x {grid.n_x}" for grid in (views.grid, views.detector))
    size = f"{scan} patterns of {detector} pixels; nothing is corrected"
    return Explorer(controls, readout=lambda: size, views=drawn, thresholds=(), readout_needs=(), start=start)


def preview_maps(saved: Mapping[str, xr.Dataset]) -> Explorer:
    """Explorer of every map (scan_y, scan_x) in saved results, with the value under the cursor.

    Raises
    ------
    SchemaError
        There is no map.
    """
    maps: dict[str, xr.DataArray] = {}
    for kind, data in saved.items():
        found = {name.replace("_", " "): one for name, one in _list_maps(data).items()}
        # The first of two maps with one name keeps it.
        maps |= {f"{name} ({kind.lower()})" if name in maps else name: one for name, one in found.items()}
    if not maps:
        raise SchemaError(f"There is no map among {', '.join(saved)}. Choose a result with scan_y and scan_x.")
    first = next(iter(maps.values()))
    # One cursor serves maps of one scan only.
    maps = {name: one for name, one in maps.items() if one.shape == first.shape}
    grid = make_grid(first["scan_y"], first["scan_x"])
    start = {"pixel": (grid.n_y // 2, grid.n_x // 2)}
    names = list(maps)
    controls = {"show": Choice("map", names, names[0], "Maps that the result holds.")}
    views = {"map": View(partial(_draw_saved, maps), ("show",), grid, cursor="pixel", width=480)}
    needs = ("show", "pixel")
    explorer = Explorer(
        controls, readout=partial(_read_value, maps), views=views, thresholds=(), readout_needs=needs, start=start
    )
    for widget in explorer.controls.values():
        widget.width = 330  # names of maps are long
    return explorer


def _list_maps(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Maps of numbers; those with one more short dimension one after another."""
    found: dict[str, xr.DataArray] = {}
    for name, one in data.data_vars.items():
        others = [dim for dim in one.dims if dim not in ("scan_y", "scan_x")]
        if one.ndim - len(others) != 2 or one.dtype.kind not in "biuf" or len(others) > 1:
            continue
        if not others:
            found[str(name)] = one.transpose("scan_y", "scan_x").compute()
        elif one.sizes[others[0]] <= 32:
            labels = one[others[0]].values
            parts = one.transpose(others[0], "scan_y", "scan_x").compute()
            found |= {f"{name}: {others[0]} {label}": parts[i] for i, label in enumerate(labels)}
    return found


def _draw_saved(maps: Mapping[str, xr.DataArray], show: str) -> MapPicture:
    values = thin_for_screen(maps[show])
    unit = str(values.attrs.get("units", "1"))
    return MapPicture(values.astype(float), show, label=show if unit == "1" else f"{show} [{unit}]")


def _read_value(maps: Mapping[str, xr.DataArray], show: str, pixel: tuple[int, int]) -> str:
    value = maps[show].values[pixel]
    words = str(maps[show].attrs.get("flag_meanings", "")).split()
    codes = list(np.atleast_1d(maps[show].attrs.get("flag_values", range(len(words)))))
    text = (
        words[codes.index(value)].replace("_", " ") if value in codes and len(codes) == len(words) else f"{value:.6g}"
    )
    return f"row {pixel[0]}, column {pixel[1]}: {text}"


def _check_size(counts: xr.DataArray) -> None:
    if counts.size == 0:
        raise SchemaError("The file holds no values: an axis has the length 0. Choose another file.")
