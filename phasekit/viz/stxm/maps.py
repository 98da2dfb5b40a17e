"""Maps of the STXM workflow: phases with their status, composition, fractions."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import PHASES, read_phase_names, renumber_phases, require

from ..style import BACKGROUND_GREY, EDGE_GREY, PHASE_COLOURS, categorical, image, panels
from ..style import STATUS_COLOURS as WORD_COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Location = Literal["outside upper center", "outside lower center"]
#: Colour of every status code, in the order of the codes.
STATUS_COLOURS: list[str] = [WORD_COLOURS[code.name.lower()] for code in StxmStatus]


def phase_figure(phases: xr.Dataset, *, truth: xr.DataArray | xr.Dataset | None = None) -> "Figure":
    """Phase map with the truth beside it, the status of every pixel, and the margin.

    Parameters
    ----------
    phases
        PHASES.
    truth
        True phase ``(scan_y, scan_x)`` as index, -1 where empty, or the stack that holds it as ``truth_phase``. Its own
        names (``attrs["phase_names"]``, a stack's ``reference``) decide the colours; a map without names is an index
        into the references of ``phases``. ``None`` leaves its panel out.

    Returns
    -------
    matplotlib.figure.Figure
        Phase (grey: background), truth, status (white: ok), margin (grey: none). A true phase that was not among the
        references is marked so in the key.

    Raises
    ------
    SchemaError
        ``truth`` has an index without a name.

    See Also
    --------
    phasekit.stxm.label_phases : Makes the map.
    explorer : The same map under live thresholds.

    Examples
    --------
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": map_.expand_dims(reference=["Na3"], axis=2)})
    >>> len(phase_figure(phases, truth=map_).axes)
    5
    """
    require(phases, PHASES, step="phase_figure", argument="phases")
    names, references = _phase_names(phases), [str(name) for name in phases["reference"].values]
    # Four panels fit a page better as a square.
    figure, axes = panels(1, 3, width=4.0, height=4.2) if truth is None else panels(2, 2, width=4.4, height=3.8)
    categorical(axes[0, 0], phases["phase"], names, legend=False)
    axes[0, 0].set_title("Phase found")
    if truth is not None:
        true_phase, all_names = _number_truth(truth, references)
        names = [*names, *(f"{name} (not given)" for name in all_names[len(names) :])]
        categorical(axes[0, 1], true_phase, names, legend=False)
        axes[0, 1].set_title("True phase")
    # All words, in the order of their codes: the map holds codes.
    words = [code.name.lower().replace("_", " ") for code in StxmStatus]
    status, margin = axes.flat[-2:]
    categorical(status, phases["status"], words, colours=STATUS_COLOURS, legend=False)
    status.set_title("Status")
    image(margin, phases["margin"].where(phases["phase"] >= 0), label="best minus second-best Pearson")
    margin.set_title("Margin")
    # The key names only what occurs; both keys lie across the figure, because two panels share one of them.
    codes = np.unique(np.asarray(phases["status"])).astype(int)
    _add_colour_key(
        figure, [*names, "background"], [*_phase_palette(len(names)), BACKGROUND_GREY], "outside upper center", "Phase"
    )
    _add_colour_key(
        figure,
        [words[code] for code in codes],
        [STATUS_COLOURS[code] for code in codes],
        "outside lower center",
        "Status",
    )
    return figure


def _number_truth(truth: xr.DataArray | xr.Dataset, references: list[str]) -> tuple[xr.DataArray, list[str]]:
    """Truth with the numbers of the references, and all names: those of the references, then further ones."""
    if isinstance(truth, xr.Dataset) and "truth_phase" not in truth:
        raise SchemaError("phase_figure: 'truth' has no variable 'truth_phase'. Give the map, or leave truth out.")
    map_ = truth["truth_phase"] if isinstance(truth, xr.Dataset) else truth
    own = read_phase_names(map_) or read_phase_names(truth)
    return renumber_phases(map_, own, references, step="phase_figure")


def composition_figure(phases: xr.Dataset, *, truth: xr.DataArray | None = None) -> "Figure":
    """Map of the composition, with the true one beside it.

    Parameters
    ----------
    phases
        PHASES; where its references carry no composition the map is grey and says so.
    truth
        True composition ``(scan_y, scan_x)``, NaN where empty; ``None`` leaves its panel out.

    Returns
    -------
    matplotlib.figure.Figure
        Both maps on one colour scale.

    See Also
    --------
    phasekit.stxm.label_phases : Makes the map.

    Examples
    --------
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": map_.expand_dims(reference=["Na3"], axis=2)})
    >>> len(composition_figure(phases).axes)
    2
    """
    require(phases, PHASES, step="composition_figure", argument="phases")
    maps = {"Composition found": phases["composition"], "True composition": truth}
    available = {title: array for title, array in maps.items() if array is not None}
    # One scale for both, else equal colours would mean different compositions.
    limits = _composition_limits(available.values())
    figure, axes = panels(1, len(available), width=3.8)
    for ax, (title, array) in zip(axes[0], available.items(), strict=True):
        image(ax, array, label="composition x", vmin=limits[0], vmax=limits[1])
        ax.set_title(title)
    # A grey map needs a word, else it looks like a fault.
    if not bool(phases["composition"].notnull().any()):
        axes[0, 0].text(0.5, 0.5, "references carry no composition", transform=axes[0, 0].transAxes, ha="center")
    return figure


def fraction_figure(fit: xr.Dataset, *, material: xr.DataArray | None = None) -> "Figure":
    """Fraction of every reference in every pixel, and the residual of the fit.

    Parameters
    ----------
    fit
        What :func:`phasekit.stxm.fit_references` returned: ``fraction(scan_y, scan_x, reference)``, ``residual``.
    material
        Boolean map ``(scan_y, scan_x)``: fractions are drawn where it is true. In an empty pixel they are a ratio of
        noise. ``None``: everywhere.

    Returns
    -------
    matplotlib.figure.Figure
        One map per reference from 0 to 1, and the residual (root mean square, OD).

    Raises
    ------
    SchemaError
        ``fit`` holds no fractions.

    See Also
    --------
    phasekit.stxm.fit_references : Makes the fractions.

    Examples
    --------
    >>> fraction = xr.DataArray(np.full((4, 6, 2), 0.5), dims=("scan_y", "scan_x", "reference"),
    ...                         coords={"reference": ["oxidised", "reduced"]})
    >>> figure = fraction_figure(xr.Dataset({"fraction": fraction, "residual": fraction[..., 0]}))
    >>> [ax.get_title() for ax in figure.axes[:3]]
    ['oxidised', 'reduced', 'Residual']
    """
    if "fraction" not in fit or "residual" not in fit:
        raise SchemaError("fraction_figure: there is no 'fraction' or 'residual'. pk.stxm.fit_references makes them.")
    names = _phase_names(fit)
    columns = min(len(names) + 1, 3)  # the residual stands in one more panel
    figure, axes = panels(-(-(len(names) + 1) // columns), columns, width=3.6, height=2.8)
    for index, name in enumerate(names):
        fraction = fit["fraction"].isel(reference=index)
        masked = fraction if material is None else fraction.where(material)
        image(axes.flat[index], masked, label="fraction", vmin=0, vmax=1)
        axes.flat[index].set_title(name)
    image(axes.flat[len(names)], fit["residual"], label="rms residual / OD", vmin=0)
    axes.flat[len(names)].set_title("Residual")
    for ax in axes.flat[len(names) + 1 :]:
        ax.set_visible(False)
    return figure


def _phase_palette(n: int) -> list[str]:
    return [PHASE_COLOURS[index % len(PHASE_COLOURS)] for index in range(n)]


def _add_colour_key(figure: "Figure", names: list[str], colours: list[str], location: _Location, title: str) -> None:
    """Legend across the figure: below a single map it would make the map smaller."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, edgecolor=EDGE_GREY, label=name) for name, colour in zip(names, colours, strict=True)
    ]
    figure.legend(handles=handles, loc=location, ncols=len(names), fontsize="small", title=title)


def _phase_names(data: xr.Dataset) -> list[str]:
    """Names of the references, or numbers where they have none; end members of the data are named as such."""
    names = [str(name) for name in data["reference"].values]
    if "reference_origin" not in data:
        return names
    is_own = np.asarray(data["reference_origin"]) == 1
    return [f"{name} (from the data)" if own else name for name, own in zip(names, is_own, strict=True)]


def _composition_limits(arrays: Iterable[xr.DataArray]) -> tuple[float, float]:
    """Smallest and largest composition of all maps; 0 and 1 where there is none."""
    finite = [np.asarray(array)[np.isfinite(np.asarray(array))] for array in arrays]
    values = np.concatenate([part.ravel() for part in finite])
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
