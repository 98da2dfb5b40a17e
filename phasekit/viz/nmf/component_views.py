"""Views of the explorer of components: maps, gallery, and one pattern beside its model."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from phasekit.nmf import find_overlap, rank_votes
from phasekit.nmf.features.pattern_model import compute_model_pattern, standardise_residual

from ..linked.gestures import Grid, make_grid, mark_pins
from ..linked.one_pattern import read_pattern
from ..linked.pictures import INK, Bars, MapPicture, Marks, PlotPicture, thin_for_screen
from ..palettes import list_component_classes, list_component_colours
from ..style import STATUS_COLOURS
from ..value_range import display_range

#: Pixels along each side of a pattern in the gallery.
_TILE = 96


class Decomposition(NamedTuple):
    """One factorisation at the resolution of the screen."""

    label: xr.DataArray  # (scan_y, scan_x): dominant component, -1 background
    ratio: xr.DataArray  # weight of the second over the first
    loading: xr.DataArray  # (component, scan_y, scan_x)
    background: int


class ComponentViews:
    """Draws the views of one or several factorisations of a scan."""

    def __init__(
        self, fits: Mapping[int, xr.Dataset], patterns: xr.Dataset | None, backgrounds: Mapping[int, int | None]
    ) -> None:
        self._fits, self._patterns, self._backgrounds = dict(fits), patterns, dict(backgrounds)
        self._overlaps: dict[int, xr.Dataset] = {}
        first = next(iter(self._fits.values()))
        self.grid = make_grid(first["scan_y"], first["scan_x"])
        self.detector = make_grid(first["qy"], first["qx"])
        self.decompose = lru_cache(len(self._fits))(self._decompose)
        self._make_gallery = lru_cache(len(self._fits))(self._tile_patterns)
        self._read_pattern = lru_cache(8)(self._read_measured)

    def draw_map(
        self,
        threshold: float,
        k: int = 0,
        show: str = "components",
        component: tuple[int, int] = (0, 0),
        red: str = "none",
        green: str = "none",
        blue: str = "none",
        pins: Any = (),
    ) -> MapPicture:
        """Components with overlap, the evolution of the overlap, one weight, or three weights as colours."""
        k = k or next(iter(self._fits))
        parts = self.decompose(k)
        if show == "weight":
            number = min(component[1], k - 1)
            picture = MapPicture(parts.loading.isel(component=number), f"weight of component {number}", label="weight")
        elif show == "composite":
            picture = MapPicture(_compose_colours(parts.loading, (red, green, blue)), "composite of three components")
        elif show == "evolution":
            title = "overlap up to this threshold"
            picture = MapPicture(100 * parts.ratio, title, label="threshold [%]", limits=(70.0, 95.0))
        else:
            picture = self._draw_classes(parts, k, threshold)
        return picture._replace(marks=mark_pins(self.grid, pins))

    def draw_gallery(self, k: int = 0) -> MapPicture:
        """Patterns of all components side by side, on one scale."""
        k = k or next(iter(self._fits))
        title = f"gallery: patterns and weights of {k} components"
        return MapPicture(self._make_gallery(k), title, label="share of the largest", limits=(0.0, 1.0), power=1.001)

    def draw_pattern(self, pixel: tuple[int, int], k: int = 0, pattern: str = "measured") -> MapPicture:
        """The pattern under the cursor, its model, or the residual in standard errors."""
        k = k or next(iter(self._fits))
        factors = self._fits[k]
        model = compute_model_pattern(factors["loading"].values[:, *pixel], factors["factor"].values)
        place = f"row {pixel[0]}, column {pixel[1]}"
        template = factors["factor"].isel(component=0, drop=True)
        if pattern == "model" or self._patterns is None:
            return _draw_counts(thin_for_screen(template.copy(data=model), ("qy", "qx")), f"model of {place}")
        measured = self._read_pattern(pixel)
        if pattern == "measured":
            return _draw_counts(thin_for_screen(template.copy(data=measured), ("qy", "qx")), f"pattern of {place}")
        values = thin_for_screen(template.copy(data=standardise_residual(measured, model)), ("qy", "qx"))
        title = f"residual of {place}"
        return MapPicture(values, title, label="standard errors", limits=(-4.0, 4.0), cmap="PuOr")

    def draw_loadings(self, pixel: tuple[int, int], k: int = 0, threshold: float = 0.75) -> PlotPicture:
        """Weights of the components at the pixel as bars, in the colours of the map."""
        k = k or next(iter(self._fits))
        weights = self._fits[k]["loading"].values[:, *pixel]
        colours = list_component_colours(k)
        names = [f"{i}\n(background)" if i == self.decompose(k).background else str(i) for i in range(k)]
        unit = self._fits[k]["loading"].attrs.get("units", "1")
        label = f"weight [{unit}]" if unit != "1" else "weight"
        title = self._describe_pixel(pixel, k, threshold)
        return PlotPicture(title, "component", label, bars=Bars(list(weights), names, colours))

    def _describe_pixel(self, pixel: tuple[int, int], k: int, threshold: float) -> str:
        overlap = self._find_overlap(k)
        label, partner = (int(overlap[name].values[pixel]) for name in ("label", "partner"))
        if label < 0 or label == int(overlap.attrs["background"]):
            return f"row {pixel[0]}, column {pixel[1]}: background"
        ratio = float(overlap["ratio"].values[pixel])
        second = f", overlaps with {partner} ({100 * ratio:.0f} %)" if ratio >= threshold else ""
        return f"row {pixel[0]}, column {pixel[1]}: component {label}{second}"

    def _find_overlap(self, k: int) -> xr.Dataset:
        # The ratio does not depend on the threshold, so that one call serves every position of the slider.
        if k not in self._overlaps:
            background = self._backgrounds.get(k)
            self._overlaps[k] = find_overlap(self._fits[k], threshold=0.0, background=background).compute()
        return self._overlaps[k]

    def _decompose(self, k: int) -> Decomposition:
        overlap = self._find_overlap(k)
        background = int(overlap.attrs["background"])
        thin = thin_for_screen(overlap)
        label = thin["label"].where(thin["label"] != background, -1)
        return Decomposition(label, thin["ratio"], thin_for_screen(self._fits[k]["loading"]).compute(), background)

    def _draw_classes(self, parts: Decomposition, k: int, threshold: float) -> MapPicture:
        # Numbers are those of the components, so that colours stay; the background is no entry of the key.
        names, colours = list_component_classes(k, parts.background)
        n = len(names)
        label = np.minimum(parts.label.values, n - 1)
        values = parts.label.copy(data=np.where(parts.ratio.values >= threshold, n, label))
        present = [i for i, name in enumerate(names) if name and name != str(parts.background)]
        texts = [f"component {name}" for name in names]
        colours = [*colours, STATUS_COLOURS["overlap"]]
        return MapPicture(values, "components", [*texts, "overlap"], colours, shown=(*present, n))

    def _tile_patterns(self, k: int) -> xr.DataArray:
        """Patterns in one row and weights in another, each component one wide; empty places up to the largest k."""
        fit, n = self._fits[k], max(self._fits)
        rows = []
        for name, power in (("factor", 0.5), ("loading", 1.0)):
            tiles = np.stack([_resample_tile(tile) for tile in fit[name].values])
            top = np.nanpercentile(tiles, 99.8, axis=(1, 2), keepdims=True)
            tiles = np.clip(tiles / np.maximum(top, 1e-300), 0, 1) ** power
            tiles[:, :, -2:] = tiles[:, -2:] = np.nan  # grey lines between neighbours
            filled = np.concatenate([tiles, np.full((n - k, _TILE, _TILE), np.nan)])
            rows.append(np.concatenate(list(filled), axis=1))
        places = ((np.arange(length * _TILE) + 0.5) / _TILE - 0.5 for length in (2, n))
        return xr.DataArray(np.concatenate(rows), dict(zip(("y", "x"), places, strict=True)), ("y", "x"))

    def make_gallery_grid(self) -> Grid:
        """One cell per component of the largest factorisation."""
        return Grid(-0.5, 1.0, max(self._fits), -0.5, 1.0, 2, "", ("component", ""))

    def _read_measured(self, pixel: tuple[int, int]) -> Any:
        """The one pattern that the cursor is on; no other is read."""
        assert self._patterns is not None
        return read_pattern(self._patterns["intensity"], pixel).astype(float)


def draw_votes(ranks: xr.Dataset, k: int = 0) -> PlotPicture:
    """Probability of every k as bars, votes of the rules as marks, and the chosen k."""
    votes = rank_votes(ranks)
    numbers = [int(n) for n in votes["rank"].values]
    probability = votes["probability"].values
    rules = [str(rule) for rule in votes["rule"].values]
    chosen = [int(vote) for vote in votes["vote"].values]
    place = {n: i for i, n in enumerate(numbers)}
    kept = [(place[n], rule) for n, rule in zip(chosen, rules, strict=True) if n in place]
    # One above the other where several rules vote for one k.
    heights = [1.05 + 0.07 * sum(x == other for other, _ in kept[:i]) for i, (x, _) in enumerate(kept)]
    labels = [f"{rule.replace('_', ' ')}: {numbers[x]}" for x, rule in kept]
    marks = Marks([x for x, _ in kept], heights, labels, INK, 8, name="vote of a rule")
    # No colour of its own: it would mean a component. The dashed line is the k that was chosen.
    bars = Bars(list(probability), [str(n) for n in numbers], [INK] * len(numbers))
    chosen_place = (float(place[k]),) if k in place else ()
    text = "; ".join(f"{rule.replace('_', ' ')} {n}" for n, rule in zip(chosen, rules, strict=True))
    return PlotPicture(
        "probability and votes", "number of components k", "probability", (), (marks,), bars, chosen_place, text
    )


def _compose_colours(loading: xr.DataArray, channels: tuple[str, str, str]) -> xr.DataArray:
    """Three weights as red, green and blue, each from 0 to its own display range."""
    n = loading.sizes["component"]
    parts = []
    for channel in channels:
        if channel == "none" or int(channel) >= n:
            parts.append(np.zeros(loading.shape[1:]))
            continue
        values = loading.isel(component=int(channel)).values
        top = display_range(values)[1] or 1.0
        parts.append(np.clip(values / top, 0, 1))
    flat = loading.isel(component=0, drop=True)
    return xr.DataArray(np.stack(parts, axis=-1), flat.coords, (*flat.dims, "rgb"))


def _resample_tile(values: Any) -> Any:
    """Nearest pixels of a map on a square of fixed size."""
    places = [((np.arange(_TILE) + 0.5) * length / _TILE).astype(int) for length in values.shape]
    return np.array(values[np.ix_(*places)], dtype=float)


def _draw_counts(values: xr.DataArray, title: str) -> MapPicture:
    finite = values.values[np.isfinite(values.values)]
    # A single hot pixel must not hide the spots.
    top = float(np.percentile(finite, 99.9)) if finite.size else 1.0
    limits = (0.0, top or float(finite.max()) or 1.0)
    return MapPicture(values, title, label="counts", limits=limits, power=0.5)
