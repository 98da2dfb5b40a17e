"""Several amounts in one picture, and how often each composition occurs."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError, StxmStatus
from ...schema import COMPOSITE, HISTOGRAM, PHASES, REFERENCE_FIT, THICKNESS, describe, require
from .scan_grid import SCAN, read_scan_grid, require_same_scan

Array = NDArray[np.float64]
#: Colours by number of channels. Magenta, gold and teal are at least 22 CIELAB units from each other, their mixtures,
#: black and white. That holds for normal, protan, deutan and tritan vision (Machado 2009). Red, green, blue reach 8.
SAFE: dict[int, list[tuple[float, float, float]]] = {
    1: [(1.0, 1.0, 1.0)],
    2: [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0)],
    3: [(0.75, 0.05, 0.65), (0.5, 0.55, 0.05), (0.1, 0.6, 0.45)],
}
RGB: dict[int, list[tuple[float, float, float]]] = {
    n: [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)][:n] for n in (1, 2, 3)
}
#: brightness of sRGB colours (Rec. 709), for greys as bright as what they replace
_LUMA = np.array([0.2126, 0.7152, 0.0722])


def rgb_composite(
    data: xr.Dataset,
    channels: Sequence[str],
    *,
    colours: Literal["safe", "rgb"] = "safe",
    percentile: float = 99.0,
    scaling: Literal["each", "common"] = "each",
    confidence: xr.DataArray | None = None,
) -> xr.Dataset:
    """Mix the amounts of up to three references into one picture.

    Parameters
    ----------
    data
        REFERENCE_FIT: its ``amount`` is drawn, so thick places are bright. Or PHASES: a pixel has its ``confidence`` of
        its phase and the rest of its runner-up, so sure places are bright. One map per channel is read into memory.
    channels
        Names of one to three references.
    colours
        "safe" takes magenta, gold and teal, which every kind of colour vision tells apart, mixtures too. Two channels
        are magenta and green, which add to white. "rgb" takes red, green, blue, as many programs draw it. About one man
        in twelve cannot tell the first two apart.
    percentile
        An amount at this percentile of its map (of pixels above 0) is drawn at full colour. Larger ones are clipped: 99
        lets 1 % of the pixels saturate. A negative amount is drawn as none.
    scaling
        "each" scales every channel by its own percentile, so that a weak one is visible. Areas can then be compared,
        brightnesses of two channels cannot. "common" scales all by the largest of their percentiles.
    confidence
        Map 0..1 ``(scan_y, scan_x)``, such as ``phases["confidence"]``. Colours fade to a grey of the same brightness
        as it falls to 0. NaN counts 0.

    Returns
    -------
    xarray.Dataset
        COMPOSITE:

        - ``rgb(scan_y, scan_x, rgb_channel)`` in 0..1, NaN where no amount is known.
        - ``full(channel)``, the amount at full colour, in the unit of the data.
        - ``colour(channel, rgb_channel)``.

    Raises
    ------
    SchemaError
        ``data`` is neither kind, a reference is not there, there are none or more than three, or a setting is out of
        range.

    See Also
    --------
    fit_references : Amounts to draw.
    label_phases : Phases to draw.
    composition_histogram : How often each composition occurs.

    Examples
    --------
    >>> one = xr.DataArray(np.ones((1, 2)), dims=("scan_y", "scan_x"))
    >>> amount = one.expand_dims(reference=["Na3", "Na1"], axis=2) * [[[3.0, 0.0], [0.0, 2.0]]]
    >>> fit = xr.Dataset({"amount": amount, "amount_error": amount, "fraction": amount, "baseline": one,
    ...                   "residual": one, "chi_square": one})
    >>> rgb_composite(fit, ["Na3", "Na1"])["rgb"].values[0]
    array([[1., 0., 1.],
           [0., 1., 0.]])
    """
    amount = _load_amounts(data, channels)
    if colours not in ("safe", "rgb") or scaling not in ("each", "common") or not 0 < percentile <= 100:
        raise SchemaError(
            f"rgb_composite: colours={colours!r}, scaling={scaling!r}, percentile={percentile}; needs 'safe' or 'rgb', "
            "'each' or 'common', and a number in (0, 100]."
        )
    full_scale = _find_full_scale(amount, percentile, common=scaling == "common")
    palette = np.array((SAFE if colours == "safe" else RGB)[len(channels)])
    # light adds, so the channels are added as colours and clipped
    known = np.asarray(np.isfinite(amount).all(axis=-1))
    mixed = np.clip(np.clip(np.nan_to_num(amount) / full_scale, 0.0, 1.0) @ palette, 0.0, 1.0)
    if confidence is not None:
        mixed = _fade_colours(mixed, _load_confidence(confidence, mixed.shape[:2]))
    out = xr.Dataset(
        {
            "rgb": ((*SCAN, "rgb_channel"), np.where(known[..., None], mixed, np.nan)),
            "full": ("channel", full_scale, {"units": _read_unit(data)}),
            "colour": (("channel", "rgb_channel"), palette),
        },
        {"channel": list(channels), "rgb_channel": ["r", "g", "b"], **{d: data[d] for d in SCAN if d in data.coords}},
    )
    settings: dict[str, Any] = {"channels": list(channels), "colours": colours, "percentile": percentile}
    settings |= {"scaling": scaling, "faded": confidence is not None}
    return describe(out, COMPOSITE, step="rgb_composite", settings=settings, source=data)


def composition_histogram(
    phases: xr.Dataset,
    *,
    bins: int = 40,
    limits: tuple[float, float] | None = None,
    thickness: xr.Dataset | None = None,
    composition: xr.Dataset | None = None,
) -> xr.Dataset:
    """Count how often each composition occurs, separately for every status.

    Parameters
    ----------
    phases
        PHASES. ``composition`` and ``status`` are read into memory.
    bins
        Number of bins.
    limits
        Composition at the two ends; values outside count in no bin. None takes half a bin beyond the smallest and the
        largest value, so that pure phases lie inside a bin and not on its edge.
    thickness
        THICKNESS of the same scan, for ``weight`` by volume; negative and unknown thickness counts 0. None weighs by
        area.
    composition
        COMPOSITION of :func:`phasekit.stxm.fitted_composition`, counted instead of that of ``phases``. Noise of the
        pixels widens its peaks, but no reference attracts them.

    Returns
    -------
    xarray.Dataset
        HISTOGRAM by ``composition_bin`` (its middle) and ``status_word``:

        - ``count`` [pixels].
        - ``weight``, volume [nm3] with ``thickness``, else area [nm2].
        - ``bin_low`` and ``bin_high``.

        Pixels without a phase or a composition are not counted. The sure part is ``["count"].sel(status_word="ok")``,
        the sum over ``status_word`` is the whole.

    Raises
    ------
    SchemaError
        Other kinds of data, of different scans, or settings out of range.

    See Also
    --------
    label_phases : Composition and status.
    fitted_composition : Composition of each pixel by itself.
    particle_statistics : Composition of each particle.

    Examples
    --------
    >>> side = {dim: (dim, np.arange(2) * 10.0, {"units": "nm"}) for dim in ("scan_y", "scan_x")}
    >>> x = xr.DataArray([[3.0, 3.0], [1.0, np.nan]], dims=("scan_y", "scan_x"), coords=side)
    >>> phases = xr.Dataset({"composition": x, "phase": x, "margin": x, "confidence": x, "status": 0 * x,
    ...                      "pearson": x.expand_dims(reference=1, axis=2)}).fillna({"status": 1})
    >>> found = composition_histogram(phases, bins=5)
    >>> found["count"].sel(status_word="ok").values, found["weight"].sum().item()
    (array([1, 0, 0, 0, 2]), 300.0)
    """
    step = "composition_histogram"
    require(phases, PHASES, step=step, argument="phases")
    for other in (thickness, composition):
        if other is not None:
            require_same_scan(phases, other, step=step, what="phases and the other map", cure="Use one field for both.")
    if bins < 1 or (limits is not None and not limits[0] < limits[1]):
        raise SchemaError(f"{step}: bins={bins}, limits={limits}, needs at least 1 bin and limits (low, high).")
    x = (phases if composition is None else composition)["composition"].compute().values.astype(np.float64)
    status = phases["status"].compute().values.astype(np.intp)
    material = phases["phase"].compute().values >= 0
    # the edges come from all material, so that the histograms of all statuses share their bins
    edges = _make_bin_edges(x[material], bins, limits)
    weight = np.full(x.shape, read_scan_grid(phases, step).pixel_area)
    if thickness is not None:
        require(thickness, THICKNESS, step=step, argument="thickness")
        weight *= np.maximum(np.nan_to_num(thickness["thickness"].compute().values.astype(np.float64)), 0.0)
    words = len(StxmStatus)
    # bin and status together make one number per pixel, which is counted at once
    inside = material & np.isfinite(x) & (x >= edges[0]) & (x <= edges[-1])
    place = np.clip(np.searchsorted(edges, x[inside], side="right") - 1, 0, bins - 1) * words + status[inside]
    counted = {
        "count": np.bincount(place, minlength=bins * words),
        "weight": np.bincount(place, weight[inside], bins * words),
    }
    variables: dict[str, Any] = {
        name: (("composition_bin", "status_word"), values.reshape(bins, words)) for name, values in counted.items()
    }
    variables |= {"bin_low": ("composition_bin", edges[:-1]), "bin_high": ("composition_bin", edges[1:])}
    names = [code.name.lower() for code in StxmStatus]
    out = xr.Dataset(variables, {"composition_bin": 0.5 * (edges[:-1] + edges[1:]), "status_word": names})
    out["weight"].attrs["units"] = "nm^2" if thickness is None else "nm^3"
    settings = {"bins": bins, "limits": limits, "by_volume": thickness is not None, "fitted": composition is not None}
    return describe(out, HISTOGRAM, step=step, settings=settings, source=phases)


def _make_bin_edges(x: Array, bins: int, limits: tuple[float, float] | None) -> Array:
    """Edges (bins + 1,) of the histogram."""
    if limits is None:
        known = x[np.isfinite(x)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        # n bins of which the outer ones are centred on the extremes
        half = 0.5 * (high - low) / (bins - 1) if bins > 1 and high > low else 0.5
        limits = low - half, high + half
    return np.linspace(*limits, bins + 1)


def _load_amounts(data: xr.Dataset, channels: Sequence[str]) -> Array:
    """Amounts (scan_y, scan_x, channel) in memory."""
    step = "rgb_composite"
    fitted = isinstance(data, xr.Dataset) and "amount" in data
    require(data, REFERENCE_FIT if fitted else PHASES, step=step, argument="data")
    names = [str(name) for name in data["reference"].values]
    missing = [channel for channel in channels if channel not in names]
    if isinstance(channels, str) or missing or not 1 <= len(channels) <= 3 or len(set(channels)) < len(channels):
        raise SchemaError(f"{step}: channels={channels}, needs one to three different ones of {names}.")
    which = [names.index(channel) for channel in channels]
    if fitted:
        return np.asarray(data["amount"].isel(reference=which).compute().values, dtype=np.float64)
    phase, confidence = (data[name].compute().values for name in ("phase", "confidence"))
    second = data["runner_up"].compute().values if "runner_up" in data else np.full(phase.shape, -1)
    # what the name does not have of the probability is given to the runner-up
    parts = [np.where(phase == i, confidence, np.where(second == i, 1 - confidence, 0.0)) for i in which]
    return np.where((phase >= 0)[..., None], np.stack(parts, axis=-1), np.nan)


def _find_full_scale(amount: Array, percentile: float, *, common: bool) -> Array:
    """Amount (channel,) at full colour; 1 where a channel has nothing above 0."""
    full = []
    for channel in np.moveaxis(amount, -1, 0):
        # empty places would pull the percentile to 0
        positive = channel[np.isfinite(channel) & (channel > 0)]
        full.append(float(np.percentile(positive, percentile)) if positive.size else np.nan)
    values = np.array(full)
    if common and np.isfinite(values).any():
        values[:] = np.nanmax(values)
    return np.where(np.isfinite(values), values, 1.0)


def _load_confidence(confidence: xr.DataArray, shape: tuple[int, ...]) -> Array:
    """Confidence (scan_y, scan_x) in memory, 0 where unknown."""
    values = np.asarray(confidence.compute().values, dtype=np.float64)
    if tuple(map(str, confidence.dims)) != SCAN or values.shape != shape:
        raise SchemaError(
            f"rgb_composite: 'confidence' has dimensions {dict(confidence.sizes)}, needs a map {SCAN} of {shape}. "
            "Give phases['confidence'] of the same scan."
        )
    return np.clip(np.nan_to_num(values), 0.0, 1.0)


def _fade_colours(colour: Array, share: Array) -> Array:
    """Mix colours (y, x, 3) with a grey of the same brightness: ``share`` (y, x) of the colour, the rest grey."""
    grey = (colour @ _LUMA)[..., None]
    return share[..., None] * colour + (1 - share[..., None]) * grey


def _read_unit(data: xr.Dataset) -> str:
    """Unit of the amounts; "1" for phases."""
    return str(data["amount"].attrs.get("units", "1")) if "amount" in data else "1"
