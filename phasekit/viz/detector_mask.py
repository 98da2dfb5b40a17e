"""Figure of the detector mask: the mean pattern without bad pixels, and the kind of every bad pixel."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasekit.detector import apply_mask
from phasekit.schema import DETECTOR_MASK, PATTERNS, require

from .style import STATUS_COLOURS, categorical, image, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colour of every kind, used pixels first: the colours of status words, because a kind is no phase.
_WORDS = ("ok", "overlap", "false_assignment", "boundary_transition", "ambiguous", "transition", "too_thick")
_COLOURS = [STATUS_COLOURS[word] for word in (*_WORDS, "no_reference", "incomplete", "pseudo_symmetric")]
_FEW = 500  # pixels of a kind that are drawn larger than they are


def mask_figure(patterns: xr.Dataset, mask: xr.Dataset) -> "Figure":
    """Mean pattern of the scan without its bad pixels, and a map of the kinds of bad pixels with a legend.

    Parameters
    ----------
    patterns
        PATTERNS; lazy data are read once.
    mask
        DETECTOR_MASK of :func:`phasekit.detector.find_mask`.

    Returns
    -------
    matplotlib.figure.Figure
        The mean pattern (logarithmic; bad pixels grey), and the kinds of pixels. The legend names each kind with its
        number of pixels. Kinds of few pixels are drawn as squares larger than a pixel.

    Raises
    ------
    SchemaError
        Not PATTERNS, not DETECTOR_MASK, or a mask of another detector.

    See Also
    --------
    phasekit.detector.find_mask : Finds the mask.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32), hot_pixels=3)
    >>> len(mask_figure(scan, pk.detector.find_mask(scan)).axes)
    3
    """
    from matplotlib.colors import LogNorm

    require(patterns, PATTERNS, step="mask_figure", argument="patterns")
    require(mask, DETECTOR_MASK, step="mask_figure", argument="mask")
    mean = apply_mask(patterns, mask)["intensity"].mean(("scan_y", "scan_x")).compute()
    figure, axes = panels(1, 2, width=4.0, height=3.6)
    # Pixels that counted once in the whole scan would stretch the logarithmic scale.
    positive = mean.where(mean > 0)
    bottom = float(positive.quantile(0.01)) if bool(positive.notnull().any()) else 1.0
    norm = LogNorm(vmin=bottom, vmax=max(float(mean.max()), 2 * bottom), clip=True)
    image(axes[0, 0], mean, norm=norm, label="mean intensity [counts]")
    counts = [int(n) for n in mask["pixel_count"].values]
    words = [f"{word.replace('_', ' ')} ({n})" for word, n in zip(mask["pixel_kind"].values, counts, strict=True)]
    kind = mask["kind"].astype(int)
    categorical(axes[0, 1], kind, words, colours=_COLOURS)
    axis = {dim: mask[dim].values if dim in mask.coords else np.arange(mask.sizes[dim]) for dim in ("qy", "qx")}
    for number, count in enumerate(counts[1:], start=1):
        if 0 < count <= _FEW:
            y, x = np.nonzero(kind.values == number)
            colour = _COLOURS[number]
            axes[0, 1].scatter(axis["qx"][x], axis["qy"][y], s=9, marker="s", color=colour, linewidths=0)
    axes[0, 1].set_title("bad detector pixels", fontsize="medium")
    axes[0, 1].set(xticks=[], xlabel="")  # the legend stands there
    figure.set_label("Mean diffraction pattern without bad pixels, and the kinds of bad detector pixels.")
    return figure
