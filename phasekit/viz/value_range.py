"""Range of values that a map shows: the one place that keeps a hot pixel from hiding everything else."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_SHARE = 0.005  # of the pixels at each end that may lie outside the range
_FEWEST = 20  # pixels, below which none is left out
_MARGIN = 0.5  # of the range without these pixels: extremes nearer than this are kept


def display_range(values: ArrayLike) -> tuple[float | None, float | None]:
    """Smallest and largest value to draw, without single values far outside all others.

    The range of all but the 0.5 % largest and smallest values is found first, at least one value at each end. Extremes
    within half this range of it are kept, so that an ordinary map is drawn from its smallest to its largest value.

    Parameters
    ----------
    values
        Numbers of any shape; those that are not finite do not count.

    Returns
    -------
    low, high
        Ends of the colour scale. ``None`` without any finite value. Equal values give themselves. Where all but a few
        values are equal nothing is left out, because these few are the picture.

    See Also
    --------
    image : Draws with this range.

    Examples
    --------
    >>> map_ = np.arange(100.0)
    >>> display_range(map_)
    (0.0, 99.0)
    >>> map_[50] = 60000.0
    >>> display_range(map_)
    (0.0, 148.0)
    """
    finite = np.asarray(values, dtype=float).ravel()
    finite = np.sort(finite[np.isfinite(finite)])
    if finite.size == 0:
        return None, None
    lowest, highest = float(finite[0]), float(finite[-1])
    cut = max(1, int(_SHARE * finite.size))
    if finite.size < _FEWEST or finite[cut] == finite[-1 - cut]:
        return lowest, highest
    low, high = float(finite[cut]), float(finite[-1 - cut])
    margin = _MARGIN * (high - low)
    return max(lowest, low - margin), min(highest, high + margin)


def name_clipped_ends(values: ArrayLike, norm: Any) -> str:
    """Ends of a colour scale beyond which there are values, in the word of matplotlib's colour bars (``extend``)."""
    array = np.asarray(values, dtype=float)
    finite = array[np.isfinite(array)]
    if finite.size == 0 or norm.vmin is None or norm.vmax is None:
        return "neither"
    below, above = bool(finite.min() < norm.vmin), bool(finite.max() > norm.vmax)
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
