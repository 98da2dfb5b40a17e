"""Spectra in the explorer of a phase map: a pixel, a region and pinned pixels beside the references."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import CLUSTERS, OD, REFERENCES, require
from phasekit.stxm import average_spectrum, match_single_phase
from phasekit.stxm.comparison.reference_curves import fit_reference_curves
from phasekit.stxm.reference_spectra.library import build_library

from ..linked.gestures import Grid, select_pixels
from ..linked.pictures import GESTURE, INK, Line, PlotPicture
from ..style import PHASE_COLOURS

_DASHES = ("solid", "dashed")  # of the best and the second-best reference, and of the first and the second pin


class SpectrumData(NamedTuple):
    """Datasets that the spectra are read from."""

    phases: xr.Dataset
    od: xr.Dataset
    clusters: xr.Dataset | None
    refs: xr.Dataset | None
    planned: Sequence[float]  # energies [eV]
    step: str = "explorer"  # for messages


class SpectrumPlots:
    """Draws the spectrum of a pixel or a region; fits are made once for each."""

    def __init__(self, data: SpectrumData, grid: Grid) -> None:
        _check_data(data)
        self._data, self._grid = data, grid
        # References that the map carries are on the energies of the stack already.
        own = data.phases.get("fitted_reference")
        self._refs = data.refs if data.refs is not None else _as_references(own) if own is not None else None
        has_offset = data.refs is not None and "energy_offset" in data.phases
        self._offset = float(data.phases["energy_offset"]) if has_offset else 0.0
        self.templates, self._colours = self._list_templates()
        self._average = lru_cache(4)(self._average_region)

    def draw_spectrum(
        self, pixel: tuple[int, int], pins: list[tuple[int, int]], region: dict[str, list[float]] | None
    ) -> PlotPicture:
        """Spectrum under the cursor with what explains it, pinned pixels, and the mean of the region."""
        od = self._select(pixel)
        lines = [_make_line(od, "pixel", INK, width=3)]
        names = self._name_candidates(pixel)
        cluster = self._name_cluster(pixel)
        curves = self._fit_candidates(od, [*names, *cluster])
        for name, dash in zip(names, _DASHES, strict=False):
            lines.append(Line(_energies(od), curves[name], name, self._colours[name], dash))
        lines += [Line(_energies(od), curves[name], name, INK, "dotted") for name in cluster]
        for pin, dash in zip(pins, _DASHES, strict=False):
            lines.append(_make_line(self._select(pin), f"pin {_place(pin)}", GESTURE, dash=dash))
        if region is not None:
            mean, text = self._average(_freeze(region))
            lines.append(_make_line(mean, text, GESTURE, dash="dotted"))
        title = f"{_place(pixel)}: {self._describe_pixel(pixel)}"
        return PlotPicture(title, "photon energy [eV]", "optical density", lines, verticals=self._data.planned)

    def draw_residual(self, pixel: tuple[int, int]) -> PlotPicture:
        """What the best two references leave of the pixel, in standard deviations of its noise."""
        od, names = self._select(pixel), self._name_candidates(pixel)
        measured, noise = (od[part].values.ravel() for part in ("optical_density", "noise"))
        curves = self._fit_candidates(od, names)
        lines = [
            Line(_energies(od), (measured - curves[name]) / noise, f"less {name}", self._colours[name], dash)
            for name, dash in zip(names, _DASHES, strict=False)
        ]
        zero = Line(_energies(od), np.zeros(noise.size), "noise: 2 sigma (standard deviations)", INK, width=0.5)
        zero = zero._replace(error=np.full(noise.size, 2.0))
        label = "residual [sigma]"
        return PlotPicture("residual of the fits", "photon energy [eV]", label, [zero, *lines])

    def _select(self, pixel: tuple[int, int]) -> xr.Dataset:
        names = ["optical_density", "noise", "valid"]
        return self._data.od[names].isel(scan_y=[pixel[0]], scan_x=[pixel[1]]).compute()

    def _name_candidates(self, pixel: tuple[int, int]) -> list[str]:
        """Names of the phase and of the next best, where the pixel has them."""
        if self._refs is None:
            return []
        maps = (self._data.phases[name].values[pixel] for name in ("phase", "runner_up") if name in self._data.phases)
        names = [str(name) for name in self._data.phases["reference"].values]
        known = {str(name) for name in self._refs["reference"].values}
        return [names[int(i)] for i in maps if np.isfinite(i) and i >= 0 and names[int(i)] in known]

    def _name_cluster(self, pixel: tuple[int, int]) -> list[str]:
        """Name of the cluster of the pixel, where it has one."""
        label = -1 if self._data.clusters is None else self._data.clusters["label"].values[pixel]
        return [f"cluster {int(label)}"] if np.isfinite(label) and label >= 0 else []

    def _list_templates(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Name -> spectrum at the energies of the stack, of references and clusters; and the colours of references."""
        energies, templates, colours = self._data.od["energy"].values.astype(float), {}, {}
        if self._refs is not None:
            # The offset leads from the energies of the data to those of the references. Beyond these there is no curve.
            axis = self._data.od["energy"]
            library = build_library(self._refs, axis, step=self._data.step, n_nuisance=1, energy_offset=self._offset)
            shifted = energies + self._offset
            rows = np.where(library.covers(shifted), library.at(shifted), np.nan)
            templates = dict(zip(library.names, rows, strict=True))
        for index, name in enumerate(self._data.phases["reference"].values):
            colours[str(name)] = PHASE_COLOURS[index % len(PHASE_COLOURS)]
        if self._data.clusters is not None:
            means = self._data.clusters["spectrum"].transpose("cluster", "energy").values
            templates |= {f"cluster {index}": mean for index, mean in enumerate(means)}
        return templates, colours

    def _fit_candidates(self, od: xr.Dataset, names: list[str]) -> dict[str, Any]:
        """Fit of each named template to the pixel, at the energies of the data."""
        if not names:
            return {}
        density, noise = (od[part].values.ravel().astype(float) for part in ("optical_density", "noise"))
        curves = fit_reference_curves(density, noise, np.stack([self.templates[name] for name in names]))
        return dict(zip(names, curves, strict=True))

    def _average_region(self, frozen: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[xr.Dataset, str]:
        """Mean of the valid pixels in an outline, and its name with the number of pixels."""
        inside = select_pixels(self._grid, {"x": list(frozen[0]), "y": list(frozen[1])})
        valid = self._data.od["valid"]
        mean = average_spectrum(self._data.od, valid.copy(data=inside)).compute()
        n = int((inside & valid.values).sum())
        if n == 0 or self._refs is None:
            return mean, f"region, {n} pixels"
        found = match_single_phase(mean, self._refs, energy_offset=self._offset)
        index = int(found["phase"].values.item())
        label = str(self._refs["reference"].values[index]) if index >= 0 else "no phase"
        return mean, f"region, {n} pixels: {label}"

    def _describe_pixel(self, pixel: tuple[int, int]) -> str:
        return describe_pixel(self._data.phases, pixel)


def describe_pixel(phases: xr.Dataset, pixel: tuple[int, int]) -> str:
    """Phase, confidence and status of a pixel, in words."""
    phase = phases["phase"].values[pixel]
    status = StxmStatus(int(phases["status"].values[pixel])).name.lower().replace("_", " ")
    if not np.isfinite(phase) or phase < 0:
        return status
    name = str(phases["reference"].values[int(phase)])
    return f"{name}, confidence {float(phases['confidence'].values[pixel]):.2f}, {status}"


def _check_data(data: SpectrumData) -> None:
    require(data.od, OD, step=data.step, argument="od")
    if data.clusters is not None:
        require(data.clusters, CLUSTERS, step=data.step, argument="clusters")
    if data.refs is not None:
        require(data.refs, REFERENCES, step=data.step, argument="refs")
    shape = data.phases["phase"].shape
    others = {"od": data.od["valid"].shape} | ({"clusters": data.clusters["label"].shape} if data.clusters else {})
    for name, found in others.items():
        if found != shape:
            raise SchemaError(f"{data.step}: '{name}' has {found} pixels, the phases {shape}. Give those of one stack.")


def _as_references(spectra: xr.DataArray) -> xr.Dataset:
    """Spectra (anything, energy) in the form of REFERENCES."""
    dim = str(next(dim for dim in spectra.dims if dim != "energy"))
    names = [str(name) for name in np.asarray(spectra[dim].values)]
    renamed = spectra.drop_vars([c for c in spectra.coords if c != "energy"]).rename({dim: "reference"})
    return xr.Dataset({"reference_spectrum": renamed.transpose("reference", "energy").assign_coords(reference=names)})


def _make_line(od: xr.Dataset, name: str, colour: str, width: float = 1.5, dash: str = "solid") -> Line:
    """Spectrum of one pixel with the band of its noise."""
    density, noise = (od[part].values.ravel() for part in ("optical_density", "noise"))
    return Line(_energies(od), density, name, colour, dash, width, error=noise)


def _energies(od: xr.Dataset) -> Any:
    return od["energy"].values.astype(float)


def _freeze(region: dict[str, list[float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(region["x"]), tuple(region["y"])


def _place(pixel: tuple[int, int]) -> str:
    return f"row {pixel[0]}, column {pixel[1]}"
