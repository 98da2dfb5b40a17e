"""Explorer of a phase map: thresholds over the map, and the spectrum of the pixel under the cursor."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import PHASES, THICKNESS, require
from phasekit.stxm import ambiguous_fraction
from phasekit.stxm.phase_map.ambiguity import AmbiguityLimits, is_ambiguous, set_ambiguous_status

from ..explorer import Choice, Explorer, Slider, View, read_chosen_value
from ..linked.gestures import close_outline, make_grid, mark_pins
from ..linked.pictures import MapPicture, thin_for_screen
from ..style import PHASE_COLOURS, STATUS_COLOURS
from .pixel_spectra import SpectrumData, SpectrumPlots

#: Pixels that fall below the threshold.
AMBIGUOUS_GREY = STATUS_COLOURS["ambiguous"]


def explorer(
    phases: xr.Dataset,
    *,
    margin: float = 0.002,
    min_confidence: float = 0.75,
    od: xr.Dataset | None = None,
    clusters: xr.Dataset | None = None,
    refs: xr.Dataset | None = None,
    planned: xr.DataArray | Sequence[float] | None = None,
    thickness: xr.Dataset | None = None,
) -> Explorer:
    """Phase map with the ambiguous pixels in dark grey, under live thresholds, beside the spectrum of a pixel.

    Parameters
    ----------
    phases
        PHASES, in memory.
    margin, min_confidence
        Thresholds at the start; in a headless run the only ones.
    od
        OD that the phases were made from. With it the spectrum of the pixel under the cursor is shown, and its residual
        in standard deviations. A drawn box or lasso gives a mean spectrum, and clicked pixels are compared.
    clusters, refs
        CLUSTERS and REFERENCES of the phases: the cluster's mean and the best two references are fitted to the pixel.
    planned
        Energies [eV] to mark, such as those of :func:`phasekit.stxm.select_energies`.
    thickness
        THICKNESS: one more map, and a slider that hides thin pixels.

    Returns
    -------
    Explorer
        ``thresholds`` holds the chosen ``margin`` and ``min_confidence``, as :func:`phasekit.stxm.flag_ambiguous` takes
        them. ``values`` holds these and whatever else was chosen. The number beside the map (css class ``pk-readout``)
        is :func:`phasekit.stxm.ambiguous_fraction`. In a run without a screen ``view`` is a figure of the same views.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, ``margin`` is negative, or the other data are of another scan.

    See Also
    --------
    phasekit.stxm.flag_ambiguous : Takes the chosen thresholds.
    phase_figure : The map with its status.

    Examples
    --------
    >>> import numpy as np
    >>> import phasekit as pk
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> pk.viz.setup(interactive=False)
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": map_.expand_dims(reference=["Na3"], axis=2)})
    >>> explorer(phases, margin=0.2).view.axes[0].get_title()
    'ambiguous: 100.0 % of pixels'
    """
    require(phases, PHASES, step="explorer", argument="phases")
    if not margin >= 0:
        raise SchemaError(f"explorer: margin={margin}, needs a number >= 0: 0 flags nothing, 0.01 is severe.")
    controls: dict[str, Any] = make_thresholds(margin, min_confidence)
    start: dict[str, Any] = {}
    grid = make_grid(phases["scan_y"], phases["scan_x"])
    if thickness is not None:
        _check_thickness(thickness, phases)
        # At least 1 nm: a slider needs a range, also where no pixel has a thickness.
        top = float(np.nanmax([float(thickness["thickness"].max()), 1.0]))
        text = "Pixels thinner than this many nm are drawn as background; 0 hides none."
        controls["min_thickness"] = Slider("least thickness [nm]", 0.0, top, top / 100, 0.0, decimals=0, help=text)
    maps = _PhaseMaps(phases, thickness)
    views = {"map": View(maps.draw, tuple(controls), grid)}
    if od is not None:
        energies = () if planned is None else tuple(float(e) for e in np.asarray(planned).ravel())
        plots = SpectrumPlots(SpectrumData(phases, od, clusters, refs, energies), grid)
        controls["show"] = Choice(
            "map",
            maps.options,
            "phase",
            f"1 of {len(maps.options)} maps, under the cursor; all are of the same pixels.",
        )
        start = {"pixel": _find_start(phases), "pins": [], "region": None}
        needs = (*(name for name in controls), "pins", "region")
        views = {
            "map": View(maps.draw, needs, grid, cursor="pixel", pins="pins", outline="region"),
            "spectrum": View(plots.draw_spectrum, ("pixel", "pins", "region"), height=260),
            "residual": View(plots.draw_residual, ("pixel",), height=160),
        }
    return Explorer(
        controls,
        readout=partial(_format_share, phases),
        views=views,
        thresholds=("margin", "min_confidence"),
        start=start,
    )


class _PhaseMaps:
    """Maps of the phases at the resolution of the screen."""

    def __init__(self, phases: xr.Dataset, thickness: xr.Dataset | None) -> None:
        # Flags are set pixel by pixel, so those of the pixels on the screen need no others.
        self._phases = thin_for_screen(phases.drop_dims("energy", errors="ignore")).compute()
        self._status = self._phases["status"]
        self._margin, self._confidence = (self._phases[name].values for name in ("margin", "confidence"))
        missing = self._phases["n_missing"].values > 0 if "n_missing" in self._phases else False
        self._clear = np.where(missing, StxmStatus.INCOMPLETE.value, StxmStatus.OK.value)
        self._grid = make_grid(phases["scan_y"], phases["scan_x"])
        self._thickness = None if thickness is None else thin_for_screen(thickness["thickness"]).compute()
        self._names = [*(str(name) for name in phases["reference"].values), "ambiguous"]
        colours = [PHASE_COLOURS[i % len(PHASE_COLOURS)] for i in range(phases.sizes["reference"])]
        self._colours = [*colours, AMBIGUOUS_GREY]
        self.options = ["phase", "confidence", "margin", "composition", "status"]
        self.options += [] if thickness is None else ["thickness"]

    def draw(
        self,
        margin: float,
        min_confidence: float,
        show: str = "phase",
        min_thickness: float = 0.0,
        pins: Sequence[tuple[int, int]] = (),
        region: dict[str, list[float]] | None = None,
    ) -> MapPicture:
        """The chosen map, with the pinned pixels and the region on it."""
        # By the kernel of `flag_ambiguous`, so that the map and the next cell of the notebook agree.
        doubtful = is_ambiguous(self._margin, self._confidence, AmbiguityLimits(margin, min_confidence))
        status = self._status.copy(data=set_ambiguous_status(self._status.values, doubtful, self._clear))
        picture = self._draw_plain(show, status)
        if self._thickness is not None and min_thickness > 0:
            # Classes mark the background by -1, numbers by NaN.
            values = picture.values.where(self._thickness >= min_thickness, -1 if picture.names else np.nan)
            picture = picture._replace(values=values)
        return picture._replace(marks=mark_pins(self._grid, pins), outlines=close_outline(region))

    def _draw_plain(self, show: str, status: xr.DataArray) -> MapPicture:
        if show == "phase":
            phase = self._phases["phase"]
            is_named = (status.values == StxmStatus.AMBIGUOUS) & (phase.values >= 0)
            values = phase.copy(data=np.where(is_named, len(self._names) - 1, phase.values))
            return MapPicture(values, "phase", self._names, self._colours)
        if show == "status":
            words = [code.name.lower() for code in StxmStatus]
            names = [word.replace("_", " ") for word in words]
            return MapPicture(status, "status", names, [STATUS_COLOURS[word] for word in words])
        if show == "thickness" and self._thickness is not None:
            return MapPicture(self._thickness, "thickness", label="thickness [nm]")
        limits = (0.0, 1.0) if show == "confidence" else None
        return MapPicture(self._phases[show].where(self._phases["phase"] >= 0), show, label=show, limits=limits)


def make_thresholds(margin: float, min_confidence: float) -> dict[str, Slider]:
    """Sliders of margin and confidence, for the explorer and for the page of a result."""
    # Usual margins are a few thousandths, so the slider is fine and its range short.
    texts = (
        "Ambiguous below this difference of the best two Pearson correlations: 0 flags none, 0.01 is severe.",
        "Ambiguous below this probability of being right: 0.75 lets 1 of 4 such pixels be wrong.",
    )
    return {
        "margin": Slider("margin threshold", 0.0, max(0.05, 2 * margin), 0.001, margin, decimals=3, help=texts[0]),
        "min_confidence": Slider("least confidence", 0.0, 1.0, 0.01, min_confidence, help=texts[1]),
    }


def _format_share(phases: xr.Dataset, margin: float, min_confidence: float) -> str:
    share = ambiguous_fraction(phases, margin, min_confidence=min_confidence)
    return f"ambiguous: {100 * share:.1f} % of pixels"


def _check_thickness(thickness: xr.Dataset, phases: xr.Dataset) -> None:
    require(thickness, THICKNESS, step="explorer", argument="thickness")
    found, shape = thickness["thickness"].shape, phases["phase"].shape
    if found != shape:
        raise SchemaError(f"explorer: 'thickness' has {found} pixels, the phases {shape}. Give those of one stack.")


def _find_start(phases: xr.Dataset) -> tuple[int, int]:
    """Pixel with a phase and the highest confidence; the first one where none has a phase."""
    confidence = phases["confidence"].where(phases["phase"] >= 0).values
    best = int(np.nanargmax(confidence)) if np.isfinite(confidence).any() else 0
    row, column = np.unravel_index(best, confidence.shape)
    return int(row), int(column)


def chosen_margin(view: Any, margin: float) -> float:
    """Read the margin threshold that was chosen in an explorer, as a plain number for the next cell.

    Parameters
    ----------
    view
        What :func:`explorer` returned.
    margin
        Answer in a headless run, where there is no slider.

    Returns
    -------
    float
        The slider's value, or ``margin``.

    See Also
    --------
    explorer : Its ``values`` replace this function.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     chosen_margin(None, 0.002)
    0.002
    """
    return read_chosen_value(view, "margin", margin, function="chosen_margin")


def chosen_confidence(view: Any, min_confidence: float) -> float:
    """Read the least confidence that was chosen in an explorer, as a plain number for the next cell.

    Parameters
    ----------
    view
        What :func:`explorer` returned.
    min_confidence
        Answer in a headless run, where there is no slider.

    Returns
    -------
    float
        The slider's value, or ``min_confidence``.

    See Also
    --------
    explorer : Its ``values`` replace this function.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     chosen_confidence(None, 0.75)
    0.75
    """
    return read_chosen_value(view, "min_confidence", min_confidence, function="chosen_confidence")
